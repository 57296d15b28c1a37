//! Compressed kernel files.

use super::{Format, Opened};
use crate::ImageError;

/// A file compressed with gzip.
pub const GZIP: Format = Format {
    name: "gzip",
    about: "compressed with gzip",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

/// A file compressed with xz.
pub const XZ: Format = Format {
    name: "xz",
    about: "compressed with xz",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

/// A file compressed with zstd.
pub const ZSTD: Format = Format {
    name: "zstd",
    about: "compressed with zstd",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

/// A file compressed with lz4.
pub const LZ4: Format = Format {
    name: "lz4",
    about: "compressed with lz4",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

/// A file compressed with bzip2.
pub const BZIP2: Format = Format {
    name: "bzip2",
    about: "compressed with bzip2",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

/// A file compressed with lzma.
pub const LZMA: Format = Format {
    name: "lzma",
    about: "compressed with lzma",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};

