//! The RISC-V `Image`.

use super::{Format, Opened};
use crate::ImageError;

/// What the header says.
#[derive(Debug, Clone)]
pub struct RiscvImage;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "RISC-V Image",
    about: "RISC-V boot image",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
