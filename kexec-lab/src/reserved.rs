//! For programs in a guest: the memory that is reserved for crash kernels, as /proc/kcore
//! shows it.

use anyhow::{Context, Result, ensure};
use kexec_image::fields::{u16_at, u32_at, u64_at};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// So much is looked through at a time.
const STEP: usize = 1 << 20;

/// The highest part of the memory that is reserved for crash kernels, which is the one that
/// has the image.
#[derive(Debug)]
pub struct ReservedMemory {
    core: File,
    /// Its first address.
    start: u64,
    /// The address behind its last.
    end: u64,
    /// Where its first byte is in /proc/kcore.
    offset: u64,
}

impl ReservedMemory {
    /// Finds it.
    ///
    /// # Errors
    /// If nothing is reserved, or /proc/kcore does not show it.
    pub fn open() -> Result<Self> {
        let (start, end) = region()?;
        let core = File::open("/proc/kcore").context("opening /proc/kcore")?;
        let offset = offset_of(&core, start)?;
        Ok(Self {
            core,
            start,
            end,
            offset,
        })
    }

    /// The addresses of the pages for which `is` answers yes.
    ///
    /// # Errors
    /// If a part cannot be read.
    pub fn pages(&self, is: impl Fn(&[u8]) -> bool) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        let mut bytes = vec![0; STEP];
        let mut at = self.start;
        while at < self.end {
            let len = usize::try_from(self.end - at).unwrap_or(STEP).min(STEP);
            let part = bytes.get_mut(..len).context("a part")?;
            self.read(at, part)?;
            for (number, page) in part.chunks(PAGE).enumerate() {
                if is(page) {
                    found.push(at.saturating_add(u64::try_from(number.saturating_mul(PAGE))?));
                }
            }
            at = at.saturating_add(u64::try_from(len)?);
        }
        Ok(found)
    }

    /// Reads from a physical address on.
    ///
    /// # Errors
    /// If the address is outside, or cannot be read.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let from = at.checked_sub(self.start).context("below the region")?;
        self.core
            .read_exact_at(bytes, self.offset.saturating_add(from))
            .with_context(|| format!("reading {at:#x} of /proc/kcore"))
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, at: u64) -> bool {
        (self.start..self.end).contains(&at)
    }
}

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
    head.resize(count.saturating_mul(56).saturating_add(64), 0);
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
