//! The .xz file format, version 1.2.1 (tukaani.org/xz/xz-file-format.txt).

use lzma_rust2::XzReader;

use super::{Checked, Codec, Output};
use crate::{ImageError, fields};

pub(super) const CODEC: Codec = Codec {
    name: "xz",
    probe,
    decode,
};

/// Header Magic Bytes (2.1.1.1).
fn probe(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xfd7zXZ\0")
}

/// The decoder's limit in KiB: a dictionary of [`super::MAX_WINDOW`], and what a
/// decoder needs beside it.
const LIMIT_KIB: u32 = 128 * 1024 + 1024;

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    let mut checksummed = true;
    loop {
        // Stream Flags (2.1.1.2): the low four bits of the second byte are the
        // type of the check, and 0 is none.
        checksummed &= fields::u8_at(rest, 7).is_some_and(|flags| flags & 0x0f != 0);
        let mut decoder = XzReader::new_mem_limit(rest, false, LIMIT_KIB);
        out.drain(CODEC.name, &mut decoder)?;
        rest = decoder.into_inner();
        if out.is_first_only() {
            break;
        }
        // Stream Padding (2.2) is zeros, a multiple of four, and belongs to the
        // file only when another stream follows.
        let zeros = rest.iter().take_while(|b| **b == 0).count();
        match rest.get(zeros..) {
            Some(next) if zeros % 4 == 0 && probe(next) => rest = next,
            _ => break,
        }
    }
    Ok(Checked {
        len: out.len(),
        consumed: bytes.len() - rest.len(),
        checksummed,
    })
}
