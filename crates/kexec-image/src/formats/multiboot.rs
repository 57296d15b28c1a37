//! Multiboot kernels: the header that says how to load and start them.
//!
//! An ELF file with such a header stays an ELF file; [`Multiboot::find`] looks
//! for the header in it. A file that is not ELF must carry its addresses in
//! the header and is a format of its own.
//!
//! Names and offsets of version 1 are those of the Multiboot Specification
//! 0.6.96, 3.1 "OS image format"; of version 2 see [`super::multiboot2`].

use serde::Serialize;

use super::{Format, Opened, multiboot2};
use crate::{ImageError, Kernel, fields};

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a multiboot kernel that is not an ELF file",
    probe: |bytes| !bytes.starts_with(b"\x7fELF") && has_header(bytes),
    open: |bytes, _| open(bytes),
};

pub(super) const NAME: &str = "multiboot";

/// `magic` of the header.
const MAGIC: u32 = 0x1bad_b002;
/// The header lies in this many bytes at the start of the file, at a multiple
/// of 4 (3.1 "OS image format").
const SEARCH: usize = 8192;

/// Bits of `flags` (3.1.2 "The magic fields of Multiboot header").
mod flag {
    /// Modules start at a page.
    pub const PAGE_ALIGN: u32 = 1;
    /// The memory fields must be filled in.
    pub const MEMORY_INFO: u32 = 1 << 1;
    /// The video fields must be filled in.
    pub const VIDEO: u32 = 1 << 2;
    /// Requirements; an unknown one forbids loading.
    pub const REQUIREMENTS: u32 = 0xffff;
    /// The address fields are there.
    pub const ADDRESSES: u32 = 1 << 16;
}

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// Multiboot.
    One,
    /// Multiboot2.
    Two,
}

/// Where a file without ELF headers goes: physical addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The first byte in the file that is loaded.
    pub file_offset: u64,
    /// How many bytes of the file are loaded.
    pub file_len: u64,
    /// Where they go.
    pub load: u64,
    /// The size in memory: what goes beyond `file_len` is zero.
    pub memory_len: u64,
}

/// Within which limits a kernel can be moved (version 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Relocatable {
    /// `min_addr`: the lowest address.
    pub min: u32,
    /// `max_addr`: the highest address that the image may end at.
    pub max: u32,
    /// `align`, a power of two.
    pub align: u32,
    /// `preference`: 0 none, 1 lowest, 2 highest.
    pub preference: u32,
}

/// What a multiboot header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Multiboot {
    /// The version of the protocol.
    pub version: Version,
    /// Where the header is in the file.
    pub header_offset: usize,
    /// Where the file goes, if the header says so; it then comes before what
    /// ELF headers say.
    pub addresses: Option<Addresses>,
    /// The entry point, if the header says so.
    pub entry: Option<u32>,
    /// Modules must start at a page.
    pub page_align: bool,
    /// It wants to be told the video mode and accepts no less.
    pub needs_video: bool,
    /// Whether, and how, it can be moved.
    pub relocatable: Option<Relocatable>,
    /// Types of information that it cannot do without (version 2).
    pub required_tags: Vec<u32>,
}

impl Multiboot {
    /// The header of `bytes`, version 2 before version 1; `None` when there
    /// is none.
    ///
    /// # Errors
    /// When there is one that asks for something unknown or contradicts
    /// itself.
    pub fn find(bytes: &[u8]) -> Result<Option<Multiboot>, ImageError> {
        match multiboot2::find(bytes)? {
            Some(header) => Ok(Some(header)),
            None => find_one(bytes),
        }
    }

    /// The header of one version: Xen, for instance, has both.
    ///
    /// # Errors
    /// As [`Multiboot::find`].
    pub fn find_version(bytes: &[u8], version: Version) -> Result<Option<Multiboot>, ImageError> {
        match version {
            Version::One => find_one(bytes),
            Version::Two => multiboot2::find(bytes),
        }
    }
}

