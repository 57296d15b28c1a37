//! Dumps of real machines, cut down to what the reader of the log touches: small enough to
//! be kept with the tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

use crate::log::{self, Part};
use crate::{Memory, Source, VmcoreError};

/// Bytes that are kept together.
const PAGE: u64 = 4096;
/// The search for VMCOREINFO reads more than this at once, and is not needed again: it
/// passes over holes.
const SEARCH: usize = 1 << 17;
/// No such file is larger, unpacked.
const MAX: usize = 64 << 20;

/// A dump with holes, as a file with holes is one: zeros are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SparseDump {
    len: u64,
    /// Where each piece begins.
    pieces: BTreeMap<u64, Vec<u8>>,
}

/// What remembers the pages that were read.
struct Recorder<'a> {
    source: &'a dyn Source,
    pages: RefCell<BTreeSet<u64>>,
}

impl Source for Recorder<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() < SEARCH {
            let end = offset.saturating_add(buffer.len() as u64);
            self.pages
                .borrow_mut()
                .extend(offset / PAGE..end.div_ceil(PAGE));
        }
        self.source.read_exact_at(offset, buffer)
    }
}

impl SparseDump {
    /// The parts of a dump from which its log is read.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn cut(dump: &dyn Source) -> Result<SparseDump, VmcoreError> {
        let recorder = Recorder {
            source: dump,
            pages: RefCell::default(),
        };
        let memory = Memory::open(&recorder)?;
        log::read(&memory, Part::All, &mut |_| ControlFlow::Continue(()))?;
        let mut pieces: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let len = dump.len();
        for page in recorder.pages.borrow().iter() {
            let at = page * PAGE;
            let there = len.saturating_sub(at).min(PAGE);
            let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
            let failed = |source| VmcoreError::Read {
                at,
                wanted: usize::try_from(there).unwrap_or(0),
                source,
            };
            dump.read_exact_at(at, &mut bytes).map_err(failed)?;
            match pieces.iter_mut().next_back() {
                Some((start, piece)) if start + piece.len() as u64 == at => piece.extend(bytes),
                _ => drop(pieces.insert(at, bytes)),
            }
        }
        Ok(SparseDump { len, pieces })
    }

    /// As a file: the length of the dump, then each piece with its place and its length, in
    /// numbers of 8 bytes; compressed with zstd.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn pack(&self) -> io::Result<Vec<u8>> {
        let mut out = self.len.to_le_bytes().to_vec();
        for (at, bytes) in &self.pieces {
            out.extend(at.to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(bytes);
        }
        zstd::bulk::compress(&out, 19)
    }

    /// From such a file.
    ///
    /// # Errors
    /// When it is none.
    pub fn unpack(file: &[u8]) -> io::Result<SparseDump> {
        let bytes = zstd::bulk::decompress(file, MAX)?;
        let mut rest = bytes.as_slice();
        let number = |rest: &mut &[u8]| -> io::Result<u64> {
            let (first, more) = rest
                .split_first_chunk::<8>()
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            *rest = more;
            Ok(u64::from_le_bytes(*first))
        };
        let mut out = SparseDump {
            len: number(&mut rest)?,
            pieces: BTreeMap::new(),
        };
        while !rest.is_empty() {
            let at = number(&mut rest)?;
            let len = usize::try_from(number(&mut rest)?).unwrap_or(usize::MAX);
            let (piece, more) = rest
                .split_at_checked(len)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            out.pieces.insert(at, piece.to_vec());
            rest = more;
        }
        Ok(out)
    }
}

impl Source for SparseDump {
    fn len(&self) -> u64 {
        self.len
    }

    fn next_data(&self, offset: u64) -> u64 {
        let before = self.pieces.range(..=offset).next_back();
        if before.is_some_and(|(at, bytes)| offset - at < bytes.len() as u64) {
            return offset;
        }
        let next = self.pieces.range(offset..).next();
        next.map_or(self.len, |(at, _)| *at)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        let end = end.filter(|end| *end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.fill(0);
        for (at, bytes) in self.pieces.range(..end) {
            let from = offset.max(*at);
            let to = end.min(at + bytes.len() as u64);
            if from >= to {
                continue;
            }
            let index = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(0);
            buffer[index(from, offset)..index(to, offset)]
                .copy_from_slice(&bytes[index(from, *at)..index(to, *at)]);
        }
        Ok(())
    }
}
