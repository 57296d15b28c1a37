//! The x86 boot format: a real-mode part with the setup header, and a
//! protected-mode part that unpacks the kernel.
//!
//! Offsets, names and meanings of all fields are those of
//! Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header", "Details of
//! Header Fields") of the kernel.

mod payload;
pub mod vmlinux;

use std::ops::Range;

use serde::Serialize;

pub use payload::{Payload, PayloadCodec};

use super::{Format, Opened};
use crate::{Arch, ImageError, Kernel, fields, pe};

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a kernel in the x86 boot format",
    probe,
    open: |bytes, _| BzImage::parse(bytes).map(|b| Opened::Kernel(Kernel::BzImage(b))),
};

const NAME: &str = "bzImage";

/// The unit of `setup_sects` in bytes: a sector of a floppy disk.
const SECTOR: usize = 512;
/// The unit of `syssize` in bytes: a paragraph.
const PARAGRAPH: u64 = 16;
/// The protocol from which on `syssize` has all its four bytes.
const SYSSIZE_IS_WHOLE: u16 = 0x204;

/// Offsets of the header's fields in the file.
mod at {
    pub const SETUP_SECTS: usize = 0x1f1;
    pub const SYSSIZE: usize = 0x1f4;
    pub const BOOT_FLAG: usize = 0x1fe;
    /// The displacement of the short jump over the header, which therefore
    /// ends at 0x202 plus its value ("The Linux/x86 Boot Protocol", `jump`).
    pub const JUMP: usize = 0x201;
    pub const HEADER: usize = 0x202;
    pub const VERSION: usize = 0x206;
    pub const KERNEL_VERSION: usize = 0x20e;
    pub const LOADFLAGS: usize = 0x211;
    pub const CODE32_START: usize = 0x214;
    pub const INITRD_ADDR_MAX: usize = 0x22c;
    pub const KERNEL_ALIGNMENT: usize = 0x230;
    pub const RELOCATABLE_KERNEL: usize = 0x234;
    pub const MIN_ALIGNMENT: usize = 0x235;
    pub const XLOADFLAGS: usize = 0x236;
    pub const CMDLINE_SIZE: usize = 0x238;
    pub const HARDWARE_SUBARCH: usize = 0x23c;
    pub const PAYLOAD_OFFSET: usize = 0x248;
    pub const PAYLOAD_LENGTH: usize = 0x24c;
    pub const PREF_ADDRESS: usize = 0x258;
    pub const INIT_SIZE: usize = 0x260;
    pub const HANDOVER_OFFSET: usize = 0x264;
    pub const KERNEL_INFO_OFFSET: usize = 0x268;
}

/// `boot_flag`: "0xAA55 magic number".
const BOOT_FLAG: u16 = 0xaa55;

/// Bits of `loadflags`.
pub mod loadflags {
    /// The protected-mode part is loaded at 1 MiB, not at 64 KiB: a bzImage,
    /// not a zImage.
    pub const LOADED_HIGH: u8 = 1;
    /// Only inside of the kernel: KASLR is on.
    pub const KASLR_FLAG: u8 = 1 << 1;
}

/// Bits of `xloadflags`.
pub mod xloadflags {
    /// The 64-bit entry point at 0x200 exists.
    pub const KERNEL_64: u16 = 1;
    /// Kernel, boot_params, command line and initrd may be above 4 GiB.
    pub const CAN_BE_LOADED_ABOVE_4G: u16 = 1 << 1;
    /// The 32-bit EFI handover entry point exists.
    pub const EFI_HANDOVER_32: u16 = 1 << 2;
    /// The 64-bit EFI handover entry point exists.
    pub const EFI_HANDOVER_64: u16 = 1 << 3;
    /// The kernel takes over EFI runtime services across kexec.
    pub const EFI_KEXEC: u16 = 1 << 4;
    /// The kernel can be entered with five-level paging
    /// (`arch/x86/include/uapi/asm/bootparam.h`; boot.rst does not list it).
    pub const XLF_5LEVEL: u16 = 1 << 5;
    /// Five-level paging was enabled in its configuration (as above).
    pub const XLF_5LEVEL_ENABLED: u16 = 1 << 6;
}

