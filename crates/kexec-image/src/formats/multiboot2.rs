//! The header of Multiboot2 kernels. Names and offsets are those of the
//! Multiboot2 Specification 2.0, 3.1 "OS image format".

use super::multiboot::{Fields, Multiboot, NAME, Relocatable, Version, malformed};
use crate::{ImageError, fields};

/// `magic` of the header.
const MAGIC: u32 = 0xe852_50d6;
/// `architecture`: 32-bit protected mode of i386.
const I386: u32 = 0;
/// The header lies completely in this many bytes at the start of the file, at
/// a multiple of 8.
const SEARCH: usize = 32768;

/// Types of tags in the header.
mod tag {
    pub const END: u16 = 0;
    pub const INFORMATION_REQUEST: u16 = 1;
    pub const ADDRESS: u16 = 2;
    pub const ENTRY: u16 = 3;
    pub const CONSOLE_FLAGS: u16 = 4;
    pub const FRAMEBUFFER: u16 = 5;
    pub const MODULE_ALIGNMENT: u16 = 6;
    pub const EFI_BOOT_SERVICES: u16 = 7;
    pub const ENTRY_EFI_I386: u16 = 8;
    pub const ENTRY_EFI_AMD64: u16 = 9;
    pub const RELOCATABLE: u16 = 10;
}

/// Bit of a tag's `flags`: a loader may ignore it.
const OPTIONAL: u16 = 1;
/// The highest type of boot information that the specification knows; what is
/// known and not there is left out, what is unknown is an error (3.1.4).
const LAST_INFORMATION: u32 = 21;
/// `load_addr` that stands for the start of the file.
const FROM_THE_START: u32 = u32::MAX;

/// Where a header is: magic number, i386, and a checksum that makes the sum of
/// four words zero.
pub(super) fn offset(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..SEARCH.min(bytes.len()))?;
    let word = |at: usize| fields::u32_at(head, at);
    (0..head.len()).step_by(8).find(|&at| {
        let (magic, arch) = (word(at), word(at + 4));
        let rest = word(at + 8).zip(word(at + 12));
        magic == Some(MAGIC)
            && arch == Some(I386)
            && rest.is_some_and(|(len, sum)| {
                MAGIC.wrapping_add(I386).wrapping_add(len).wrapping_add(sum) == 0
            })
    })
}

/// The header of `bytes`.
pub(super) fn find(bytes: &[u8]) -> Result<Option<Multiboot>, ImageError> {
    let Some(at) = offset(bytes) else {
        return Ok(None);
    };
    let len = fields::u32_at(bytes, at + 8).unwrap_or(0);
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| at.checked_add(len));
    let Some(end) = end.filter(|end| *end <= bytes.len().min(SEARCH)) else {
        let expected = format!("the end of the header within {SEARCH} bytes and the file");
        return Err(malformed("header_length", at + 8, len, &expected));
    };
    let mut header = Multiboot {
        version: Version::Two,
        header_offset: at,
        addresses: None,
        entry: None,
        page_align: false,
        needs_video: false,
        relocatable: None,
        required_tags: Vec::new(),
    };
    let mut next = at + 16;
    loop {
        let tag = Tag::read(bytes, next, end)?;
        if tag.kind == tag::END {
            return Ok(Some(header));
        }
        apply(&tag, bytes, &mut header)?;
        // A tag has eight bytes at least, so this ends.
        next = next.saturating_add(tag.size).next_multiple_of(8);
    }
}

fn apply(tag: &Tag<'_>, bytes: &[u8], header: &mut Multiboot) -> Result<(), ImageError> {
    let required = tag.flags & OPTIONAL == 0;
    match tag.kind {
        tag::INFORMATION_REQUEST if required => {
            let kinds = tag
                .data
                .as_chunks::<4>()
                .0
                .iter()
                .map(|w| u32::from_le_bytes(*w));
            for kind in kinds {
                if kind > LAST_INFORMATION {
                    let expected = format!("0 to {LAST_INFORMATION}");
                    return Err(malformed("mbi_tag_types", tag.at, kind, &expected));
                }
                header.required_tags.push(kind);
            }
        }
        tag::ADDRESS => {
            let (header_addr, load) = (tag.word(0)?, tag.word(4)?);
            let load = match load {
                FROM_THE_START => {
                    let offset = u32::try_from(header.header_offset).unwrap_or(u32::MAX);
                    header_addr.checked_sub(offset).ok_or_else(|| {
                        let found = format!("{header_addr:#x}");
                        malformed(
                            "header_addr",
                            tag.at,
                            found,
                            &format!("{offset:#x} or more"),
                        )
                    })?
                }
                load => load,
            };
            let fields = Fields {
                header_offset: header.header_offset,
                header: header_addr,
                load,
                load_end: tag.word(8)?,
                bss_end: tag.word(12)?,
            };
            header.addresses = Some(fields.resolve(bytes)?);
        }
        tag::ENTRY => header.entry = Some(tag.word(0)?),
        // "at least one of supported consoles must be present".
        tag::CONSOLE_FLAGS => header.needs_video = required && tag.word(0)? & 1 != 0,
        tag::MODULE_ALIGNMENT => header.page_align = true,
        tag::RELOCATABLE => {
            let align = tag.word(8)?;
            if align > 1 && !align.is_power_of_two() {
                return Err(malformed("align", tag.at, align, "a power of two"));
            }
            header.relocatable = Some(Relocatable {
                min: tag.word(0)?,
                max: tag.word(4)?,
                align,
                preference: tag.word(12)?,
            });
        }
        // They mean something where boot services still run, or are wishes.
        tag::INFORMATION_REQUEST
        | tag::FRAMEBUFFER
        | tag::EFI_BOOT_SERVICES
        | tag::ENTRY_EFI_I386
        | tag::ENTRY_EFI_AMD64 => {}
        unknown if required => {
            let expected = "a type that is known, or marked as optional";
            return Err(malformed("type of a tag", tag.at, unknown, expected));
        }
        _ => {}
    }
    Ok(())
}

