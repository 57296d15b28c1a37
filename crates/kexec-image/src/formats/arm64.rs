//! The arm64 `Image`: Documentation/arch/arm64/booting.rst of the kernel,
//! "Call the kernel image".

use serde::Serialize;

use super::{Format, Opened};
use crate::{ImageError, Kernel, fields, pe};

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a 64-bit Arm kernel as it is in memory",
    probe,
    open: |bytes, _| Arm64Image::parse(bytes).map(|i| Opened::Kernel(Kernel::Arm64(i))),
};

const NAME: &str = "arm64 Image";

/// `magic`: "Magic number, little endian, "ARM\x64"", behind two 32-bit and
/// six 64-bit fields.
const MAGIC: [u8; 4] = *b"ARM\x64";
const MAGIC_AT: usize = 56;
/// `res5`: "used for PE COFF offset".
const PE_OFFSET_AT: usize = 60;
/// The length of the header.
const HEADER_LEN: u64 = 64;
/// "Where image_size is zero, text_offset can be assumed to be 0x80000."
const OLD_TEXT_OFFSET: u64 = 0x8_0000;

/// The size of the kernel's pages, bits 1 and 2 of `flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageSize {
    /// The header does not say.
    Unspecified,
    /// 4 KiB.
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
}

/// What the header of an arm64 `Image` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arm64Image {
    /// `text_offset`: where the image goes, in bytes from an address that is
    /// aligned to 2 MiB.
    pub text_offset: u64,
    /// `image_size`: the memory in bytes that the image needs from its start
    /// on, more than the file has. 0 before Linux 3.17: as much as possible.
    pub image_size: u64,
    /// `flags`, as they are in the file.
    pub flags: u64,
    /// Whether the kernel is big-endian (bit 0 of `flags`).
    pub big_endian: bool,
    /// The kernel's pages (bits 1 and 2 of `flags`).
    pub page_size: PageSize,
    /// Whether the image may be anywhere in memory rather than near the start
    /// of DRAM (bit 3 of `flags`).
    pub anywhere: bool,
    /// Whether the file is a PE file too, one that firmware can start.
    pub efi_stub: bool,
}

fn probe(bytes: &[u8]) -> bool {
    fields::array(bytes, MAGIC_AT) == Some(MAGIC)
}

impl Arm64Image {
    /// Reads the header of `bytes`.
    ///
    /// An `Image` does not carry the length of its file. One with an EFI stub
    /// does, in the sections of its PE headers, and those are checked.
    ///
    /// # Errors
    /// When the header is not one, or the file is shorter than its PE headers
    /// promise.
    pub fn parse(bytes: &[u8]) -> Result<Arm64Image, ImageError> {
        let u64_at = |at: usize| {
            fields::u64_at(bytes, at).ok_or_else(|| ImageError::Truncated {
                format: NAME,
                what: "the header".into(),
                needs: HEADER_LEN,
                has: fields::len(bytes),
            })
        };
        if !probe(bytes) {
            return Err(ImageError::Malformed {
                format: NAME,
                what: "magic".into(),
                offset: fields::len_u64(MAGIC_AT),
                found: "something else".into(),
                expected: MAGIC.escape_ascii().to_string(),
            });
        }
        let (text_offset, image_size, flags) = (u64_at(8)?, u64_at(16)?, u64_at(24)?);
        u64_at(MAGIC_AT)?;
        // The field before the end of the header is the PE offset, 0 without an
        // EFI stub; the "MZ" is an instruction that does no harm.
        let efi_stub = pe::probe(bytes) && fields::u32_at(bytes, PE_OFFSET_AT) != Some(0);
        if efi_stub {
            pe::Pe::parse(bytes, NAME)?.check_bounds()?;
        }
        Ok(Arm64Image {
            text_offset: match image_size {
                0 => OLD_TEXT_OFFSET,
                _ => text_offset,
            },
            image_size,
            flags,
            big_endian: flags & 1 != 0,
            page_size: match flags >> 1 & 3 {
                0 => PageSize::Unspecified,
                1 => PageSize::Kib4,
                2 => PageSize::Kib16,
                _ => PageSize::Kib64,
            },
            anywhere: flags >> 3 & 1 != 0,
            efi_stub,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
        let mut file = vec![0; 4096];
        file[8..16].copy_from_slice(&text_offset.to_le_bytes());
        file[16..24].copy_from_slice(&image_size.to_le_bytes());
        file[24..32].copy_from_slice(&flags.to_le_bytes());
        file[56..60].copy_from_slice(&MAGIC);
        file
    }

    #[test]
    fn fields_are_read() {
        let image = Arm64Image::parse(&header(0, 0x20_0000, 0b1010)).unwrap();
        assert_eq!(image.text_offset, 0);
        assert_eq!(image.image_size, 0x20_0000);
        assert_eq!(image.page_size, PageSize::Kib4);
        assert!(image.anywhere && !image.big_endian && !image.efi_stub);
        let image = Arm64Image::parse(&header(0, 1, 0b0111)).unwrap();
        assert_eq!(image.page_size, PageSize::Kib64);
        assert!(image.big_endian && !image.anywhere);
    }

    #[test]
    fn an_image_without_a_size_goes_where_old_ones_did() {
        let image = Arm64Image::parse(&header(0x1234, 0, 0)).unwrap();
        assert_eq!(image.text_offset, 0x8_0000);
    }

    #[test]
    fn a_cut_header_is_refused() {
        let file = header(0, 1, 0);
        for len in 0..64 {
            assert!(Arm64Image::parse(&file[..len]).is_err(), "{len}");
        }
        assert!(Arm64Image::parse(&file[..64]).is_ok());
    }

    #[test]
    fn a_pe_offset_into_nowhere_is_refused() {
        let mut file = header(0, 1, 0);
        file[..2].copy_from_slice(b"MZ");
        file[60..64].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Arm64Image::parse(&file).is_err());
    }
}
