//! Pages of a dump: which descriptor each has, and its bytes.

use super::{Kdump, read};
use crate::VmcoreError;

/// Bytes of a descriptor (`page_desc`): `offset`, `size`, `flags`, `page_flags`.
pub(super) const DESC: u64 = 24;
/// Pages whose bits are counted together: those of 4096 bytes of bitmap.
const TOGETHER: u64 = 1 << 15;
/// Pages that are kept.
const KEPT: usize = 16;

/// How many pages before each group of [`TOGETHER`] are in the dump: a page's descriptor
/// is as far behind the first as there are pages before it.
pub(super) struct Ranks {
    /// The first page whose descriptor is there.
    start: u64,
    /// By group, from the one that `start` is in; no more than were needed so far.
    before: Vec<u64>,
    /// The bits that were looked at last, and where they are in the file.
    bits: Vec<u8>,
    at: u64,
}

impl Ranks {
    pub(super) fn new(start: u64) -> Ranks {
        Ranks {
            start,
            before: vec![0],
            bits: Vec::new(),
            at: 0,
        }
    }
}

/// Pages that were read last.
#[derive(Default)]
pub(super) struct Pages {
    kept: [Option<(u64, Vec<u8>)>; KEPT],
}

/// The first page that is not counted together with this one.
pub(super) fn next_group(page: u64) -> u64 {
    (page / TOGETHER + 1) * TOGETHER
}

/// How many bits are set among those of some pages: from `from` to `to`, counted from the
/// first bit of `bits`.
fn count(bits: &[u8], from: u64, to: u64) -> u64 {
    let mut sum = 0;
    let bytes = usize::try_from(from / 8).unwrap_or(usize::MAX);
    for (number, byte) in (from / 8..).zip(bits.iter().skip(bytes)) {
        let first = number * 8;
        if first >= to {
            break;
        }
        let mut byte = u32::from(*byte);
        byte &= 0xff << from.saturating_sub(first).min(8);
        byte &= 0xff_u32 >> (8 - (to - first).min(8));
        sum += u64::from((byte & 0xff).count_ones());
    }
    sum
}

