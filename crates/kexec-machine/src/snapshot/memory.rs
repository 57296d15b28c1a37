//! Memory: how much there is, and who has what.

use super::{MachineMemory, MemoryRange, limits, srat};
use crate::Fact;
use crate::Root;

/// No machine has more ranges than this in either map.
pub(super) const MAX_RANGES: usize = 1 << 16;

pub(super) fn read(root: &Root) -> MachineMemory {
    let meminfo = root.text("/proc/meminfo");
    MachineMemory {
        total: meminfo_field(&meminfo, "MemTotal:"),
        available: meminfo_field(&meminfo, "MemAvailable:"),
        iomem: root.bytes("/proc/iomem").and_then(|bytes| {
            match parse_iomem(&String::from_utf8_lossy(&bytes)) {
                Ok(ranges) => Fact::Known(ranges),
                Err(reason) => Fact::Unreadable(format!("/proc/iomem: {reason}")),
            }
        }),
        firmware_map: firmware_map(root),
        removable: srat::read(root),
        cma: meminfo_field(&meminfo, "CmaTotal:"),
        unaccepted: meminfo_field(&meminfo, "Unaccepted:"),
        commit_left: limits::commit_left(
            root,
            meminfo_field(&meminfo, "CommitLimit:"),
            meminfo_field(&meminfo, "Committed_AS:"),
        ),
        group_limit: limits::group_limit(root),
    }
}

/// A field of /proc/meminfo, in bytes (man 5 proc_meminfo: "kB" are KiB).
fn meminfo_field(meminfo: &Fact<String>, name: &str) -> Fact<u64> {
    meminfo.as_ref().and_then(|text| {
        let Some(value) = text.lines().find_map(|line| line.strip_prefix(name)) else {
            return Fact::Absent;
        };
        let number = value.trim().strip_suffix("kB").map(str::trim_end);
        let bytes = number
            .and_then(|n| n.parse::<u64>().ok())
            .and_then(|kib| kib.checked_mul(1024));
        bytes.map_or_else(
            || Fact::Unreadable(format!("/proc/meminfo: {name} {value:?}")),
            Fact::Known,
        )
    })
}

/// Reads /proc/iomem: `START-END : NAME`, hexadecimal, END inclusive, two spaces
/// of indentation for each level (kernel/resource.c prints it so; man 5
/// proc_iomem). The order of the file is kept.
///
/// # Errors
/// Why it cannot be used: a line that is none, or zeros for the unprivileged.
pub(super) fn parse_iomem(text: &str) -> Result<Vec<MemoryRange>, String> {
    let mut ranges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if ranges.len() == MAX_RANGES {
            return Err(format!("more than {MAX_RANGES} ranges"));
        }
        let range = iomem_line(line).ok_or_else(|| {
            let shown: String = line.chars().take(80).collect();
            format!(
                "line {}: {shown:?}, expected START-END : NAME",
                number.saturating_add(1)
            )
        })?;
        ranges.push(range);
    }
    if ranges.is_empty() {
        return Err("it is empty".to_owned());
    }
    // An inclusive end of 0 became 1.
    if ranges.iter().all(|r| r.start == 0 && r.end == 1) {
        return Err("shows zeros: needs CAP_SYS_ADMIN".to_owned());
    }
    Ok(ranges)
}

fn iomem_line(line: &str) -> Option<MemoryRange> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len().saturating_sub(rest.len());
    let (range, kind) = rest.split_once(" : ")?;
    let (start, last) = range.split_once('-')?;
    range_of(hex(start)?, hex(last)?, kind.trim(), indent / 2)
}

