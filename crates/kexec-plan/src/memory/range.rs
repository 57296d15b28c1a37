//! Ranges of physical memory, `end` exclusive, and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A run of physical addresses: `start` is in it, `end` is not.
///
/// The last byte of the address space cannot be named; nothing is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
}

impl Range {
    /// `start..end`; empty when `end` is not above `start`.
    pub const fn new(start: u64, end: u64) -> Range {
        let end = if end < start { start } else { end };
        Range { start, end }
    }

    /// `len` bytes from `start` on; `None` when they go beyond the end of the
    /// address space.
    pub fn sized(start: u64, len: u64) -> Option<Range> {
        Some(Range::new(start, start.checked_add(len)?))
    }

    /// How many bytes.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `address` is in it.
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether all of `other` is in it.
    pub const fn covers(&self, other: Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What is in both, unless that is nothing.
    pub fn intersect(&self, other: Range) -> Option<Range> {
        let both = Range::new(self.start.max(other.start), self.end.min(other.end));
        (!both.is_empty()).then_some(both)
    }

    /// Whether they share a byte.
    pub fn overlaps(&self, other: Range) -> bool {
        self.intersect(other).is_some()
    }

    /// The whole units of `align` bytes (a power of two) that are in it.
    pub fn aligned_inward(&self, align: u64) -> Range {
        match align_up(self.start, align) {
            Some(start) => Range::new(start, align_down(self.end, align)),
            None => Range::new(self.end, self.end),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The next multiple of `align` (a power of two; 0 counts as 1), if there is
/// one.
pub const fn align_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.saturating_sub(1);
    match value.checked_add(mask) {
        Some(sum) => Some(sum & !mask),
        None => None,
    }
}

/// The last multiple of `align` (a power of two; 0 counts as 1).
pub const fn align_down(value: u64, align: u64) -> u64 {
    value & !align.saturating_sub(1)
}

/// A set of addresses: ranges in ascending order, none empty, none touching
/// another.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// A set without an address in it.
    pub const fn new() -> RangeSet {
        RangeSet(Vec::new())
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range> + ExactSizeIterator {
        self.0.iter().copied()
    }

    /// How many ranges.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes.
    pub fn total(&self) -> u64 {
        self.iter().fold(0, |sum, r| sum.saturating_add(r.len()))
    }

    /// The length of the largest range.
    pub fn largest(&self) -> u64 {
        self.iter().map(|r| r.len()).max().unwrap_or(0)
    }

    /// Adds the addresses of `range`.
    pub fn insert(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        // Everything that overlaps or touches it becomes one.
        let from = self.0.partition_point(|r| r.end < range.start);
        let to = self.0.partition_point(|r| r.start <= range.end);
        let touching = self.0.get(from..to).unwrap_or_default();
        let start = touching
            .first()
            .map_or(range.start, |r| r.start.min(range.start));
        let end = touching.last().map_or(range.end, |r| r.end.max(range.end));
        self.0.splice(from..to, [Range::new(start, end)]);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end <= range.start);
        let to = self.0.partition_point(|r| r.start < range.end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let left = touched.first().map(|r| Range::new(r.start, range.start));
        let right = touched.last().map(|r| Range::new(range.end, r.end));
        let kept: Vec<Range> = [left, right]
            .into_iter()
            .flatten()
            .filter(|r| !r.is_empty())
            .collect();
        self.0.splice(from..to, kept);
    }

    /// What is in both.
    #[must_use]
    pub fn intersect(&self, other: &RangeSet) -> RangeSet {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        let mut both = Vec::new();
        while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
            both.extend(x.intersect(y));
            // The one that ends first cannot meet anything further.
            if x.end <= y.end {
                a.next();
            } else {
                b.next();
            }
        }
        RangeSet(both)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(&self, other: &RangeSet) -> RangeSet {
        self.intersect(&other.holes(Range::new(0, u64::MAX)))
    }

    /// What of `within` is not in this set.
    #[must_use]
    pub fn holes(&self, within: Range) -> RangeSet {
        let mut holes = Vec::new();
        let mut at = within.start;
        for range in self.iter().filter(|r| r.overlaps(within)) {
            let hole = Range::new(at, range.start);
            holes.extend((!hole.is_empty()).then_some(hole));
            at = range.end;
        }
        let last = Range::new(at.max(within.start), within.end);
        holes.extend((!last.is_empty()).then_some(last));
        RangeSet(holes)
    }

    /// Whether all of `range` is in it.
    pub fn covers(&self, range: Range) -> bool {
        let at = self.0.partition_point(|r| r.end <= range.start);
        range.is_empty() || self.0.get(at).is_some_and(|r| r.covers(range))
    }

    /// Whether any of `range` is in it.
    pub fn overlaps(&self, range: Range) -> bool {
        let at = self.0.partition_point(|r| r.end <= range.start);
        self.0.get(at).is_some_and(|r| r.overlaps(range))
    }

    /// The whole units of `align` bytes (a power of two) of each range.
    #[must_use]
    pub fn aligned_inward(&self, align: u64) -> RangeSet {
        self.iter().map(|r| r.aligned_inward(align)).collect()
    }
}

impl FromIterator<Range> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> RangeSet {
        let mut sorted: Vec<Range> = ranges.into_iter().filter(|r| !r.is_empty()).collect();
        sorted.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        RangeSet(merged)
    }
}

impl From<Range> for RangeSet {
    fn from(range: Range) -> RangeSet {
        [range].into_iter().collect()
    }
}

impl fmt::Debug for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|(a, b)| Range::new(*a, *b)).collect()
    }

    #[test]
    fn insert_joins_what_touches() {
        let mut s = set(&[(10, 20), (30, 40)]);
        s.insert(Range::new(20, 30));
        assert_eq!(s, set(&[(10, 40)]));
        s.insert(Range::new(5, 5));
        s.insert(Range::new(0, 9));
        assert_eq!(s, set(&[(0, 9), (10, 40)]));
        s.insert(Range::new(9, 10));
        assert_eq!(s, set(&[(0, 40)]));
    }

    #[test]
    fn remove_splits() {
        let mut s = set(&[(10, 20), (30, 40)]);
        s.remove(Range::new(15, 16));
        assert_eq!(s, set(&[(10, 15), (16, 20), (30, 40)]));
        s.remove(Range::new(0, 35));
        assert_eq!(s, set(&[(35, 40)]));
        s.remove(Range::new(50, 60));
        s.remove(Range::new(0, u64::MAX));
        assert!(s.is_empty());
    }

    #[test]
    fn alignment_at_the_end_of_the_address_space() {
        assert_eq!(align_up(u64::MAX, 4096), None);
        assert!(
            Range::new(u64::MAX - 5, u64::MAX)
                .aligned_inward(4096)
                .is_empty()
        );
        assert_eq!(
            Range::new(1, 8191).aligned_inward(4096),
            Range::new(4096, 4096)
        );
        assert_eq!(Range::sized(u64::MAX, 2), None);
        assert_eq!((align_up(5, 0), align_down(5, 0)), (Some(5), 5));
    }

    /// The same sets as bits.
    fn bits(s: &RangeSet) -> u64 {
        (0..64)
            .filter(|b| s.iter().any(|r| r.contains(*b)))
            .fold(0, |m, b| m | 1 << b)
    }

    fn small() -> impl Strategy<Value = Vec<Range>> {
        proptest::collection::vec((0..60_u64, 0..60_u64), 0..10)
            .prop_map(|v| v.into_iter().map(|(a, b)| Range::new(a, b)).collect())
    }

    proptest! {
        #[test]
        fn sets_behave_like_bits(a in small(), b in small(), one in (0..60_u64, 0..60_u64)) {
            let (x, y): (RangeSet, RangeSet) = (a.iter().copied().collect(), b.into_iter().collect());
            let one = Range::new(one.0, one.1);
            let mut one_by_one = RangeSet::new();
            a.into_iter().for_each(|r| one_by_one.insert(r));
            prop_assert_eq!(&one_by_one, &x);
            prop_assert_eq!(bits(&x.intersect(&y)), bits(&x) & bits(&y));
            prop_assert_eq!(bits(&x.without(&y)), bits(&x) & !bits(&y));
            let whole = Range::new(0, 64);
            prop_assert_eq!(bits(&x.holes(whole)), !bits(&x));
            let mask = bits(&one.into());
            prop_assert_eq!(x.covers(one), bits(&x) & mask == mask);
            prop_assert_eq!(x.overlaps(one), bits(&x) & mask != 0);
            let mut less = x.clone();
            less.remove(one);
            prop_assert_eq!(bits(&less), bits(&x) & !mask);
            for s in [&x, &less] {
                prop_assert!(s.0.windows(2).all(|w| w[0].end < w[1].start));
                prop_assert!(s.iter().all(|r| !r.is_empty()));
            }
        }
    }
}
