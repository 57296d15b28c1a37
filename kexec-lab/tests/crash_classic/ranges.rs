//! Ranges of memory, as the guests show them.

use anyhow::{Context, Result};
use kexec_lab::Stage;

/// Ranges by their first address and the one behind the last.
pub type Ranges = Vec<(u64, u64)>;

/// Ranges of /proc/iomem with this name, or that begins so.
pub fn named(iomem: &str, name: &str) -> Result<Ranges> {
    let mut found = Vec::new();
    for line in iomem.lines() {
        let (range, kind) = line.trim().split_once(" : ").context("a line of iomem")?;
        if kind != name && !kind.starts_with(&format!("{name} (")) {
            continue;
        }
        let (start, last) = range.split_once('-').context("a range")?;
        let number = |text| u64::from_str_radix(text, 16);
        found.push((number(start)?, number(last)? + 1));
    }
    Ok(found)
}

/// The ranges of `crashkernel=SIZE,cma`; none on kernels that do not know it.
pub fn cma(one: &Stage) -> Result<Ranges> {
    let shown = one.run("cma")?;
    let mut ranges = Vec::new();
    for line in shown.out().lines() {
        let (start, last) = line.split_once('-').context("a range")?;
        let number = |text| u64::from_str_radix(text, 16);
        ranges.push((number(start)?, number(last)? + 1));
    }
    Ok(ranges)
}

/// `all` without what is in `out`, joined where they touch.
pub fn without(all: &Ranges, out: &Ranges) -> Ranges {
    let mut left: Ranges = all.clone();
    for (start, end) in out {
        left = left
            .iter()
            .flat_map(|(a, b)| [(*a, (*b).min(*start)), ((*a).max(*end), *b)])
            .filter(|(a, b)| a < b)
            .collect();
    }
    joined(left)
}

pub fn joined(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut joined: Ranges = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
