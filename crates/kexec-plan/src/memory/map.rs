//! The memory map that is handed from kernel to kernel: ranges with a type.

use serde::{Serialize, Serializer};

use super::{Range, RangeSet};

/// The type of a range of memory: the numbers of the firmware's E820 call and
/// of Linux (ACPI specification 6.5, table 15.4 "Address Range Types";
/// `enum e820_type` of the kernel for 12 and up).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemoryKind {
    /// 1, AddressRangeMemory.
    Ram,
    /// 2, AddressRangeReserved.
    Reserved,
    /// 3, AddressRangeACPI.
    AcpiData,
    /// 4, AddressRangeNVS.
    AcpiNvs,
    /// 5, AddressRangeUnusable.
    Unusable,
    /// 7, AddressRangePersistentMemory.
    Pmem,
    /// 12, persistent memory as old machines reported it.
    LegacyPmem,
    /// 0xefffffff, memory meant for particular drivers.
    SoftReserved,
    /// Anything else.
    Other(u32),
}

/// Type numbers by the names that /sys/firmware/memmap gives them
/// (Documentation/ABI/testing/sysfs-firmware-memmap, and what kernels since
/// print).
const NAMES: &[(&str, MemoryKind)] = &[
    ("System RAM", MemoryKind::Ram),
    ("Reserved", MemoryKind::Reserved),
    ("Device Reserved", MemoryKind::Reserved),
    ("ACPI Tables", MemoryKind::AcpiData),
    ("ACPI Non-volatile Storage", MemoryKind::AcpiNvs),
    ("Unusable memory", MemoryKind::Unusable),
    ("Persistent Memory", MemoryKind::Pmem),
    ("Persistent Memory (legacy)", MemoryKind::LegacyPmem),
    ("Soft Reserved", MemoryKind::SoftReserved),
];

impl MemoryKind {
    /// The type's number in an E820 entry.
    pub const fn code(self) -> u32 {
        match self {
            MemoryKind::Ram => 1,
            MemoryKind::Reserved => 2,
            MemoryKind::AcpiData => 3,
            MemoryKind::AcpiNvs => 4,
            MemoryKind::Unusable => 5,
            MemoryKind::Pmem => 7,
            MemoryKind::LegacyPmem => 12,
            MemoryKind::SoftReserved => 0xefff_ffff,
            MemoryKind::Other(code) => code,
        }
    }

    /// The type that an E820 number means.
    pub const fn from_code(code: u32) -> MemoryKind {
        match code {
            1 => MemoryKind::Ram,
            2 => MemoryKind::Reserved,
            3 => MemoryKind::AcpiData,
            4 => MemoryKind::AcpiNvs,
            5 => MemoryKind::Unusable,
            7 => MemoryKind::Pmem,
            12 => MemoryKind::LegacyPmem,
            0xefff_ffff => MemoryKind::SoftReserved,
            code => MemoryKind::Other(code),
        }
    }

    /// The type by its name in /sys/firmware/memmap or /proc/iomem.
    pub fn from_name(name: &str) -> Option<MemoryKind> {
        let same = |(known, _): &&(&str, MemoryKind)| known.eq_ignore_ascii_case(name.trim());
        NAMES.iter().find(same).map(|(_, kind)| *kind)
    }

    /// The name that /sys/firmware/memmap gives it.
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("Unknown E820 type", |(name, _)| name)
    }

    /// Where two ranges overlap the one with the higher rank holds: anything
    /// before RAM, and what must never be touched before the rest.
    const fn rank(self) -> u8 {
        match self {
            MemoryKind::Ram => 0,
            MemoryKind::SoftReserved => 1,
            MemoryKind::Pmem | MemoryKind::LegacyPmem => 2,
            MemoryKind::AcpiData => 3,
            MemoryKind::AcpiNvs => 4,
            MemoryKind::Other(_) => 5,
            MemoryKind::Reserved => 6,
            MemoryKind::Unusable => 7,
        }
    }
}

impl Serialize for MemoryKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MemoryKind::Other(code) => serializer.collect_str(&format_args!("type {code}")),
            known => serializer.serialize_str(known.name()),
        }
    }
}

/// One range of a memory map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MapEntry {
    /// The physical addresses.
    pub range: Range,
    /// What the memory is good for.
    pub kind: MemoryKind,
}

/// A memory map: ascending, nothing twice. Neighbours of one type are not
/// joined, because for persistent memory each range is a device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct MemoryMap(Vec<MapEntry>);

