//! Where decoded bytes go.

use std::io::{ErrorKind, Read};

use super::{Meanwhile, broken};
use crate::{ImageError, fields};

/// Bytes that a decoder is asked for at a time.
const CHUNK: usize = 64 << 10;

/// What is done meanwhile is done after so many bytes of content.
const STEP: u64 = 8 << 20;

/// What is done with decoded bytes beside counting them.
enum Sink<'a> {
    Keep(Vec<u8>),
    Forget,
    Show(&'a mut dyn FnMut(&[u8])),
}

/// Decoded bytes, and how many there may be.
pub(super) struct Output<'a> {
    sink: Sink<'a>,
    len: u64,
    cap: u64,
    first_only: bool,
    meanwhile: Meanwhile<'a>,
    /// What is done meanwhile is done when there are so many bytes.
    next: u64,
}

impl<'a> Output<'a> {
    /// An output that keeps at most `cap` bytes.
    pub(super) fn kept(cap: u64) -> Output<'a> {
        Output::to(Sink::Keep(Vec::new()), cap)
    }

    /// An output that counts at most `cap` bytes and keeps none.
    pub(super) fn counted(cap: u64) -> Output<'a> {
        Output::to(Sink::Forget, cap)
    }

    /// An output that shows at most `cap` bytes, piece by piece, and keeps none.
    pub(super) fn shown(cap: u64, show: &'a mut dyn FnMut(&[u8])) -> Output<'a> {
        Output::to(Sink::Show(show), cap)
    }

    fn to(sink: Sink<'a>, cap: u64) -> Output<'a> {
        Output {
            sink,
            len: 0,
            cap,
            first_only: false,
            meanwhile: &|| (),
            next: STEP,
        }
    }

    /// The same for the first stream alone, whatever follows it.
    pub(super) fn first_only(self) -> Output<'a> {
        Output {
            first_only: true,
            ..self
        }
    }

    /// The same; after each [`STEP`] of content, `meanwhile` is called.
    pub(super) fn with_meanwhile(self, meanwhile: Meanwhile<'a>) -> Output<'a> {
        Output { meanwhile, ..self }
    }

    /// Whether streams of the same codec that follow are left alone.
    pub(super) fn is_first_only(&self) -> bool {
        self.first_only
    }

    /// How many bytes there may be.
    pub(super) fn cap(&self) -> u64 {
        self.cap
    }

    /// How many bytes there were.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What was kept.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self.sink {
            Sink::Keep(kept) => kept,
            Sink::Forget | Sink::Show(_) => Vec::new(),
        }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`]
    pub(super) fn push(&mut self, codec: &'static str, bytes: &[u8]) -> Result<(), ImageError> {
        self.len = self.len.saturating_add(fields::len(bytes));
        if self.len > self.cap {
            let cap = self.cap;
            return Err(ImageError::TooLarge { codec, cap });
        }
        match &mut self.sink {
            Sink::Keep(kept) => {
                // Where memory is not lent (vm.overcommit_memory=2), this is where it ends.
                if kept.try_reserve(bytes.len()).is_err() {
                    let cap = self.len;
                    return Err(ImageError::TooLarge { codec, cap });
                }
                kept.extend_from_slice(bytes);
            }
            Sink::Forget => {}
            Sink::Show(show) => show(bytes),
        }
        if self.len >= self.next {
            (self.meanwhile)();
            self.next = self.len.saturating_add(STEP);
        }
        Ok(())
    }

    /// Lets a decoder write at most `most` bytes, and no more than may be kept, right into the
    /// memory in which they are kept; whether it could, and did. What it wrote before it failed
    /// is forgotten. It calls what it is given now and then.
    ///
    /// The room costs address space, and memory only where it is written to.
    pub(super) fn fill(
        &mut self,
        most: u64,
        decode: impl FnOnce(&mut Vec<u8>, Meanwhile<'_>) -> bool,
    ) -> bool {
        let Sink::Keep(kept) = &mut self.sink else {
            return false;
        };
        if !kept.is_empty() {
            return false;
        }
        let Some(()) = usize::try_from(most.min(self.cap))
            .ok()
            .and_then(|most| kept.try_reserve_exact(most).ok())
        else {
            return false;
        };
        if !decode(kept, self.meanwhile) || fields::len(kept) > self.cap {
            *kept = Vec::new();
            return false;
        }
        self.len = fields::len(kept);
        true
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
