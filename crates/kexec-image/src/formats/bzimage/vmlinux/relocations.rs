//! The table of addresses that change when the kernel is moved.
//!
//! It stands behind the kernel's ELF file and consists of 32-bit words
//! (arch/x86/boot/compressed, where the kernel's build appends it and its decompressor
//! reads it from the end): a 0, the places of 64-bit addresses; a 0, the places of 32-bit
//! numbers that get smaller by as much, before Linux 6.15 (the distances to per-CPU
//! variables); a 0, the places of 32-bit addresses. A place is the virtual address for
//! which it is linked, cut to 32 bits. Each list is in ascending order.

use std::ops::Range;

use super::{Segment, fields, malformed, offset_in_file, physical, word};
use crate::ImageError;

/// Bytes of a word.
const WORD: usize = 4;

/// What is done to a number of the kernel when it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The distance is added to 64 bits.
    Add64,
    /// The distance is taken off 32 bits.
    Subtract32,
    /// The distance is added to 32 bits.
    Add32,
}

impl Change {
    /// Bytes of the number.
    fn width(self) -> u64 {
        match self {
            Change::Add64 => 8,
            Change::Subtract32 | Change::Add32 => 4,
        }
    }

    /// Changes the number at `at`.
    fn apply(self, bytes: &mut [u8], at: usize, delta: u64) {
        let (short, _) = fields::halves(delta);
        match self {
            Change::Add64 => {
                let old = fields::u64_at(bytes, at).unwrap_or(0);
                fields::put(bytes, at, &old.wrapping_add(delta).to_le_bytes());
            }
            Change::Subtract32 => {
                let new = word(bytes, at).wrapping_sub(short);
                fields::put(bytes, at, &new.to_le_bytes());
            }
            Change::Add32 => {
                let new = word(bytes, at).wrapping_add(short);
                fields::put(bytes, at, &new.to_le_bytes());
            }
        }
    }
}

/// The table, checked. Ranges are bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relocations {
    /// 64-bit addresses: the distance is added.
    add_64: Range<usize>,
    /// 32-bit numbers from which the distance is taken off.
    subtract_32: Range<usize>,
    /// 32-bit addresses: the distance is added.
    add_32: Range<usize>,
}

impl Relocations {
    /// Reads the table that begins at byte `start`; `None` where the file ends there.
    ///
    /// # Errors
    /// When it has another form than is known, or an entry that is not an address in one
    /// of `segments`.
    pub(super) fn parse(
        bytes: &[u8],
        start: u64,
        segments: &[Segment],
    ) -> Result<Option<Relocations>, ImageError> {
        let from = usize::try_from(start).unwrap_or(usize::MAX);
        let table = bytes.get(from..).unwrap_or_default();
        if table.is_empty() {
            return Ok(None);
        }
        let wrong =
            |found: String, expected| malformed("the relocation table", start, found, expected);
        if table.len() % WORD != 0 {
            let found = format!("{} bytes long", table.len());
            return Err(wrong(found, "a multiple of 4"));
        }
        if word(table, 0) != 0 {
            return Err(wrong(format!("{:#x} at its start", word(table, 0)), "0"));
        }
        let words = || (0..table.len()).step_by(WORD);
        let zeros: Vec<usize> = words().filter(|at| word(table, *at) == 0).take(4).collect();
        // A list ends where the next 0 is, or the table.
        let list = |n: usize| {
            let begin = zeros
                .get(n)
                .map_or(table.len(), |at| at.saturating_add(WORD));
            let end = zeros
                .get(n.saturating_add(1))
                .copied()
                .unwrap_or(table.len());
            from.saturating_add(begin)..from.saturating_add(end)
        };
        let relocations = match zeros.len() {
            2 => Relocations {
                add_64: list(0),
                subtract_32: 0..0,
                add_32: list(1),
            },
            3 => Relocations {
                add_64: list(0),
                subtract_32: list(1),
                add_32: list(2),
            },
            n => return Err(wrong(format!("{n} lists"), "2 or 3")),
        };
        relocations.check(bytes, segments)?;
        Ok(Some(relocations))
    }

    /// How many places there are.
    pub(super) fn count(&self) -> usize {
        self.lists().iter().map(|(list, _)| list.len() / WORD).sum()
    }

    fn lists(&self) -> [(&Range<usize>, Change); 3] {
        [
            (&self.add_64, Change::Add64),
            (&self.subtract_32, Change::Subtract32),
            (&self.add_32, Change::Add32),
        ]
    }

    fn check(&self, bytes: &[u8], segments: &[Segment]) -> Result<(), ImageError> {
        for (list, change) in self.lists() {
            let mut free = 0;
            for at in list.clone().step_by(WORD) {
                let address = physical(word(bytes, at));
                let wrong = |expected: &str| {
                    let what = "an entry of the relocation table";
                    let found = format!("the place {address:#x} in memory");
                    malformed(what, fields::len_u64(at), found, expected)
                };
                if offset_in_file(segments, address, change.width()).is_none() {
                    return Err(wrong("a place in a segment's bytes"));
                }
                if address < free {
                    return Err(wrong("a place behind that of the entry before"));
                }
                free = address.saturating_add(change.width());
            }
        }
        Ok(())
    }

    /// Moves the kernel by `delta` bytes.
    pub(super) fn apply(&self, bytes: &mut [u8], segments: &[Segment], delta: u64) {
        for (list, change) in self.lists() {
            for at in list.clone().step_by(WORD) {
                let address = physical(word(bytes, at));
                if let Some(place) = offset_in_file(segments, address, change.width()) {
                    change.apply(bytes, place, delta);
                }
            }
        }
    }
}
