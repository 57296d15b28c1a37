//! Physical memory cut into bands: who owns which range once the image is in
//! place. What the table and the picture both show.

use std::borrow::Cow;

use kexec_plan::LoadPlan;
use kexec_plan::memory::{MemoryKind, Range};

use super::words::{bytes, counted, visible};

/// Who owns a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A segment, by its index.
    Segment(usize),
    /// Something inside of RAM that is kept, by its name.
    Kept(&'a str),
    /// What the firmware calls anything but RAM.
    Firmware(MemoryKind),
    /// RAM where a segment could have gone.
    Free,
    /// RAM where no segment goes.
    Left,
    /// No memory: devices, or nothing.
    Nothing,
}

impl Owner<'_> {
    /// For people. A name that came from outside is made harmless.
    pub fn name(&self, plan: &LoadPlan) -> Cow<'static, str> {
        match self {
            Owner::Segment(index) => {
                let segment = plan.segments.get(*index);
                visible(segment.map_or("segment", |s| &s.name)).into()
            }
            Owner::Kept(name) => format!("{}, kept", visible(name)).into(),
            Owner::Firmware(MemoryKind::Other(code)) => format!("memory of type {code}").into(),
            Owner::Firmware(kind) => kind.name().into(),
            Owner::Free => "System RAM, free".into(),
            Owner::Left => "System RAM, left alone".into(),
            Owner::Nothing => "no memory".into(),
        }
    }
}

/// A range with one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band<'a> {
    /// Which addresses.
    pub range: Range,
    /// What they are used for.
    pub owner: Owner<'a>,
}

/// What is shown in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<'a> {
    /// A band.
    One(Band<'a>),
    /// Many small ones that do not matter one by one.
    Many {
        /// From the first to the last.
        range: Range,
        /// How many bands.
        count: usize,
        /// What they come to, for people: `System RAM 2.6 GiB, Reserved 1 MiB`.
        sums: String,
    },
}

/// Up to this many bands are shown one by one.
const FEW: usize = 40;
/// A longer map is summed up as little as it takes: first only what is less
/// than this part of memory, then more.
const PARTS: [u64; 5] = [4096, 512, 64, 16, 8];
/// This many owners are named in a sum.
const NAMED: usize = 4;

/// All of memory from 0 to the end of what is known, ascending, without holes
/// and with no two neighbours of the same owner.
pub fn bands(plan: &LoadPlan) -> Vec<Band<'_>> {
    let segments = plan.segments.iter().map(|s| s.memory);
    let kept = plan.destinations.kept.iter().map(|k| k.range);
    let map = plan.memory_map.iter().map(|e| e.range);
    let all = segments.chain(kept).chain(map);
    let all = all.chain(plan.destinations.free.iter());
    let mut edges: Vec<u64> = all.flat_map(|r| [r.start, r.end]).collect();
    edges.push(0);
    edges.sort_unstable();
    edges.dedup();
    let mut bands: Vec<Band<'_>> = Vec::new();
    for (start, end) in edges.iter().zip(edges.iter().skip(1)) {
        let owner = owner(plan, *start);
        match bands.last_mut() {
            Some(last) if last.owner == owner => last.range.end = *end,
            _ => bands.push(Band {
                range: Range::new(*start, *end),
                owner,
            }),
        }
    }
    bands
}

/// Who owns the byte at `at`. What is written there is named before what is
/// kept, and that before what the map says.
fn owner(plan: &LoadPlan, at: u64) -> Owner<'_> {
    let mut segments = plan.segments.iter();
    if let Some(index) = segments.position(|s| s.memory.contains(at)) {
        return Owner::Segment(index);
    }
    let kept = plan.destinations.kept.iter();
    // The innermost says most.
    let kept = kept.filter(|k| k.range.contains(at));
    if let Some(kept) = kept.min_by_key(|k| k.range.len()) {
        return Owner::Kept(&kept.name);
    }
    let kind = |e: &kexec_plan::memory::MapEntry| e.range.contains(at).then_some(e.kind);
    let kind = plan.memory_map.iter().find_map(kind);
    let free = plan.destinations.free.iter().any(|r| r.contains(at));
    match kind {
        Some(kind) if kind != MemoryKind::Ram => Owner::Firmware(kind),
        _ if free => Owner::Free,
        Some(_) => Owner::Left,
        None => Owner::Nothing,
    }
}

/// The bands with the small ones of long maps summed up. Segments, what is
/// next to them, and everything that is an eighth of memory or more always
/// stays, so that there are never more than some dozen rows.
pub fn rows(plan: &LoadPlan) -> Vec<Row<'_>> {
    let bands = bands(plan);
    if bands.len() <= FEW {
        return bands.into_iter().map(Row::One).collect();
    }
    let mut summed = Vec::new();
    for part in PARTS {
        summed = summed_up(plan, &bands, part);
        if summed.len() <= FEW {
            break;
        }
    }
    summed
}

