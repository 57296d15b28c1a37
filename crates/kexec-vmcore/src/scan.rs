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
const FIRST: &[u8; 10] = b"OSRELEASE=";
/// Bytes that are looked at together.
const PIECE: u64 = 1 << 18;
/// Notes with the right beginning that are read as a whole: a MiB each at most, so all of
/// them take seconds. A kernel's memory has a few.
const MAX_WHOLE: u32 = 1 << 10;
/// Pages that cannot be read, after which the rest of the dump is not looked at: where a
/// dump was not written whole, none of what follows is there, and a bitmap can name
/// hundreds of millions of pages. Damage has fewer: these are 64 MiB of memory at least.
const MAX_BAD_PAGES: u32 = 1 << 14;

/// The content of the first note that makes sense; empty if there is none.
pub(crate) fn find(store: &Store<'_>, words: Words) -> Vec<u8> {
    let finder = Finder::new(NAME);
    let mut whole = 0;
    let mut look = |bytes: &[u8], paddr: u64| {
        let hits = finder.find_iter(bytes);
        let at = hits.filter_map(|at| paddr.checked_add(u64::try_from(at).ok()?));
        at.filter_map(|at| note(store, words, at, &mut whole).ok().flatten())
            .next()
    };
    match store {
        Store::Elf {
            source, by_paddr, ..
        } => {
            let mut bytes = Vec::new();
            // Each byte of a file is in one segment; where headers say otherwise, the same
            // bytes would be looked at for each of them.
            let mut left = source.len().saturating_add(source.len() / 8);
            for piece in by_paddr.in_file() {
                let mut inside = 0;
                while inside < piece.len {
                    if left == 0 {
                        return Vec::new();
                    }
                    let at = piece.offset.saturating_add(inside);
                    let hole = source.next_data(at).saturating_sub(at);
                    if hole > 0 {
                        left = left.saturating_sub(hole.min(piece.len - inside));
                        inside = inside.saturating_add(hole);
                        continue;
                    }
                    let len = PIECE.min(piece.len - inside);
                    left = left.saturating_sub(len);
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
                let mut bad = 0;
                let mut bytes = vec![0; usize::try_from(part.block).unwrap_or(0)];
                let mut next = part.next_page(0);
                while let Some(page) = next {
                    let read = part.copy("a page", page, 0, &mut bytes);
                    let paddr = page.saturating_mul(part.block);
                    match read {
                        Ok(()) => {
                            if let Some(found) = look(&bytes, paddr) {
                                return found;
                            }
                        }
                        Err(_) if bad == MAX_BAD_PAGES => break,
                        Err(_) => bad += 1,
                    }
                    next = part.next_page(page + 1);
                }
            }
        }
    }
    Vec::new()
}

/// The content of the note whose name is at a physical address, if it is one. `whole` is
/// how many were read as a whole; only what begins as one is.
fn note(
    store: &Store<'_>,
    words: Words,
    name: u64,
    whole: &mut u32,
) -> Result<Option<Vec<u8>>, VmcoreError> {
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
    let content = name.saturating_add(HEAD);
    let mut first = [0_u8; FIRST.len()];
    store.read_physical(what, content, &mut first)?;
    if &first != FIRST || *whole == MAX_WHOLE {
        return Ok(None);
    }
    *whole += 1;
    let mut text = vec![0_u8; usize::try_from(len).unwrap_or(0)];
    store.read_physical(what, content, &mut text)?;
    Ok(text.starts_with(FIRST).then_some(text))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;
    use crate::testing::{Compression, Dump, KdumpFile, LITTLE64, X86_64};
    use crate::{Endian, Memory};

    /// Counts reads and their bytes.
    struct Counting {
        bytes: Vec<u8>,
        reads: Cell<u64>,
        read: Cell<u64>,
    }

    impl Source for Counting {
        fn len(&self) -> u64 {
            Source::len(&self.bytes)
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.reads.set(self.reads.get() + 1);
            self.read.set(self.read.get() + buffer.len() as u64);
            self.bytes.read_exact_at(offset, buffer)
        }
    }

    /// Reads and bytes that are read until it is clear that there is no description.
    fn cost(bytes: Vec<u8>) -> (u64, u64) {
        let (reads, read) = (Cell::new(0), Cell::new(0));
        let source = Counting { bytes, reads, read };
        let none = Memory::open(&source).map(|memory| format!("{memory:?}"));
        assert!(matches!(none, Err(VmcoreError::NoVmcoreinfo { .. })));
        (source.reads.get(), source.read.get())
    }

    /// What looks like the head and the name of a note of 1 MiB, then `content`.
    fn looks_like_one(content: &[u8]) -> Vec<u8> {
        let words = Words {
            endian: Endian::Little,
            ..LITTLE64
        };
        let sizes = [NAME_LEN, vmcoreinfo::MAX, 0];
        let sizes = sizes.map(|size| crate::testing::number(words, size, 4));
        [&sizes.concat(), NAME, content].concat()
    }

    fn elf(memory: &[u8]) -> Vec<u8> {
        let mut dump = Dump::new(LITTLE64);
        dump.load(0x1000, memory);
        dump.build()
    }

    /// A dump full of what looks like notes of 1 MiB each.
    #[test]
    fn only_what_begins_right_is_read_as_a_whole() {
        let memory = looks_like_one(b"").repeat(1 << 16);
        let len = Source::len(&memory);
        assert!(len > vmcoreinfo::MAX);
        let (_, read) = cost(elf(&memory));
        assert!(read < 64 * len, "{read} bytes of {len}");
    }

    /// Notes of 1 MiB each that begin right, and of which none is there as a whole.
    #[test]
    fn what_begins_right_is_read_a_limited_number_of_times() {
        let one = looks_like_one(b"OSRELEASE=6.1");
        let memory = one.repeat(usize::try_from(MAX_WHOLE).unwrap() * 8);
        let len = Source::len(&memory);
        assert!(len < vmcoreinfo::MAX);
        let (_, read) = cost(elf(&memory));
        assert!(read < u64::from(MAX_WHOLE) * len, "{read} bytes of {len}");
    }

    /// Segments that are all the same bytes of the file.
    #[test]
    fn segments_on_each_other_are_looked_at_once() {
        let count = 1 << 10;
        let mut dump = Dump::new(LITTLE64);
        dump.load(1 << 30, &vec![1; 1 << 18]);
        for number in 1..count {
            dump.load((number + 1) << 30, b"");
        }
        let mut bytes = dump.build();
        let len = Source::len(&bytes);
        // p_offset to p_memsz of the segments behind the first one and the note's.
        let header = |number: usize| 64 + 56 * (number + 1);
        let first = bytes[header(0) + 8..header(0) + 48].to_vec();
        for number in 1..usize::try_from(count).unwrap() {
            let at = header(number);
            let paddr = u64::try_from(number + 1).unwrap() << 30;
            bytes[at + 8..at + 48].copy_from_slice(&first);
            for field in [16, 24] {
                bytes[at + field..at + field + 8].copy_from_slice(&paddr.to_le_bytes());
            }
        }
        let (_, read) = cost(bytes);
        assert!(read < 4 * len, "{read} bytes of {len}");
    }

    /// Every bit of the bitmap is set, and no descriptor was written.
    #[test]
    fn pages_that_are_not_there_are_looked_for_a_limited_number_of_times() {
        let count = MAX_BAD_PAGES as usize * 8;
        let mut file = KdumpFile::new(Compression::Zlib);
        file.version = 1;
        let mut dump = Dump::on(X86_64);
        let last = (count as u64 - 1) * 4096 - X86_64.paddr;
        dump.load(X86_64.base + last, &[1]);
        let mut bytes = file.build(&dump);
        // Behind a header, a second header and the block with the note.
        let (bitmaps, bitmap) = (3 * 4096, count / 8);
        let descs = bitmaps + 2 * bitmap;
        bytes[descs - bitmap..descs].fill(0xff);
        bytes.truncate(descs);
        bytes.resize(descs + count * 24, 0);
        let (reads, _) = cost(bytes);
        assert!(reads < u64::from(MAX_BAD_PAGES) * 2, "{reads} reads");
    }
}
