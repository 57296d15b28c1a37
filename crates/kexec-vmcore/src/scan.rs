//! Looking for a kernel's description in its memory. The kernel keeps the note VMCOREINFO
//! there from its boot on, for the dump of a crash. A dump that QEMU made of a guest
//! without the device `vmcoreinfo`, and a dump of the first two versions of
//! kdump-compressed, does not have it in its headers.

use memchr::memmem::Finder;

use crate::store::Store;
use crate::{Source, VmcoreError, Words, vmcoreinfo};

/// The name of the note as it is in memory, filled up to four bytes.
const NAME: &[u8] = b"VMCOREINFO\0\0";
/// Bytes of the name without what it is filled up with (gABI, "Note Section").
const NAME_LEN: u64 = 11;
/// Bytes of a note before its name: the length of the name, that of the content, a type.
const HEAD: u64 = 12;
/// The first line of the content (`crash_save_vmcoreinfo_init`; vmcoreinfo.rst).
const FIRST: &[u8] = b"OSRELEASE=";
/// Bytes that are looked at together.
const PIECE: u64 = 1 << 18;

/// The content of the first note that makes sense; empty if there is none.
pub(crate) fn find(store: &Store<'_>, words: Words) -> Vec<u8> {
    let finder = Finder::new(NAME);
    let look = |bytes: &[u8], paddr: u64| {
        let hits = finder.find_iter(bytes);
        let at = hits.filter_map(|at| paddr.checked_add(u64::try_from(at).ok()?));
        at.filter_map(|at| note(store, words, at).ok().flatten())
            .next()
    };
    match store {
        Store::Elf {
            source, by_paddr, ..
        } => {
            let mut bytes = Vec::new();
            for piece in by_paddr.in_file() {
                let mut inside = 0;
                while inside < piece.len {
                    let at = piece.offset.saturating_add(inside);
                    let hole = source.next_data(at).saturating_sub(at);
                    if hole > 0 {
                        inside = inside.saturating_add(hole);
                        continue;
                    }
                    let len = PIECE.min(piece.len - inside);
                    bytes.resize(usize::try_from(len).unwrap_or(0), 0);
                    if source.read_exact_at(at, &mut bytes).is_err() {
                        break;
                    }
                    if let Some(found) = look(&bytes, piece.start.saturating_add(inside)) {
                        return found;
                    }
                    // A name at the end of this piece is looked at again with the next.
                    inside += len.saturating_sub(len.min(HEAD)).max(1);
                    if len < PIECE {
                        break;
                    }
                }
            }
        }
        Store::Kdump(parts) => {
            for part in parts {
                let mut bytes = vec![0; usize::try_from(part.block).unwrap_or(0)];
                let mut next = part.next_page(0);
                while let Some(page) = next {
                    let read = part.copy("a page", page, 0, &mut bytes);
                    let paddr = page.saturating_mul(part.block);
                    if read.is_ok()
                        && let Some(found) = look(&bytes, paddr)
                    {
                        return found;
                    }
                    next = part.next_page(page + 1);
                }
            }
        }
    }
    Vec::new()
}

/// The content of the note whose name is at a physical address, if it is one.
fn note(store: &Store<'_>, words: Words, name: u64) -> Result<Option<Vec<u8>>, VmcoreError> {
    let what = "VMCOREINFO";
    let Some(head) = name.checked_sub(HEAD) else {
        return Ok(None);
    };
    let mut sizes = [0_u8; 8];
    store.read_physical(what, head, &mut sizes)?;
    let number = |at| words.number(&sizes, at, 4).unwrap_or(0);
    let (name_len, len) = (number(0), number(4));
    if name_len != NAME_LEN || !(1..=vmcoreinfo::MAX).contains(&len) {
        return Ok(None);
    }
    let mut text = vec![0_u8; usize::try_from(len).unwrap_or(0)];
    let content = name.saturating_add(HEAD);
    store.read_physical(what, content, &mut text)?;
    Ok(text.starts_with(FIRST).then_some(text))
}
