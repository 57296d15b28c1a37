//! The header of an ELF core file.

use anyhow::{Context, Result, ensure};
use kexec_image::fields::{u16_at, u32_at, u64_at};

use super::ranges::{Ranges, joined};

/// An ELF core file's header: of /proc/vmcore, or as it was loaded.
#[derive(Debug)]
pub struct Core {
    pub class: u8,
    pub machine: u16,
    pub notes: Vec<Entry>,
    pub loads: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub physical: u64,
    pub virtual_start: u64,
    pub len: u64,
    pub flags: u32,
}

impl Core {
    pub fn parse(bytes: &[u8]) -> Result<Core> {
        ensure!(bytes.starts_with(b"\x7fELF"), "no ELF file");
        let class = *bytes.get(4).context("cut short")?;
        assert_eq!(u16_at(bytes, 16), Some(4), "e_type");
        let wide = class == 2;
        let (phoff, size, count) = match wide {
            true => (u64_at(bytes, 32), 56, u16_at(bytes, 56)),
            false => (u32_at(bytes, 28).map(u64::from), 32, u16_at(bytes, 44)),
        };
        let from = usize::try_from(phoff.context("e_phoff")?)?;
        let table = bytes.get(from..).context("no program headers")?;
        let mut core = Core {
            class,
            machine: u16_at(bytes, 18).context("e_machine")?,
            notes: Vec::new(),
            loads: Vec::new(),
        };
        for entry in table.chunks(size).take(count.context("e_phnum")?.into()) {
            let number = |at: usize| match wide {
                true => u64_at(entry, 8 + 8 * at),
                false => u32_at(entry, 4 + 4 * at).map(u64::from),
            };
            let field = |at| number(at).context("cut short");
            // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz
            let parsed = Entry {
                physical: field(2)?,
                virtual_start: field(1)?,
                len: field(4)?,
                flags: u32_at(entry, if wide { 4 } else { 24 }).context("p_flags")?,
            };
            match u32_at(entry, 0) {
                Some(1) => core.loads.push(parsed),
                Some(4) => core.notes.push(parsed),
                other => anyhow::bail!("an entry of type {other:?}"),
            }
        }
        Ok(core)
    }

    /// The memory in it, once each: the kernel's own entry is within it, too.
    pub fn ranges(&self) -> Ranges {
        let loads = self.loads.iter();
        joined(loads.map(|e| (e.physical, e.physical + e.len)).collect())
    }
}
