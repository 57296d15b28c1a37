//! One file per codec, and the list of them.

use crate::ImageError;

/// One codec: how to tell it and how to undo it.
pub struct Codec {
    /// The field's own name for it.
    pub name: &'static str,
    /// Whether these bytes begin like a stream of this codec.
    pub probe: fn(&[u8]) -> bool,
    /// Decompresses `bytes` to at most `cap` bytes.
    pub decompress: fn(&[u8], cap: u64) -> Result<Decoded, ImageError>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What a stream decompressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Whether the codec checked a checksum of the content.
    pub checksummed: bool,
}

/// Every codec, in the order in which they are tried.
pub const CODECS: &[Codec] = &[];

/// The codec whose stream these bytes begin with.
pub fn detect(bytes: &[u8]) -> Option<&'static Codec> {
    CODECS.iter().find(|c| (c.probe)(bytes))
}
