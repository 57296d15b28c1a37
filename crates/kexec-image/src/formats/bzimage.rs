//! The x86 boot format.

use super::{Format, Opened};
use crate::{Arch, ImageError};

/// What the setup header says.
#[derive(Debug, Clone)]
pub struct BzImage;

impl BzImage {
    /// The architecture.
    pub fn arch(&self) -> Arch {
        Arch::X86_64
    }
}

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "bzImage",
    about: "x86 boot image",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
