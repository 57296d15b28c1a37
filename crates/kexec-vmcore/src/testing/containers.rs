//! The formats that makedumpfile and QEMU write around the memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;

use super::Dump;

/// Bytes of a page.
const BLOCK: usize = 4096;

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Stored,
    /// zlib.
    Zlib,
    /// LZO.
    Lzo,
    /// snappy.
    Snappy,
    /// zstd.
    Zstd,
}

impl Compression {
    /// All of these.
    pub const ALL: [Compression; 5] = [
        Compression::Stored,
        Compression::Zlib,
        Compression::Lzo,
        Compression::Snappy,
        Compression::Zstd,
    ];

    fn page(self, page: &[u8]) -> (u64, Vec<u8>) {
        let packed = match self {
            Compression::Stored => return (0, page.to_vec()),
            Compression::Zlib => {
                let level = flate2::Compression::fast();
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
                let written = out.write_all(page).and_then(|()| out.finish());
                (1, written.ok())
            }
            Compression::Lzo => (2, lzokay::compress::compress(page).ok()),
            Compression::Snappy => (4, snap::raw::Encoder::new().compress_vec(page).ok()),
            Compression::Zstd => (0x20, zstd::bulk::compress(page, 1).ok()),
        };
        match packed {
            (flag, Some(bytes)) if bytes.len() < page.len() => (flag, bytes),
            _ => (0, page.to_vec()),
        }
    }
}

/// A dump in the format kdump-compressed.
#[derive(Debug, Clone)]
pub struct KdumpFile {
    /// `header_version`.
    pub version: u64,
    /// How pages are compressed.
    pub compression: Compression,
    /// Numbers of 8 bytes are aligned on 32 bits, as on arm.
    pub aligned: bool,
    /// Times have 64 bits on 32 bits, too.
    pub time64: bool,
    /// The headers are of 64 bits, whatever the machine is: QEMU, as soon as anything ends
    /// above 4 GiB - 1.
    pub wide: bool,
    /// Pages of zeros are left out.
    pub without_zeros: bool,
    /// These pages are left out, by their numbers.
    pub without: BTreeSet<u64>,
    /// It is a part with these pages.
    pub split: Option<Range<u64>>,
}

impl KdumpFile {
    /// As makedumpfile writes them now.
    pub fn new(compression: Compression) -> KdumpFile {
        KdumpFile {
            version: 6,
            compression,
            aligned: false,
            time64: false,
            wide: false,
            without_zeros: false,
            without: BTreeSet::new(),
            split: None,
        }
    }

    /// The file.
    pub fn build(&self, dump: &Dump) -> Vec<u8> {
        let long = if self.wide { 8 } else { dump.words.long };
        let wide = long == 8;
        let number = |value: u64, size| dump.number(value, size);
        let mut pages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let block = BLOCK as u64;
        for (vaddr, bytes) in &dump.loads {
            for (at, byte) in (dump.paddr(*vaddr)..).zip(bytes) {
                let page = pages.entry(at / block).or_insert_with(|| vec![0; BLOCK]);
                page[usize::try_from(at % block).unwrap_or(0)] = *byte;
            }
        }
        let count = pages.keys().next_back().map_or(1, |page| page + 1);
        let range = self.split.clone().unwrap_or(0..count);
        let bitmap_len = usize::try_from(count.div_ceil(8)).unwrap_or(0);
        let bitmap_len = bitmap_len.next_multiple_of(BLOCK);
        let note = dump.note();
        let sub_blocks = 1 + note.len().div_ceil(BLOCK);
        let descs_at = (1 + sub_blocks) * BLOCK + 2 * bitmap_len;

        let put = |out: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            out.resize(out.len().max(at + bytes.len()), 0);
            out[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let mut out = b"KDUMP   ".to_vec();
        put(&mut out, 8, &number(self.version, 4));
        let uname = dump.machine.map_or("", |machine| machine.uname);
        put(&mut out, 12 + 4 * 65, uname.as_bytes());
        let status = if wide || self.time64 { 424 } else { 412 };
        let bitmap_blocks = 2 * bitmap_len / BLOCK;
        for (at, value) in [
            (4, block),
            (8, sub_blocks as u64),
            (12, bitmap_blocks as u64),
            (16, count),
        ] {
            put(&mut out, status + at, &number(value, 4));
        }
        let [start, info, start64] = match (wide, self.aligned) {
            (true, _) => [16, 32, 80],
            (false, false) => [12, 20, 56],
            (false, true) => [12, 24, 72],
        };
        let mut field = |version: u64, at: usize, value: u64, size: usize| {
            if self.version >= version {
                put(&mut out, BLOCK + at, &number(value, size));
            }
        };
        if self.split.is_some() {
            field(2, 2 * long - 4 * usize::from(wide), 1, 4);
            field(2, start, range.start, long);
            field(2, start + long, range.end, long);
            field(6, start64, range.start, 8);
            field(6, start64 + 8, range.end, 8);
        }
        if note.len() > 24 {
            // Behind the head and the name of the note.
            field(3, info, (2 * BLOCK + 24) as u64, 8);
            field(3, info + 8, (note.len() - 24) as u64, long);
        }
        field(6, start64 + 16, count, 8);
        put(&mut out, 2 * BLOCK, &note);
        out.resize(descs_at, 0);
        let (mut descs, mut data) = (Vec::new(), Vec::new());
        let is_kept = |page: &u64, bytes: &[u8]| {
            let is_dropped = self.without_zeros && bytes.iter().all(|byte| *byte == 0);
            !is_dropped && !self.without.contains(page)
        };
        let there = pages.iter().filter(|(page, bytes)| is_kept(page, bytes));
        let here = there.clone().filter(|(page, _)| range.contains(page));
        let data_at = descs_at + here.clone().count() * 24;
        for (_, bytes) in here {
            let (flags, packed) = self.compression.page(bytes);
            descs.extend(number((data_at + data.len()) as u64, 8));
            descs.extend(number(packed.len() as u64, 4));
            descs.extend(number(flags, 4));
            descs.extend([0; 8]);
            data.extend(packed);
        }
        let bitmaps = (1 + sub_blocks) * BLOCK;
        let mut set = |bitmap: usize, page: u64| {
            let byte = bitmap + usize::try_from(page / 8).unwrap_or(0);
            out[byte] |= 1 << (page % 8);
        };
        for page in pages.keys() {
            set(bitmaps, *page);
        }
        for (page, _) in there {
            set(bitmaps + bitmap_len, *page);
        }
        out.extend(descs);
        out.extend(data);
        out
    }
}

/// Records of the flattened format: where each belongs, and its bytes.
pub fn flattened(records: &[(u64, Vec<u8>)], ended: bool) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0".to_vec();
    for value in [1_u64, 1] {
        out.extend(value.to_be_bytes());
    }
    out.resize(4096, 0);
    for (offset, bytes) in records {
        out.extend(offset.to_be_bytes());
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    }
    if ended {
        out.extend([0xff; 16]);
    }
    out
}

/// A dump as it goes through a pipe: what comes first in the file is written last.
pub fn flatten(dump: &[u8], size: usize) -> Vec<u8> {
    let mut records: Vec<(u64, Vec<u8>)> = (0_u64..)
        .step_by(size)
        .zip(dump.chunks(size))
        .map(|(at, bytes)| (at, bytes.to_vec()))
        .collect();
    records.rotate_left(1.min(dump.len()));
    flattened(&records, true)
}
