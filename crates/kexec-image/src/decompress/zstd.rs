//! Zstandard: RFC 8878.

use std::io;

use ::zstd::stream::read::Decoder;
use ::zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Checked, Codec, MAX_WINDOW, Meanwhile, Output, broken, damaged, window_too_large};
use crate::{ImageError, fields};

pub(super) const CODEC: Codec = Codec {
    name: "zstd",
    probe,
    decode,
};

/// [`MAX_WINDOW`] as a power of two, as the decoder wants it.
const MAX_WINDOW_LOG: u32 = MAX_WINDOW.trailing_zeros();

/// `Block_Maximum_Size` (3.1.1.2.4) where the window is not smaller.
const BLOCK_MAX: u64 = 128 << 10;

/// Bytes of a frame that are decoded at a time, where its content is kept as a whole.
const STEP: usize = 4 << 20;

/// `Magic_Number` (3.1.1).
fn probe(bytes: &[u8]) -> bool {
    fields::u32_at(bytes, 0) == Some(0xfd2f_b528)
}

/// What follows a skippable frame (3.1.2), if `bytes` begin with one.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let magic = fields::u32_at(bytes, 0)?;
    let len = usize::try_from(fields::u32_at(bytes, 4)?).ok()?;
    (magic & 0xffff_fff0 == 0x184d_2a50)
        .then(|| bytes.get(8..)?.get(len..))
        .flatten()
}

/// `Frame_Header` (3.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Its length, with the magic number.
    len: usize,
    /// `Window_Size`, bytes.
    window: u64,
    /// `Frame_Content_Size`, where the frame gives one.
    content: Option<u64>,
    /// A checksum of the content follows the last block.
    checksummed: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let descriptor = fields::u8_at(bytes, 4)?;
        let single_segment = descriptor & 0x20 != 0;
        let mut at = 5;
        let mut window = 0;
        if !single_segment {
            let byte = fields::u8_at(bytes, at)?;
            let base = 1_u64 << (10 + (byte >> 3));
            window = base + (base >> 3) * u64::from(byte & 7);
            at += 1;
        }
        at += match descriptor & 3 {
            3 => 4,
            dictionary_id => usize::from(dictionary_id),
        };
        let (content, len) = match (descriptor >> 6, single_segment) {
            (0, false) => (None, 0),
            (0, true) => (fields::u8_at(bytes, at).map(u64::from), 1),
            (1, _) => (fields::u16_at(bytes, at).map(|n| u64::from(n) + 256), 2),
            (2, _) => (fields::u32_at(bytes, at).map(u64::from), 4),
            _ => (fields::u64_at(bytes, at), 8),
        };
        if len > 0 {
            content?;
        }
        Some(Header {
            len: at + len,
            window: if single_segment { content? } else { window },
            content,
            checksummed: descriptor & 4 != 0,
        })
    }

    /// The length of the frame that `bytes` begin with, and the most that it can become, by
    /// the headers of its blocks (3.1.1.2); `None` where it is cut or broken.
    fn extent(self, bytes: &[u8]) -> Option<(usize, u64)> {
        let mut at = self.len;
        let mut most = 0_u64;
        loop {
            let head: [u8; 3] = fields::array(bytes, at)?;
            let [low, middle, high] = head;
            let head = u32::from_le_bytes([low, middle, high, 0]);
            let size = head >> 3;
            let (stored, content) = match (head >> 1) & 3 {
                0 => (size, u64::from(size)),
                1 => (1, u64::from(size)),
                2 => (size, self.window.min(BLOCK_MAX)),
                _ => return None,
            };
            most = most.checked_add(content)?;
            at = at
                .checked_add(3)?
                .checked_add(usize::try_from(stored).ok()?)?;
            if head & 1 != 0 {
                break;
            }
        }
        at = at.checked_add(if self.checksummed { 4 } else { 0 })?;
        (at <= bytes.len()).then_some((at, self.content.unwrap_or(most)))
    }
}

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    let mut checksummed = true;
    loop {
        let Some(header) = Header::read(rest) else {
            return Err(broken(
                CODEC.name,
                out,
                &io::ErrorKind::UnexpectedEof.into(),
            ));
        };
        if header.window > MAX_WINDOW {
            let reason = window_too_large(Some(header.window));
            return Err(damaged(CODEC.name, out, reason));
        }
        rest = match at_once(header, rest, out) {
            Some(rest) => rest,
            None => piece_by_piece(header, rest, out)?,
        };
        checksummed &= header.checksummed;
        if out.is_first_only() {
            break;
        }
        let mut next = rest;
        while let Some(after) = skip(next) {
            next = after;
        }
        if !probe(next) {
            break;
        }
        rest = next;
    }
    Ok(Checked {
        len: out.len(),
        consumed: bytes.len() - rest.len(),
        checksummed,
    })
}