fn has_header(bytes: &[u8]) -> bool {
    multiboot2::offset(bytes).is_some() || offset(bytes).is_some()
}

fn open(bytes: &[u8]) -> Result<Opened, ImageError> {
    match Multiboot::find(bytes)? {
        Some(header) if header.addresses.is_some() => Ok(Opened::Kernel(Kernel::Multiboot(header))),
        Some(header) => Err(malformed(
            "the header's addresses",
            header.header_offset,
            "missing",
            "given, because this is not an ELF file",
        )),
        None => Err(ImageError::unknown(bytes, &[])),
    }
}

/// Where a header of version 1 is: the magic number and a checksum that makes
/// the sum of three words zero.
fn offset(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..SEARCH.min(bytes.len()))?;
    let word = |at: usize| fields::u32_at(head, at);
    (0..head.len()).step_by(4).find(|&at| {
        word(at) == Some(MAGIC)
            && word(at + 4)
                .zip(word(at + 8))
                .is_some_and(|(flags, sum)| sum.wrapping_add(flags).wrapping_add(MAGIC) == 0)
    })
}

fn find_one(bytes: &[u8]) -> Result<Option<Multiboot>, ImageError> {
    let Some(at) = offset(bytes) else {
        return Ok(None);
    };
    let word = |offset: usize| {
        fields::u32_at(bytes, at + offset).ok_or_else(|| ImageError::Truncated {
            format: NAME,
            what: "the header".into(),
            needs: fields::len_u64(at + offset + 4),
            has: fields::len(bytes),
        })
    };
    let flags = word(4)?;
    let known = flag::PAGE_ALIGN | flag::MEMORY_INFO | flag::VIDEO;
    if flags & flag::REQUIREMENTS & !known != 0 {
        let expected = "only bits 0 to 2 of the requirements";
        return Err(malformed("flags", at + 4, format!("{flags:#x}"), expected));
    }
    let mut header = Multiboot {
        version: Version::One,
        header_offset: at,
        addresses: None,
        entry: None,
        page_align: flags & flag::PAGE_ALIGN != 0,
        needs_video: flags & flag::VIDEO != 0,
        relocatable: None,
        required_tags: Vec::new(),
    };
    if flags & flag::ADDRESSES != 0 {
        let fields = Fields {
            header_offset: at,
            header: word(12)?,
            load: word(16)?,
            load_end: word(20)?,
            bss_end: word(24)?,
        };
        header.addresses = Some(fields.resolve(bytes)?);
        header.entry = Some(word(28)?);
    }
    Ok(Some(header))
}

/// The address fields of either version (3.1.3 "The address fields of
/// Multiboot header").
pub(super) struct Fields {
    pub header_offset: usize,
    pub header: u32,
    pub load: u32,
    pub load_end: u32,
    pub bss_end: u32,
}

impl Fields {
    /// What they mean for this file.
    pub(super) fn resolve(&self, bytes: &[u8]) -> Result<Addresses, ImageError> {
        let wrong = |what: &str, found: u32, expected: String| {
            malformed(what, self.header_offset, format!("{found:#x}"), &expected)
        };
        let at = fields::len_u64(self.header_offset);
        let load = u64::from(self.load);
        let before = u64::from(self.header).checked_sub(load).ok_or_else(|| {
            let expected = format!("header_addr ({:#x}) or less", self.header);
            wrong("load_addr", self.load, expected)
        })?;
        let file_offset = at.checked_sub(before).ok_or_else(|| {
            let expected = format!("at most {at:#x} below header_addr");
            wrong("load_addr", self.load, expected)
        })?;
        let rest = fields::len(bytes).saturating_sub(file_offset);
        let file_len = match self.load_end {
            0 => rest,
            end => u64::from(end).checked_sub(load).ok_or_else(|| {
                wrong(
                    "load_end_addr",
                    end,
                    format!("{load:#x} (load_addr) or more"),
                )
            })?,
        };
        if file_len > rest {
            return Err(ImageError::Truncated {
                format: NAME,
                what: "what load_end_addr promises".into(),
                needs: file_offset.saturating_add(file_len),
                has: fields::len(bytes),
            });
        }
        let memory_len = match self.bss_end {
            0 => file_len,
            end => u64::from(end)
                .checked_sub(load)
                .filter(|len| *len >= file_len)
                .ok_or_else(|| {
                    let expected = format!("{:#x} or more", load.saturating_add(file_len));
                    wrong("bss_end_addr", end, expected)
                })?,
        };
        Ok(Addresses {
            file_offset,
            file_len,
            load,
            memory_len,
        })
    }
}

