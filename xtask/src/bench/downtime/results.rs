//! What was measured, and what it says of the phases of a downtime.

use super::native::NativeRates;
use kexec_lab::downtime::{LoadWay, Packing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything of one run, as `docs/downtime.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// `uname -r` of both kernels.
    pub kernel: String,
    /// The first line of `qemu --version`.
    pub qemu: String,
    /// Version of Debian's package.
    pub kexec_tools: String,
    /// `kexec --version` of the program that was measured.
    pub kexec: String,
    /// Bytes of the kernel's file.
    pub kernel_bytes: u64,
    /// Bytes of the kernel that is in it.
    pub unpacked_kernel_bytes: u64,
    /// Bytes that it needs while it unpacks itself, which kexec-tools checks all.
    pub init_size: u64,
    /// One for each size of the initrd, in the order of the tables.
    pub sizes: Vec<SizeResults>,
    /// Rates of the machine that ran the benchmark, if they were measured.
    pub native: Option<NativeRates>,
}

impl Results {
    /// Whether what others measured can stand beside these: it is of the same kernel, loaded
    /// in the same machine.
    pub fn is_of_the_same_programs(&self, others: &Results) -> bool {
        let programs = |one: &Results| {
            let names = [&one.kernel, &one.qemu, &one.kexec_tools];
            names.map(String::clone)
        };
        programs(self) == programs(others)
    }
}

/// What was measured with initrds of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeResults {
    /// Name of the size.
    pub name: String,
    /// Memory of the machine, MiB.
    pub memory_mb: u32,
    /// Bytes of the initrd, by its packing.
    pub initrds: BTreeMap<String, u64>,
    /// The measured ways.
    pub rows: Vec<Row>,
}

/// One way to load, and the jump after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the initrd was packed with.
    pub packing: String,
    /// The command, as [`LoadWay::name`] has it.
    pub way: String,
    /// Instructions of the downtime.
    pub instructions: u64,
    /// Its parts; none if a row is missing that they are derived from.
    pub phases: Option<Phases>,
    /// Instructions of the load.
    pub load_instructions: u64,
    /// The most memory of the load's process, bytes (`ru_maxrss`).
    pub load_rss: u64,
    /// The same with memory files and page cache of its own (`memory.peak`).
    pub load_memory: u64,
}

/// Instructions of a downtime by what they are for. Differences of measured rows: what
/// is nothing may be a little below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The check of what was loaded.
    pub integrity: i64,
    /// The kernel unpacks itself.
    pub kernel: i64,
    /// The kernel unpacks the initrd's compression.
    pub initrd: i64,
    /// Everything else: the old kernel's end, the copy, the next kernel's start.
    pub rest: i64,
}

/// Names of the phases, in the order of a downtime and of the tables.
pub const PHASES: [&str; 4] = ["integrity", "kernel", "initrd", "rest"];

impl Phases {
    /// The phases in the order of [`PHASES`].
    pub fn all(self) -> [i64; 4] {
        [self.integrity, self.kernel, self.initrd, self.rest]
    }
}

impl Row {
    /// Whether the row is one of this way.
    pub fn is(&self, way: LoadWay) -> bool {
        self.way == way.name()
    }
}

impl SizeResults {
    /// The row of this way and packing.
    pub fn row(&self, way: LoadWay, packing: &str) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.is(way) && row.packing == packing)
    }

    /// Instructions of this way with the unpacked initrd.
    fn raw(&self, way: LoadWay) -> Option<i64> {
        self.total(way, Packing::Raw.name())
    }

    fn total(&self, way: LoadWay, packing: &str) -> Option<i64> {
        i64::try_from(self.row(way, packing)?.instructions).ok()
    }

    /// The packings that were measured, without the unpacked initrd.
    pub fn packings(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if row.packing != Packing::Raw.name() && !names.contains(&row.packing.as_str()) {
                names.push(&row.packing);
            }
        }
        names
    }

    /// Takes a row in the place of that of the same way and packing, and divides all of them
    /// into their phases.
    pub fn put(&mut self, row: Row) {
        let same = |one: &&mut Row| one.packing == row.packing && one.way == row.way;
        match self.rows.iter_mut().find(same) {
            Some(before) => *before = row,
            None => self.rows.push(row),
        }
        self.derive();
    }

    /// Divides every row into its phases, by the other rows of the same size.
    pub fn derive(&mut self) {
        let phases: Vec<_> = self.rows.iter().map(|row| self.phases(row)).collect();
        for (row, phases) in self.rows.iter_mut().zip(phases) {
            row.phases = phases;
        }
    }

    /// Each phase is the difference that its absence makes; [`super::report::FOOT`]
    /// tells it in words. The parts of a row add up to its total.
    fn phases(&self, row: &Row) -> Option<Phases> {
        use LoadWay::{Load, LoadUnchecked, ToolsUnchecked, Unpacked};
        let total = i64::try_from(row.instructions).ok()?;
        let rest = self.raw(Unpacked)?;
        // What loads the next kernel as this way does, without a check.
        let (integrity, kernel) = if row.is(Load) || row.is(LoadUnchecked) {
            let unchecked = self.raw(LoadUnchecked)?;
            let integrity = match row.is(Load) {
                true => self.raw(Load)?.checked_sub(unchecked)?,
                false => 0,
            };
            (integrity, unchecked.checked_sub(rest)?)
        } else if row.is(Unpacked) {
            (0, 0)
        } else {
            let unchecked = self.total(ToolsUnchecked, &row.packing)?;
            let kernel = self.raw(ToolsUnchecked)?.checked_sub(rest)?;
            (total.checked_sub(unchecked)?, kernel)
        };
        let known = integrity.checked_add(kernel)?.checked_add(rest)?;
        Some(Phases {
            integrity,
            kernel,
            initrd: total.checked_sub(known)?,
            rest,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(way: LoadWay, packing: &str, millions: u64) -> Row {
        Row {
            packing: packing.to_owned(),
            way: way.name().to_owned(),
            instructions: millions * 1_000_000,
            phases: None,
            load_instructions: 1_000_000,
            load_rss: 16_000_000,
            load_memory: 15_000_000,
        }
    }

    /// One size with every way of one packing, near what was measured on 7.3.
    pub(in super::super) fn size() -> SizeResults {
        use LoadWay::{
            File, Load, LoadUnchecked, ToolsClassic, ToolsFile, ToolsFileCma, ToolsUnchecked,
            Unpacked,
        };
        let mut size = SizeResults {
            name: "small".to_owned(),
            memory_mb: 2048,
            initrds: [
                ("raw".to_owned(), 5_000_000),
                ("zstd".to_owned(), 1_700_000),
            ]
            .into(),
            rows: vec![
                row(Unpacked, "raw", 1262),
                row(ToolsUnchecked, "raw", 2130),
                row(LoadUnchecked, "raw", 2131),
                row(Load, "raw", 2141),
                row(ToolsClassic, "zstd", 5660),
                row(ToolsFile, "zstd", 5728),
                row(ToolsFileCma, "zstd", 2190),
                row(ToolsUnchecked, "zstd", 2199),
                row(File, "zstd", 5725),
                row(Load, "zstd", 2206),
            ],
        };
        size.derive();
        size
    }

    #[test]
    fn a_row_that_is_measured_again_takes_its_place() {
        let (mut again, before) = (size(), size());
        again.put(row(LoadWay::Load, "zstd", 1300));
        assert_eq!(again.rows.len(), before.rows.len());
        let measured = again.row(LoadWay::Load, "zstd").unwrap();
        assert_eq!(measured.instructions, 1_300_000_000);
        assert!(measured.phases.is_some());
    }

    fn millions(way: LoadWay) -> [i64; 4] {
        let size = size();
        let phases = size.row(way, "zstd").unwrap().phases.unwrap();
        phases.all().map(|part| part / 1_000_000)
    }

    #[test]
    fn phases_are_differences_and_add_up() {
        assert_eq!(millions(LoadWay::ToolsClassic), [3461, 868, 69, 1262]);
        assert_eq!(millions(LoadWay::ToolsUnchecked), [0, 868, 69, 1262]);
        assert_eq!(millions(LoadWay::ToolsFileCma), [-9, 868, 69, 1262]);
        assert_eq!(millions(LoadWay::Load), [10, 869, 65, 1262]);
        for row in size().rows {
            let sum: i64 = row.phases.unwrap().all().iter().sum();
            assert_eq!(sum, i64::try_from(row.instructions).unwrap());
        }
    }

    #[test]
    fn without_the_floor_nothing_is_divided() {
        let mut size = size();
        size.rows.remove(0);
        size.derive();
        assert!(size.rows.iter().all(|row| row.phases.is_none()));
    }
}
