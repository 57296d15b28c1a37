//! LZ4: the legacy frame, which the kernel's build writes (`lz4 -l`), and the
//! modern frame (`lz4_Frame_format.md` of the LZ4 project, both).
//!
//! The legacy frame has neither an end mark nor a checksum: one that was cut
//! exactly between two blocks cannot be told from a whole one. What surrounds
//! it (the size behind a bzImage's payload) has to tell.

use lz4_flex::block::decompress_into;
use lz4_flex::frame::FrameDecoder;

use super::{Checked, Codec, Output, damaged};
use crate::{ImageError, fields};

pub(super) const CODEC: Codec = Codec {
    name: "lz4",
    probe,
    decode,
};

/// "Legacy frame": its magic number.
const LEGACY: u32 = 0x184c_2102;
/// "General structure": the magic number of the modern frame.
const MODERN: u32 = 0x184d_2204;
/// "Legacy frame": the uncompressed size of every block but the last.
pub(super) const LEGACY_BLOCK: usize = 8 << 20;
/// The most that a legacy block can compress to (`LZ4_COMPRESSBOUND`). A
/// larger number is not a block size: the frame has ended.
const LEGACY_BOUND: usize = LEGACY_BLOCK + LEGACY_BLOCK / 255 + 16;

fn probe(bytes: &[u8]) -> bool {
    matches!(fields::u32_at(bytes, 0), Some(LEGACY | MODERN))
}

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    let mut checksummed = true;
    loop {
        match fields::u32_at(rest, 0) {
            Some(LEGACY) => {
                rest = legacy(rest, out)?;
                checksummed = false;
            }
            Some(MODERN) if rest.len() == bytes.len() || !out.is_first_only() => {
                let frame = modern(rest).ok_or_else(|| short(out))?;
                let mut decoder = FrameDecoder::new(frame.bytes);
                out.drain(CODEC.name, &mut decoder)?;
                rest = rest.get(frame.bytes.len()..).unwrap_or_default();
                checksummed &= frame.checksummed;
            }
            _ if rest.len() == bytes.len() => {
                return Err(damaged(CODEC.name, out, "there is no frame"));
            }
            _ => break,
        }
    }
    Ok(Checked {
        len: out.len(),
        consumed: bytes.len() - rest.len(),
        checksummed,
    })
}

const SHORT: &str = "the data ends before the stream does";

fn short(out: &Output) -> ImageError {
    damaged(CODEC.name, out, SHORT)
}

/// Whether these bytes begin with a legacy frame.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    fields::u32_at(bytes, 0) == Some(LEGACY)
}

/// What a block decompressed to, and what follows it.
type Block<'a> = (Vec<u8>, &'a [u8]);

/// Decodes the block that `rest` begins with, and returns what follows it;
/// `None` at the end of the frame, whatever follows that.
pub(super) fn legacy_block(rest: &[u8]) -> Result<Option<Block<'_>>, String> {
    let Some((block, rest)) = packed_block(rest)? else {
        return Ok(None);
    };
    Ok(Some((decoded(block)?, rest)))
}

/// A run of bytes, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The block that `rest` begins with, still packed, and what follows it.
fn packed_block(rest: &[u8]) -> Result<Option<Split<'_>>, String> {
    let Some(size) = fields::u32_at(rest, 0) else {
        return Ok(None);
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // Zero is no block size either: padding behind the frame.
    if size == 0 || size > LEGACY_BOUND {
        return Ok(None);
    }
    let block = rest.get(4..).and_then(|r| r.split_at_checked(size));
    block.map(Some).ok_or_else(|| SHORT.to_owned())
}

/// What a block decompresses to.
pub(super) fn decoded(block: &[u8]) -> Result<Vec<u8>, String> {
    // A byte of input makes 255 bytes of output at the very most.
    let mut decoded = vec![0; LEGACY_BLOCK.min(block.len().saturating_mul(256))];
    let n = decompress_into(block, &mut decoded).map_err(|e| e.to_string())?;
    decoded.truncate(n);
    Ok(decoded)
}

