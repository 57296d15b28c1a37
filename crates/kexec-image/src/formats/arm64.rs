//! The ARM64 `Image`.

use super::{Format, Opened};
use crate::ImageError;

/// What the header says.
#[derive(Debug, Clone)]
pub struct Arm64Image;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "ARM64 Image",
    about: "ARM64 boot image",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