/// The setup header, and where the parts of the file are.
///
/// A field that the protocol version of the kernel does not have yet is 0,
/// unless its description says something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BzImage {
    /// `version`: the boot protocol as 0x0major.minor, 0x020f is 2.15.
    pub version: u16,
    /// `setup_sects`: 512-byte sectors of the real-mode part without the first
    /// one. Never 0: for "backwards compatibility" that means 4.
    pub setup_sects: u8,
    /// `syssize`: the protected-mode part in 16-byte units.
    pub syssize: u32,
    /// `boot_flag`: 0xaa55.
    pub boot_flag: u16,
    /// `loadflags`: see [`loadflags`].
    pub loadflags: u8,
    /// `code32_start`: the default load address of the protected-mode part.
    pub code32_start: u32,
    /// `initrd_addr_max`: the highest address that the last byte of the initrd
    /// may have; 0x37ffffff before protocol 2.03.
    pub initrd_addr_max: u32,
    /// `kernel_alignment` in bytes, from protocol 2.05.
    pub kernel_alignment: u32,
    /// `relocatable_kernel`, from protocol 2.05.
    pub relocatable_kernel: bool,
    /// `min_alignment`: the least alignment as a power of two, from 2.10.
    pub min_alignment: u8,
    /// `xloadflags`, from protocol 2.12: see [`xloadflags`].
    pub xloadflags: u16,
    /// `cmdline_size`: the longest command line in bytes without the
    /// terminating NUL; 255 before protocol 2.06.
    pub cmdline_size: u32,
    /// `hardware_subarch`, from protocol 2.07: 0 is a PC.
    pub hardware_subarch: u32,
    /// `payload_offset` from the start of the protected-mode part, from 2.08.
    pub payload_offset: u32,
    /// `payload_length` in bytes, from protocol 2.08.
    pub payload_length: u32,
    /// `pref_address`: the preferred load address, from protocol 2.10.
    pub pref_address: u64,
    /// `init_size`: the memory from the load address on that the kernel needs
    /// before it can read its memory map, from protocol 2.10.
    pub init_size: u32,
    /// `handover_offset`: the EFI handover entry point, from protocol 2.11.
    pub handover_offset: u32,
    /// `kernel_info_offset` from the start of the protected-mode part, from
    /// protocol 2.15.
    pub kernel_info_offset: u32,
    /// The end of the setup header in the file: what a loader copies into
    /// `boot_params` is 0x1f1 up to here ("64-bit Boot Protocol").
    pub header_end: usize,
    /// The string that `kernel_version` points to: release, builder, date.
    pub kernel_version: Option<String>,
    /// The compressed kernel, if the header says where it is.
    pub payload: Option<Payload>,
    /// Whether the file is a PE file too, one that firmware can start.
    pub efi_stub: bool,
}

fn probe(bytes: &[u8]) -> bool {
    fields::u16_at(bytes, at::BOOT_FLAG) == Some(BOOT_FLAG)
        && fields::array(bytes, at::HEADER) == Some(*b"HdrS")
}

