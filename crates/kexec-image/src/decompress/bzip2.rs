//! bzip2.

use ::bzip2::bufread::BzDecoder;

use super::{Checked, Codec, Output};
use crate::ImageError;

pub(super) const CODEC: Codec = Codec {
    name: "bzip2",
    probe,
    decode,
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

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    // Parallel compressors write one stream per block.
    loop {
        let mut decoder = BzDecoder::new(rest);
        out.drain(CODEC.name, &mut decoder)?;
        rest = decoder.into_inner();
        if out.is_first_only() || !probe(rest) {
            break;
        }
    }
    Ok(Checked {
        len: out.len(),
        consumed: bytes.len() - rest.len(),
        checksummed: true,
    })
}
