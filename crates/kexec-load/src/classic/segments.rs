//! What `kexec_load(2)` is handed of a plan, without a copy of anything large.
//!
//! The call takes each segment as one run of bytes, and a segment of a plan may
//! have several pieces: initrds one behind the other, an ELF file with gaps. The
//! pieces are not joined; the segment is cut where pieces meet, in whole pages, so
//! that only the pages with an end of a piece in them are copied. Neighbouring
//! segments are the same to the kernel as one.

use std::borrow::Cow;

use kexec_plan::Piece;
use kexec_plan::classic::{SEGMENT_MAX, Segment};

/// A piece of fewer bytes is copied: one more segment would not be worth it.
const SMALL: u64 = 64 << 10;

/// A segment of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed<'a> {
    /// What is in it; zeros follow.
    pub bytes: Cow<'a, [u8]>,
    /// Where it goes: a whole page.
    pub mem: u64,
    /// Bytes in memory: whole pages.
    pub memsz: u64,
}

/// The segments of the call for those of a plan, at most 16 and ascending as
/// there; `page` is the size of the running kernel's pages.
///
/// With more pieces than there can be segments, the smaller ones are copied.
pub fn handed(segments: &[Segment], page: u64) -> Vec<Handed<'_>> {
    let mut small = SMALL;
    loop {
        let cut = |segment| cut(segment, page, small);
        let all: Vec<Handed<'_>> = segments.iter().flat_map(cut).collect();
        // With everything copied it is one for each segment of the plan.
        if all.len() <= SEGMENT_MAX.max(segments.len()) {
            return all;
        }
        small = small.saturating_mul(2);
    }
}

/// A run of a segment's content.
#[derive(Debug, Clone, Copy)]
enum ContentRun<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

impl ContentRun<'_> {
    fn len(&self) -> u64 {
        match self {
            ContentRun::Bytes(bytes) => len(bytes),
            ContentRun::Zeros(len) => *len,
        }
    }
}

/// Cuts one segment; runs of fewer than `small` bytes are copied.
fn cut(segment: &Segment, page: u64, small: u64) -> Vec<Handed<'_>> {
    let mut cutter = Cutter {
        start: segment.memory.start,
        page,
        done: 0,
        copied: Vec::new(),
        handed: Vec::new(),
    };
    let runs = runs(&segment.content);
    let last = runs.len().saturating_sub(1);
    for (i, run) in runs.into_iter().enumerate() {
        if run.len() < small {
            cutter.copy(run);
        } else {
            cutter.keep(run, i == last);
        }
    }
    cutter.flush(segment.memory.len());
    cutter.handed
}

/// The content as runs. The zeros behind the last byte are left out.
fn runs(content: &[Piece]) -> Vec<ContentRun<'_>> {
    let mut runs = Vec::new();
    for piece in content {
        let padding = u64::try_from(piece.padding).unwrap_or(u64::MAX);
        let both = [ContentRun::Bytes(&piece.bytes), ContentRun::Zeros(padding)];
        runs.extend(both.into_iter().filter(|run| run.len() > 0));
    }
    while let Some(ContentRun::Zeros(_)) = runs.last() {
        runs.pop();
    }
    runs
}

/// Walks over the runs of one segment. Offsets are from its start.
struct Cutter<'a> {
    start: u64,
    page: u64,
    /// What is handed so far ends here, at a whole page.
    done: u64,
    /// Bytes from there on.
    copied: Vec<u8>,
    handed: Vec<Handed<'a>>,
}

impl<'a> Cutter<'a> {
    /// Where the next run goes.
    fn at(&self) -> u64 {
        self.done.saturating_add(len(&self.copied))
    }

    fn copy(&mut self, run: ContentRun<'_>) {
        match run {
            ContentRun::Bytes(bytes) => self.copied.extend_from_slice(bytes),
            ContentRun::Zeros(len) => {
                let all = self.copied.len().saturating_add(size(len));
                self.copied.resize(all, 0);
            }
        }
    }

