//! makedumpfile's flattened format: a dump as it goes through a pipe, which cannot
//! seek. Each record has the place in the dump that its bytes belong to
//! (makedumpfile(8), option `-F`; the structures `makedumpfile_header` and
//! `makedumpfile_data_header` of its IMPLEMENTATION document). All numbers are
//! big-endian, whatever machine wrote them.

use std::collections::BTreeMap;
use std::io;

use crate::{Endian, Source, VmcoreError, Words};

/// How a file begins (`SIG_MAKEDUMPFILE`).
pub(crate) const SIGNATURE: &[u8] = b"makedumpfile\0\0\0\0";
/// Bytes of the header, of which only the first 32 say something
/// (`MAX_SIZE_MDF_HEADER`).
const HEADER: u64 = 4096;
/// `type` and `version` that are known (`TYPE_FLAT_HEADER`, `VERSION_FLAT_HEADER`).
const KNOWN: u64 = 1;
/// Bytes before the data of each record: `offset` and `buf_size`.
const RECORD: u64 = 16;
/// `offset` and `buf_size` of the record behind the last one (`END_FLAG_FLAT_HEADER`).
const END: u64 = u64::MAX;
/// No dump goes beyond this place. The signed offsets of the format would allow more.
const MAX_LEN: u64 = 1 << 56;
/// The most runs of records that are kept. Records that follow each other are one run.
const MAX_RUNS: usize = 1 << 22;

const BIG: Words = Words {
    endian: Endian::Big,
    long: 8,
};

/// Records of one size that follow each other in the dump and in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Where the data of the first one is in the file.
    at: u64,
    /// Bytes of data of each.
    size: u64,
    /// How many there are.
    count: u64,
}

impl Run {
    fn len(self) -> u64 {
        self.size.saturating_mul(self.count)
    }

    /// Where the byte of this number is in the file, and how many follow it there.
    fn byte(self, number: u64) -> Option<(u64, u64)> {
        let (record, inside) = (number.checked_div(self.size)?, number % self.size);
        let records = record.checked_mul(self.size.checked_add(RECORD)?)?;
        let at = self.at.checked_add(records)?.checked_add(inside)?;
        Some((at, self.size - inside))
    }
}

/// The dump that the records make together.
pub(crate) struct Flattened<'a> {
    source: Box<dyn Source + 'a>,
    /// By the place of their first byte in the dump; none is on another.
    runs: BTreeMap<u64, Run>,
    len: u64,
    /// Whether the record is there that marks the end.
    pub(crate) ended: bool,
}

