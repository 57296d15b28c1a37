//! EFI zboot: a compressed kernel behind a small EFI program that unpacks it.
//! arm64, RISC-V and LoongArch kernels come as such files (`vmlinuz.efi`).
//!
//! The header is described by the kernel's build option `CONFIG_EFI_ZBOOT` and
//! laid out at the top of `drivers/firmware/efi/libstub/zboot-header.S`; the
//! offsets below are the ones that its comments name.

use bytes::Bytes;

use super::{Format, Opened, Wrapped};
use crate::decompress::{self, Codec};
use crate::pe::{self, Pe};
use crate::{ImageError, Options, fields};

const NAME: &str = "zboot";

/// "image type".
const IMAGE_TYPE_AT: usize = 4;
const IMAGE_TYPE: [u8; 4] = *b"zimg";
/// "payload offset", from the beginning of the file.
const PAYLOAD_OFFSET_AT: usize = 8;
/// "payload size", without the uncompressed size that the build appends to
/// every payload but gzip's (`Makefile.zboot`, beside the header).
const PAYLOAD_SIZE_AT: usize = 0x0c;
/// "compression type": a string that ends with NUL.
const COMPRESSION_AT: usize = 0x18;
/// The compression type ends where the Linux magic number of EFI images
/// begins (`LINUX_PE_MAGIC`, at 0x38).
const COMPRESSION_END: usize = 0x38;
/// No payload begins before the fields that end with the PE header's offset.
const HEADER_LEN: u32 = 0x40;

/// The compression types and their codecs. The kernel's build writes the name
/// of its make rule, so there are two spellings for some.
const COMPRESSIONS: &[(&str, Codec)] = &[
    ("gzip", decompress::GZIP),
    ("lz4", decompress::LZ4),
    ("lzma", decompress::LZMA),
    ("xz", decompress::XZ),
    ("xzkern", decompress::XZ),
    ("zstd", decompress::ZSTD),
    ("zstd22", decompress::ZSTD),
];

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "an EFI program that unpacks the kernel it carries",
    probe: |bytes| pe::probe(bytes) && fields::array(bytes, IMAGE_TYPE_AT) == Some(IMAGE_TYPE),
    open,
};

fn open(bytes: &Bytes, options: &Options) -> Result<Opened, ImageError> {
    let truncated = |what: &str, needs: u64| ImageError::Truncated {
        format: NAME,
        what: what.into(),
        needs,
        has: fields::len(bytes),
    };
    let (Some(offset), Some(size), Some(compression)) = (
        fields::u32_at(bytes, PAYLOAD_OFFSET_AT),
        fields::u32_at(bytes, PAYLOAD_SIZE_AT),
        bytes.get(COMPRESSION_AT..COMPRESSION_END),
    ) else {
        return Err(truncated("the header", u64::from(HEADER_LEN)));
    };
    if offset < HEADER_LEN {
        return Err(ImageError::Malformed {
            format: NAME,
            what: "the offset of the payload".into(),
            offset: PAYLOAD_OFFSET_AT as u64,
            found: format!("{offset:#x}"),
            expected: format!("{HEADER_LEN:#x} or more, behind the header"),
        });
    }
    let codec = codec(compression)?;
    let payload = fields::slice(bytes, offset.into(), size.into())
        .ok_or_else(|| truncated("the compressed kernel", u64::from(offset) + u64::from(size)))?;
    // The program behind the payload is not needed, but a file without it is
    // not the file that was installed.
    Pe::parse(bytes, NAME)?.check_bounds()?;

    let decoded = codec.decompress(payload, options.max_output)?;
    if decoded.bytes.is_empty() {
        return Err(ImageError::Malformed {
            format: NAME,
            what: "the size of the payload".into(),
            offset: PAYLOAD_SIZE_AT as u64,
            found: format!("{size:#x}, nothing when decompressed"),
            expected: "a compressed kernel".into(),
        });
    }
    Ok(Opened::Wrapped(Wrapped {
        inner: decoded.bytes.into(),
        uki: None,
    }))
}

/// The codec that the header names.
fn codec(field: &[u8]) -> Result<&'static Codec, ImageError> {
    let name = field.split(|b| *b == 0).next().unwrap_or_default();
    let known = COMPRESSIONS.iter().find(|(n, _)| n.as_bytes() == name);
    if let Some((_, codec)) = known {
        return Ok(codec);
    }
    let names = "gzip, lz4, lzma, xz and zstd";
    if name == b"lzo" {
        return Err(ImageError::Unsupported {
            what: "a zboot kernel that is compressed with lzo".into(),
            known: names.into(),
        });
    }
    Err(ImageError::Malformed {
        format: NAME,
        what: "the compression type".into(),
        offset: COMPRESSION_AT as u64,
        found: format!("\"{}\"", name.escape_ascii()),
        expected: names.into(),
    })
}

#[cfg(test)]
mod tests;
