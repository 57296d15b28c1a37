//! One file per codec, and the list of them.
//!
//! Whoever compressed the bytes may be hostile, so three rules hold for every
//! codec here: the output never grows beyond the caller's cap, the decoder's
//! own window is limited by [`MAX_WINDOW`] before it is allocated, and the
//! output grows with what was really decoded, never by a number out of a
//! header. A stream that ends early is an error. Bytes behind the end of a
//! stream are left alone and counted ([`Decoded::consumed`]): the kernel's
//! build appends the uncompressed size there.
//!
//! Where only the stream's own word about itself is wanted, [`Codec::check`]
//! holds no more of the content than the decoder's window.

mod bzip2;
mod gzip;
mod lz4;
mod lzma;
mod output;
mod parallel;
mod stream;
mod xz;
pub mod xz_methods;
mod zstd;

pub use lz4::compress as compress_lz4;
pub use stream::stream;

use std::io::ErrorKind;

use crate::ImageError;
use output::Output;

/// The largest window (dictionary) a decoder may allocate, in bytes. The
/// kernel's build asks for 128 MiB at most: `dict=128MiB` of
/// `scripts/xz_wrap.sh`, and `zstd -22 --ultra`, whose window is 2^27.
pub const MAX_WINDOW: u64 = 128 << 20;

/// What is done now and then while a stream is decoded, by whichever thread: its caller may
/// give memory back, as that of the packed bytes that were read by then.
pub type Meanwhile<'a> = &'a (dyn Fn() + Sync);

/// One codec: how to tell it and how to undo it.
pub struct Codec {
    /// The field's own name for it.
    pub name: &'static str,
    /// Whether these bytes begin like a stream of this codec.
    pub probe: fn(&[u8]) -> bool,
    /// Decodes the stream that `bytes` begin with. Streams of the same codec that
    /// follow directly belong to it.
    decode: fn(bytes: &[u8], out: &mut Output<'_>) -> Result<Checked, ImageError>,
}

impl Codec {
    /// Decompresses the stream that `bytes` begin with to at most `cap` bytes.
    /// Streams of the same codec that follow directly belong to it.
    ///
    /// # Errors
    /// When it is damaged, ends early, or would become larger.
    pub fn decompress(&self, bytes: &[u8], cap: u64) -> Result<Decoded, ImageError> {
        let mut out = Output::kept(cap);
        let checked = (self.decode)(bytes, &mut out)?;
        Ok(Decoded {
            bytes: out.into_bytes(),
            consumed: checked.consumed,
            checksummed: checked.checksummed,
        })
    }

    /// The same for the first stream alone, as kernels unpack the parts of an initrd (see
    /// [`Codec::check_first_with`]), with as many threads as its format has a use for, at
    /// most `threads`. Each time that some MiB are decoded, and at the end, `meanwhile` is
    /// called.
    ///
    /// # Errors
    /// As [`Codec::decompress`].
    pub fn decompress_first(
        &self,
        bytes: &[u8],
        cap: u64,
        threads: usize,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Decoded, ImageError> {
        if let Some(decoded) = parallel::decompress(self, bytes, cap, threads, meanwhile) {
            meanwhile();
            return Ok(decoded);
        }
        let mut out = Output::kept(cap).first_only().with_meanwhile(meanwhile);
        let checked = (self.decode)(bytes, &mut out)?;
        meanwhile();
        Ok(Decoded {
            bytes: out.into_bytes(),
            consumed: checked.consumed,
            checksummed: checked.checksummed,
        })
    }

    /// The same without the content, which is decoded and forgotten.
    ///
    /// # Errors
    /// As [`Codec::decompress`].
    pub fn check(&self, bytes: &[u8], cap: u64) -> Result<Checked, ImageError> {
        (self.decode)(bytes, &mut Output::counted(cap))
    }

    /// The same, and the content is shown piece by piece as it is decoded. Nothing is
    /// proved of what was shown before this returns.
    ///
    /// # Errors
    /// As [`Codec::decompress`].
    pub fn check_with(
        &self,
        bytes: &[u8],
        cap: u64,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Checked, ImageError> {
        (self.decode)(bytes, &mut Output::shown(cap, show))
    }

    /// The same for the first stream alone, as kernels unpack the parts of an initrd.
    /// Legacy frames of lz4 that follow directly still belong to it: kernels read on
    /// over their magic number.
    ///
    /// # Errors
    /// As [`Codec::decompress`].
    pub fn check_first_with(
        &self,
        bytes: &[u8],
        cap: u64,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Checked, ImageError> {
        (self.decode)(bytes, &mut Output::shown(cap, show).first_only())
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What a stream decompressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What the stream decompresses to.
    pub bytes: Vec<u8>,
    /// How many bytes of the input belong to the stream.
    pub consumed: usize,
    /// Whether the stream carries a checksum of its content (which then was
    /// right, or there would have been an error).
    pub checksummed: bool,
}

/// What a stream would decompress to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Bytes of the content.
    pub len: u64,
    /// As in [`Decoded`].
    pub consumed: usize,
    /// As in [`Decoded`].
    pub checksummed: bool,
}

/// gzip (RFC 1952).
pub const GZIP: Codec = gzip::CODEC;
/// The .xz container, with the BCJ filters that the kernel's build uses.
pub const XZ: Codec = xz::CODEC;
/// Zstandard (RFC 8878).
pub const ZSTD: Codec = zstd::CODEC;
/// LZ4, the legacy frame of the kernel's build and the modern frame.
pub const LZ4: Codec = lz4::CODEC;
/// bzip2, blocks with a checksum each.
pub const BZIP2: Codec = bzip2::CODEC;
/// LZMA-alone, the `.lzma` format of LZMA Utils.
pub const LZMA: Codec = lzma::CODEC;

/// Every codec, in the order in which they are tried. LZMA-alone has no magic
/// number, only a header that has to look plausible, so it comes last.
pub const CODECS: &[Codec] = &[GZIP, XZ, ZSTD, LZ4, BZIP2, LZMA];

/// The codec whose stream these bytes begin with.
pub fn detect(bytes: &[u8]) -> Option<&'static Codec> {
    CODECS.iter().find(|c| (c.probe)(bytes))
}

/// What a decoder that gave up says, in our words where they are better.
fn broken(codec: &'static str, out: &Output, error: &std::io::Error) -> ImageError {
    let reason = match error.kind() {
        ErrorKind::UnexpectedEof => "the data ends before the stream does".to_owned(),
        ErrorKind::OutOfMemory => window_too_large(None),
        _ => error.to_string(),
    };
    damaged(codec, out, reason)
}

/// A [`ImageError::Codec`] after `out` had been produced.
fn damaged(codec: &'static str, out: &Output, reason: impl Into<String>) -> ImageError {
    ImageError::Codec {
        codec,
        produced: out.len(),
        reason: reason.into(),
    }
}

/// How the reason for refusing a window begins.
const WINDOW: &str = "the stream asks for a window of ";

/// Whether a stream was refused for its window (dictionary), which is larger than
/// [`MAX_WINDOW`]: nothing is wrong with it otherwise, as far as it was read.
pub fn is_window_refusal(error: &ImageError) -> bool {
    matches!(error, ImageError::Codec { reason, .. } if reason.starts_with(WINDOW))
}

/// The reason for refusing a window (`None`: the decoder did not say how large).
fn window_too_large(window: Option<u64>) -> String {
    let asks = window.map_or("more".to_owned(), |w| format!("{w} bytes"));
    format!("{WINDOW}{asks}, the limit is {MAX_WINDOW} bytes")
}

#[cfg(test)]
mod tests;