impl<'a> Flattened<'a> {
    /// Reads the heads of all records.
    ///
    /// # Errors
    /// When the header or a record makes no sense, or cannot be read. A file that ends
    /// early is no error: the records before its end are there.
    pub(crate) fn open(source: Box<dyn Source + 'a>) -> Result<Flattened<'a>, VmcoreError> {
        let wrong = |what, at, found| VmcoreError::Headers { what, at, found };
        let mut header = [0_u8; 32];
        read(&*source, 0, &mut header)?;
        let field = |at| BIG.number(&header, at, 8).unwrap_or(0);
        if (field(16), field(24)) != (KNOWN, KNOWN) {
            let found = format!(
                "type {}, version {}, expected 1 and 1",
                field(16),
                field(24)
            );
            return Err(wrong("the header of the flattened dump", 16, found));
        }
        let mut dump = Flattened {
            source,
            runs: BTreeMap::new(),
            len: 0,
            ended: false,
        };
        let mut at = HEADER;
        let mut last = None;
        loop {
            let data = at.saturating_add(RECORD);
            if data > dump.source.len() {
                break;
            }
            let mut head = [0_u8; 16];
            read(&*dump.source, at, &mut head)?;
            let field = |at| BIG.number(&head, at, 8).unwrap_or(0);
            let (offset, size) = (field(0), field(8));
            if (offset, size) == (END, END) {
                dump.ended = true;
                break;
            }
            let end = offset.checked_add(size).filter(|end| *end <= MAX_LEN);
            let next = data.checked_add(size);
            let (Some(end), Some(next), true) = (end, next, size > 0) else {
                let found = format!("{size} bytes at byte {offset} of the dump");
                return Err(wrong("a record of the flattened dump", at, found));
            };
            // Of a record that is cut short, its first part is there.
            let there = size.min(dump.source.len() - data);
            dump.len = dump.len.max(end);
            last = dump.add(offset, data, there, last);
            if dump.runs.len() > MAX_RUNS {
                let found = format!("more than {MAX_RUNS} pieces that do not follow each other");
                return Err(wrong("the records of the flattened dump", at, found));
            }
            at = next;
        }
        Ok(dump)
    }

    /// Adds a record. A later one replaces what earlier ones had at its place. `last` is
    /// the key of the run that the record before went to; so is the answer.
    fn add(&mut self, offset: u64, at: u64, size: u64, last: Option<u64>) -> Option<u64> {
        if size == 0 {
            return last;
        }
        let end = offset.saturating_add(size);
        let free = self
            .runs
            .range(..end)
            .next_back()
            .is_none_or(|(start, run)| start.saturating_add(run.len()) <= offset);
        if free
            && let Some(start) = last
            && let Some(run) = self.runs.get_mut(&start)
            && run.size == size
            && start.saturating_add(run.len()) == offset
            && run.byte(run.len()).is_some_and(|(next, _)| next == at)
        {
            run.count += 1;
            return last;
        }
        if !free {
            self.clear(offset, end);
        }
        let count = 1;
        self.runs.insert(offset, Run { at, size, count });
        Some(offset)
    }

    /// Forgets what is between two places of the dump.
    fn clear(&mut self, from: u64, to: u64) {
        let mut on_it = Vec::new();
        for (start, run) in self.runs.range(..to).rev() {
            if start.saturating_add(run.len()) <= from {
                break;
            }
            on_it.push((*start, *run));
        }
        for (start, run) in on_it {
            self.runs.remove(&start);
            self.keep(start, run, start, from);
            self.keep(start, run, to, start.saturating_add(run.len()));
        }
    }

    /// Keeps what a run has between two places of the dump: the end of one record, whole
    /// records, the beginning of one.
    fn keep(&mut self, start: u64, run: Run, from: u64, to: u64) {
        let mut from = from;
        while from < to {
            let inside = from.saturating_sub(start);
            let Some((at, there)) = run.byte(inside) else {
                return;
            };
            let whole = (to - from) / run.size;
            let part = if there == run.size && whole > 0 {
                let count = whole;
                Run { at, count, ..run }
            } else {
                let size = there.min(to - from);
                Run { at, size, count: 1 }
            };
            self.runs.insert(from, part);
            from = from.saturating_add(part.len());
        }
    }

    /// The run that a place of the dump is in, or else how far it is to the next.
    fn holds(&self, offset: u64) -> Result<(u64, u64), u64> {
        if let Some((start, run)) = self.runs.range(..=offset).next_back()
            && let Some(inside) = offset.checked_sub(*start)
            && inside < run.len()
            && let Some(found) = run.byte(inside)
        {
            return Ok(found);
        }
        let next = self.runs.range(offset..).next();
        Err(next.map_or(self.len, |(start, _)| *start).max(offset) - offset)
    }
}

fn read(source: &dyn Source, at: u64, buffer: &mut [u8]) -> Result<(), VmcoreError> {
    let wanted = buffer.len();
    let failed = |source| VmcoreError::Read { at, wanted, source };
    source.read_exact_at(at, buffer).map_err(failed)
}

impl Source for Flattened<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn next_data(&self, offset: u64) -> u64 {
        match self.holds(offset) {
            Ok(_) => offset,
            Err(gap) => offset.saturating_add(gap),
        }
    }

