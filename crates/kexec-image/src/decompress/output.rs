//! Where decoded bytes go.

use std::io::{ErrorKind, Read};

use super::broken;
use crate::{ImageError, read};

/// Bytes that a decoder is asked for at a time.
const CHUNK: usize = 64 << 10;

/// Decoded bytes, kept or only counted, and how many there may be.
#[derive(Debug)]
pub(super) struct Output {
    kept: Option<Vec<u8>>,
    len: u64,
    cap: u64,
}

impl Output {
    /// An output that keeps at most `cap` bytes.
    pub(super) fn kept(cap: u64) -> Output {
        Output {
            kept: Some(Vec::new()),
            len: 0,
            cap,
        }
    }

    /// An output that counts at most `cap` bytes and keeps none.
    pub(super) fn counted(cap: u64) -> Output {
        Output {
            kept: None,
            len: 0,
            cap,
        }
    }

    /// How many bytes there were.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What was kept.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.kept.unwrap_or_default()
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`]
    pub(super) fn push(&mut self, codec: &'static str, bytes: &[u8]) -> Result<(), ImageError> {
        self.len = self.len.saturating_add(read::len(bytes));
        if self.len > self.cap {
            let cap = self.cap;
            return Err(ImageError::TooLarge { codec, cap });
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Takes everything that `reader` has.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`], or what the decoder behind `reader` found.
    pub(super) fn drain(
        &mut self,
        codec: &'static str,
        reader: &mut impl Read,
    ) -> Result<(), ImageError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.push(codec, buffer.get(..n).unwrap_or_default())?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(codec, self, &e)),
            }
        }
    }
}
