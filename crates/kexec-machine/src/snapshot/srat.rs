//! Which memory may be taken out while the machine runs: ACPI's System Resource Affinity
//! Table. A kernel that places itself at random stays out of it.

use super::MemoryRange;
use super::memory::MAX_RANGES;
use crate::Fact;
use crate::Root;

const PATH: &str = "/sys/firmware/acpi/tables/SRAT";
/// The table is at most as large as one with the most ranges: 40 bytes for each.
const MAX_LEN: u64 = 4 << 20;
/// The first structure of the table (ACPI specification 6.5, 5.2.16: the common header of
/// 36 bytes, and 12 reserved ones).
const FIRST: usize = 48;
/// "Memory Affinity Structure" (5.2.16.2): its type, its length.
const MEMORY: u8 = 1;
const MEMORY_LEN: usize = 40;
/// Its flags: "Enabled" and "Hot Pluggable".
const REMOVABLE: u32 = 1 | 1 << 1;

pub(super) fn read(root: &Root) -> Fact<Vec<MemoryRange>> {
    root.head(PATH, MAX_LEN)
        .and_then(|table| match parse(&table) {
            Ok(ranges) => Fact::Known(ranges),
            Err(reason) => Fact::Unreadable(format!("{PATH}: {reason}")),
        })
}

/// The ranges of an SRAT that may be taken out.
///
/// # Errors
/// Why it is no such table.
pub fn parse(table: &[u8]) -> Result<Vec<MemoryRange>, String> {
    if !table.starts_with(b"SRAT") {
        let found: String = table.iter().take(4).map(|b| format!("{b:02x}")).collect();
        return Err(format!("begins with {found:?}, expected SRAT"));
    }
    let mut ranges = Vec::new();
    let mut rest = table.get(FIRST..).unwrap_or_default();
    while let [kind, len, ..] = rest {
        let len = usize::from(*len);
        let Some((structure, behind)) = rest.split_at_checked(len).filter(|_| len >= 2) else {
            return Err(format!("a structure of type {kind} has {len} bytes"));
        };
        if *kind == MEMORY {
            ranges.extend(removable(structure)?);
        }
        if ranges.len() > MAX_RANGES {
            return Err(format!("more than {MAX_RANGES} ranges"));
        }
        rest = behind;
    }
    Ok(ranges)
}

fn removable(structure: &[u8]) -> Result<Option<MemoryRange>, String> {
    let number = |at: usize| {
        let bytes = structure.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    };
    let flags = structure.get(28..).and_then(|rest| rest.first_chunk::<4>());
    let (Some(start), Some(len), Some(flags)) = (number(8), number(16), flags) else {
        let len = structure.len();
        return Err(format!(
            "a range of memory has {len} bytes, expected {MEMORY_LEN}"
        ));
    };
    let removable = u32::from_le_bytes(*flags) & REMOVABLE == REMOVABLE && len > 0;
    Ok(removable.then(|| MemoryRange {
        start,
        end: start.saturating_add(len),
        kind: "removable".to_owned(),
        depth: 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn memory(start: u64, len: u64, flags: u32) -> Vec<u8> {
        let mut structure = vec![MEMORY, 40, 0, 0, 0, 0, 0, 0];
        structure.extend(start.to_le_bytes());
        structure.extend(len.to_le_bytes());
        structure.extend([0; 4]);
        structure.extend(flags.to_le_bytes());
        structure.extend([0; 8]);
        structure
    }

    fn table(structures: &[Vec<u8>]) -> Vec<u8> {
        let mut table = b"SRAT".to_vec();
        table.resize(FIRST, 0);
        table.extend(structures.concat());
        table
    }

    #[test]
    fn only_what_is_there_and_can_be_taken_out() {
        let processor = vec![0; 16].into_iter().enumerate();
        let processor = processor
            .map(|(at, b)| if at == 1 { 16 } else { b })
            .collect();
        let all = table(&[
            processor,
            memory(0, 0xa0000, 1),
            memory(4 << 30, 1 << 30, 3),
            memory(8 << 30, 1 << 30, 2),
            memory(9 << 30, 0, 3),
        ]);
        let found: Vec<_> = parse(&all)
            .unwrap()
            .iter()
            .map(|r| (r.start, r.end))
            .collect();
        assert_eq!(found, [(4 << 30, 5 << 30)]);
        assert_eq!(parse(&table(&[])), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_table_says_why() {
        assert!(parse(b"SLIT").unwrap_err().contains("expected SRAT"));
        let cut = table(&[memory(0, 1, 3)]);
        assert!(
            parse(&cut[..cut.len() - 1])
                .unwrap_err()
                .contains("has 40 bytes")
        );
        assert!(
            parse(&table(&[vec![1, 1, 0]]))
                .unwrap_err()
                .contains("has 1 bytes")
        );
        assert!(
            parse(&table(&[vec![MEMORY, 4, 0, 0]]))
                .unwrap_err()
                .contains("expected 40")
        );
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            let _ = parse(&table(&[bytes]));
        }
    }
}
