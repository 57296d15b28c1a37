//! The memory map before a jump beside the one after it.

use crate::guest::{MemmapEntry, Report};
use anyhow::{Context, Result};
use std::fmt;
use std::ops::RangeInclusive;

/// Memory that a kernel may use, in the kernel's words.
const RAM: &str = "System RAM";
/// Memory that it leaves alone.
const RESERVED: &str = "Reserved";
/// Bytes of a page of the EFI memory map: UEFI specification 2.10, section 7.2.3
/// (`EFI_MEMORY_DESCRIPTOR.NumberOfPages`).
const EFI_PAGE: u64 = 4096;

/// Every range that the next kernel was told something else about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChanges(Vec<MapChange>);

/// A range that the next kernel was told something else about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    /// First address of the range.
    pub start: u64,
    /// Last address, inclusive.
    pub end: u64,
    /// What it was, in the kernel's words; none: not in the map.
    pub before: Option<String>,
    /// What the next kernel was told that it is; none: not in the map.
    pub after: Option<String>,
    /// Memory of the EFI runtime map that was free in the firmware's map and is
    /// reserved now. The first kernel keeps tables there (memory attributes, ESRT)
    /// which it found when the firmware started it; a kernel that is started by
    /// kexec finds them only if nothing was put in their place.
    pub is_kept_for_efi: bool,
}

impl MapChanges {
    /// Compares what two kernels said about one machine. How a range is cut into
    /// entries makes no difference.
    ///
    /// # Errors
    /// If a line of the first kernel's EFI runtime map cannot be read.
    pub fn between(before: &Report, after: &Report) -> Result<Self> {
        let lines = before.efi_runtime_map.iter();
        let runtime = lines.map(|l| descriptor(l)).collect::<Result<Vec<_>>>()?;
        let ranges =
            |map: &[MemmapEntry]| -> Vec<_> { map.iter().map(|m| m.start..=m.end).collect() };
        let mut cuts: Vec<u64> = [&ranges(&before.memmap), &ranges(&after.memmap), &runtime]
            .into_iter()
            .flatten()
            .flat_map(|range| [Some(*range.start()), range.end().checked_add(1)])
            .flatten()
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let kind = |map: &[MemmapEntry], at: u64| {
            let range = map.iter().find(|m| m.start <= at && at <= m.end);
            range.map(|range| range.kind.clone())
        };
        let mut changes: Vec<MapChange> = Vec::new();
        for (number, &start) in cuts.iter().enumerate() {
            let (was, is) = (kind(&before.memmap, start), kind(&after.memmap, start));
            if was == is {
                continue;
            }
            let end = cuts.get(number + 1).map_or(u64::MAX, |next| next - 1);
            let is_kept_for_efi = was.as_deref() == Some(RAM)
                && is.as_deref() == Some(RESERVED)
                && runtime.iter().any(|range| range.contains(&start));
            let change = MapChange {
                start,
                end,
                before: was,
                after: is,
                is_kept_for_efi,
            };
            match changes.last_mut() {
                Some(last) if last.is_continued_by(&change) => last.end = end,
                _ => changes.push(change),
            }
        }
        Ok(Self(changes))
    }

    /// Every change, by address.
    #[must_use]
    pub fn all(&self) -> &[MapChange] {
        &self.0
    }

    /// Whether nothing changed but what kexec reserves on purpose.
    #[must_use]
    pub fn are_expected(&self) -> bool {
        self.0.iter().all(|change| change.is_kept_for_efi)
    }
}

impl MapChange {
    fn is_continued_by(&self, next: &Self) -> bool {
        self.end.checked_add(1) == Some(next.start)
            && (&self.before, &self.after) == (&next.before, &next.after)
            && self.is_kept_for_efi == next.is_kept_for_efi
    }
}

/// In one line, or one more for each change.
impl fmt::Display for MapChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.0.is_empty(), self.are_expected()) {
            (true, _) => "as before",
            (_, true) => "as before, but for",
            (_, false) => "DIFFERENT",
        })?;
        self.0
            .iter()
            .try_for_each(|change| write!(f, "\n  {change}"))
    }
}

impl fmt::Display for MapChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |kind: &Option<String>| kind.clone().unwrap_or_else(|| "nothing".to_owned());
        let kib = (self.end - self.start) / 1024 + 1;
        write!(
            f,
            "{:#x}-{:#x} ({kib} KiB): {}, was {}",
            self.start,
            self.end,
            kind(&self.after),
            kind(&self.before)
        )?;
        if self.is_kept_for_efi {
            f.write_str(": keeps the EFI firmware's tables there")?;
        }
        Ok(())
    }
}

