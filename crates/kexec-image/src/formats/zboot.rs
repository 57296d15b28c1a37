//! EFI zboot.

use super::{Format, Opened};
use crate::ImageError;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "zboot",
    about: "compressed EFI kernel",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
