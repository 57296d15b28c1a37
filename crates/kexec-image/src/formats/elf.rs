//! ELF kernels.

use super::{Format, Opened};
use crate::{Arch, ImageError};

/// What the ELF header says.
#[derive(Debug, Clone)]
pub struct ElfKernel {
    /// The architecture, if known.
    pub arch: Option<Arch>,
}

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "ELF",
    about: "ELF kernel",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