/// Hexadecimal digits without anything around them.
pub(super) fn hex(digits: &str) -> Option<u64> {
    // from_str_radix would take a sign.
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

fn range_of(start: u64, last: u64, kind: &str, depth: usize) -> Option<MemoryRange> {
    (start <= last).then(|| MemoryRange {
        start,
        // The last byte of the address space has no byte behind it; no map
        // names that one as memory.
        end: last.saturating_add(1),
        kind: kind.to_owned(),
        depth: u32::try_from(depth).unwrap_or(u32::MAX),
    })
}

/// /sys/firmware/memmap: one numbered folder per range with `start`, `end`
/// (inclusive) and `type` (Documentation/ABI/testing/sysfs-firmware-memmap).
fn firmware_map(root: &Root) -> Fact<Vec<MemoryRange>> {
    let folder = "/sys/firmware/memmap";
    root.entries(folder).and_then(|names| {
        if names.len() > MAX_RANGES {
            return Fact::Unreadable(format!("{folder}: more than {MAX_RANGES} ranges"));
        }
        let mut ranges = Vec::with_capacity(names.len());
        for name in names {
            let field = |field: &str| match root.text(&format!("{folder}/{name}/{field}")) {
                Fact::Known(text) => Ok(text),
                Fact::Absent => Err(format!("{folder}/{name}/{field} does not exist")),
                Fact::Unreadable(reason) => Err(reason),
            };
            let range = field("start").and_then(|start| {
                let (last, kind) = (field("end")?, field("type")?);
                memmap_entry(&start, &last, &kind)
                    .ok_or_else(|| format!("{folder}/{name}: {start:?} to {last:?}"))
            });
            match range {
                Ok(range) => ranges.push(range),
                Err(reason) => return Fact::Unreadable(reason),
            }
        }
        ranges.sort_by(|a, b| (a.start, a.end, &a.kind).cmp(&(b.start, b.end, &b.kind)));
        Fact::Known(ranges)
    })
}

/// One entry of the firmware map: `0x1000`, `0x9fbff`, `System RAM`.
pub(super) fn memmap_entry(start: &str, last: &str, kind: &str) -> Option<MemoryRange> {
    let number = |text: &str| hex(text.strip_prefix("0x")?);
    range_of(number(start)?, number(last)?, kind, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IOMEM: &str = "\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-3ffdffff : System RAM
  2b000000-3affffff : Crash kernel
  01000000-01ffffff : Kernel code
fd000000-fdffffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
    fd000000-fd2fffff : simple : framebuffer
100000000-ffffffffffffffff : far
";

    #[test]
    fn iomem_keeps_order_depth_and_names() {
        let ranges = parse_iomem(IOMEM).unwrap();
        assert_eq!(ranges.len(), 9);
        let at = |i: usize| {
            let r: &MemoryRange = &ranges[i];
            (r.start, r.end, r.kind.as_str(), r.depth)
        };
        assert_eq!(at(0), (0, 0x1000, "Reserved", 0));
        assert_eq!(at(3), (0x2b00_0000, 0x3b00_0000, "Crash kernel", 1));
        assert_eq!(at(7), (0xfd00_0000, 0xfd30_0000, "simple : framebuffer", 2));
        assert_eq!(at(8), (0x1_0000_0000, u64::MAX, "far", 0));
    }

    #[test]
    fn zeros_and_nonsense_are_reasons_not_maps() {
        let zeros = "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n";
        assert_eq!(
            parse_iomem(zeros).unwrap_err(),
            "shows zeros: needs CAP_SYS_ADMIN"
        );
        assert_eq!(parse_iomem("\n \n").unwrap_err(), "it is empty");
        assert_eq!(
            parse_iomem("0-f : a\n0-+f : b\n").unwrap_err(),
            "line 2: \"0-+f : b\", expected START-END : NAME"
        );
        for broken in ["0-f", "0:f", "f-0 : a", "-f : a", "10000000000000000-1 : a"] {
            assert!(parse_iomem(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn firmware_map_entries_are_hexadecimal() {
        let range = memmap_entry("0x1000", "0x9fbff", "System RAM").unwrap();
        assert_eq!((range.start, range.end), (0x1000, 0x9fc00));
        for (start, last) in [
            ("1000", "0x9"),
            ("0x9", "0x1"),
            ("0x", "0x1"),
            ("0x-1", "0x1"),
        ] {
            assert_eq!(memmap_entry(start, last, "x"), None, "{start} {last}");
        }
    }

    #[test]
    fn meminfo_is_in_kib() {
        let text = Fact::Known("MemTotal:       1005836 kB\nMemFree: 1 kB".to_owned());
        assert_eq!(
            meminfo_field(&text, "MemTotal:"),
            Fact::Known(1_029_976_064)
        );
        assert_eq!(meminfo_field(&text, "MemAvailable:"), Fact::Absent);
        let odd = Fact::Known("MemTotal: 99999999999999999999 kB".to_owned());
        assert!(matches!(
            meminfo_field(&odd, "MemTotal:"),
            Fact::Unreadable(_)
        ));
    }

    #[test]
    fn iomem_cut_at_every_byte_is_a_map_or_a_reason() {
        for end in 0..=IOMEM.len() {
            let _ = parse_iomem(&IOMEM[..end]);
        }
    }

    proptest! {
        #[test]
        fn iomem_of_anything_does_not_panic(text in "\\PC{0,200}") {
            let _ = parse_iomem(&text);
        }

        #[test]
        fn iomem_with_flipped_bits_keeps_its_promises(at in 0..IOMEM.len(), bit in 0..8u8) {
            let mut bytes = IOMEM.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(ranges) = parse_iomem(&String::from_utf8_lossy(&bytes)) {
                prop_assert!(ranges.iter().all(|r| r.start < r.end));
            }
        }

        #[test]
        fn memmap_of_anything_does_not_panic(a in "\\PC{0,24}", b in "(0x)?[0-9a-f]{0,20}") {
            let _ = memmap_entry(&a, &b, "x");
            let _ = memmap_entry(&b, &a, "x");
            if let Some(range) = memmap_entry(&b, &b, "x") {
                prop_assert!(range.start <= range.end);
            }
        }
    }
}
