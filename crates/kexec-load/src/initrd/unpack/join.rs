//! Putting the parts of an initrd together again, some of them unpacked.

use bytes::Bytes;
use kexec_plan::Piece;
use kexec_plan::file::INITRD_ALIGN;
use kexec_plan::unpack::cost::PartForm;

use super::split::{Found, Part};

/// Zeros behind lz4's legacy frame: the block of size 0 that ends it.
const LZ4_END: usize = 4;

/// An initrd that is put together.
pub(super) struct Joined<'a> {
    /// What it was before.
    before: &'a [Piece],
    pieces: Vec<Piece>,
    /// Its length so far.
    len: usize,
    /// Zeros that have to stand before whatever follows.
    owed: usize,
    /// What was added last is a rest: nothing behind it is moved.
    in_rest: bool,
    /// The piece of `before`, and the byte in it, with which the last piece goes on; if
    /// that piece begins where it did before, modulo four.
    goes_on: Option<(usize, usize)>,
}

impl<'a> Joined<'a> {
    pub(super) fn new(before: &'a [Piece]) -> Joined<'a> {
        Joined {
            before,
            pieces: Vec::new(),
            len: 0,
            owed: 0,
            in_rest: false,
            goes_on: None,
        }
    }

    fn origin(&self, part: &Part) -> String {
        let piece = self.before.get(part.piece);
        piece.map_or_else(String::new, |piece| piece.origin.clone())
    }

    /// Adds a part in the form that was chosen.
    pub(super) fn add(&mut self, part: &Part) {
        let origin = self.origin(part);
        match &part.found {
            Found::Packed(packed) if packed.form != PartForm::Packed => {
                let lz4 = packed.form == PartForm::Lz4;
                let how = match lz4 {
                    true => format!("{}, packed again as lz4", packed.codec),
                    false => format!("unpacked from {}", packed.codec),
                };
                self.push(format!("{origin} ({how})"), packed.content.clone());
                self.owed = if lz4 { LZ4_END } else { 0 };
                self.goes_on = None;
            }
            _ => self.keep(part, origin),
        }
    }

    /// Adds a part as it is.
    fn keep(&mut self, part: &Part, origin: String) {
        let before = self.before.get(part.piece);
        let end = part.at.saturating_add(part.bytes.len());
        let goes_on = self.goes_on == Some((part.piece, part.at));
        match (self.pieces.last_mut(), before) {
            (Some(last), Some(before)) if goes_on => {
                let begin = part.at.saturating_sub(last.len);
                last.bytes = before.bytes.slice(begin..end);
                last.len = last.bytes.len();
                self.len = self.len.saturating_add(part.bytes.len());
            }
            _ => {
                // Zeros were there for what is in front of them, or so that this is found.
                let zeros = match part.found {
                    Found::Raw { .. } if !self.pieces.is_empty() => {
                        part.bytes.iter().take_while(|b| **b == 0).count()
                    }
                    _ => 0,
                };
                let bytes = part.bytes.slice(zeros..);
                if bytes.is_empty() {
                    self.goes_on = None;
                    return;
                }
                let whole = before.is_some_and(|before| before.len == bytes.len());
                let origin = match whole {
                    true => origin,
                    false => format!("{origin}, bytes {} to {end}", part.at.saturating_add(zeros)),
                };
                self.push(origin, bytes);
                let aligned = part
                    .at_all
                    .saturating_add(zeros)
                    .is_multiple_of(INITRD_ALIGN);
                self.goes_on = aligned.then_some((part.piece, part.at));
            }
        }
        self.in_rest = part.is_rest();
        self.owed = 0;
        if let Some((piece, _)) = self.goes_on {
            self.goes_on = Some((piece, end));
        }
        if part.ends_piece {
            self.owed = before.map_or(0, |before| before.padding);
            self.goes_on = None;
        }
    }

    /// Adds these bytes where kernels look for an archive.
    fn push(&mut self, origin: String, bytes: Bytes) {
        let in_rest = self.in_rest;
        self.pad(|at| in_rest || at.is_multiple_of(INITRD_ALIGN));
        self.len = self.len.saturating_add(bytes.len());
        self.pieces.push(Piece {
            origin,
            len: bytes.len(),
            padding: 0,
            bytes,
        });
    }

    /// Adds zeros up to the first place that is right, behind those that are owed.
    fn pad(&mut self, is_right: impl Fn(usize) -> bool) {
        let Some(last) = self.pieces.last_mut() else {
            return;
        };
        let mut padding = std::mem::take(&mut self.owed);
        // One of four places is right.
        for _ in 0..INITRD_ALIGN {
            if !is_right(self.len.saturating_add(padding)) {
                padding = padding.saturating_add(1);
            }
        }
        last.padding = padding;
        self.len = self.len.saturating_add(padding);
    }

    /// The whole, with the boot configuration at its very end.
    pub(super) fn finish(mut self, config: Option<Bytes>) -> Vec<Piece> {
        let Some(config) = config else {
            return self.pieces;
        };
        let whole = self.before.iter().fold(0_usize, |sum, piece| {
            sum.saturating_add(piece.len).saturating_add(piece.padding)
        });
        let begin = whole.saturating_sub(config.len());
        self.pad(|at| at % INITRD_ALIGN == begin % INITRD_ALIGN);
        let origin = self.before.last().map_or("", |piece| piece.origin.as_str());
        self.pieces.push(Piece {
            origin: format!("{origin}, boot configuration"),
            len: config.len(),
            padding: 0,
            bytes: config,
        });
        self.pieces
    }
}