impl MemoryMap {
    /// From typed ranges in any order. Where they overlap, what is not RAM
    /// holds.
    pub fn new(entries: impl IntoIterator<Item = MapEntry>) -> MemoryMap {
        let mut entries: Vec<MapEntry> = entries
            .into_iter()
            .filter(|e| !e.range.is_empty())
            .collect();
        entries.sort_by_key(|e| (e.range.start, e.range.end, e.kind));
        let apart = entries
            .iter()
            .zip(entries.iter().skip(1))
            .all(|(a, b)| a.range.end <= b.range.start);
        if apart {
            return MemoryMap(entries);
        }
        // The strongest first; each takes what no stronger one has.
        entries.sort_by_key(|e| (std::cmp::Reverse(e.kind.rank()), e.range.start, e.kind));
        let mut taken = RangeSet::new();
        let mut map = Vec::with_capacity(entries.len());
        for entry in entries {
            let left = taken.holes(entry.range);
            map.extend(left.iter().map(|range| MapEntry {
                range,
                kind: entry.kind,
            }));
            taken.insert(entry.range);
        }
        map.sort_by_key(|e| e.range);
        MemoryMap(map)
    }

    /// From ranges with the names that the kernel gives them. A name that is
    /// not known becomes reserved memory, or is left out when `known_only`.
    pub fn from_names<'a>(
        entries: impl IntoIterator<Item = (Range, &'a str)>,
        known_only: bool,
    ) -> MemoryMap {
        let kind = |name: &str| match (MemoryKind::from_name(name), known_only) {
            (None, false) => Some(MemoryKind::Reserved),
            (kind, _) => kind,
        };
        let typed = entries.into_iter().filter_map(|(range, name)| {
            Some(MapEntry {
                range,
                kind: kind(name)?,
            })
        });
        MemoryMap::new(typed)
    }

    /// The entries, ascending.
    pub fn entries(&self) -> &[MapEntry] {
        &self.0
    }

    /// Everything of one type.
    pub fn of_kind(&self, kind: MemoryKind) -> RangeSet {
        let of = self.0.iter().filter(|e| e.kind == kind);
        of.map(|e| e.range).collect()
    }

    /// The same with `ranges` turned into `kind`.
    #[must_use]
    pub fn with(&self, ranges: &RangeSet, kind: MemoryKind) -> MemoryMap {
        let mut map = Vec::with_capacity(self.0.len());
        for entry in &self.0 {
            let left = RangeSet::from(entry.range).without(ranges);
            map.extend(left.iter().map(|range| MapEntry {
                range,
                kind: entry.kind,
            }));
        }
        map.extend(ranges.iter().map(|range| MapEntry { range, kind }));
        MemoryMap::new(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        for (name, kind) in NAMES {
            assert_eq!(MemoryKind::from_name(name), Some(*kind));
            assert_eq!(MemoryKind::from_code(kind.code()), *kind);
        }
        assert_eq!(MemoryKind::from_code(77).code(), 77);
        assert_eq!(
            MemoryKind::from_name("reserved"),
            Some(MemoryKind::Reserved)
        );
        assert_eq!(MemoryKind::from_name("PCI Bus 0000:00"), None);
        assert_eq!(MemoryKind::Other(9).name(), "Unknown E820 type");
    }

    fn entry(start: u64, end: u64, kind: MemoryKind) -> MapEntry {
        MapEntry {
            range: Range::new(start, end),
            kind,
        }
    }

    #[test]
    fn what_is_not_ram_holds_where_ranges_overlap() {
        use MemoryKind::{AcpiNvs, Ram, Reserved};
        let map = MemoryMap::new([
            entry(0, 100, Ram),
            entry(40, 60, Reserved),
            entry(50, 70, AcpiNvs),
        ]);
        let expected = [
            entry(0, 40, Ram),
            entry(40, 60, Reserved),
            entry(60, 70, AcpiNvs),
            entry(70, 100, Ram),
        ];
        assert_eq!(map.entries(), expected);
    }

    #[test]
    fn neighbours_stay_apart() {
        use MemoryKind::LegacyPmem;
        let both = [entry(0, 10, LegacyPmem), entry(10, 20, LegacyPmem)];
        assert_eq!(MemoryMap::new(both).entries(), both);
    }

    #[test]
    fn unknown_names_are_never_ram() {
        let lines = [
            (Range::new(0, 10), "Unknown E820 type"),
            (Range::new(20, 30), "PCI Bus"),
        ];
        let map = MemoryMap::from_names(lines, false);
        assert!(map.entries().iter().all(|e| e.kind == MemoryKind::Reserved));
        assert!(MemoryMap::from_names(lines, true).entries().is_empty());
    }

    proptest! {
        #[test]
        fn entries_never_overlap(v in proptest::collection::vec((0..200_u64, 0..200_u64, 0..9_u32), 0..20)) {
            let given: Vec<MapEntry> = v.iter().map(|(a, b, k)| entry(*a, *b, MemoryKind::from_code(*k))).collect();
            let map = MemoryMap::new(given.clone());
            prop_assert!(map.entries().windows(2).all(|w| w[0].range.end <= w[1].range.start));
            for byte in 0..200 {
                let strongest = given.iter().filter(|e| e.range.contains(byte)).map(|e| e.kind.rank()).max();
                let found = map.entries().iter().find(|e| e.range.contains(byte)).map(|e| e.kind.rank());
                prop_assert_eq!(found, strongest);
            }
        }
    }
}
