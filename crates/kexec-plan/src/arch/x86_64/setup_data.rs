//! The list that `setup_data` points to: `next`, `type`, `len`, data
//! (Documentation/arch/x86/boot.rst, `setup_data`). All items lie behind each
//! other in the parameters' own segment, because `kexec_load(2)` takes few
//! segments.

use super::layout::setup;
use crate::classic::{ImaList, Part};
use crate::memory::{MapEntry, Range};
use kexec_image::fields::{len_u64, pad, put};

/// The length of an item without its data.
const HEAD: usize = 16;
/// Items start at a multiple of this, so that the fields are aligned.
const ALIGN: usize = 16;

/// An item to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub kind: u32,
    pub data: Vec<u8>,
}

/// Appends the items to `blob`, which will be at `base`. Gives the address of
/// the first, 0 for none.
pub(super) fn append(blob: &mut Vec<u8>, base: u64, items: &[Item], parts: &mut Vec<Part>) -> u64 {
    let mut first = 0;
    let mut pointer_at = None;
    for item in items {
        pad(blob, ALIGN);
        let at = blob.len();
        let address = base.saturating_add(len_u64(at));
        match pointer_at {
            Some(pointer) => put(blob, pointer, &address.to_le_bytes()),
            None => first = address,
        }
        pointer_at = Some(at);
        // Nothing that is handed on is anywhere near 4 GiB.
        let len = u32::try_from(item.data.len()).unwrap_or(u32::MAX);
        blob.extend(0_u64.to_le_bytes());
        blob.extend(item.kind.to_le_bytes());
        blob.extend(len.to_le_bytes());
        blob.extend(&item.data);
        let whole = len_u64(item.data.len().saturating_add(HEAD));
        parts.push(Part {
            name: name(item.kind).to_owned(),
            range: Range::new(address, address.saturating_add(whole)),
        });
    }
    first
}

fn name(kind: u32) -> &'static str {
    match kind {
        setup::E820_EXT => "SETUP_E820_EXT",
        setup::DTB => "SETUP_DTB",
        setup::PCI => "SETUP_PCI",
        setup::EFI => "SETUP_EFI",
        setup::APPLE_PROPERTIES => "SETUP_APPLE_PROPERTIES",
        setup::JAILHOUSE => "SETUP_JAILHOUSE",
        setup::CC_BLOB => "SETUP_CC_BLOB",
        setup::IMA => "SETUP_IMA",
        setup::RNG_SEED => "SETUP_RNG_SEED",
        _ => "setup_data",
    }
}

/// Entries of `struct boot_e820_entry`: address, size, type.
pub(super) fn e820(entries: &[MapEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(20));
    for entry in entries {
        bytes.extend(entry.range.start.to_le_bytes());
        bytes.extend(entry.range.len().to_le_bytes());
        bytes.extend(entry.kind.code().to_le_bytes());
    }
    bytes
}

/// The buffer that IMA of the next kernel reads: a header (version 1, two
/// reserved fields, the length of everything, the number of measurements) and
/// the measurements as `binary_runtime_measurements` shows them.
pub(super) fn ima_buffer(list: &ImaList) -> Vec<u8> {
    const IMA_HEAD: usize = 24;
    let len = len_u64(list.measurements.len().saturating_add(IMA_HEAD));
    let mut bytes = Vec::with_capacity(list.measurements.len().saturating_add(IMA_HEAD));
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend([0; 6]);
    bytes.extend(len.to_le_bytes());
    bytes.extend(list.count.to_le_bytes());
    bytes.extend(&list.measurements);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use kexec_image::fields::{u32_at, u64_at};

    #[test]
    fn items_are_chained_and_aligned() {
        let mut blob = vec![0xff; 5];
        let mut parts = Vec::new();
        let items = [
            Item {
                kind: 9,
                data: vec![7; 32],
            },
            Item {
                kind: 1,
                data: vec![8; 3],
            },
            Item {
                kind: 4,
                data: vec![],
            },
        ];
        let first = append(&mut blob, 0x1_0000_0000, &items, &mut parts);
        assert_eq!(first, 0x1_0000_0010);
        let mut at = first;
        for item in &items {
            let offset = usize::try_from(at - 0x1_0000_0000).unwrap();
            assert_eq!(offset % 16, 0);
            assert_eq!(u32_at(&blob, offset + 8), Some(item.kind));
            assert_eq!(
                u32_at(&blob, offset + 12),
                Some(u32::try_from(item.data.len()).unwrap())
            );
            assert_eq!(blob[offset + 16..][..item.data.len()], item.data);
            at = u64_at(&blob, offset).unwrap();
        }
        assert_eq!(at, 0);
        assert_eq!(parts.len(), 3);
        assert_eq!(append(&mut Vec::new(), 0, &[], &mut Vec::new()), 0);
    }
}
