//! Kernel files that somebody compressed as a whole: `Image.gz` of arm64, a
//! `vmlinux.xz`. What is inside is recognised afresh.

use bytes::Bytes;

use super::{Format, Opened, Wrapped};
use crate::decompress::{self, Codec};
use crate::{ImageError, Options};

/// gzip: RFC 1952.
pub const GZIP: Format = Format {
    name: "gzip",
    about: "a file compressed with gzip",
    probe: decompress::GZIP.probe,
    open: |bytes, options| open(&decompress::GZIP, bytes, options),
};

/// xz.
pub const XZ: Format = Format {
    name: "xz",
    about: "a file compressed with xz",
    probe: decompress::XZ.probe,
    open: |bytes, options| open(&decompress::XZ, bytes, options),
};

/// Zstandard: RFC 8878.
pub const ZSTD: Format = Format {
    name: "zstd",
    about: "a file compressed with zstd",
    probe: decompress::ZSTD.probe,
    open: |bytes, options| open(&decompress::ZSTD, bytes, options),
};

/// LZ4, the legacy frame and the modern one.
pub const LZ4: Format = Format {
    name: "lz4",
    about: "a file compressed with lz4",
    probe: decompress::LZ4.probe,
    open: |bytes, options| open(&decompress::LZ4, bytes, options),
};

/// bzip2.
pub const BZIP2: Format = Format {
    name: "bzip2",
    about: "a file compressed with bzip2",
    probe: decompress::BZIP2.probe,
    open: |bytes, options| open(&decompress::BZIP2, bytes, options),
};

/// LZMA-alone.
pub const LZMA: Format = Format {
    name: "lzma",
    about: "a file compressed with lzma (the old .lzma format)",
    probe: decompress::LZMA.probe,
    open: |bytes, options| open(&decompress::LZMA, bytes, options),
};

fn open(codec: &Codec, bytes: &Bytes, options: &Options) -> Result<Opened, ImageError> {
    let decoded = codec.decompress(bytes, options.max_output)?;
    Ok(Opened::Wrapped(Wrapped {
        inner: decoded.bytes.into(),
        uki: None,
    }))
}
