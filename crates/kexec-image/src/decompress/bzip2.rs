//! bzip2.

use ::bzip2::bufread::BzDecoder;

use super::{Codec, Decoded, drain};
use crate::ImageError;

pub(super) const CODEC: Codec = Codec {
    name: "bzip2",
    probe,
    decompress,
};

/// `BZh`, the block size as a digit from 1 to 9, and the first bytes of either
/// a block (the digits of pi) or the end of the stream (those of its root).
fn probe(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..]
    )
}

fn decompress(bytes: &[u8], cap: u64) -> Result<Decoded, ImageError> {
    let mut out = Vec::new();
    let mut rest = bytes;
    // Parallel compressors write one stream per block.
    loop {
        let mut decoder = BzDecoder::new(rest);
        drain(CODEC.name, &mut decoder, &mut out, cap)?;
        rest = decoder.into_inner();
        if !probe(rest) {
            break;
        }
    }
    Ok(Decoded {
        bytes: out,
        consumed: bytes.len() - rest.len(),
        checksummed: true,
    })
}
