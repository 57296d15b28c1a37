//! The memory that is reserved for crash kernels, and the memory that one saves.

use super::CrashError;
use crate::memory::{MemoryFacts, Range, RangeSet};

/// What /proc/iomem calls the memory of `crashkernel=`: each part of it
/// (Documentation/admin-guide/kdump/kdump.rst).
const CRASH_KERNEL: &str = "Crash kernel";

/// What /proc/iomem calls ordinary memory. Memory that a driver brought has the driver's
/// name behind it, as in `System RAM (kmem)` and `System RAM (virtio_mem)`; it is not the
/// crash kernel's to use, but it holds what is to be saved.
const SYSTEM_RAM: &str = "System RAM";

/// The memory that is reserved for crash kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashRegions {
    /// Where an image can be loaded: the highest part. With `crashkernel=SIZE,high` that is
    /// the one that was asked for, and the one below 4 GiB is for devices only; the running
    /// kernel takes no segment there.
    pub window: Range,
    /// All parts.
    pub all: RangeSet,
}

impl CrashRegions {
    /// Those of this machine.
    ///
    /// # Errors
    /// [`CrashError::NoRegion`].
    pub fn of(memory: &MemoryFacts) -> Result<CrashRegions, CrashError> {
        let named = memory.iomem.iter().filter(|r| r.name == CRASH_KERNEL);
        // For the unprivileged all addresses are 0.
        let ranges = named.map(|r| r.range).filter(|r| r.end > 1);
        let window = ranges.clone().max().ok_or(CrashError::NoRegion)?;
        Ok(CrashRegions {
            window,
            all: ranges.collect(),
        })
    }

    /// The memory that is saved: all of it, without the reserved parts, without `cma`, and
    /// without `unused`, which the running kernel leaves alone.
    ///
    /// # Errors
    /// [`CrashError::NothingToSave`].
    pub fn saved(
        &self,
        memory: &MemoryFacts,
        cma: &RangeSet,
        unused: Range,
    ) -> Result<RangeSet, CrashError> {
        let mut saved = system_ram(memory).without(&self.all).without(cma);
        saved.remove(unused);
        if saved.is_empty() {
            return Err(CrashError::NothingToSave);
        }
        Ok(saved)
    }
}

/// All memory, however deep it is nested, whoever brought it.
pub(crate) fn system_ram(memory: &MemoryFacts) -> RangeSet {
    let is_ram = |name: &str| {
        let driver = name.strip_prefix(SYSTEM_RAM);
        driver.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    };
    let ram = memory.iomem.iter().filter(|r| is_ram(&r.name));
    ram.map(|r| r.range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Resource;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn resource(start: u64, end: u64, name: &str, depth: u32) -> Resource {
        Resource {
            range: Range::new(start, end),
            name: name.into(),
            depth,
        }
    }

    fn memory(iomem: Vec<Resource>) -> MemoryFacts {
        MemoryFacts {
            iomem,
            ..MemoryFacts::default()
        }
    }

    #[test]
    fn the_highest_part_is_the_window_and_no_part_is_saved() {
        let memory = memory(vec![
            resource(0x1000, 0x9_fc00, "System RAM", 0),
            resource(MIB, 2048 * MIB, "System RAM", 0),
            resource(16 * MIB, 48 * MIB, "Kernel code", 1),
            resource(1024 * MIB, 1280 * MIB, "Crash kernel", 1),
            resource(4096 * MIB, 8192 * MIB, "System RAM", 0),
            resource(7000 * MIB, 7512 * MIB, "Crash kernel", 1),
            resource(9000 * MIB, 9100 * MIB, "Persistent Memory", 0),
            resource(9000 * MIB, 9100 * MIB, "dax0.0", 1),
            resource(9010 * MIB, 9100 * MIB, "System RAM (kmem)", 2),
            resource(9200 * MIB, 9300 * MIB, "System RAM (virtio_mem)", 1),
            resource(9400 * MIB, 9500 * MIB, "System RAMbus", 0),
        ]);
        let regions = CrashRegions::of(&memory).unwrap();
        assert_eq!(regions.window, Range::new(7000 * MIB, 7512 * MIB));
        assert_eq!(regions.all.len(), 2);
        let cma = RangeSet::from(Range::new(5000 * MIB, 5100 * MIB));
        let saved = regions.saved(&memory, &cma, Range::new(0, MIB)).unwrap();
        let expected = [
            (1, 1024),
            (1280, 2048),
            (4096, 5000),
            (5100, 7000),
            (7512, 8192),
            (9010, 9100),
            (9200, 9300),
        ];
        let expected: Vec<Range> = expected
            .iter()
            .map(|(from, to)| Range::new(from * MIB, to * MIB))
            .collect();
        assert_eq!(saved.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_reserved_or_nothing_else_is_a_refusal() {
        let zeros = memory(vec![
            resource(0, 1, "System RAM", 0),
            resource(0, 1, "Crash kernel", 1),
        ]);
        for memory in [memory(Vec::new()), zeros] {
            assert_eq!(CrashRegions::of(&memory), Err(CrashError::NoRegion));
        }
        let all = memory(vec![
            resource(MIB, 4 * MIB, "System RAM", 0),
            resource(MIB, 4 * MIB, "Crash kernel", 1),
        ]);
        let regions = CrashRegions::of(&all).unwrap();
        let saved = regions.saved(&all, &RangeSet::new(), Range::default());
        assert_eq!(saved, Err(CrashError::NothingToSave));
    }

    proptest! {
        /// Address by address: in System RAM, and in nothing that is left out.
        #[test]
        fn every_address_is_saved_once_or_left_out_for_a_reason(
            ram in proptest::collection::vec((0..300_u64, 1..60_u64, 0..3_u32), 1..20),
            crash in proptest::collection::vec((0..300_u64, 1..30_u64), 1..3),
            cma in proptest::collection::vec((0..300_u64, 1..30_u64), 0..4),
            unused in 0..20_u64,
        ) {
            let named = |name: &str, v: &[(u64, u64)]| -> Vec<Resource> {
                v.iter().map(|(at, len)| resource(at + 2, at + 2 + len, name, 1)).collect()
            };
            let mut iomem: Vec<Resource> = ram
                .iter()
                .map(|(at, len, depth)| {
                    let names = ["System RAM", "System RAM (kmem)", "System RAM (virtio_mem)"];
                    resource(at + 2, at + 2 + len, names[usize::try_from(*depth).unwrap()], *depth)
                })
                .collect();
            let crash = named("Crash kernel", &crash);
            iomem.extend(crash.clone());
            let memory = memory(iomem);
            let cma: RangeSet = named("cma", &cma).iter().map(|r| r.range).collect();
            let unused = Range::new(0, unused);
            let regions = CrashRegions::of(&memory).unwrap();
            let saved = regions.saved(&memory, &cma, unused).unwrap_or_default();
            for at in 0..400 {
                let in_ram = memory.iomem.iter().any(|r| r.name != "Crash kernel" && r.range.contains(at));
                let out = crash.iter().any(|r| r.range.contains(at))
                    || cma.iter().any(|r| r.contains(at))
                    || unused.contains(at);
                let times = saved.iter().filter(|r| r.contains(at)).count();
                prop_assert_eq!(times, usize::from(in_ram && !out), "{}", at);
            }
        }
    }
}
