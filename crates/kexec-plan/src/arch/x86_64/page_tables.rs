//! Page tables that map memory one to one.

use super::layout::{LARGE_PAGE, PAGE};
use crate::memory::{Range, RangeSet};

/// Bytes that one page of entries maps, from the lowest level on (Intel SDM
/// volume 3, 5.5 "4-Level Paging and 5-Level Paging"): 512 pages of 2 MiB, and 512
/// times as much on each level above.
pub(super) const GIB: u64 = 512 * LARGE_PAGE;
/// Entries of a page.
const ENTRIES: u64 = 512;
/// Present and writable.
const TABLE: u64 = 0b11;
/// The same, and a large page.
const LEAF: u64 = 0b1000_0011;

/// How many levels the tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Levels {
    /// 48 bits of address.
    Four,
    /// 57 bits of address (CR4.LA57).
    Five,
}

/// Tables in large pages for all of `mapped`, to lie at `base`, where the highest one
/// is; a page of them for each GiB of memory, and some.
pub(super) fn one_to_one(base: u64, mapped: &RangeSet, levels: Levels) -> Vec<u8> {
    let above = match levels {
        Levels::Four => 2,
        Levels::Five => 3,
    };
    let mut tables = Tables {
        first: base,
        pages: Vec::new(),
    };
    tables.table(0, GIB.saturating_mul(ENTRIES.saturating_pow(above)), mapped);
    let entries = tables.pages.iter().flatten();
    entries.flat_map(|entry| entry.to_le_bytes()).collect()
}

/// Pages of tables, at `first` and behind it.
struct Tables {
    first: u64,
    pages: Vec<Vec<u64>>,
}

impl Tables {
    /// A table for `span` bytes from `from` on, with what of `mapped` lies there
    /// and everything below it. Gives its address.
    fn table(&mut self, from: u64, span: u64, mapped: &RangeSet) -> u64 {
        let index = self.pages.len();
        self.pages.push(Vec::new());
        let step = span.checked_div(ENTRIES).unwrap_or(span);
        let mut entries = Vec::new();
        for number in 0..ENTRIES {
            let start = from.saturating_add(step.saturating_mul(number));
            let part = Range::new(start, start.saturating_add(step));
            entries.push(match mapped.overlaps(part) {
                false => 0,
                true if step <= LARGE_PAGE => start | LEAF,
                true => self.table(start, step, mapped) | TABLE,
            });
        }
        if let Some(page) = self.pages.get_mut(index) {
            *page = entries;
        }
        let offset = u64::try_from(index).unwrap_or(0).saturating_mul(PAGE);
        self.first.saturating_add(offset)
    }
}