impl BzImage {
    /// Reads the setup header of `bytes` and checks everything that can be
    /// checked without decompressing: see [`crate::verify()`] for the rest.
    ///
    /// # Errors
    /// When the header is not one, contradicts itself, or promises more than
    /// there is in the file.
    pub fn parse(bytes: &[u8]) -> Result<BzImage, ImageError> {
        let header = Header { bytes };
        if !probe(bytes) {
            let magic = fields::array::<4>(bytes, at::HEADER).unwrap_or_default();
            return Err(malformed(
                "header",
                at::HEADER,
                magic.escape_ascii(),
                "HdrS",
            ));
        }
        let version = header.u16(at::VERSION)?;
        if version < 0x200 {
            return Err(malformed("version", at::VERSION, version, "0x200 or more"));
        }
        let since = |v: u16| version >= v;
        let from = |v: u16, at: usize| match since(v) {
            true => header.u32(at),
            false => Ok(0),
        };
        let mut image = BzImage {
            version,
            setup_sects: match header.u8(at::SETUP_SECTS)? {
                0 => 4,
                n => n,
            },
            // The upper half of the field is used from protocol 2.04 on.
            syssize: header.u32(at::SYSSIZE)?
                & if since(SYSSIZE_IS_WHOLE) {
                    u32::MAX
                } else {
                    0xffff
                },
            boot_flag: BOOT_FLAG,
            loadflags: header.u8(at::LOADFLAGS)?,
            code32_start: header.u32(at::CODE32_START)?,
            initrd_addr_max: match since(0x203) {
                true => header.u32(at::INITRD_ADDR_MAX)?,
                false => 0x37ff_ffff,
            },
            kernel_alignment: from(0x205, at::KERNEL_ALIGNMENT)?,
            relocatable_kernel: since(0x205) && header.u8(at::RELOCATABLE_KERNEL)? != 0,
            min_alignment: match since(0x20a) {
                true => header.u8(at::MIN_ALIGNMENT)?,
                false => 0,
            },
            xloadflags: match since(0x20c) {
                true => header.u16(at::XLOADFLAGS)?,
                false => 0,
            },
            cmdline_size: match since(0x206) {
                true => header.u32(at::CMDLINE_SIZE)?,
                false => 255,
            },
            hardware_subarch: from(0x207, at::HARDWARE_SUBARCH)?,
            payload_offset: from(0x208, at::PAYLOAD_OFFSET)?,
            payload_length: from(0x208, at::PAYLOAD_LENGTH)?,
            pref_address: match since(0x20a) {
                true => header.u64(at::PREF_ADDRESS)?,
                false => 0,
            },
            init_size: from(0x20a, at::INIT_SIZE)?,
            handover_offset: from(0x20b, at::HANDOVER_OFFSET)?,
            kernel_info_offset: from(0x20f, at::KERNEL_INFO_OFFSET)?,
            header_end: at::HEADER + usize::from(header.u8(at::JUMP)?),
            kernel_version: None,
            payload: None,
            efi_stub: false,
        };
        image.check_mode()?;
        image.check_size(bytes)?;
        image.kernel_version = image.read_kernel_version(bytes)?;
        image.payload = image.find_payload(bytes)?;
        if pe::probe(bytes) {
            pe::Pe::parse(bytes, NAME)?.check_bounds()?;
            image.efi_stub = true;
        }
        Ok(image)
    }

    /// Whether it is a 64-bit kernel. (A 64-bit kernel older than protocol
    /// 2.12, of 2012, cannot be told from a 32-bit one.)
    pub fn arch(&self) -> Arch {
        if self.xloadflags & xloadflags::KERNEL_64 != 0 {
            Arch::X86_64
        } else {
            Arch::X86
        }
    }

    /// The length of the real-mode part, where the protected-mode part begins.
    pub fn setup_len(&self) -> usize {
        (usize::from(self.setup_sects) + 1) * SECTOR
    }

    /// The length of the protected-mode part in bytes.
    pub fn protected_len(&self) -> u64 {
        u64::from(self.syssize) * PARAGRAPH
    }

    /// Where the protected-mode part is in a file of `len` bytes, without
    /// certificates behind it. The last paragraph need not be whole; before
    /// protocol 2.04 nothing but the end of the file says where it ends
    /// (boot.rst, `syssize`: two bytes wide until then, and not to be trusted).
    pub fn protected_range(&self, len: usize) -> Range<usize> {
        let start = self.setup_len().min(len);
        let own = usize::try_from(self.protected_len()).unwrap_or(usize::MAX);
        let end = match self.version < SYSSIZE_IS_WHOLE {
            true => len,
            false => start.saturating_add(own).min(len),
        };
        start..end
    }

