//! `loaded-core-header`: for the lab's guests. Writes the ELF core header of the crash
//! kernel that is loaded, whoever made it, to standard output.
//!
//! It is somewhere at the start of a page of the memory that is reserved for crash kernels,
//! which /proc/kcore shows.

use anyhow::{Context, Result};
use kexec_image::fields::u16_at;
use kexec_lab::reserved::ReservedMemory;
use std::io::Write;

fn main() -> Result<()> {
    let memory = ReservedMemory::open()?;
    let found = memory.pages(is_core_header)?;
    let from = found.first().context("no ELF core header is loaded")?;
    write(&memory, *from)
}

/// An ELF file of type `ET_CORE`.
fn is_core_header(page: &[u8]) -> bool {
    page.starts_with(b"\x7fELF") && u16_at(page, 16) == Some(4)
}

/// The header and its entries.
fn write(memory: &ReservedMemory, from: u64) -> Result<()> {
    let mut head = [0; 64];
    memory.read(from, &mut head)?;
    let wide = head.get(4) == Some(&2);
    let (size, count) = if wide { (54, 56) } else { (42, 44) };
    let field = |at| u16_at(&head, at).map(usize::from).context("a field");
    let entries = field(size)?.saturating_mul(field(count)?);
    let mut all = vec![0; entries.saturating_add(if wide { 64 } else { 52 })];
    memory.read(from, &mut all)?;
    std::io::stdout().write_all(&all)?;
    Ok(())
}
