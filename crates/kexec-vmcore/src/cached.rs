//! Small reads out of a few pages that are kept: a log is read a few bytes at a
//! time, from three places at once, and each read of a file is a system call.

use std::cell::RefCell;
use std::io;

use crate::Source;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Pages that are kept.
const PAGES: usize = 8;
/// Reads of more bytes than this go by.
const SMALL: usize = 512;

/// A source whose last pages are kept.
pub(crate) struct Cached<'a> {
    source: Box<dyn Source + 'a>,
    pages: RefCell<[Page; PAGES]>,
}

/// A page, and where it was.
#[derive(Default)]
struct Page {
    at: u64,
    bytes: Vec<u8>,
}

impl<'a> Cached<'a> {
    pub(crate) fn new(source: Box<dyn Source + 'a>) -> Cached<'a> {
        Cached {
            source,
            pages: RefCell::default(),
        }
    }

    /// Whether the buffer was filled. A page that cannot be read as a whole is none.
    fn filled(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = u64::try_from(done).ok().and_then(|d| offset.checked_add(d)) else {
                return false;
            };
            let start = at - at % PAGE;
            let mut pages = self.pages.borrow_mut();
            let slot = usize::try_from(start / PAGE).unwrap_or(0) % PAGES;
            let Some(page) = pages.get_mut(slot) else {
                return false;
            };
            if page.bytes.is_empty() || page.at != start {
                let there = self.source.len().saturating_sub(start).min(PAGE);
                let mut bytes = vec![0_u8; usize::try_from(there).unwrap_or(0)];
                if self.source.read_exact_at(start, &mut bytes).is_err() {
                    return false;
                }
                *page = Page { at: start, bytes };
            }
            let inside = usize::try_from(at - start).unwrap_or(usize::MAX);
            let found = page.bytes.get(inside..).unwrap_or_default();
            let part = found.len().min(rest.len());
            match (rest.get_mut(..part), found.get(..part)) {
                (Some(rest), Some(found)) if part > 0 => rest.copy_from_slice(found),
                _ => return false,
            }
            done += part;
        }
        true
    }
}

impl Source for Cached<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn next_data(&self, offset: u64) -> u64 {
        self.source.next_data(offset)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if (1..=SMALL).contains(&buffer.len()) && self.filled(offset, buffer) {
            return Ok(());
        }
        self.source.read_exact_at(offset, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_answers_as_the_source_does(
            len in 0_usize..40_000,
            reads in proptest::collection::vec((0_u64..41_000, 0_usize..700), 1..40),
        ) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect();
            let cached = Cached::new(Box::new(&bytes));
            for (at, size) in reads {
                let (mut ours, mut theirs) = (vec![0; size], vec![0; size]);
                let answer = cached.read_exact_at(at, &mut ours).is_ok();
                prop_assert_eq!(answer, bytes.read_exact_at(at, &mut theirs).is_ok());
                if answer {
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }
}
