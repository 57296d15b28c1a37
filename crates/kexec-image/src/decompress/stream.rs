//! A look into a stream from its start on, for those who need only the
//! beginning, or who need not keep what they have seen. Nothing is proved by it:
//! a checksum stands at the end.

use std::io::{self, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::{LzmaReader, XzReader};

use super::{detect, lz4, zstd};

/// KiB that a decoder of xz or LZMA may take: a window of [`super::MAX_WINDOW`], and
/// what it needs beside it.
const LIMIT_KIB: u32 = 128 * 1024 + 1024;

/// A reader of what the stream that `bytes` begin with decompresses to; `None`
/// when they begin with none.
///
/// # Errors
/// When the stream's head is broken, or asks for a larger window than
/// [`super::MAX_WINDOW`].
pub fn stream(bytes: &[u8]) -> Option<io::Result<Box<dyn Read + '_>>> {
    let codec = detect(bytes)?;
    let broken = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let reader: Box<dyn Read + '_> = match codec.name {
        "gzip" => Box::new(MultiGzDecoder::new(bytes)),
        "xz" => Box::new(XzReader::new_mem_limit(bytes, true, LIMIT_KIB)),
        "zstd" => match zstd::decoder(bytes) {
            Ok(decoder) => Box::new(decoder),
            Err(e) => return Some(Err(e)),
        },
        "lz4" if lz4::is_legacy(bytes) => Box::new(Legacy::new(bytes)),
        "lz4" => Box::new(FrameDecoder::new(bytes)),
        "bzip2" => Box::new(::bzip2::bufread::MultiBzDecoder::new(bytes)),
        "lzma" => match LzmaReader::new_mem_limit(bytes, LIMIT_KIB, None) {
            Ok(decoder) => Box::new(decoder),
            Err(e) => return Some(Err(broken(e.to_string()))),
        },
        _ => return None,
    };
    Some(Ok(reader))
}

/// Blocks of a legacy frame, one after the other.
struct Legacy<'a> {
    rest: &'a [u8],
    block: Cursor<Vec<u8>>,
}

impl<'a> Legacy<'a> {
    fn new(frame: &'a [u8]) -> Legacy<'a> {
        Legacy {
            rest: frame.get(4..).unwrap_or_default(),
            block: Cursor::default(),
        }
    }
}

impl Read for Legacy<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let block = lz4::legacy_block(self.rest);
            let block = block.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            let Some((block, rest)) = block else {
                return Ok(0);
            };
            self.block = Cursor::new(block);
            self.rest = rest;
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::codec::COMPRESSORS;

    #[test]
    fn every_codec_is_looked_into() {
        let content: Vec<u8> = (0_u32..200_000).flat_map(u32::to_le_bytes).collect();
        for compressor in COMPRESSORS {
            let packed = (compressor.compress)(&content);
            let mut reader = stream(&packed).unwrap().unwrap();
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert_eq!(out, content, "{}", compressor.name);
        }
    }

    #[test]
    fn what_is_cut_ends_without_harm() {
        for compressor in COMPRESSORS {
            let packed = (compressor.compress)(&[7; 100_000]);
            for cut in (0..packed.len()).step_by(packed.len() / 20 + 1) {
                let mut out = Vec::new();
                if let Some(Ok(mut reader)) = stream(&packed[..cut]) {
                    let _ = reader.read_to_end(&mut out);
                }
                assert!(out.len() <= 100_000);
            }
        }
        assert!(stream(b"").is_none());
    }
}