    /// The protected-mode part of `bytes`, without certificates behind it.
    pub fn protected_mode<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let range = self.protected_range(bytes.len());
        bytes.get(range).unwrap_or_default()
    }

    /// The release alone, as `uname -r` will print it.
    pub fn release(&self) -> Option<&str> {
        self.kernel_version.as_deref()?.split_whitespace().next()
    }

    /// Programs that only wear the header (iPXE, memdisk) run their own setup
    /// code in real mode. What tells them is that they name no place to jump to
    /// in protected mode, neither in 32 bits nor in 64, or say nothing of a
    /// protected-mode part; every Linux has both.
    fn check_mode(&self) -> Result<(), ImageError> {
        let real_mode = |field, offset: usize| ImageError::RealMode {
            format: NAME,
            field,
            offset: fields::len_u64(offset),
        };
        if self.code32_start == 0 && self.xloadflags & xloadflags::KERNEL_64 == 0 {
            return Err(real_mode("code32_start", at::CODE32_START));
        }
        if self.syssize == 0 && self.version < SYSSIZE_IS_WHOLE {
            return Err(real_mode("syssize", at::SYSSIZE));
        }
        Ok(())
    }

    /// A bzImage carries its own size. Signed ones are longer: a certificate
    /// table follows, which the PE headers account for.
    ///
    /// The size counts paragraphs, and the last one need not be whole. Only a
    /// kernel's own build fills it, with the checksum at its end (boot.rst, "The
    /// Image Checksum"): so what has a payload has every byte.
    fn check_size(&self, bytes: &[u8]) -> Result<(), ImageError> {
        let has = fields::len(bytes);
        let setup = fields::len_u64(self.setup_len());
        let truncated = |what: &str, needs: u64| ImageError::Truncated {
            format: NAME,
            what: what.to_owned(),
            needs,
            has,
        };
        if setup > has {
            return Err(truncated("the real-mode part (setup_sects)", setup));
        }
        if self.syssize == 0 {
            return Err(malformed("syssize", at::SYSSIZE, 0, "1 or more"));
        }
        let needs = setup + self.protected_len();
        let spare = match self.payload_length {
            0 => PARAGRAPH - 1,
            _ => 0,
        };
        if self.version >= SYSSIZE_IS_WHOLE && needs > has.saturating_add(spare) {
            return Err(truncated("the protected-mode part (syssize)", needs));
        }
        Ok(())
    }

    fn read_kernel_version(&self, bytes: &[u8]) -> Result<Option<String>, ImageError> {
        // "a pointer to a NUL-terminated human-readable kernel version number
        // string, less 0x200", and within the real-mode part.
        let pointer = Header { bytes }.u16(at::KERNEL_VERSION)?;
        if pointer == 0 {
            return Ok(None);
        }
        let start = usize::from(pointer) + 0x200;
        let Some(text) = bytes.get(start..self.setup_len()) else {
            let limit = format!("less than {:#x}", self.setup_len() - 0x200);
            return Err(malformed(
                "kernel_version",
                at::KERNEL_VERSION,
                pointer,
                &limit,
            ));
        };
        let text = text.split(|b| *b == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }
}

fn malformed(
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

/// The file as a source of header fields.
struct Header<'a> {
    bytes: &'a [u8],
}

impl Header<'_> {
    fn field<T>(&self, value: Option<T>, at: usize, size: usize) -> Result<T, ImageError> {
        value.ok_or_else(|| ImageError::Truncated {
            format: NAME,
            what: format!("the setup header (the field at {at:#x})"),
            needs: fields::len_u64(at + size),
            has: fields::len(self.bytes),
        })
    }

    fn u8(&self, at: usize) -> Result<u8, ImageError> {
        self.field(fields::u8_at(self.bytes, at), at, 1)
    }

    fn u16(&self, at: usize) -> Result<u16, ImageError> {
        self.field(fields::u16_at(self.bytes, at), at, 2)
    }

    fn u32(&self, at: usize) -> Result<u32, ImageError> {
        self.field(fields::u32_at(self.bytes, at), at, 4)
    }

    fn u64(&self, at: usize) -> Result<u64, ImageError> {
        self.field(fields::u64_at(self.bytes, at), at, 8)
    }
}