pub(super) fn malformed(
    what: &str,
    offset: usize,
    found: impl std::fmt::Display,
    expected: &str,
) -> ImageError {
    ImageError::Malformed {
        format: NAME,
        what: what.to_owned(),
        offset: fields::len_u64(offset),
        found: found.to_string(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    fn header(flags: u32, rest: &[u32]) -> Vec<u8> {
        let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(flags);
        let mut bytes = words(&[0, 0, MAGIC, flags, sum]);
        bytes.extend(words(rest));
        bytes.resize(64, 0x90);
        bytes
    }

    #[test]
    fn addresses_of_a_plain_file() {
        let file = header(
            0x10003,
            &[0x10_0008, 0x10_0000, 0x10_0030, 0x10_1000, 0x10_0020],
        );
        let found = Multiboot::find(&file).unwrap().unwrap();
        assert_eq!((found.version, found.header_offset), (Version::One, 8));
        assert_eq!(found.entry, Some(0x10_0020));
        assert!(found.page_align && !found.needs_video);
        let expected = Addresses {
            file_offset: 0,
            file_len: 0x30,
            load: 0x10_0000,
            memory_len: 0x1000,
        };
        assert_eq!(found.addresses, Some(expected));
        let image = crate::recognise(Bytes::from(file), &crate::Options::default()).unwrap();
        assert_eq!(
            (image.describe(), image.arch()),
            ("multiboot".into(), Some(crate::Arch::X86))
        );
    }

    #[test]
    fn zero_ends_mean_the_whole_file() {
        let file = header(0x10000, &[0x10_0008, 0x10_0000, 0, 0, 0x10_0020]);
        let found = Multiboot::find(&file).unwrap().unwrap().addresses.unwrap();
        assert_eq!((found.file_len, found.memory_len), (64, 64));
    }

    #[test]
    fn contradictions_are_named() {
        for (flags, rest, part) in [
            (0x10000, [1, 2, 0, 0, 0], "load_addr"),
            (0x10000, [0x100, 0x10, 0, 0, 0], "load_addr"),
            (0x10000, [0x10_0008, 0x10_0000, 1, 0, 0], "load_end_addr"),
            (
                0x10000,
                [0x10_0008, 0x10_0000, 0x20_0000, 0, 0],
                "load_end_addr",
            ),
            (
                0x10000,
                [0x10_0008, 0x10_0000, 0, 0x10_0001, 0],
                "bss_end_addr",
            ),
            (0x8, [0; 5], "flags"),
        ] {
            let error = Multiboot::find(&header(flags, &rest))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
        let file = header(3, &[]);
        let error = crate::recognise(Bytes::from(file), &crate::Options::default()).unwrap_err();
        assert!(error.to_string().contains("not an ELF file"), "{error}");
        let mut wrong_sum = header(3, &[]);
        wrong_sum[16] ^= 1;
        assert_eq!(Multiboot::find(&wrong_sum).unwrap(), None);
    }

    #[test]
    fn cut_at_every_byte() {
        let file = header(0x10003, &[0x10_0008, 0x10_0000, 0, 0, 0x10_0020]);
        for end in 0..file.len() {
            let _ = Multiboot::find(&file[..end]);
        }
    }

    proptest! {
        #[test]
        fn random_fields_never_panic(flags: u32, rest: [u32; 5]) {
            let _ = Multiboot::find(&header(flags, &rest));
        }
    }
}
