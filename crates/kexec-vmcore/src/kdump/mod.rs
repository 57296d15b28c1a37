//! kdump-compressed: what makedumpfile(8) writes without `-E`, and QEMU's
//! `dump-guest-memory` with `-z`, `-l` or `-s`. Blocks of the machine's page size: one
//! with the header, some with a second header and what it points to, two bitmaps with a
//! bit for each page of physical memory, then a descriptor for each page that is there.
//! Names are those of the "kdump-compressed format" of makedumpfile's IMPLEMENTATION
//! document: `disk_dump_header`, `kdump_sub_header`, `page_desc`.

mod codec;
mod pages;

use std::cell::RefCell;

use crate::translate::Machine;
use crate::{Endian, Source, VmcoreError, Words, vmcoreinfo};
use pages::{Pages, Ranks};

/// How a file begins.
pub(crate) const SIGNATURE: &[u8] = b"KDUMP   ";
/// The newest `header_version` that is known.
const NEWEST: u64 = 6;
/// The sizes of pages that Linux has: 4 KiB to 256 KiB.
const BLOCKS: std::ops::RangeInclusive<u64> = 1 << 12..=1 << 18;
/// The most pages: 256 TiB of 4 KiB each, more than any machine has.
const MAX_PAGES: u64 = 1 << 36;
/// `utsname.machine` is behind four other names of 65 bytes each, the signature and the
/// version.
const MACHINE: usize = 12 + 4 * 65;
/// Bytes of each of the names.
const NAME: usize = 65;
/// `status` is behind a `struct timeval`, which has two `long`, aligned. This is its
/// place where they have 8 bytes; also on a 32-bit machine whose times have 64 bits.
const STATUS_8: usize = 424;
/// Its place where they have 4.
const STATUS_4: usize = 412;
/// Bytes of the header that are looked at.
const HEADER: usize = STATUS_8 + 24;
/// Bytes of the second header that are looked at: all of it.
const SUB_HEADER: usize = 104;

/// What is at the place of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageState {
    /// It is in the dump.
    There,
    /// The machine has it, and it was left out of the dump.
    Excluded,
    /// The machine has no such memory, or another part of the dump has it.
    Missing,
}

/// A dump in this format, or one part of a dump that `makedumpfile --split` wrote.
pub(crate) struct Kdump<'a> {
    source: Box<dyn Source + 'a>,
    /// How the crashed machine wrote numbers.
    pub(crate) words: Words,
    /// What it was.
    pub(crate) machine: Machine,
    /// Where its kernel was, as far as the header says that.
    pub(crate) phys_base: Option<u64>,
    /// The content of the note VMCOREINFO; empty where there is none.
    pub(crate) vmcoreinfo: Vec<u8>,
    /// Bytes of a page.
    pub(crate) block: u64,
    /// Whether the dump is a part of one.
    pub(crate) split: bool,
    /// The pages that this part has, by their numbers.
    range: std::ops::Range<u64>,
    /// Bit by page: the machine has it.
    bitmap1: u64,
    /// Bit by page: the dump has it.
    bitmap2: u64,
    /// Where the descriptors are.
    descs: u64,
    ranks: RefCell<Ranks>,
    pages: RefCell<Pages>,
}

/// The fields of the first header.
struct Header {
    words: Words,
    version: u64,
    machine: Machine,
    block: u64,
    sub_blocks: u64,
    bitmap_blocks: u64,
    max_mapnr: u64,
}

/// Where the fields of the second header are. `off_t` has 8 bytes everywhere.
struct Layout {
    split: usize,
    start_pfn: usize,
    vmcoreinfo: usize,
    start_pfn_64: usize,
}

const LAYOUT_64: Layout = Layout {
    split: 12,
    start_pfn: 16,
    vmcoreinfo: 32,
    start_pfn_64: 80,
};
/// 8 bytes are aligned as 4 are: i386, and QEMU for every machine.
const LAYOUT_32: Layout = Layout {
    split: 8,
    start_pfn: 12,
    vmcoreinfo: 20,
    start_pfn_64: 56,
};
/// 8 bytes are aligned: other machines of 32 bits.
const LAYOUT_32_ALIGNED: Layout = Layout {
    vmcoreinfo: 24,
    start_pfn_64: 72,
    ..LAYOUT_32
};

fn wrong(what: &'static str, at: u64, found: String) -> VmcoreError {
    VmcoreError::Headers { what, at, found }
}

fn read(source: &dyn Source, at: u64, buffer: &mut [u8]) -> Result<(), VmcoreError> {
    let (wanted, len) = (buffer.len(), source.len());
    let end = at.checked_add(u64::try_from(wanted).unwrap_or(u64::MAX));
    if end.is_none_or(|end| end > len) {
        let what = "a header of the dump";
        return Err(VmcoreError::CutShort { what, at, len });
    }
    let failed = |source| VmcoreError::Read { at, wanted, source };
    source.read_exact_at(at, buffer).map_err(failed)
}

