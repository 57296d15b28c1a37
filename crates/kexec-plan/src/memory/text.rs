//! A machine's memory as text: what the maps of tests, fuzzing and bug reports
//! are written in.
//!
//! ```text
//! # comment
//! MemTotal: 1005836 kB
//! [iomem]
//! 00001000-0009fbff : System RAM
//! [memmap]
//! 0x0 0x9fbff System RAM
//! ```

use super::{MemoryFacts, Range, Resource};

/// More lines than this are no machine.
const MAX_LINES: usize = 1 << 16;

impl MemoryFacts {
    /// Reads the text.
    ///
    /// # Errors
    /// The line that is wrong, and what was expected.
    pub fn parse(text: &str) -> Result<MemoryFacts, String> {
        let mut facts = MemoryFacts::default();
        let mut section = "";
        for (number, line) in text.lines().enumerate() {
            let wrong = |expected: &str| {
                let shown: String = line.chars().take(80).collect();
                format!(
                    "line {}: {shown:?}, expected {expected}",
                    number.saturating_add(1)
                )
            };
            if number == MAX_LINES {
                return Err(wrong("fewer lines"));
            }
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            match (line, section) {
                ("[iomem]", _) | ("[memmap]", _) => section = line,
                (_, "[iomem]") => {
                    let resource = iomem_line(line).ok_or_else(|| wrong("START-END : NAME"))?;
                    facts.iomem.push(resource);
                }
                (_, "[memmap]") => {
                    let entry = memmap_line(line).ok_or_else(|| wrong("0xSTART 0xEND TYPE"))?;
                    facts.firmware.push(entry);
                }
                _ => {
                    let total = line.strip_prefix("MemTotal:").map(str::trim);
                    let kib = total.and_then(|t| t.strip_suffix("kB"));
                    let kib = kib.and_then(|t| t.trim_end().parse::<u64>().ok());
                    let bytes = kib.and_then(|k| k.checked_mul(1024));
                    facts.total = bytes.ok_or_else(|| wrong("MemTotal: N kB"))?;
                }
            }
        }
        Ok(facts)
    }
}

/// `  START-END : NAME`, two spaces of indentation for each level (man 5
/// proc_iomem), END inclusive.
fn iomem_line(line: &str) -> Option<Resource> {
    let rest = line.trim_start_matches(' ');
    let indent = line.len().saturating_sub(rest.len());
    let (range, name) = rest.split_once(" : ")?;
    let (start, last) = range.split_once('-')?;
    Some(Resource {
        range: inclusive(hex(start)?, hex(last)?)?,
        name: name.trim().to_owned(),
        depth: u32::try_from(indent / 2).ok()?,
    })
}

/// `0xSTART 0xEND TYPE`, END inclusive.
fn memmap_line(line: &str) -> Option<(Range, String)> {
    let (start, rest) = line.split_once(' ')?;
    let (last, kind) = rest.split_once(' ')?;
    let number = |text: &str| hex(text.strip_prefix("0x")?);
    Some((inclusive(number(start)?, number(last)?)?, kind.to_owned()))
}

fn inclusive(start: u64, last: u64) -> Option<Range> {
    (start <= last).then(|| Range::new(start, last.saturating_add(1)))
}

fn hex(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryKind, NoMap};
    use super::*;

    const TEXT: &str = "\
# a machine
MemTotal: 1000 kB
[iomem]
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
00100000-004fffff : System RAM
  00100000-001fffff : Kernel code
  00200800-002fffff : Crash kernel
00500000-005fffff : Reserved
00600000-006fffff : System RAM (kmem)
[memmap]
0x0 0x9fbff System RAM
0x100000 0x47ffff System RAM
0x480000 0x4fffff ACPI Tables
0x500000 0x5fffff System RAM
";

    #[test]
    fn reads_and_finds_destinations() {
        let facts = MemoryFacts::parse(TEXT).unwrap();
        assert_eq!(facts.total, 1000 * 1024);
        let d = facts.destinations(0x10_0000, 4096).unwrap();
        let ranges: Vec<Range> = d.free.iter().collect();
        assert_eq!(
            ranges,
            [
                Range::new(0x10_0000, 0x20_0000),
                Range::new(0x30_0000, 0x48_0000)
            ]
        );
        assert_eq!(d.kept.len(), 1);
        assert_eq!(
            facts.kernel_reserved(0x10_0000),
            Range::new(0x50_0000, 0x60_0000).into()
        );
    }

    #[test]
    fn no_map_no_destinations() {
        let zeros = MemoryFacts::parse("[iomem]\n00000000-00000000 : System RAM\n").unwrap();
        assert_eq!(zeros.destinations(0, 4096), Err(NoMap::Zeros));
        let none = MemoryFacts::parse("[iomem]\n00000000-0000ffff : PCI Bus\n").unwrap();
        assert_eq!(none.destinations(0, 4096), Err(NoMap::NoRam));
        assert_eq!(
            MemoryFacts::default().destinations(0, 4096),
            Err(NoMap::NoRam)
        );
        let apart = "[iomem]\n100000-1fffff : System RAM\n[memmap]\n0x200000 0x2fffff System RAM\n";
        let apart = MemoryFacts::parse(apart).unwrap();
        assert_eq!(apart.destinations(0, 4096), Err(NoMap::Disagree));
    }

    #[test]
    fn without_a_firmware_map_iomem_has_to_do() {
        let (iomem, _) = TEXT.split_once("[memmap]").unwrap();
        let facts = MemoryFacts::parse(iomem).unwrap();
        let map = facts.firmware_map();
        assert_eq!(map.entries().len(), 4);
        assert_eq!(map.of_kind(MemoryKind::Ram).len(), 2);
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, part) in [
            ("x", "line 1: \"x\", expected MemTotal"),
            ("[iomem]\nx", "line 2"),
            ("[memmap]\n0x1 0x0 a", "0xSTART"),
            ("[memmap]\n1 2 a", "0xSTART"),
            ("MemTotal: 99999999999999999 kB", "MemTotal"),
        ] {
            let error = MemoryFacts::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
