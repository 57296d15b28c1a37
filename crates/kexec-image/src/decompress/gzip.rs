//! gzip: RFC 1952.

use flate2::bufread::GzDecoder;

use super::{Checked, Codec, Output};
use crate::ImageError;

pub(super) const CODEC: Codec = Codec {
    name: "gzip",
    probe,
    decode,
};

/// ID1, ID2 and CM = deflate (RFC 1952, 2.3.1). The old magic 1f 9e that
/// boot.rst also names is of a gzip that nobody has used since 1993.
fn probe(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    // "A gzip file consists of a series of members" (2.2). Every member has a
    // header and a trailer, so each turn consumes some bytes.
    loop {
        let mut decoder = GzDecoder::new(rest);
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