impl Header {
    fn read(source: &dyn Source) -> Result<Header, VmcoreError> {
        let mut bytes = [0_u8; HEADER];
        read(source, 0, &mut bytes)?;
        let name = bytes.get(MACHINE..MACHINE + NAME).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let machine = Machine::from_uname(&String::from_utf8_lossy(name));
        let mut versions = Vec::new();
        // Neither order nor place is written down; only one makes sense.
        for endian in [Endian::Little, Endian::Big] {
            let number = |at| Words { endian, long: 8 }.number(&bytes, at, 4).unwrap_or(0);
            versions.push(number(8));
            for status in [STATUS_8, STATUS_4] {
                let usual = if status == STATUS_8 { 8 } else { 4 };
                let header = Header {
                    words: Words {
                        endian,
                        long: machine.long().unwrap_or(usual),
                    },
                    version: number(8),
                    machine,
                    block: number(status + 4),
                    sub_blocks: number(status + 8),
                    bitmap_blocks: number(status + 12),
                    max_mapnr: number(status + 16),
                };
                if header.makes_sense() {
                    return Ok(header);
                }
            }
        }
        let found = match versions.iter().find(|one| (NEWEST + 1..100).contains(*one)) {
            Some(version) => format!("version {version}, expected 1 to {NEWEST}"),
            None => "no order of bytes in which its numbers make sense".to_owned(),
        };
        Err(wrong("the header of the kdump-compressed dump", 8, found))
    }

    fn makes_sense(&self) -> bool {
        (1..=NEWEST).contains(&self.version)
            && BLOCKS.contains(&self.block)
            && self.block.is_power_of_two()
            && self.sub_blocks >= 1
            && self.bitmap_blocks >= 1
    }
}

impl<'a> Kdump<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// When they make no sense, are of a version that is not known, or the file is too
    /// short for them.
    pub(crate) fn open(source: Box<dyn Source + 'a>) -> Result<Kdump<'a>, VmcoreError> {
        let header = Header::read(&*source)?;
        let Header { words, block, .. } = header;
        let mut sub = [0_u8; SUB_HEADER];
        read(&*source, block, &mut sub)?;
        // Those of version N end before what version N + 1 added.
        let since = |version: u64, at: usize, size: usize| {
            let there = header.version >= version;
            words.number(&sub, at, size).filter(|_| there)
        };
        let len = source.len();
        let info = |layout: &Layout| {
            let at = since(3, layout.vmcoreinfo, 8)?;
            let size = since(3, layout.vmcoreinfo + 8, words.long)?;
            let end = at.checked_add(size)?;
            (at >= block && size > 0 && end <= len).then_some((at, size))
        };
        let layout = match words.long {
            8 => &LAYOUT_64,
            _ if info(&LAYOUT_32).is_none() && info(&LAYOUT_32_ALIGNED).is_some() => {
                &LAYOUT_32_ALIGNED
            }
            _ => &LAYOUT_32,
        };
        let split = since(2, layout.split, 4) == Some(1);
        let more = layout.start_pfn_64;
        let pages = since(6, more + 16, 8)
            .filter(|pages| *pages > 0)
            .unwrap_or(header.max_mapnr);
        let range = match split {
            false => 0..pages,
            true => {
                let start = |at, size| since(2, at, size).unwrap_or(0);
                let long = words.long;
                let (old, new) = (layout.start_pfn, layout.start_pfn_64);
                match header.version {
                    6.. => start(new, 8)..start(new + 8, 8),
                    _ => start(old, long)..start(old + long, long),
                }
            }
        };
        let bitmaps = (header.sub_blocks + 1).saturating_mul(block);
        let both = header.bitmap_blocks.saturating_mul(block);
        let descs = bitmaps.saturating_add(both);
        let half = both / 2;
        if pages > MAX_PAGES || pages > half.saturating_mul(8) || descs > len {
            let found = format!(
                "{} blocks of {block} bytes for two bits of each of {pages} pages, in a file of \
                 {len} bytes",
                header.bitmap_blocks
            );
            return Err(wrong("the bitmaps of the dump", bitmaps, found));
        }
        if range.start > range.end || range.end > pages {
            let found = format!("{} to {} of {pages}", range.start, range.end);
            return Err(wrong("the pages of this part of the dump", block, found));
        }
        let mut text = Vec::new();
        if let Some((at, size)) = info(layout) {
            text.resize(usize::try_from(size.min(vmcoreinfo::MAX)).unwrap_or(0), 0);
            read(&*source, at, &mut text)?;
        }
        Ok(Kdump {
            source,
            words,
            machine: header.machine,
            phys_base: words.number(&sub, 0, words.long),
            vmcoreinfo: text,
            block,
            split,
            ranks: RefCell::new(Ranks::new(range.start)),
            range,
            bitmap1: bitmaps,
            bitmap2: bitmaps + half,
            descs,
            pages: RefCell::default(),
        })
    }

    /// Where a page is by the bitmaps.
    pub(crate) fn state(&self, page: u64) -> Result<PageState, VmcoreError> {
        if !self.range.contains(&page) {
            return Ok(PageState::Missing);
        }
        Ok(if self.bit(self.bitmap2, page)? {
            PageState::There
        } else if self.bit(self.bitmap1, page)? {
            PageState::Excluded
        } else {
            PageState::Missing
        })
    }

    /// The first page from this one on that may be there.
    pub(crate) fn next_page(&self, page: u64) -> Option<u64> {
        let mut page = page.max(self.range.start);
        while page < self.range.end {
            let at = self.bitmap2 + page / 8;
            let data = self.source.next_data(at);
            if data > at {
                page = data.saturating_sub(self.bitmap2).saturating_mul(8);
                continue;
            }
            match self.first_in_group(self.bitmap2, page).ok()? {
                Some(found) => return (found < self.range.end).then_some(found),
                None => page = pages::next_group(page),
            }
        }
        None
    }

    /// No more bytes than this had the machine.
    pub(crate) fn most(&self) -> u64 {
        self.range.end.saturating_mul(self.block)
    }
}

#[cfg(test)]
mod tests;
