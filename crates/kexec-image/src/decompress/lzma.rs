//! LZMA-alone: the `.lzma` format of LZMA Utils and of the LZMA SDK
//! (`lzma-file-format.txt` of XZ Utils). It has neither a magic number nor a
//! checksum.

use lzma_rust2::LzmaReader;

use super::{Checked, Codec, MAX_WINDOW, Output, damaged, window_too_large};
use crate::{ImageError, fields};

pub(super) const CODEC: Codec = Codec {
    name: "lzma",
    probe,
    decode,
};

/// Properties, dictionary size, uncompressed size.
const HEADER_LEN: usize = 13;

/// What a header may say about the uncompressed size and still be taken for
/// one: no kernel is larger.
const PLAUSIBLE_SIZE: std::ops::RangeInclusive<u64> = 1..=1 << 30;

/// The uncompressed size of a stream that ends with an end marker.
const UNKNOWN_SIZE: u64 = u64::MAX;

struct Header {
    properties: u8,
    dictionary: u32,
    size: u64,
}

/// A header, if every field of it is plausible. Thirteen zero bytes, or text,
/// are not LZMA; a too lenient look here takes any file for a kernel.
fn header(bytes: &[u8]) -> Option<Header> {
    let header = Header {
        properties: fields::u8_at(bytes, 0)?,
        dictionary: fields::u32_at(bytes, 1)?,
        size: fields::u64_at(bytes, 5)?,
    };
    // lc + 9 * (lp + 5 * pb) with lc <= 8, lp <= 4, pb <= 4.
    let properties = header.properties < 9 * 5 * 5;
    // 2^n or 2^n + 2^(n-1), as XZ Utils tells `.lzma` files, from 4 KiB.
    let d = header.dictionary;
    let top = d.checked_ilog2().map(|n| 1_u32 << n)?;
    let dictionary = d == u32::MAX || (d >= 4096 && (d == top || d - top == top / 2));
    let size = header.size == UNKNOWN_SIZE || PLAUSIBLE_SIZE.contains(&header.size);
    // The first byte of the range coder is always 0, and four bytes follow.
    let coder = fields::u8_at(bytes, HEADER_LEN)? == 0 && bytes.len() >= HEADER_LEN + 5;
    (properties && dictionary && size && coder).then_some(header)
}

fn probe(bytes: &[u8]) -> bool {
    header(bytes).is_some()
}

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let Some(header) = header(bytes) else {
        return Err(damaged(CODEC.name, out, "there is no plausible header"));
    };
    // A dictionary need not be larger than everything that was ever written.
    let window = u64::from(header.dictionary).min(header.size.max(4096));
    let Some(window) = u32::try_from(window)
        .ok()
        .filter(|w| u64::from(*w) <= MAX_WINDOW)
    else {
        return Err(damaged(CODEC.name, out, window_too_large(Some(window))));
    };
    let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    let mut decoder =
        LzmaReader::new_with_props(&mut rest, header.size, header.properties, window, None)
            .map_err(|e| super::broken(CODEC.name, out, &e))?;
    // Without this a stream of known size may stop anywhere in the coder.
    decoder.set_relaxed_end_condition(false);
    out.drain(CODEC.name, &mut decoder)?;
    // A known size that was reached, or else the end marker was.
    if header.size != UNKNOWN_SIZE && header.size != out.len() {
        let reason = format!("the header promises {} bytes", header.size);
        return Err(damaged(CODEC.name, out, reason));
    }
    let (_, unused) = decoder.into_parts();
    Ok(Checked {
        len: out.len(),
        consumed: bytes.len() - rest.len() - unused.len(),
        checksummed: false,
    })
}