impl Kdump<'_> {
    /// The bit of a page in a bitmap: of each byte the lowest one comes first.
    pub(super) fn bit(&self, bitmap: u64, page: u64) -> Result<bool, VmcoreError> {
        let byte = self.with_bits(bitmap, page, |bits| {
            let inside = usize::try_from(page % TOGETHER / 8).unwrap_or(usize::MAX);
            bits.get(inside).copied().unwrap_or(0)
        })?;
        Ok(byte >> (page % 8) & 1 == 1)
    }

    /// The first page from this one on, of those that are counted together with it, whose
    /// bit is set in a bitmap.
    pub(super) fn first_in_group(
        &self,
        bitmap: u64,
        page: u64,
    ) -> Result<Option<u64>, VmcoreError> {
        self.with_bits(bitmap, page, |bits| {
            let from = page % TOGETHER;
            let skip = usize::try_from(from / 8).unwrap_or(usize::MAX);
            let bytes = (from / 8..).zip(bits.iter().skip(skip));
            let set = |(number, byte): (u64, &u8)| {
                let before = from.saturating_sub(number * 8).min(8);
                let byte = (u32::from(*byte) & (0xff << before)) & 0xff;
                (byte != 0).then(|| number * 8 + u64::from(byte.trailing_zeros()))
            };
            let found = bytes.filter_map(set).next()?;
            Some(page - from + found)
        })
    }

    /// Looks at the bits of the group that a page is in.
    fn with_bits<T>(
        &self,
        bitmap: u64,
        page: u64,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, VmcoreError> {
        let at = bitmap + page / TOGETHER * (TOGETHER / 8);
        let mut ranks = self.ranks.borrow_mut();
        if ranks.bits.is_empty() || ranks.at != at {
            // The bitmaps end where the descriptors begin.
            let len = (TOGETHER / 8).min(self.descs.saturating_sub(at));
            let mut bits = vec![0; usize::try_from(len).unwrap_or(0)];
            if self.source.next_data(at) < at.saturating_add(len) {
                read(&*self.source, at, &mut bits)?;
            }
            ranks.bits = bits;
            ranks.at = at;
        }
        Ok(look(&ranks.bits))
    }

    /// How many pages before this one have a descriptor.
    fn rank(&self, page: u64) -> Result<u64, VmcoreError> {
        let start = self.ranks.borrow().start;
        let first = start / TOGETHER;
        let group = page / TOGETHER;
        let from = |group: u64| match group == first {
            true => start % TOGETHER,
            false => 0,
        };
        let wanted = usize::try_from(group - first).unwrap_or(usize::MAX);
        loop {
            let (known, last) = {
                let ranks = self.ranks.borrow();
                let last = ranks.before.last().copied().unwrap_or(0);
                (ranks.before.len(), last)
            };
            if known > wanted {
                break;
            }
            let group = first + u64::try_from(known - 1).unwrap_or(0);
            let (begin, end) = (from(group), TOGETHER);
            let page = group * TOGETHER;
            let more = self.with_bits(self.bitmap2, page, |bits| count(bits, begin, end))?;
            self.ranks.borrow_mut().before.push(last + more);
        }
        let before = self.ranks.borrow().before.get(wanted).copied().unwrap_or(0);
        let (begin, end) = (from(group), page % TOGETHER);
        let more = self.with_bits(self.bitmap2, page, |bits| count(bits, begin, end))?;
        Ok(before + more)
    }

    /// Copies from a page that is in the dump, from the byte `inside` of it on; `what` is
    /// for the error.
    ///
    /// # Errors
    /// When the page's descriptor or its data cannot be true or are not in the file.
    pub(crate) fn copy(
        &self,
        what: &'static str,
        page: u64,
        inside: u64,
        buffer: &mut [u8],
    ) -> Result<(), VmcoreError> {
        let slot = usize::try_from(page).unwrap_or(0) % KEPT;
        let kept = |pages: &Pages, buffer: &mut [u8]| {
            let (number, bytes) = pages.kept.get(slot)?.as_ref()?;
            let inside = usize::try_from(inside).ok()?;
            let found = bytes.get(inside..inside.checked_add(buffer.len())?)?;
            (*number == page).then(|| buffer.copy_from_slice(found))
        };
        if kept(&self.pages.borrow(), buffer).is_some() {
            return Ok(());
        }
        let bytes = self.page(what, page)?;
        let mut pages = self.pages.borrow_mut();
        if let Some(slot) = pages.kept.get_mut(slot) {
            *slot = Some((page, bytes));
        }
        let found = kept(&pages, buffer);
        found.ok_or_else(|| self.damaged(what, page, "ends before it".to_owned()))
    }

    fn damaged(&self, what: &'static str, page: u64, found: String) -> VmcoreError {
        let paddr = page.saturating_mul(self.block);
        VmcoreError::Page { what, paddr, found }
    }

    /// The bytes of a page that is in the dump.
    fn page(&self, what: &'static str, page: u64) -> Result<Vec<u8>, VmcoreError> {
        let number = self.rank(page)?;
        let at = number.checked_mul(DESC);
        let at = at.and_then(|at| self.descs.checked_add(at));
        let len = self.source.len();
        let cut = |at| VmcoreError::CutShort { what, at, len };
        let at = at.ok_or_else(|| cut(u64::MAX))?;
        let there = |at: u64, size: u64| at.checked_add(size).is_some_and(|end| end <= len);
        if !there(at, DESC) {
            return Err(cut(at));
        }
        let mut desc = [0_u8; 24];
        read(&*self.source, at, &mut desc)?;
        let field = |at, size| self.words.number(&desc, at, size).unwrap_or(0);
        let (offset, size, flags) = (field(0, 8), field(8, 4), field(12, 4));
        // A dump whose target was full has descriptors that were never written.
        if offset == 0 || size == 0 {
            let found = "was not written: the dump is incomplete".to_owned();
            return Err(self.damaged(what, page, found));
        }
        if size > self.block {
            let found = format!("has {size} bytes, expected at most {}", self.block);
            return Err(self.damaged(what, page, found));
        }
        if !there(offset, size) {
            return Err(cut(offset));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        read(&*self.source, offset, &mut bytes)?;
        let mut out = vec![0; usize::try_from(self.block).unwrap_or(0)];
        match super::codec::decompress(flags, &bytes, &mut out) {
            Ok(()) => Ok(out),
            Err(found) => Err(self.damaged(what, page, found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::count;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_counted(bits in proptest::collection::vec(any::<u8>(), 0..9), a in 0_u64..80, b in 0_u64..80) {
            let set = |page: &u64| {
                let byte = bits.get(usize::try_from(page / 8).unwrap_or(0));
                byte.is_some_and(|byte| byte >> (page % 8) & 1 == 1)
            };
            let wanted = (a..b).filter(set).count();
            prop_assert_eq!(count(&bits, a, b), u64::try_from(wanted).unwrap_or(0));
        }
    }
}
