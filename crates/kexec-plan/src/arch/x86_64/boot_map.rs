//! The memory map that the running kernel was started with: `e820_table` of its
//! `boot_params`, and behind that the item `SETUP_E820_EXT` of `setup_data`
//! (Documentation/arch/x86/zero-page.rst; boot.rst, `setup_data`).

use super::layout::{E820_MAX, at, setup};
use crate::classic::FirmwareFacts;
use crate::memory::{MapEntry, MemoryKind, MemoryMap, Range};
use kexec_image::fields::{u8_at, u32_at, u64_at};

/// The length of `struct boot_e820_entry`: address, size, type.
const ENTRY_LEN: usize = 20;

/// The map; `None` when it is not known, or not all of it.
pub(crate) fn boot_map(facts: &FirmwareFacts) -> Option<MemoryMap> {
    let params = facts.boot_params.as_deref()?;
    let count = usize::from(u8_at(params, at::E820_ENTRIES)?).min(E820_MAX);
    let more = facts
        .setup_data
        .iter()
        .filter(|i| i.kind == setup::E820_EXT);
    let more: Vec<&[u8]> = more.map(|item| &*item.data).collect();
    // A full table goes on elsewhere.
    if count == 0 || (count == E820_MAX && more.is_empty()) {
        return None;
    }
    let len = count.checked_mul(ENTRY_LEN)?;
    let table = params.get(at::E820_TABLE..)?.get(..len)?;
    let tables = std::iter::once(table).chain(more);
    let entries = tables.flat_map(|table| table.chunks_exact(ENTRY_LEN));
    Some(MemoryMap::new(entries.filter_map(entry)))
}

fn entry(bytes: &[u8]) -> Option<MapEntry> {
    Some(MapEntry {
        range: Range::sized(u64_at(bytes, 0)?, u64_at(bytes, 8)?)?,
        kind: MemoryKind::from_code(u32_at(bytes, 16)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::x86_64::setup_data::e820;
    use crate::classic::SetupItem;
    use kexec_image::fields::put;
    use proptest::prelude::*;

    fn ram(page: u64) -> MapEntry {
        let start = page << 13;
        MapEntry {
            range: Range::new(start, start + 4096),
            kind: MemoryKind::Ram,
        }
    }

    fn facts(entries: &[MapEntry]) -> FirmwareFacts {
        let first = &entries[..entries.len().min(E820_MAX)];
        let mut params = vec![0; 4096];
        put(&mut params, at::E820_TABLE, &e820(first));
        put(
            &mut params,
            at::E820_ENTRIES,
            &[first.len().try_into().unwrap()],
        );
        FirmwareFacts {
            boot_params: Some(params.into()),
            ..FirmwareFacts::default()
        }
    }

    #[test]
    fn the_table_and_what_follows_it() {
        let all: Vec<MapEntry> = (0..200).map(ram).collect();
        assert_eq!(boot_map(&facts(&all[..3])).unwrap().entries(), &all[..3]);
        // What comes behind a full table is elsewhere; where that is not known,
        // nothing is.
        let mut full = facts(&all);
        assert_eq!(boot_map(&full), None);
        full.setup_data.push(SetupItem {
            kind: setup::E820_EXT,
            data: e820(&all[E820_MAX..]).into(),
        });
        assert_eq!(boot_map(&full).unwrap().entries(), all);
    }

    #[test]
    fn no_table_is_no_map() {
        assert_eq!(boot_map(&FirmwareFacts::default()), None);
        assert_eq!(boot_map(&facts(&[])), None);
    }

    proptest! {
        #[test]
        fn anything_is_read(params in proptest::collection::vec(any::<u8>(), 0..4097),
                            more in proptest::collection::vec(any::<u8>(), 0..200)) {
            let item = SetupItem { kind: setup::E820_EXT, data: more.into() };
            let _ = boot_map(&FirmwareFacts {
                boot_params: Some(params.into()),
                setup_data: vec![item],
                ..FirmwareFacts::default()
            });
        }
    }
}