    /// Keeps the whole pages of a run as they are, and copies what is on the
    /// page of the run before it or behind it. Behind the `last` run is nothing.
    fn keep(&mut self, run: ContentRun<'a>, last: bool) {
        let lead = align_up(self.at(), self.page).saturating_sub(self.at());
        let whole = run.len().saturating_sub(lead);
        let whole = whole.saturating_sub(if last { 0 } else { whole % self.page });
        if run.len() < lead || whole == 0 {
            self.copy(run);
            return;
        }
        let (head, rest) = run.split(lead);
        self.copy(head);
        self.flush(self.at());
        let (pages, tail) = rest.split(whole);
        let memsz = align_up(whole, self.page);
        match pages {
            ContentRun::Bytes(bytes) => self.push(Cow::Borrowed(bytes), memsz),
            ContentRun::Zeros(_) => self.widen(memsz),
        }
        self.copy(tail);
    }

    /// Hands what was copied over, and zeros up to `end`.
    fn flush(&mut self, end: u64) {
        let memsz = end.saturating_sub(self.done);
        if self.copied.is_empty() {
            self.widen(memsz);
        } else {
            let copied = std::mem::take(&mut self.copied);
            self.push(Cow::Owned(copied), memsz);
        }
    }

    fn push(&mut self, bytes: Cow<'a, [u8]>, memsz: u64) {
        self.handed.push(Handed {
            bytes,
            mem: self.start.saturating_add(self.done),
            memsz,
        });
        self.done = self.done.saturating_add(memsz);
    }

    /// Zeros: they need no bytes.
    fn widen(&mut self, memsz: u64) {
        match self.handed.last_mut() {
            _ if memsz == 0 => {}
            Some(last) => {
                last.memsz = last.memsz.saturating_add(memsz);
                self.done = self.done.saturating_add(memsz);
            }
            None => self.push(Cow::Borrowed(&[]), memsz),
        }
    }
}

impl<'a> ContentRun<'a> {
    fn split(self, at: u64) -> (ContentRun<'a>, ContentRun<'a>) {
        match self {
            ContentRun::Bytes(bytes) => {
                let (head, tail) = bytes.split_at_checked(size(at)).unwrap_or((bytes, &[]));
                (ContentRun::Bytes(head), ContentRun::Bytes(tail))
            }
            ContentRun::Zeros(len) => {
                let head = len.min(at);
                (
                    ContentRun::Zeros(head),
                    ContentRun::Zeros(len.saturating_sub(head)),
                )
            }
        }
    }
}

