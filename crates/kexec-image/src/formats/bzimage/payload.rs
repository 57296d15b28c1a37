//! The compressed kernel inside of a bzImage.

use std::ops::Range;

use serde::Serialize;

use super::{BzImage, at, malformed};
use crate::decompress::{self, Checked, Codec, Decoded};
use crate::{ImageError, fields};

/// The compressed kernel inside of a bzImage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// Where it is in the file, the appended size included.
    pub range: Range<usize>,
    /// What it is compressed with.
    pub codec: PayloadCodec,
}

/// What a payload is compressed with, as its magic number says (boot.rst,
/// `payload_offset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadCodec {
    /// One of [`decompress::CODECS`], by its name.
    Known(&'static str),
    /// LZO, which the kernel can use and we do not decompress.
    Lzo,
    /// Not compressed: an ELF file.
    Elf,
    /// Nothing that a kernel's payload can be.
    Unknown,
}

impl BzImage {
    /// Decompresses the payload and checks it against the size that the
    /// kernel's build appended to it. `None` when there is no payload, or one
    /// that cannot be decompressed here.
    ///
    /// # Errors
    /// When the payload does not decompress, or to something else than was
    /// compressed. What its build calls larger than `cap` is not begun with.
    pub fn unpack(&self, bytes: &[u8], cap: u64) -> Result<Option<Decoded>, ImageError> {
        let Some(packed) = self.packed(bytes)? else {
            return Ok(None);
        };
        if packed.size > cap {
            let codec = packed.codec.name;
            return Err(ImageError::TooLarge { codec, cap });
        }
        let decoded = packed.codec.decompress(packed.stream, self.limit(cap))?;
        packed.compare(fields::len(&decoded.bytes), decoded.consumed)?;
        Ok(Some(decoded))
    }

    /// The same check without the content, which need not be held for it.
    ///
    /// # Errors
    /// As [`BzImage::unpack`].
    pub fn check_payload(&self, bytes: &[u8], cap: u64) -> Result<Option<Checked>, ImageError> {
        self.check_payload_with(bytes, cap, &mut |_| ())
    }

    /// The same, and the content is shown piece by piece as it is decompressed. Nothing
    /// is proved of what was shown before this returns.
    ///
    /// # Errors
    /// As [`BzImage::unpack`].
    pub fn check_payload_with(
        &self,
        bytes: &[u8],
        cap: u64,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<Checked>, ImageError> {
        let Some(packed) = self.packed(bytes)? else {
            return Ok(None);
        };
        let limit = self.limit(cap);
        let checked = packed.codec.check_with(packed.stream, limit, show)?;
        packed.compare(checked.len, checked.consumed)?;
        Ok(Some(checked))
    }

    /// It unpacks itself within `init_size`, so that is a limit too.
    fn limit(&self, cap: u64) -> u64 {
        match self.init_size {
            0 => cap,
            n => cap.min(n.into()),
        }
    }

    /// The payload, if it can be decompressed here.
    fn packed<'a>(&self, bytes: &'a [u8]) -> Result<Option<Packed<'a>>, ImageError> {
        let Some(payload) = &self.payload else {
            return Ok(None);
        };
        let offset = payload.range.start;
        let data = bytes.get(payload.range.clone()).unwrap_or_default();
        let codec = match payload.codec {
            PayloadCodec::Known(_) => decompress::detect(data),
            PayloadCodec::Lzo | PayloadCodec::Elf => return Ok(None),
            PayloadCodec::Unknown => None,
        };
        let (Some(codec), Some((stream, size))) = (codec, data.split_last_chunk::<4>()) else {
            let magic = data.iter().take(6).map(|b| format!("{b:02x}"));
            let found: Vec<String> = magic.collect();
            let expected = "the magic number of a codec that the kernel uses";
            return Err(malformed("the payload", offset, found.join(" "), expected));
        };
        // In a gzip stream these four bytes (ISIZE) are its own; the kernel's
        // build appends the same to all others (`size_append`).
        let stream = if codec.name == decompress::GZIP.name {
            data
        } else {
            stream
        };
        Ok(Some(Packed {
            codec,
            offset,
            stream,
            size: u32::from_le_bytes(*size).into(),
        }))
    }

    /// Where the payload is and what it is compressed with.
    pub(super) fn find_payload(&self, bytes: &[u8]) -> Result<Option<Payload>, ImageError> {
        if self.payload_length == 0 {
            return Ok(None);
        }
        let end = u64::from(self.payload_offset) + u64::from(self.payload_length);
        let part = self.protected_mode(bytes);
        let data = fields::slice(part, self.payload_offset.into(), self.payload_length.into());
        let Some(data) = data else {
            let limit = format!("at most {} (syssize)", self.protected_len());
            let what = "payload_offset + payload_length";
            return Err(malformed(what, at::PAYLOAD_OFFSET, end, &limit));
        };
        let codec = match decompress::detect(data) {
            Some(codec) => PayloadCodec::Known(codec.name),
            None if data.starts_with(b"\x89LZO\0\r\n\x1a\n") => PayloadCodec::Lzo,
            None if data.starts_with(b"\x7fELF") => PayloadCodec::Elf,
            None => PayloadCodec::Unknown,
        };
        // It is inside of `part`, which is inside of the file.
        let offset = usize::try_from(self.payload_offset).unwrap_or(usize::MAX);
        let start = self.setup_len().saturating_add(offset);
        Ok(Some(Payload {
            range: start..start.saturating_add(data.len()),
            codec,
        }))
    }
}

/// A payload with what the kernel's build says of it.
struct Packed<'a> {
    codec: &'static Codec,
    /// Where it is in the file.
    offset: usize,
    stream: &'a [u8],
    /// Bytes when it is unpacked.
    size: u64,
}

impl Packed<'_> {
    /// Whether a stream that ends after `consumed` bytes and unpacks to `len` is
    /// all of the payload, and has its size.
    fn compare(&self, len: u64, consumed: usize) -> Result<(), ImageError> {
        let name = self.codec.name;
        if consumed != self.stream.len() {
            let what = format!("the end of the {name} payload");
            let found = self.offset + consumed;
            let expected = self.offset + self.stream.len();
            return Err(malformed(&what, found, found, &expected.to_string()));
        }
        if len != self.size {
            return Err(ImageError::Mismatch {
                what: format!("the size of the unpacked {name} payload"),
                expected: format!("{} bytes", self.size),
                found: format!("{len} bytes"),
            });
        }
        Ok(())
    }
}
