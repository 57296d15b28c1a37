//! Physical memory: ranges, what the machine has and who owns it, and where a
//! segment fits.

pub mod limits;
pub mod map;
pub mod place;
pub mod range;
mod text;

use serde::Serialize;

pub use map::{MapEntry, MemoryKind, MemoryMap};
pub use place::{NoRoom, PlaceRequest, Placer, Search};
pub use range::{Range, RangeSet};

/// What is known of the machine's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryFacts {
    /// /proc/iomem, in the order of the file.
    pub iomem: Vec<Resource>,
    /// /sys/firmware/memmap: ranges and their types as the kernel names them;
    /// empty when the running kernel has no such folder.
    pub firmware: Vec<(Range, String)>,
    /// What [`MemoryFacts::leave_plugged_in`] took out of `firmware`.
    pub plugged_in: RangeSet,
    /// MemTotal of /proc/meminfo, bytes.
    pub total: u64,
    /// Memory that may be taken out while the machine runs: a kernel that is placed at
    /// random stays out of it.
    pub removable: RangeSet,
    /// Memory that the running kernel is likely to hand out when it makes room
    /// for the image. Destinations there make the kernel's search for pages
    /// slow, so they are chosen last. Empty when nothing is known: then only
    /// the order of addresses counts.
    pub free: RangeSet,
}

/// One line of /proc/iomem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resource {
    /// The physical addresses.
    pub range: Range,
    /// What the kernel calls it, such as `System RAM`.
    pub name: String,
    /// How deep it is nested: 0 is the top.
    pub depth: u32,
}

/// Where segments may go, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destinations {
    /// Whole pages that may be written to at the jump.
    pub free: RangeSet,
    /// What lies inside of System RAM and must not be touched, with its name.
    pub kept: Vec<Resource>,
}

impl Destinations {
    /// Takes out what else must not be touched.
    pub fn keep(&mut self, more: Vec<Resource>, page: u64) {
        let owned: RangeSet = more.iter().map(|r| r.range).collect();
        self.free = self.free.without(&owned).aligned_inward(page);
        self.kept.extend(more);
        self.kept.sort_by_key(|r| r.range);
    }
}

/// What a destination may overwrite although it has an owner: the running
/// kernel itself, which is gone by then (Documentation/filesystems/proc.rst
/// shows these names in its example of iomem).
const OVERWRITABLE: &[&str] = &["Kernel code", "Kernel rodata", "Kernel data", "Kernel bss"];

/// The name of ordinary memory in /proc/iomem. Memory that a driver brought
/// (`System RAM (kmem)`, `System RAM (virtio_mem)`) is named differently,
/// because the next kernel does not have it at its start.
const SYSTEM_RAM: &str = "System RAM";

/// Why there are no destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMap {
    /// /proc/iomem shows zeros: the process is not privileged.
    Zeros,
    /// There is no System RAM in it.
    NoRam,
    /// The two maps have no RAM in common.
    Disagree,
}

impl MemoryFacts {
    /// The places where a segment may go: System RAM of /proc/iomem without
    /// everything that is inside of it (but the running kernel itself), cut
    /// with the RAM of the firmware's map, above `floor`, in whole pages.
    ///
    /// # Errors
    /// When that is nothing, and why.
    pub fn destinations(&self, floor: u64, page: u64) -> Result<Destinations, NoMap> {
        // An inclusive end of 0 became 1.
        if !self.iomem.is_empty() && self.iomem.iter().all(|r| r.range.end <= 1) {
            return Err(NoMap::Zeros);
        }
        let top = |r: &&Resource| r.depth == 0 && r.name == SYSTEM_RAM;
        let ram: RangeSet = self.iomem.iter().filter(top).map(|r| r.range).collect();
        if ram.is_empty() {
            return Err(NoMap::NoRam);
        }
        let kept: Vec<Resource> = self
            .iomem
            .iter()
            .filter(|r| !top(r) && !OVERWRITABLE.contains(&r.name.as_str()))
            .filter(|r| ram.overlaps(r.range))
            .cloned()
            .collect();
        let owned: RangeSet = kept.iter().map(|r| r.range).collect();
        let firmware = self.firmware_map().of_kind(MemoryKind::Ram);
        let common = ram.intersect(&firmware);
        if common.is_empty() {
            return Err(NoMap::Disagree);
        }
        let mut free = common.without(&owned);
        free.remove(Range::new(0, floor));
        Ok(Destinations {
            free: free.aligned_inward(page),
            kept,
        })
    }

    /// Takes out of the firmware's map the RAM that `boot`, the map that the
    /// running kernel was started with, does not have. /sys/firmware/memmap lists
    /// memory that was plugged in later like the firmware's own; for the next
    /// kernel it is not memory to boot with: it finds it through ACPI, as the
    /// running one did, and can let it go again. Without /sys/firmware/memmap the
    /// map is `boot` itself.
    pub fn leave_plugged_in(&mut self, boot: &MemoryMap) {
        if self.firmware.is_empty() {
            let names = boot.entries().iter();
            self.firmware = names.map(|e| (e.range, e.kind.name().to_owned())).collect();
            return;
        }
        let at_boot = boot.of_kind(MemoryKind::Ram);
        let mut firmware = Vec::with_capacity(self.firmware.len());
        for (range, name) in std::mem::take(&mut self.firmware) {
            if MemoryKind::from_name(&name) != Some(MemoryKind::Ram) {
                firmware.push((range, name));
                continue;
            }
            let all = RangeSet::from(range);
            let left = all.intersect(&at_boot);
            firmware.extend(left.iter().map(|r| (r, name.clone())));
            let plugged = all.without(&at_boot);
            plugged.iter().for_each(|r| self.plugged_in.insert(r));
        }
        self.firmware = firmware;
    }

    /// The map of the firmware; without one, what /proc/iomem tells.
    pub fn firmware_map(&self) -> MemoryMap {
        if self.firmware.is_empty() {
            return self.iomem_map();
        }
        let entries = self.firmware.iter().map(|(r, name)| (*r, name.as_str()));
        MemoryMap::from_names(entries, false)
    }

    /// The map as the running kernel uses it: the top of /proc/iomem, as far as
    /// it is memory.
    pub fn iomem_map(&self) -> MemoryMap {
        let top = self.iomem.iter().filter(|r| r.depth == 0);
        MemoryMap::from_names(top.map(|r| (r.range, r.name.as_str())), true)
    }

    /// Memory that the firmware calls RAM and the running kernel keeps for
    /// good: on EFI machines tables such as ESRT and the TPM's log, which lie
    /// in memory that looks free to a kernel started by kexec. They are the
    /// top-level `Reserved` of /proc/iomem above `floor`. (Below it the kernel
    /// reserves what it likes on its own.)
    pub fn kernel_reserved(&self, floor: u64) -> RangeSet {
        let reserved = self.iomem.iter().filter(|r| r.depth == 0);
        let mut reserved: RangeSet = reserved
            .filter(|r| r.name.eq_ignore_ascii_case("reserved"))
            .map(|r| r.range)
            .collect();
        reserved.remove(Range::new(0, floor));
        reserved.intersect(&self.firmware_map().of_kind(MemoryKind::Ram))
    }
}