/// Decodes a frame right into the memory where its content is kept, which needs no window
/// beside it. What follows the frame; `None` where that cannot be done, or something is
/// wrong with it: then nothing was kept.
fn at_once<'a>(header: Header, bytes: &'a [u8], out: &mut Output) -> Option<&'a [u8]> {
    let (len, most) = header.extent(bytes)?;
    let (frame, rest) = bytes.split_at_checked(len)?;
    // It would be found to be too large in the end only.
    if header.content.is_some_and(|content| content > out.cap()) {
        return None;
    }
    out.fill(most, |room, meanwhile| {
        decode_into(room, frame, meanwhile).is_some()
    })
    .then_some(rest)
}

/// Decodes one whole frame into `room`, a step at a time.
fn decode_into(room: &mut Vec<u8>, frame: &[u8], meanwhile: Meanwhile<'_>) -> Option<()> {
    let mut decoder = DCtx::try_create()?;
    // The content stays where it is written, so it is its own window.
    for parameter in [
        DParameter::StableOutBuffer(true),
        DParameter::WindowLogMax(MAX_WINDOW_LOG),
    ] {
        decoder.set_parameter(parameter).ok()?;
    }
    let mut out = OutBuffer::around(room);
    let mut left = 1;
    for step in frame.chunks(STEP) {
        let mut input = InBuffer::around(step);
        while input.pos() < step.len() {
            let before = (input.pos(), out.pos());
            left = decoder.decompress_stream(&mut out, &mut input).ok()?;
            if before == (input.pos(), out.pos()) {
                return None;
            }
        }
        meanwhile();
    }
    (left == 0).then_some(())
}

/// Decodes a frame through a window. What follows it.
fn piece_by_piece<'a>(
    header: Header,
    bytes: &'a [u8],
    out: &mut Output,
) -> Result<&'a [u8], ImageError> {
    let mut rest = bytes;
    let before = out.len();
    let decoder = decoder(&mut rest);
    let mut decoder = decoder.map_err(|e| broken(CODEC.name, out, &e))?;
    out.drain(CODEC.name, &mut decoder)?;
    drop(decoder);
    // The decoder leaves that out behind an empty last block.
    match header.content {
        Some(promised) if promised != out.len() - before => {
            let reason = format!("the frame header promises {promised} bytes");
            Err(damaged(CODEC.name, out, reason))
        }
        _ => Ok(rest),
    }
}

/// A decoder of the one frame that the bytes begin with.
pub(super) fn decoder<R: io::BufRead>(bytes: R) -> io::Result<Decoder<'static, R>> {
    let mut decoder = Decoder::with_buffer(bytes)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::codec::zstd;

    /// What `extent` says of a frame that another encoder made.
    fn extent(frame: &[u8]) -> Option<(usize, u64)> {
        Header::read(frame)?.extent(frame)
    }

    #[test]
    fn a_frame_is_measured_before_it_is_decoded() {
        for size in [0_usize, 1, 255, 256, 70_000, 300_000, 3_000_000] {
            let words = (0_u32..).flat_map(|n| n.wrapping_mul(n).to_le_bytes());
            let mixed: Vec<u8> = words.take(size).collect();
            for content in [vec![7; size], mixed] {
                let mut frame = zstd(&content);
                let len = frame.len();
                frame.extend(b"behind");
                let (measured, most) = extent(&frame).unwrap();
                assert_eq!(measured, len);
                assert!(most >= fields::len(&content), "{most} for {size}");
                assert_eq!(extent(&frame[..len - 1]), None, "cut");
            }
        }
    }

    /// RLE blocks of 2 MiB in 4 bytes each: only what is decoded takes memory.
    #[test]
    fn a_promise_of_a_header_is_not_believed() {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3];
        let block = |last: u32| {
            let head = (0x1f_ffff << 3) | 1 << 1 | last;
            [
                head.to_le_bytes()[0],
                head.to_le_bytes()[1],
                head.to_le_bytes()[2],
                b'x',
            ]
        };
        for _ in 0..2000 {
            frame.extend(block(0));
        }
        frame.extend(block(1));
        assert_eq!(extent(&frame), Some((frame.len(), 2001 * 0x1f_ffff)));
        // Such blocks are larger than any may be.
        let error = CODEC.decompress(&frame, 1 << 20).unwrap_err();
        assert!(matches!(error, ImageError::Codec { .. }), "{error}");
        // A content of 2^40 bytes, said by the header alone.
        let mut stream = vec![0x28, 0xb5, 0x2f, 0xfd, 0xc0, 17 << 3];
        stream.extend((1_u64 << 40).to_le_bytes());
        stream.extend([1, 0, 0]);
        assert!(CODEC.decompress(&stream, 1 << 41).is_err());
    }
}
