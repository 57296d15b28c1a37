//! Zstandard: RFC 8878.

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;

use super::{Checked, Codec, MAX_WINDOW, Output, damaged, window_too_large};
use crate::{ImageError, fields};

pub(super) const CODEC: Codec = Codec {
    name: "zstd",
    probe,
    decode,
};

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

fn decode(bytes: &[u8], out: &mut Output) -> Result<Checked, ImageError> {
    let mut rest = bytes;
    let mut checksummed = true;
    loop {
        let frame = out.len();
        let mut decoder = StreamingDecoder::new_with_max_window_size(&mut rest, MAX_WINDOW)
            .map_err(|e| refused(out, &e))?;
        out.drain(CODEC.name, &mut decoder)?;
        let decoder = decoder.into_frame_decoder();
        // The decoder computes the checksum and leaves the comparison to us.
        match decoder.get_checksum_from_data() {
            Some(expected) if decoder.get_calculated_checksum() != Some(expected) => {
                return Err(ImageError::Mismatch {
                    what: "the checksum of the zstd frame".into(),
                    expected: format!("{expected:#010x}"),
                    found: decoder
                        .get_calculated_checksum()
                        .map_or("none".into(), |c| format!("{c:#010x}")),
                });
            }
            Some(_) => {}
            None => checksummed = false,
        }
        // 0 also stands for a size that the header does not give.
        let promised = decoder.content_size();
        if promised != 0 && promised != out.len() - frame {
            let reason = format!("the frame header promises {promised} bytes");
            return Err(damaged(CODEC.name, out, reason));
        }
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

/// Why a frame could not be started.
fn refused(out: &Output, error: &FrameDecoderError) -> ImageError {
    let reason = match error {
        FrameDecoderError::WindowSizeTooBig { requested, .. } => window_too_large(Some(*requested)),
        other => other.to_string(),
    };
    damaged(CODEC.name, out, reason)
}