/// The bands that are less than one `part`th of memory summed up.
fn summed_up<'a>(plan: &LoadPlan, bands: &[Band<'a>], part: u64) -> Vec<Row<'a>> {
    let memory = |b: &&Band<'_>| b.owner != Owner::Nothing;
    let lengths = bands.iter().filter(memory).map(|b| b.range.len());
    let total = lengths.fold(0, u64::saturating_add);
    let span = bands.last().map_or(0, |b| b.range.end);
    let segment = |at: usize| {
        let band = bands.get(at);
        band.is_some_and(|b| matches!(b.owner, Owner::Segment(_)))
    };
    let mut rows = Vec::new();
    let mut small = Vec::new();
    for (at, band) in bands.iter().enumerate() {
        // Of addresses without memory there may be any number.
        let whole = match band.owner {
            Owner::Nothing => span,
            _ => total,
        };
        let near = segment(at) || segment(at + 1) || at > 0 && segment(at - 1);
        if near || band.range.len() >= whole / part {
            close(plan, &mut rows, &mut small);
            rows.push(Row::One(*band));
        } else {
            small.push(*band);
        }
    }
    close(plan, &mut rows, &mut small);
    rows
}

/// Ends a run of small bands.
fn close<'a>(plan: &LoadPlan, rows: &mut Vec<Row<'a>>, small: &mut Vec<Band<'a>>) {
    let run = std::mem::take(small);
    match run.as_slice() {
        [] => {}
        [one] => rows.push(Row::One(*one)),
        [first, .., last] => rows.push(Row::Many {
            range: Range::new(first.range.start, last.range.end),
            count: run.len(),
            sums: sums(plan, &run),
        }),
    }
}

/// What bands come to, the largest owner first.
fn sums(plan: &LoadPlan, bands: &[Band<'_>]) -> String {
    let mut sums: Vec<(Owner<'_>, u64)> = Vec::new();
    for band in bands {
        match sums.iter_mut().find(|(owner, _)| *owner == band.owner) {
            Some((_, sum)) => *sum = sum.saturating_add(band.range.len()),
            None => sums.push((band.owner, band.range.len())),
        }
    }
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let named = sums.iter().take(NAMED);
    let mut words: Vec<String> = named
        .map(|(owner, sum)| format!("{} {}", owner.name(plan), bytes(*sum)))
        .collect();
    if let Some(more) = sums.len().checked_sub(NAMED).filter(|more| *more > 0) {
        words.push(counted(more, "other owner"));
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::plans::{Ask, map_names};
    use super::*;

    #[test]
    fn every_byte_has_one_owner() {
        for map in map_names() {
            let plan = Ask::new(&map).plan();
            let bands = bands(&plan);
            assert_eq!(bands.first().map(|b| b.range.start), Some(0));
            for (a, b) in bands.iter().zip(bands.iter().skip(1)) {
                assert_eq!(a.range.end, b.range.start, "{map}");
                assert_ne!(a.owner, b.owner, "{map}");
            }
            for (index, segment) in plan.segments.iter().enumerate() {
                let band = bands.iter().find(|b| b.owner == Owner::Segment(index));
                assert_eq!(band.map(|b| b.range), Some(segment.memory), "{map}");
            }
            let free = bands.iter().filter(|b| b.owner == Owner::Free);
            let free: u64 = free.map(|b| b.range.len()).sum();
            assert_eq!(free + plan.total, plan.destinations.free.total(), "{map}");
        }
    }

    #[test]
    fn rows_are_few_and_leave_nothing_out() {
        for map in map_names() {
            let plan = Ask::new(&map).plan();
            let rows = rows(&plan);
            assert!(rows.len() <= FEW + 8, "{map}: {}", rows.len());
            let mut at = 0;
            for row in &rows {
                let (Row::One(Band { range, .. }) | Row::Many { range, .. }) = row;
                assert_eq!(range.start, at, "{map}");
                at = range.end;
            }
            let shown = |index| {
                let mut ones = rows.iter();
                ones.any(|r| matches!(r, Row::One(b) if b.owner == Owner::Segment(index)))
            };
            assert!((0..plan.segments.len()).all(shown), "{map}");
        }
    }

    #[test]
    fn what_is_kept_is_named() {
        let plan = Ask::new("crashkernel").plan();
        let bands = bands(&plan);
        let kept = bands
            .iter()
            .filter(|b| b.owner == Owner::Kept("Crash kernel"));
        assert_eq!(kept.count(), 2);
        assert_eq!(Owner::Kept("a\x1b").name(&plan), "a\\x1b, kept");
    }
}
