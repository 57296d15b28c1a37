//! The pieces of memory in an ELF file, by one kind of their addresses.

use std::cell::Cell;

/// What is at an address, and how many bytes from it on are of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// In the file, at this place.
    File { offset: u64, len: u64 },
    /// The machine had it, and it was left out.
    Excluded { len: u64 },
    /// Nothing.
    Missing { len: u64 },
}

/// A piece in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its address.
    pub(crate) start: u64,
    /// How many bytes of it are in the file.
    pub(crate) len: u64,
    /// Where they are in the file.
    pub(crate) offset: u64,
    /// How many bytes the machine had.
    pub(crate) whole: u64,
}

/// Pieces in the order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// None on another.
    file: Vec<Piece>,
    /// Parts that were left out: first address and last.
    left_out: Vec<(u64, u64)>,
    /// The piece that was found last: the next one is the same, nearly always.
    last: Cell<usize>,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<Piece>) -> Pieces {
        let left_out = pieces.iter().filter_map(|piece| {
            let more = piece
                .whole
                .checked_sub(piece.len)
                .filter(|more| *more > 0)?;
            let first = piece.start.checked_add(piece.len)?;
            Some((first, first.saturating_add(more - 1)))
        });
        let mut left_out: Vec<(u64, u64)> = left_out.collect();
        left_out.sort_unstable();
        let mut end = None;
        // Of two on each other the part that the first does not have.
        left_out.retain_mut(|(first, last)| {
            if let Some(end) = end.filter(|end| *end >= *first) {
                if end >= *last {
                    return false;
                }
                // Cannot overflow: it is less than last.
                *first = end + 1;
            }
            end = Some(*last);
            true
        });
        let file = apart(pieces.into_iter().filter(|piece| piece.len > 0).collect());
        Pieces {
            file,
            left_out,
            last: Cell::new(0),
        }
    }

    /// Every piece in the file.
    pub(crate) fn in_file(&self) -> &[Piece] {
        &self.file
    }

    /// How many bytes were left out.
    pub(crate) fn excluded(&self) -> u64 {
        let sizes = self.left_out.iter().map(|(first, last)| last - first);
        sizes.fold(0, |sum, size| sum.saturating_add(size).saturating_add(1))
    }

    pub(crate) fn find(&self, address: u64) -> Found {
        if let Some(piece) = self.holds(address) {
            let inside = address - piece.start;
            let len = piece.len - inside;
            return match piece.offset.checked_add(inside) {
                Some(offset) => Found::File { offset, len },
                None => Found::Missing { len },
            };
        }
        let behind = self.file.partition_point(|piece| piece.start <= address);
        let next = self.file.get(behind).map(|piece| piece.start);
        let before = |last: u64| next.map_or(last, |next| last.min(next - 1));
        let behind = self
            .left_out
            .partition_point(|(first, _)| *first <= address);
        let left_out = behind.checked_sub(1).and_then(|at| self.left_out.get(at));
        if let Some((_, last)) = left_out.filter(|(_, last)| *last >= address) {
            let len = (before(*last) - address).saturating_add(1);
            return Found::Excluded { len };
        }
        let next_left_out = self.left_out.get(behind).map(|(first, _)| *first);
        let next = next.into_iter().chain(next_left_out).min();
        let len = next.unwrap_or(u64::MAX) - address;
        Found::Missing { len }
    }

    /// The piece of the file that an address is in.
    fn holds(&self, address: u64) -> Option<Piece> {
        let inside = |piece: &&Piece| {
            address
                .checked_sub(piece.start)
                .is_some_and(|inside| inside < piece.len)
        };
        if let Some(piece) = self.file.get(self.last.get()).filter(inside) {
            return Some(*piece);
        }
        // The last one that does not begin behind the address.
        let behind = self.file.partition_point(|piece| piece.start <= address);
        let found = behind.checked_sub(1)?;
        self.file.get(found).filter(inside)?;
        self.last.set(found);
        self.file.get(found).copied()
    }
}

/// The pieces in the order of their addresses. Where two have the same address, the
/// one that begins first keeps it: in a dump that is not spoilt both are the same
/// memory.
fn apart(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| piece.start);
    let mut end = 0_u128;
    pieces.retain_mut(|piece| {
        let (start, stop) = (
            u128::from(piece.start),
            u128::from(piece.start) + u128::from(piece.len),
        );
        let Ok(cut) = u64::try_from(end.saturating_sub(start)) else {
            return false;
        };
        if cut >= piece.len {
            return false;
        }
        let Some(offset) = piece.offset.checked_add(cut) else {
            return false;
        };
        // Cannot overflow: cut is less than len, and end is at most 2^64 here.
        piece.start = piece.start.saturating_add(cut);
        piece.offset = offset;
        piece.len -= cut;
        end = stop;
        true
    });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_lies_behind_what_is_there() {
        let piece = |start, len, whole| Piece {
            start,
            len,
            offset: start + 0x10_0000,
            whole,
        };
        let pieces = Pieces::new(vec![
            piece(0x1000, 0x1000, 0x3000),
            piece(0x2000, 0, 0x1800),
            piece(0x3800, 0x800, 0x800),
            piece(0x9000, 0, 0x1000),
        ]);
        let file = |offset, len| Found::File { offset, len };
        assert_eq!(pieces.find(0x1800), file(0x10_1800, 0x800));
        assert_eq!(pieces.find(0x2400), Found::Excluded { len: 0x1400 });
        assert_eq!(pieces.find(0x3800), file(0x10_3800, 0x800));
        assert_eq!(pieces.find(0x4000), Found::Missing { len: 0x5000 });
        assert_eq!(pieces.find(0x9ff0), Found::Excluded { len: 0x10 });
        assert_eq!(
            pieces.find(0xa000),
            Found::Missing {
                len: u64::MAX - 0xa000
            }
        );
        assert_eq!(pieces.excluded(), 0x3000);
    }
}