/// The range of a line of the EFI runtime map: type, physical address, virtual
/// address, pages, attribute.
fn descriptor(line: &str) -> Result<RangeInclusive<u64>> {
    let range = || {
        let number = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        let mut words = line.split(' ');
        let start = number(words.nth(1)?)?;
        let pages = number(words.nth(1)?)?;
        let last = pages.checked_mul(EFI_PAGE)?.checked_sub(1)?;
        Some(start..=start.checked_add(last)?)
    };
    range().with_context(|| format!("reading the EFI runtime map's line {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(map: &[(u64, u64, &str)], runtime: &[&str]) -> Report {
        let range = |&(start, end, kind): &(u64, u64, &str)| MemmapEntry {
            start,
            end,
            kind: kind.to_owned(),
        };
        Report {
            memmap: map.iter().map(range).collect(),
            efi_runtime_map: runtime.iter().map(|&line| line.to_owned()).collect(),
            ..Report::default()
        }
    }

    /// Boot services data that the first kernel keeps, as OVMF has it: 0x25 pages.
    const KEPT: &str = "0x4 0x3c83f000 0xfffffffefc43f000 0x25 0x800000000000000f";

    fn said(before: &Report, after: &Report) -> String {
        MapChanges::between(before, after).unwrap().to_string()
    }

    #[test]
    fn how_a_map_is_cut_makes_no_difference() {
        let one = report(&[(0, 0xfff, RAM), (0x2000, u64::MAX, RESERVED)], &[]);
        let two = report(
            &[
                (0x2000, 0x2fff, RESERVED),
                (0x3000, u64::MAX, RESERVED),
                (0, 0x7ff, RAM),
                (0x800, 0xfff, RAM),
            ],
            &[],
        );
        assert_eq!(said(&one, &two), "as before");
        assert_eq!(said(&two, &one), "as before");
    }

    #[test]
    fn what_is_kept_for_efi_is_meant() {
        let one = report(&[(0x90_0000, 0x3ed3_efff, RAM)], &[KEPT]);
        let two = report(
            &[
                (0x90_0000, 0x3c83_efff, RAM),
                (0x3c83_f000, 0x3c86_3fff, RESERVED),
                (0x3c86_4000, 0x3ed3_efff, RAM),
            ],
            &[KEPT],
        );
        assert_eq!(
            said(&one, &two),
            "as before, but for\n  0x3c83f000-0x3c863fff (148 KiB): Reserved, was System RAM: \
             keeps the EFI firmware's tables there"
        );
        // The other way round it is not.
        assert_eq!(
            said(&two, &one),
            "DIFFERENT\n  0x3c83f000-0x3c863fff (148 KiB): System RAM, was Reserved"
        );
    }

    #[test]
    fn neighbours_in_the_runtime_map_are_one_change() {
        let runtime = ["0x4 0x1000 0x0 0x1 0xf", "0x4 0x2000 0x0 0x1 0xf"];
        let one = report(&[(0, 0x3fff, RAM)], &runtime);
        let two = report(
            &[
                (0, 0xfff, RAM),
                (0x1000, 0x2fff, RESERVED),
                (0x3000, 0x3fff, RAM),
            ],
            &runtime,
        );
        let changes = MapChanges::between(&one, &two).unwrap();
        assert!(changes.are_expected());
        let [only] = changes.all() else {
            panic!("{changes}");
        };
        assert_eq!((only.start, only.end), (0x1000, 0x2fff));
    }

    #[test]
    fn anything_else_is_different() {
        let one = report(
            &[(0, 0x7fff, RAM), (0x8000, 0x8fff, "ACPI Tables")],
            &[KEPT],
        );
        for (why, map, expected) in [
            (
                "reserved, and nothing of EFI there",
                &[
                    (0, 0x6fff, RAM),
                    (0x7000, 0x7fff, RESERVED),
                    (0x8000, 0x8fff, "ACPI Tables"),
                ][..],
                "0x7000-0x7fff (4 KiB): Reserved, was System RAM",
            ),
            (
                "gone",
                &[(0, 0x7fff, RAM)],
                "0x8000-0x8fff (4 KiB): nothing, was ACPI Tables",
            ),
            (
                "new",
                &[
                    (0, 0x7fff, RAM),
                    (0x8000, 0x8fff, "ACPI Tables"),
                    (0x9000, 0x93ff, RAM),
                ],
                "0x9000-0x93ff (1 KiB): System RAM, was nothing",
            ),
        ] {
            let said = said(&one, &report(map, &[KEPT]));
            assert_eq!(said, format!("DIFFERENT\n  {expected}"), "{why}");
        }
    }

    #[test]
    fn a_runtime_map_that_cannot_be_read_is_an_error() {
        for line in [
            "",
            "0x4 0x1000",
            "0x4 0x1000 0x0 0x0 0xf",
            "0x4 1000 0x0 0x1 0xf",
            "0x4 0xfffffffffffff000 0x0 0x2 0xf",
            "0x4 0x1000 0x0 0xffffffffffffffff 0xf",
        ] {
            let one = report(&[], &[line]);
            assert!(MapChanges::between(&one, &one).is_err(), "{line:?}");
        }
    }
}