fn align_up(value: u64, page: u64) -> u64 {
    value.checked_next_multiple_of(page).unwrap_or(u64::MAX)
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A length in memory; one that is too large for it fails where it is used.
fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kexec_plan::classic::SegmentKind;
    use kexec_plan::memory::Range;
    use proptest::prelude::*;

    /// Pages of the tests, so that they need little memory.
    const PAGE: u64 = 16;

    fn segment(start: u64, pieces: &[(usize, usize)]) -> Segment {
        let content: Vec<Piece> = pieces
            .iter()
            .zip(1_u8..)
            .map(|((len, padding), byte)| Piece {
                origin: String::new(),
                len: *len,
                padding: *padding,
                bytes: Bytes::from(vec![byte; *len]),
            })
            .collect();
        let filled: usize = pieces.iter().map(|(len, padding)| len + padding).sum();
        let end = start + align_up(u64::try_from(filled).unwrap() + 1, PAGE);
        Segment {
            name: "it".to_owned(),
            kind: SegmentKind::Initrd,
            memory: Range::new(start, end),
            content,
            check_len: 0,
            parts: Vec::new(),
        }
    }

    /// What memory holds in the end, as the kernel fills it.
    fn filled(handed: &[Handed<'_>]) -> Vec<u8> {
        let mut memory = Vec::new();
        for one in handed {
            let end = memory.len() + size(one.memsz);
            memory.extend_from_slice(&one.bytes);
            assert!(memory.len() <= end, "more bytes than memory");
            memory.resize(end, 0);
        }
        memory
    }

    fn copied(handed: &[Handed<'_>]) -> usize {
        let owned = handed.iter().filter(|h| matches!(h.bytes, Cow::Owned(_)));
        owned.map(|h| h.bytes.len()).sum()
    }

    #[test]
    fn one_piece_is_handed_as_it_is() {
        let one = segment(64, &[(100, 0)]);
        let handed = cut(&one, PAGE, 32);
        assert_eq!(handed.len(), 1);
        assert_eq!((handed[0].mem, handed[0].memsz), (64, one.memory.len()));
        assert_eq!(handed[0].bytes, Cow::Borrowed(&one.content[0].bytes[..]));
        assert_eq!(copied(&handed), 0);
    }

    #[test]
    fn only_the_page_where_two_pieces_meet_is_copied() {
        // 100 bytes and 4 of padding: the second begins in the middle of a page.
        let two = segment(0, &[(100, 4), (200, 0)]);
        let handed = cut(&two, PAGE, 32);
        let shape: Vec<(u64, u64, usize)> = handed
            .iter()
            .map(|h| (h.mem, h.memsz, h.bytes.len()))
            .collect();
        assert_eq!(shape, [(0, 96, 96), (96, 16, 16), (112, 208, 192)]);
        assert_eq!(copied(&handed), 16);
        assert_eq!(filled(&handed), two.padded());
    }

    #[test]
    fn a_gap_of_zeros_is_not_handed() {
        let gap = segment(0, &[(64, 1000), (64, 0)]);
        let handed = cut(&gap, PAGE, 32);
        assert_eq!(filled(&handed), gap.padded());
        let bytes: usize = handed.iter().map(|h| h.bytes.len()).sum();
        assert!(bytes <= 64 + 16 + 64, "{bytes}");
    }

    #[test]
    fn no_content_is_memory_without_bytes() {
        let none = segment(160, &[]);
        let handed = handed(std::slice::from_ref(&none), PAGE);
        assert_eq!(handed.len(), 1);
        assert_eq!((handed[0].mem, handed[0].memsz), (160, none.memory.len()));
        assert!(handed[0].bytes.is_empty());
    }

    #[test]
    fn never_more_segments_than_the_call_takes_and_the_largest_is_not_copied() {
        let small = size(SMALL);
        let mut pieces = vec![(small + 5, 3); 12];
        pieces.push((20 * small, 0));
        let many = [segment(0, &pieces), segment(1 << 40, &[(small, 0)])];
        let handed = handed(&many, PAGE);
        assert!(handed.len() <= SEGMENT_MAX, "{}", handed.len());
        assert!(copied(&handed) < 13 * (small + 8), "{}", copied(&handed));
        let kept = handed
            .iter()
            .filter(|h| matches!(h.bytes, Cow::Borrowed(_)));
        assert!(kept.map(|h| h.bytes.len()).max() >= Some(19 * small));
    }

    /// The oracle: the content as one run of bytes, and zeros behind it.
    trait Padded {
        fn padded(&self) -> Vec<u8>;
    }

    impl Padded for Segment {
        fn padded(&self) -> Vec<u8> {
            let mut all = self.bytes().to_vec();
            all.resize(size(self.memory.len()), 0);
            all
        }
    }

    proptest! {
        #[test]
        fn memory_holds_the_content(
            pieces in proptest::collection::vec((0..200_usize, 0..200_usize), 0..8),
            small in 0..100_u64,
        ) {
            let one = segment(4096, &pieces);
            let handed = cut(&one, PAGE, small);
            prop_assert_eq!(filled(&handed), one.padded());
            let mut at = one.memory.start;
            for part in &handed {
                prop_assert_eq!(part.mem, at);
                prop_assert!(part.memsz > 0 && part.memsz % PAGE == 0);
                at += part.memsz;
            }
            prop_assert_eq!(at, one.memory.end);
        }
    }
}
