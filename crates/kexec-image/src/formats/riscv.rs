//! The RISC-V `Image`: Documentation/arch/riscv/boot-image-header.rst of the
//! kernel.

use serde::Serialize;

use super::{Format, Opened};
use crate::{ImageError, Kernel, fields, pe};

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a RISC-V kernel as it is in memory",
    probe,
    open: |bytes, _| RiscvImage::parse(bytes).map(|i| Opened::Kernel(Kernel::Riscv(i))),
};

const NAME: &str = "RISC-V Image";

/// `magic2`: "Magic number 2, little endian, "RSC\x05"".
const MAGIC2: [u8; 4] = *b"RSC\x05";
const MAGIC2_AT: usize = 56;
/// `res3`: "used for PE COFF offset".
const PE_OFFSET_AT: usize = 60;
/// The length of the header.
const HEADER_LEN: u64 = 64;
/// The first version of the header with `magic2`: "Current version of the
/// header is 0.2 ... magic field ... deprecated as of version 0.2".
const VERSION_0_2: u32 = 2;
const VERSION_AT: usize = 32;

/// What the header of a RISC-V `Image` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RiscvImage {
    /// `text_offset`: where the image goes, in bytes from the start of RAM.
    pub text_offset: u64,
    /// `image_size`: the memory in bytes that the image needs.
    pub image_size: u64,
    /// `flags`, as they are in the file.
    pub flags: u64,
    /// Whether the kernel is big-endian (bit 0 of `flags`).
    pub big_endian: bool,
    /// `version` of the header: major in the upper 16 bits, minor in the lower.
    pub version: u32,
    /// Whether the file is a PE file too, one that firmware can start.
    pub efi_stub: bool,
}

fn probe(bytes: &[u8]) -> bool {
    fields::array(bytes, MAGIC2_AT) == Some(MAGIC2)
}

fn malformed(what: &str, at: usize, found: String, expected: &str) -> ImageError {
    ImageError::Malformed {
        format: NAME,
        what: what.into(),
        offset: fields::len_u64(at),
        found,
        expected: expected.into(),
    }
}

impl RiscvImage {
    /// Reads the header of `bytes`. The length of the file is only known from
    /// the PE headers, as with [`crate::Arm64Image`].
    ///
    /// # Errors
    /// When the header is not one, or the file is shorter than its PE headers
    /// promise.
    pub fn parse(bytes: &[u8]) -> Result<RiscvImage, ImageError> {
        let short = || ImageError::Truncated {
            format: NAME,
            what: "the header".into(),
            needs: HEADER_LEN,
            has: fields::len(bytes),
        };
        let u64_at = |at: usize| fields::u64_at(bytes, at).ok_or_else(short);
        u64_at(MAGIC2_AT)?;
        if !probe(bytes) {
            let expected = MAGIC2.escape_ascii().to_string();
            return Err(malformed(
                "magic2",
                MAGIC2_AT,
                "something else".into(),
                &expected,
            ));
        }
        let version = fields::u32_at(bytes, VERSION_AT).ok_or_else(short)?;
        if version < VERSION_0_2 {
            let found = format!("{}.{}", version >> 16, version & 0xffff);
            return Err(malformed("version", VERSION_AT, found, "0.2 or newer"));
        }
        let (image_size, flags) = (u64_at(16)?, u64_at(24)?);
        if image_size == 0 {
            return Err(malformed(
                "image_size",
                16,
                "0".into(),
                "the size of the kernel",
            ));
        }
        // The field before the end of the header is the PE offset, 0 without an
        // EFI stub; the "MZ" is an instruction that does no harm.
        let efi_stub = pe::probe(bytes) && fields::u32_at(bytes, PE_OFFSET_AT) != Some(0);
        if efi_stub {
            pe::Pe::parse(bytes, NAME)?.check_bounds()?;
        }
        Ok(RiscvImage {
            text_offset: u64_at(8)?,
            image_size,
            flags,
            big_endian: flags & 1 != 0,
            version,
            efi_stub,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, image_size: u64) -> Vec<u8> {
        let mut file = vec![0; 128];
        file[8..16].copy_from_slice(&0x20_0000_u64.to_le_bytes());
        file[16..24].copy_from_slice(&image_size.to_le_bytes());
        file[32..36].copy_from_slice(&version.to_le_bytes());
        file[56..60].copy_from_slice(&MAGIC2);
        file
    }

    #[test]
    fn fields_are_read() {
        let image = RiscvImage::parse(&header(2, 0x100_0000)).unwrap();
        assert_eq!(image.text_offset, 0x20_0000);
        assert_eq!(image.image_size, 0x100_0000);
        assert!(!image.big_endian && !image.efi_stub);
    }

    #[test]
    fn a_header_that_is_too_old_or_empty_is_refused() {
        assert!(RiscvImage::parse(&header(1, 1)).is_err());
        assert!(RiscvImage::parse(&header(2, 0)).is_err());
    }

    #[test]
    fn a_cut_header_is_refused() {
        let file = header(2, 1);
        for len in 0..64 {
            assert!(RiscvImage::parse(&file[..len]).is_err(), "{len}");
        }
        assert!(RiscvImage::parse(&file[..64]).is_ok());
    }
}
