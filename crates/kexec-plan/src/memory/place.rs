//! The search for a place.
//!
//! While the running kernel makes room for the image it may be handed a page that
//! is itself a destination. Such a page has to be set aside, or changed places
//! with another, and for that the kernel walks all the pages that it has so far or
//! all that it set aside: the time grows with the square of the image. What is to
//! be avoided is therefore memory that the kernel is about to hand out
//! ([`super::MemoryFacts::free`]); the place that has least of it is taken.
//! Memory that is in use is best, such as what the files were read into.
//!
//! Among equal places it is the highest address that fits, so that low memory
//! stays free for the next kernel's own needs.

use serde::{Deserialize, Serialize};

use super::range::{align_down, align_up};
use super::{Range, RangeSet};

/// Which end of memory is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// The highest addresses.
    #[default]
    Highest,
    /// The lowest addresses.
    Lowest,
}

/// What is to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceRequest<'a> {
    /// Its name, for the error.
    pub what: &'a str,
    /// How many bytes it needs.
    pub size: u64,
    /// A power of two.
    pub align: u64,
    /// It lies in here.
    pub within: Range,
    /// Which end is tried first.
    pub search: Search,
}

/// Nothing fits, with the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// What was to be placed.
    pub what: String,
    /// How many bytes it needs.
    pub size: u64,
    /// At a multiple of this.
    pub align: u64,
    /// Where it had to lie.
    pub within: Range,
    /// The largest hole there was, once aligned.
    pub largest: u64,
    /// How much is free there altogether.
    pub free: u64,
}

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NoRoom {
            what,
            size,
            align,
            within,
            largest,
            free,
        } = self;
        write!(
            f,
            "no place for {what}: {size} bytes ({size:#x}) at a multiple of {align:#x} within {within}; \
             the largest hole there has {largest} bytes, {free} bytes are free in all"
        )
    }
}

/// Free memory, and what was taken of it.
#[derive(Debug, Clone)]
pub struct Placer {
    free: RangeSet,
    /// Ranges that are chosen last, each with the bytes of those below it.
    avoid: Vec<(Range, u64)>,
}

impl Placer {
    /// Places are taken from `free`, those outside of `avoid` first.
    pub fn new(free: RangeSet, avoid: &RangeSet) -> Placer {
        let mut sum = 0_u64;
        let common = avoid.intersect(&free);
        let counted = common.iter().map(|r| {
            let below = sum;
            sum = sum.saturating_add(r.len());
            (r, below)
        });
        let avoid = counted.collect();
        Placer { free, avoid }
    }

    /// What is still free.
    pub fn free(&self) -> &RangeSet {
        &self.free
    }

    /// Takes exactly `range`.
    ///
    /// # Errors
    /// When not all of it is free.
    pub fn take(&mut self, what: &str, range: Range) -> Result<(), NoRoom> {
        if !self.free.covers(range) {
            let request = PlaceRequest {
                what,
                size: range.len(),
                align: 1,
                within: range,
                search: Search::Lowest,
            };
            return Err(self.no_room(&request));
        }
        self.free.remove(range);
        Ok(())
    }

    /// Finds a place and takes it.
    ///
    /// # Errors
    /// When nothing fits.
    pub fn place(&mut self, request: &PlaceRequest<'_>) -> Result<Range, NoRoom> {
        let starts = self.best(request);
        let range = starts.and_then(|start| Range::sized(start, request.size));
        let range = range.ok_or_else(|| self.no_room(request))?;
        self.free.remove(range);
        Ok(range)
    }

    fn best(&self, request: &PlaceRequest<'_>) -> Option<u64> {
        let spans = self.free.iter().filter_map(|hole| span(hole, request));
        if self.avoid.is_empty() {
            return match request.search {
                Search::Highest => spans.map(|(_, last)| last).max(),
                Search::Lowest => spans.map(|(first, _)| first).min(),
            };
        }
        let mut best: Option<(u64, u64)> = None;
        for (first, last) in spans {
            for start in self.candidates(first, last, request) {
                let cost = self.avoided(Range::new(start, start.saturating_add(request.size)));
                let better = best.is_none_or(|(least, at)| {
                    cost < least
                        || (cost == least
                            && match request.search {
                                Search::Highest => start > at,
                                Search::Lowest => start < at,
                            })
                });
                if better {
                    best = Some((cost, start));
                }
            }
        }
        best.map(|(_, start)| start)
    }

    /// Starts between `first` and `last` that are worth a look: the overlap
    /// with a set of ranges, seen as a function of the start, has its least
    /// values at the ends of the span or where an end of the piece meets an
    /// end of a range.
    fn candidates(&self, first: u64, last: u64, request: &PlaceRequest<'_>) -> Vec<u64> {
        let reach = Range::new(first, last.saturating_add(request.size));
        let from = self.avoid.partition_point(|(r, _)| r.end <= reach.start);
        let to = self.avoid.partition_point(|(r, _)| r.start < reach.end);
        let mut starts = vec![first, last];
        for (range, _) in self.avoid.get(from..to).unwrap_or_default() {
            let behind = range.end;
            let before = range.start.saturating_sub(request.size);
            let ends = range.end.saturating_sub(request.size);
            for at in [behind, before, ends, range.start] {
                starts.push(align_down(at, request.align));
                starts.extend(align_up(at, request.align));
            }
        }
        starts.retain(|start| (first..=last).contains(start));
        starts
    }

