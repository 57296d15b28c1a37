//! What the content of a segment or an initrd is made of.

use bytes::Bytes;
use serde::Serialize;

/// A run of bytes that goes to the next kernel, and where it came from.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Piece {
    /// For people: `/boot/vmlinuz`, `/efi/linux.efi .initrd`.
    pub origin: String,
    /// How many bytes.
    pub len: usize,
    /// Zero bytes that follow, so that the next piece is aligned.
    pub padding: usize,
    /// The bytes, without the padding.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes + {})", self.origin, self.len, self.padding)
    }
}
