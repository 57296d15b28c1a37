//! Unified kernel images.

use super::{Format, Opened};
use crate::ImageError;

/// A section of a UKI.
#[derive(Debug, Clone)]
pub struct Section;
/// A profile of a UKI.
#[derive(Debug, Clone)]
pub struct Profile;
/// What a UKI carries.
#[derive(Debug, Clone)]
pub struct Uki;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: "UKI",
    about: "unified kernel image",
    probe: |_| false,
    open: |b, _| Err::<Opened, _>(ImageError::unknown(b, &[])),
};