    /// What no record has is zeros, as it is in the file that `makedumpfile -R` makes.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let found = self.holds(at);
            let (Ok((_, there)) | Err(there)) = found;
            let part = usize::try_from(there).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(part);
            match found {
                Ok((at, _)) => self.source.read_exact_at(at, now)?,
                Err(_) if part == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) => now.fill(0),
            }
            at = at.saturating_add(u64::try_from(part).unwrap_or(0));
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flattened;
    use proptest::prelude::*;

    fn opened(bytes: Vec<u8>) -> Result<Flattened<'static>, VmcoreError> {
        Flattened::open(Box::new(bytes))
    }

    fn whole(dump: &Flattened<'_>) -> Vec<u8> {
        let mut out = vec![0xaa; usize::try_from(dump.len()).expect("small")];
        dump.read_exact_at(0, &mut out).expect("all of it");
        out
    }

    proptest! {
        /// As if each record were written to a file in its turn.
        #[test]
        fn later_records_are_written_over_earlier_ones(
            records in proptest::collection::vec((0_u64..60, 1_usize..9), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut wanted: Vec<u8> = Vec::new();
            let mut parts = Vec::new();
            for (number, (offset, size)) in records.into_iter().enumerate() {
                let bytes = vec![u8::try_from(number + 1).expect("small"); size];
                let at = usize::try_from(offset).expect("small");
                wanted.resize(wanted.len().max(at + size), 0);
                wanted[at..at + size].copy_from_slice(&bytes);
                parts.push((offset, bytes));
            }
            let file = flattened(&parts, true);
            let dump = opened(file.clone()).expect("good");
            prop_assert!(dump.ended);
            prop_assert_eq!(whole(&dump), wanted);
            let _ = opened(file[..cut.index(file.len())].to_vec()).map(|dump| whole(&dump));
        }
    }

    #[test]
    fn records_in_their_order_are_one_run() {
        let parts: Vec<_> = (0..1000_u64)
            .map(|n| (n * 64, vec![n.to_le_bytes()[0]; 64]))
            .collect();
        let dump = opened(flattened(&parts, true)).expect("good");
        assert_eq!((dump.runs.len(), dump.len()), (1, 64_000));
        // The header is written once more at the end, as makedumpfile does.
        let again = [parts, vec![(32, vec![9; 64])]].concat();
        let dump = opened(flattened(&again, true)).expect("good");
        assert_eq!(dump.runs.len(), 4);
        assert_eq!(whole(&dump)[30..34], [0, 0, 9, 9]);
        assert_eq!(whole(&dump)[94..98], [9, 9, 1, 1]);
    }

    #[test]
    fn gaps_are_zeros_and_known() {
        let dump = opened(flattened(&[(100, b"x".to_vec())], false)).expect("good");
        assert!(!dump.ended);
        assert_eq!((dump.next_data(0), dump.next_data(100)), (100, 100));
        assert_eq!(whole(&dump)[99..], *b"\0x");
        assert!(dump.read_exact_at(100, &mut [0; 2]).is_err());
    }

    #[test]
    fn what_cannot_be() {
        let said = |bytes: Vec<u8>| opened(bytes).err().map(|error| error.to_string());
        let mut other = flattened(&[], true);
        other[31] = 2;
        assert!(said(other).is_some_and(|said| said.contains("version 2, expected 1 and 1")));
        for (offset, size) in [(0_u64, 0_u64), (1 << 56, 1), (u64::MAX, 1), (0, u64::MAX)] {
            let mut bytes = flattened(&[], false);
            bytes.extend(offset.to_be_bytes());
            bytes.extend(size.to_be_bytes());
            let said = said(bytes);
            assert!(said.is_some_and(|said| said.contains("a record of the flattened dump")));
        }
        assert!(said(SIGNATURE.to_vec()).is_some());
    }
}