    /// How many bytes of `range` are to be avoided.
    pub fn avoided(&self, range: Range) -> u64 {
        self.avoided_below(range.end)
            .saturating_sub(self.avoided_below(range.start))
    }

    fn avoided_below(&self, address: u64) -> u64 {
        let at = self.avoid.partition_point(|(r, _)| r.start < address);
        let Some((range, below)) = at.checked_sub(1).and_then(|i| self.avoid.get(i)) else {
            return 0;
        };
        let part = address.min(range.end).saturating_sub(range.start);
        below.saturating_add(part)
    }

    fn no_room(&self, request: &PlaceRequest<'_>) -> NoRoom {
        let here = self.free.intersect(&request.within.into());
        let aligned = here.iter().map(|r| {
            let start = align_up(r.start, request.align).unwrap_or(r.end);
            r.end.saturating_sub(start)
        });
        NoRoom {
            what: request.what.to_owned(),
            size: request.size,
            align: request.align,
            within: request.within,
            largest: aligned.max().unwrap_or(0),
            free: here.total(),
        }
    }
}

/// The lowest and the highest start in `hole`.
fn span(hole: Range, request: &PlaceRequest<'_>) -> Option<(u64, u64)> {
    let hole = hole.intersect(request.within)?;
    let first = align_up(hole.start, request.align)?;
    let last = align_down(hole.end.checked_sub(request.size)?, request.align);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|(a, b)| Range::new(*a, *b)).collect()
    }

    fn request(size: u64, align: u64, search: Search) -> PlaceRequest<'static> {
        PlaceRequest {
            what: "it",
            size,
            align,
            within: Range::new(0, u64::MAX),
            search,
        }
    }

    #[test]
    fn highest_and_lowest() {
        let mut p = Placer::new(set(&[(16, 100), (200, 300)]), &RangeSet::new());
        assert_eq!(
            p.place(&request(32, 16, Search::Highest)),
            Ok(Range::new(256, 288))
        );
        assert_eq!(
            p.place(&request(32, 32, Search::Lowest)),
            Ok(Range::new(32, 64))
        );
        assert_eq!(
            p.free(),
            &set(&[(16, 32), (64, 100), (200, 256), (288, 300)])
        );
    }

    #[test]
    fn refused_with_numbers() {
        let mut p = Placer::new(set(&[(10, 100), (200, 250)]), &RangeSet::new());
        let error = p.place(&request(90, 16, Search::Highest)).unwrap_err();
        assert_eq!((error.size, error.largest, error.free), (90, 84, 140));
        let text = error.to_string();
        assert!(
            text.contains("90 bytes") && text.contains("84 bytes"),
            "{text}"
        );
        assert_eq!(p.take("x", Range::new(90, 110)).unwrap_err().largest, 10);
        assert_eq!(p.take("x", Range::new(90, 100)), Ok(()));
    }

    #[test]
    fn what_is_to_be_avoided_comes_last() {
        let free = set(&[(0, 1000)]);
        let mut p = Placer::new(free.clone(), &set(&[(500, 1000)]));
        assert_eq!(
            p.place(&request(100, 4, Search::Highest)),
            Ok(Range::new(400, 500))
        );
        let mut p = Placer::new(free, &set(&[(0, 300), (400, 1000)]));
        // It cannot be avoided altogether: 100 bytes of it at least.
        let place = p.place(&request(200, 4, Search::Highest)).unwrap();
        assert_eq!(place, Range::new(300, 500));
    }

    proptest! {
        #[test]
        fn finds_the_best_place(
            free in proptest::collection::vec((0..300_u64, 0..300_u64), 0..6),
            avoid in proptest::collection::vec((0..300_u64, 0..300_u64), 0..6),
            size in 1..80_u64, shift in 0..5_u32, low in any::<bool>(), min in 0..100_u64, max in 100..300_u64,
        ) {
            let to_set = |v: Vec<(u64, u64)>| -> RangeSet { v.into_iter().map(|(a, b)| Range::new(a, b)).collect() };
            let (free, avoid) = (to_set(free), to_set(avoid));
            let request = PlaceRequest {
                what: "it", size, align: 1 << shift, within: Range::new(min, max),
                search: if low { Search::Lowest } else { Search::Highest },
            };
            let cost = |start: u64| avoid.intersect(&Range::new(start, start + size).into()).total();
            let fits: Vec<u64> = (0..300).filter(|start| {
                let r = Range::new(*start, start + size);
                start % request.align == 0 && request.within.covers(r) && free.covers(r)
            }).collect();
            let least = fits.iter().map(|s| cost(*s)).min();
            let mut equal = fits.iter().copied().filter(|s| Some(cost(*s)) == least);
            let expected = if low { equal.next() } else { equal.next_back() };
            let mut placer = Placer::new(free.clone(), &avoid);
            match placer.place(&request) {
                Ok(range) => {
                    prop_assert_eq!(Some(cost(range.start)), least);
                    prop_assert_eq!(Some(range.start), expected);
                    prop_assert_eq!(placer.free().total(), free.total() - size);
                }
                Err(error) => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(error.largest < size);
                }
            }
        }
    }
}