/// The blocks of one legacy frame, still packed, and where it ends; `None` where the frame
/// is cut short, or another one follows it directly.
pub(super) fn legacy_blocks(frame: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    if !is_legacy(frame) {
        return None;
    }
    let mut rest = frame.get(4..)?;
    let mut blocks = Vec::new();
    while let Some((block, next)) = packed_block(rest).ok()? {
        blocks.push(block);
        rest = next;
    }
    let ends = rest.len() >= 4 || rest.iter().all(|b| *b == 0);
    let consumed = frame.len().checked_sub(rest.len())?;
    (ends && !is_legacy(rest)).then_some((blocks, consumed))
}

/// Compresses a whole archive into one legacy frame, as kernels unpack it, with as many
/// threads as `threads`. `None` when it would have more than `most` bytes.
pub fn compress(content: &[u8], most: u64, threads: usize) -> Option<Vec<u8>> {
    let mut out = LEGACY.to_le_bytes().to_vec();
    let at_once = threads.clamp(1, 8).checked_mul(LEGACY_BLOCK)?;
    for several in content.chunks(at_once) {
        let blocks: Vec<&[u8]> = several.chunks(LEGACY_BLOCK).collect();
        let packed: Vec<Option<Vec<u8>>> = std::thread::scope(|scope| {
            let pack = |block: &[u8]| lz4_flex::block::compress(block);
            let work: Vec<_> = blocks
                .iter()
                .map(|block| {
                    let thread = std::thread::Builder::new();
                    thread.spawn_scoped(scope, move || pack(block)).ok()
                })
                .collect();
            work.into_iter()
                .map(|one| one.and_then(|one| one.join().ok()))
                .collect()
        });
        for block in packed {
            let block = block?;
            // LZ4_COMPRESSBOUND of 8 MiB.
            out.extend_from_slice(&u32::try_from(block.len()).ok()?.to_le_bytes());
            out.extend_from_slice(&block);
            if fields::len(&out) > most {
                return None;
            }
        }
    }
    Some(out)
}

/// Decodes one legacy frame; what follows it is returned.
fn legacy<'a>(frame: &'a [u8], out: &mut Output) -> Result<&'a [u8], ImageError> {
    let mut rest = frame.get(4..).unwrap_or_default();
    let mut any = false;
    while let Some((decoded, next)) =
        legacy_block(rest).map_err(|reason| damaged(CODEC.name, out, reason))?
    {
        out.push(CODEC.name, &decoded)?;
        rest = next;
        any = true;
    }
    // A bare magic number is a frame that was cut, and so is half a number, unless it
    // is padding.
    if any && (rest.len() >= 4 || rest.iter().all(|b| *b == 0)) {
        Ok(rest)
    } else {
        Err(short(out))
    }
}

struct Modern<'a> {
    bytes: &'a [u8],
    checksummed: bool,
}

/// Walks over one modern frame without decoding it: the decoder takes a frame
/// that stops between two blocks for a whole one, and we do not.
fn modern(frame: &[u8]) -> Option<Modern<'_>> {
    let flags = fields::u8_at(frame, 4)?;
    // "Frame descriptor": FLG, BD, content size, dictionary id, HC.
    let flag = |bit: u8, bytes: usize| if flags & (1 << bit) == 0 { 0 } else { bytes };
    let mut at = 4 + 2 + flag(3, 8) + flag(0, 4) + 1;
    loop {
        // "Data blocks": the highest bit marks a block that is stored.
        let size = fields::u32_at(frame, at)?;
        at += 4;
        if size == 0 {
            break;
        }
        let size = usize::try_from(size & 0x7fff_ffff).ok()?;
        at = at.checked_add(size)?.checked_add(flag(4, 4))?;
    }
    at += flag(2, 4);
    Some(Modern {
        bytes: frame.get(..at)?,
        checksummed: flag(2, 1) != 0,
    })
}