/// One tag of the header.
struct Tag<'a> {
    at: usize,
    kind: u16,
    flags: u16,
    size: usize,
    data: &'a [u8],
}

impl Tag<'_> {
    fn read(bytes: &[u8], at: usize, end: usize) -> Result<Tag<'_>, ImageError> {
        let cut = || ImageError::Truncated {
            format: NAME,
            what: "the tags of the header".into(),
            needs: fields::len_u64(at.saturating_add(8)),
            has: fields::len_u64(end),
        };
        let head = bytes.get(..end).unwrap_or_default();
        let size = fields::u32_at(head, at.saturating_add(4)).ok_or_else(cut)?;
        let kind = fields::u16_at(head, at).ok_or_else(cut)?;
        let flags = fields::u16_at(head, at.saturating_add(2)).ok_or_else(cut)?;
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let data = head.get(at.saturating_add(8)..at.saturating_add(len));
        match data {
            Some(data) if len >= 8 => Ok(Tag {
                at,
                kind,
                flags,
                size: len,
                data,
            }),
            _ => Err(malformed(
                "size of a tag",
                at,
                size,
                "8 or more, within the header",
            )),
        }
    }

    fn word(&self, offset: usize) -> Result<u32, ImageError> {
        fields::u32_at(self.data, offset).ok_or_else(|| {
            let expected = format!("{} or more", offset.saturating_add(12));
            malformed("size of a tag", self.at, self.size, &expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(kind: u16, flags: u16, data: &[u32]) -> Vec<u8> {
        let size = u32::try_from(8 + 4 * data.len()).unwrap();
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(flags.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend(data.iter().flat_map(|w| w.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn file(tags: &[Vec<u8>]) -> Vec<u8> {
        let body: Vec<u8> = tags.concat();
        let len = u32::try_from(16 + body.len()).unwrap();
        let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(len);
        let mut bytes = vec![0; 16];
        bytes.extend([MAGIC, 0, len, sum].iter().flat_map(|w| w.to_le_bytes()));
        bytes.extend(body);
        bytes.resize(bytes.len() + 64, 0x90);
        bytes
    }

    #[test]
    fn all_tags() {
        let file = file(&[
            tag(1, 0, &[6, 4]),
            tag(1, 1, &[999]),
            tag(2, 0, &[0x10_0010, FROM_THE_START, 0, 0]),
            tag(3, 0, &[0x10_0020]),
            tag(6, 0, &[]),
            tag(10, 0, &[0x10_0000, 0xffff_ffff, 0x20_0000, 2]),
            tag(77, 1, &[1]),
            tag(0, 0, &[]),
        ]);
        let found = Multiboot::find(&file).unwrap().unwrap();
        assert_eq!((found.version, found.header_offset), (Version::Two, 16));
        assert_eq!(found.required_tags, [6, 4]);
        assert_eq!(found.entry, Some(0x10_0020));
        assert!(found.page_align);
        let addresses = found.addresses.unwrap();
        assert_eq!((addresses.load, addresses.file_offset), (0x10_0000, 0));
        assert_eq!(addresses.file_len, u64::try_from(file.len()).unwrap());
        assert_eq!(found.relocatable.unwrap().align, 0x20_0000);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (bad, part) in [
            (tag(1, 0, &[22]), "mbi_tag_types"),
            (tag(77, 0, &[]), "type of a tag"),
            (tag(3, 0, &[]), "size of a tag"),
            (tag(10, 0, &[0, 0, 3, 0]), "align"),
            (tag(2, 0, &[4, FROM_THE_START, 0, 0]), "header_addr"),
            (Vec::new(), "size of a tag"),
        ] {
            let mut file = file(&[bad]);
            file.truncate(file.len() - 64);
            file.resize(file.len() + 8, 0);
            let error = Multiboot::find(&file)
                .map(|_| ())
                .map_err(|e| e.to_string());
            // Without an end tag the last case runs out of tags.
            let error = error.unwrap_err();
            assert!(
                error.contains(part) || error.contains("tags of the header"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn random_tags_never_panic(tags in proptest::collection::vec((0..12_u16, 0..2_u16, proptest::collection::vec(any::<u32>(), 0..6)), 0..6), cut in 0..200_usize, end in any::<bool>()) {
            let mut all: Vec<Vec<u8>> = tags.iter().map(|(k, f, d)| tag(*k, *f, d)).collect();
            if end {
                all.push(tag(0, 0, &[]));
            }
            let file = file(&all);
            let _ = Multiboot::find(&file);
            let _ = Multiboot::find(&file[..cut.min(file.len())]);
        }
    }
}
