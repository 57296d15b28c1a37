//! `loaded-core-header`: for the lab's guests. Writes the ELF core header of the crash
//! kernel that is loaded, whoever made it, to standard output.
//!
//! It is somewhere at the start of a page of the memory that is reserved for crash kernels,
//! which /proc/kcore shows.

use anyhow::{Context, Result, ensure};
use kexec_image::fields::{u16_at, u32_at, u64_at};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

const PAGE: usize = 4096;
/// So much is looked through at a time.
const STEP: usize = 1 << 20;

fn main() -> Result<()> {
    let (start, end) = region()?;
    let core = File::open("/proc/kcore").context("opening /proc/kcore")?;
    let offset = offset_of(&core, start)?;
    let mut bytes = vec![0; STEP];
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
        let part = bytes.get_mut(..len).context("a part")?;
        let from = offset.saturating_add(at - start);
        core.read_exact_at(part, from)
            .with_context(|| format!("reading {at:#x} of /proc/kcore"))?;
        let pages = part.chunks(PAGE).position(is_core_header);
        if let Some(page) = pages {
            let from = from.saturating_add(u64::try_from(page.saturating_mul(PAGE))?);
            return write(&core, from);
        }
        at = at.saturating_add(u64::try_from(len)?);
    }
    anyhow::bail!("no ELF core header from {start:#x} to {end:#x}")
}

/// An ELF file of type `ET_CORE`.
fn is_core_header(page: &[u8]) -> bool {
    page.starts_with(b"\x7fELF") && u16_at(page, 16) == Some(4)
}

/// The header and its entries.
fn write(core: &File, from: u64) -> Result<()> {
    let mut head = [0; 64];
    core.read_exact_at(&mut head, from)?;
    let wide = head.get(4) == Some(&2);
    let (size, count) = if wide { (54, 56) } else { (42, 44) };
    let field = |at| u16_at(&head, at).map(usize::from).context("a field");
    let entries = field(size)?.saturating_mul(field(count)?);
    let mut all = vec![0; entries.saturating_add(if wide { 64 } else { 52 })];
    core.read_exact_at(&mut all, from)?;
    std::io::stdout().write_all(&all)?;
    Ok(())
}

/// The highest part of the memory that is reserved for crash kernels.
fn region() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/iomem").context("reading /proc/iomem")?;
    let regions = text.lines().filter_map(|line| {
        let (range, name) = line.trim().split_once(" : ")?;
        let (start, last) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        (name == "Crash kernel").then(|| Some((number(start)?, number(last)?.saturating_add(1))))?
    });
    regions.max().context("no memory is reserved")
}

/// Where the bytes of this physical address are in the file.
fn offset_of(core: &File, physical: u64) -> Result<u64> {
    let mut head = vec![0; 64];
    core.read_exact_at(&mut head, 0)?;
    let count = usize::from(u16_at(&head, 56).context("e_phnum")?);
    head.resize(64 + count * 56, 0);
    core.read_exact_at(&mut head, 0)?;
    let found = head
        .get(64..)
        .unwrap_or_default()
        .chunks(56)
        .find_map(|entry| {
            let field = |at| u64_at(entry, at);
            let (offset, paddr, memsz) = (field(8)?, field(24)?, field(40)?);
            let inside = physical.checked_sub(paddr).filter(|at| *at < memsz)?;
            // The kernel's own entry may cover the same memory; it ends early.
            (u32_at(entry, 0) == Some(1) && paddr != u64::MAX)
                .then_some(offset.saturating_add(inside))
        });
    let found = found.with_context(|| format!("/proc/kcore does not show {physical:#x}"))?;
    ensure!(found > 0, "an offset of 0");
    Ok(found)
}
