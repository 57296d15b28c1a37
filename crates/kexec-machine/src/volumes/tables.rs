//! Partition tables, for machines whose udev does not say what is in them.

use std::collections::BTreeMap;

use super::Partition;
use crate::guid::guid_at;
use kexec_image::fields::{u16_at, u32_at, u64_at};

/// A GPT has 128 entries of 128 bytes by default (UEFI specification, 5.3.3);
/// more than this many bytes of them are not read.
pub const MAX_ENTRIES: usize = 1 << 17;

/// An entry is at least this long, and a multiple of it.
const ENTRY: usize = 128;

/// Where a GPT's entries are, by its header in the second block of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    /// The first byte on the disk.
    pub at: u64,
    /// How long one is.
    pub size: usize,
    /// How many bytes all of them take.
    pub len: usize,
}

/// The header (UEFI specification, table 5-5), and where it says the entries
/// are; `None` for anything else and for sizes that make no sense.
pub fn gpt_header(block: &[u8], block_size: u64) -> Option<Entries> {
    block.strip_prefix(b"EFI PART")?;
    let size = usize::try_from(u32_at(block, 84)?).ok()?;
    let count = usize::try_from(u32_at(block, 80)?).ok()?;
    let len = size.checked_mul(count)?;
    let fits = size >= ENTRY && size.is_multiple_of(ENTRY) && len <= MAX_ENTRIES;
    let at = u64_at(block, 72)?.checked_mul(block_size)?;
    fits.then_some(Entries { at, size, len })
}

/// The partitions by their numbers (UEFI specification, table 5-6).
pub fn gpt_entries(bytes: &[u8], size: usize) -> BTreeMap<u32, Partition> {
    let entries = bytes.chunks_exact(size.max(ENTRY));
    (1..)
        .zip(entries)
        .filter_map(|(number, entry)| Some((number, gpt_entry(number, entry)?)))
        .collect()
}

fn gpt_entry(number: u32, entry: &[u8]) -> Option<Partition> {
    if entry.get(..16)?.iter().all(|byte| *byte == 0) {
        return None;
    }
    let units = (56..128).step_by(2).map_while(|at| u16_at(entry, at));
    let name: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let name = String::from_utf16_lossy(&name);
    Some(Partition {
        number: Some(number),
        uuid: guid_at(entry, 16),
        label: Some(name).filter(|name| !name.is_empty()),
        kind: guid_at(entry, 0),
    })
}

/// The four partitions of a master boot record (UEFI specification, 5.2.1), by
/// their numbers. Logical ones are not looked for: no boot loader of the Boot
/// Loader Specification reads them.
pub fn mbr(sector: &[u8]) -> BTreeMap<u32, Partition> {
    let read = |number: u32, at: usize| {
        let kind = *sector.get(at.checked_add(4)?)?;
        // 0xee: a GPT follows, which says more.
        (kind != 0 && kind != 0xee).then_some(())?;
        Some(Partition {
            number: Some(number),
            uuid: Some(format!("{:08x}-{number:02x}", u32_at(sector, 440)?)),
            label: None,
            kind: Some(format!("{kind:#x}")),
        })
    };
    if sector.get(510..512) != Some(&[0x55, 0xaa]) {
        return BTreeMap::new();
    }
    let places = (446..510).step_by(16);
    (1..)
        .zip(places)
        .filter_map(|(number, at)| Some((number, read(number, at)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ESP: [u8; 16] = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];

    fn header(entries: u64, count: u32, size: u32) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(b"EFI PART");
        block[72..80].copy_from_slice(&entries.to_le_bytes());
        block[80..84].copy_from_slice(&count.to_le_bytes());
        block[84..88].copy_from_slice(&size.to_le_bytes());
        block
    }

    #[test]
    fn a_gpt_has_types_uuids_and_names() {
        let place = gpt_header(&header(2, 128, 128), 512).unwrap();
        assert_eq!((place.at, place.size, place.len), (1024, 128, 16384));
        let mut entries = vec![0; place.len];
        let entry = &mut entries[128..256];
        entry[..16].copy_from_slice(&ESP);
        entry[16] = 1;
        entry[56..62].copy_from_slice(&[b'E', 0, b'S', 0, 0xe9, 0]);
        let found = gpt_entries(&entries, place.size);
        assert_eq!(found.len(), 1);
        let esp = &found[&2];
        assert_eq!(
            esp.kind.as_deref(),
            Some("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
        );
        assert_eq!(
            esp.uuid.as_deref(),
            Some("00000001-0000-0000-0000-000000000000")
        );
        assert_eq!(esp.label.as_deref(), Some("ESé"));
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        for (entries, count, size) in [
            (u64::MAX, 128, 128),
            (2, u32::MAX, 128),
            (2, 128, 0),
            (2, 128, 127),
            (2, 4096, 256),
        ] {
            assert_eq!(gpt_header(&header(entries, count, size), 512), None);
        }
        assert_eq!(gpt_header(b"EFI PART", 512), None);
        assert_eq!(gpt_header(&vec![0; 512], 512), None);
    }

    #[test]
    fn an_mbr_has_four() {
        let mut sector = vec![0; 512];
        sector[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        sector[446 + 4] = 0xef;
        sector[446 + 48 + 4] = 0x83;
        assert_eq!(mbr(&sector), BTreeMap::new());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        let found = mbr(&sector);
        let seen: Vec<(u32, &str, &str)> = found
            .iter()
            .map(|(n, p)| (*n, p.kind.as_deref().unwrap(), p.uuid.as_deref().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [(1, "0xef", "deadbeef-01"), (4, "0x83", "deadbeef-04")]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            size in 0_usize..400,
        ) {
            let named = [b"EFI PART", bytes.as_slice()].concat();
            let _ = (gpt_header(&named, 4096), gpt_entries(&bytes, size), mbr(&bytes));
        }
    }
}
