//! The ELF core header: what the crash kernel shows as the head of /proc/vmcore.
//!
//! Sources: System V gABI 4.1, chapters 4 "ELF Header" and 5 "Program Header" (`ET_CORE`,
//! `PT_LOAD`, `PT_NOTE`, and the two layouts); Documentation/admin-guide/kdump/kdump.rst
//! ("elfcorehdr="); and what the kernel makes for `kexec_file_load(2)`, read back in a guest.

use super::{CrashError, CrashFacts, MemoryCopy};
use crate::memory::{Range, RangeSet};

/// The most entries that fit into `e_phnum`; 0xffff means that the number is elsewhere
/// (gABI, `PN_XNUM`), where the kernel's reader of /proc/vmcore does not look.
pub const HEADERS_MAX: usize = 0xfffe;

/// Which of the two layouts of ELF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CoreClass {
    /// ELF64.
    #[default]
    Elf64,
    /// ELF32, for tools that know nothing else: everything must be below 4 GiB. Virtual
    /// addresses of a 64-bit kernel do not fit, and are 0.
    Elf32,
}

/// What an entry describes (gABI, `p_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    /// `PT_LOAD`: memory.
    Load,
    /// `PT_NOTE`: notes.
    Note,
}

/// One entry of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProgramHeader {
    kind: EntryKind,
    /// What it describes, for an error.
    what: &'static str,
    /// The first virtual address; 0 for notes.
    virtual_start: u64,
    /// The physical addresses.
    physical: Range,
    /// Where the crash kernel finds it: at its physical address, unless it was copied.
    offset: u64,
}

/// The entries: the notes of each processor and of the kernel, the kernel itself, and every
/// range of `saved`.
///
/// # Errors
/// [`CrashError::TooManyHeaders`]; [`CrashError::Nowhere`] for a note or a kernel without
/// bytes, or for memory that the running kernel cannot map where it is said to.
fn program_headers(
    facts: &CrashFacts,
    saved: &RangeSet,
    copy: Option<MemoryCopy>,
) -> Result<Vec<ProgramHeader>, CrashError> {
    let copied = copy.map_or_else(RangeSet::new, |copy| saved.intersect(&copy.from.into()));
    let in_place = saved.without(&copied);
    let count = facts
        .cpus
        .len()
        .saturating_add(copied.len())
        .saturating_add(in_place.len())
        .saturating_add(2);
    if count > HEADERS_MAX {
        return Err(CrashError::TooManyHeaders {
            ranges: saved.len(),
            cpus: facts.cpus.len(),
            count,
        });
    }
    let nowhere = |what: String, range| CrashError::Nowhere { what, range };
    let mut headers = Vec::with_capacity(count);
    let note = |what, physical: Range| ProgramHeader {
        kind: EntryKind::Note,
        what,
        virtual_start: 0,
        physical,
        offset: physical.start,
    };
    for cpu in &facts.cpus {
        if cpu.range.is_empty() || cpu.range.start == 0 {
            let what = format!("the note of processor {}", cpu.cpu);
            return Err(nowhere(what, cpu.range));
        }
        headers.push(note("the note of a processor", cpu.range));
    }
    if facts.vmcoreinfo.is_empty() || facts.vmcoreinfo.start == 0 {
        return Err(nowhere("vmcoreinfo".into(), facts.vmcoreinfo));
    }
    headers.push(note("vmcoreinfo", facts.vmcoreinfo));
    let text = facts.kernel_text;
    let end = text.virtual_start.checked_add(text.physical.len());
    if text.physical.is_empty() || end.is_none() {
        return Err(nowhere("the running kernel".into(), text.physical));
    }
    headers.push(ProgramHeader {
        kind: EntryKind::Load,
        what: "the running kernel",
        virtual_start: text.virtual_start,
        physical: text.physical,
        offset: text.physical.start,
    });
    let moved = |range: Range| {
        let copy = copy?;
        let inside = range.start.checked_sub(copy.from.start)?;
        Some((range, copy.to.checked_add(inside)?))
    };
    let copied = copied.iter().filter_map(moved);
    let in_place = in_place.iter().map(|range| (range, range.start));
    for (physical, offset) in copied.chain(in_place) {
        let virtual_start = facts.direct_map.checked_add(physical.start);
        let end = virtual_start.and_then(|start| start.checked_add(physical.len()));
        let (Some(virtual_start), Some(_)) = (virtual_start, end) else {
            return Err(nowhere("System RAM".into(), physical));
        };
        headers.push(ProgramHeader {
            kind: EntryKind::Load,
            what: "System RAM",
            virtual_start,
            physical,
            offset,
        });
    }
    Ok(headers)
}

/// The whole header: of a little-endian machine with this number (`e_machine`), with an entry
/// for each note, for the kernel, and for every range of `saved`. What is in `copy` is found
/// where it was copied to.
///
/// # Errors
/// [`CrashError::Beyond32Bit`]; [`CrashError::TooManyHeaders`]; [`CrashError::Nowhere`] for a
/// note or a kernel without bytes, or for memory that the running kernel cannot map.
pub(crate) fn core_header(
    class: CoreClass,
    machine: u16,
    facts: &CrashFacts,
    saved: &RangeSet,
    copy: Option<MemoryCopy>,
) -> Result<Vec<u8>, CrashError> {
    /// `ET_CORE`.
    const CORE: u16 = 4;
    /// `EV_CURRENT`.
    const CURRENT: u8 = 1;
    /// `ELFDATA2LSB`.
    const LITTLE: u8 = 1;
    let headers = program_headers(facts, saved, copy)?;
    let count = u16::try_from(headers.len()).map_err(|_| CrashError::TooManyHeaders {
        ranges: saved.len(),
        cpus: facts.cpus.len(),
        count: headers.len(),
    })?;
    // EI_CLASS, e_ehsize, e_phentsize.
    let (number, ehsize, phentsize) = match class {
        CoreClass::Elf64 => (2, 64_u16, 56_u16),
        CoreClass::Elf32 => (1, 52, 32),
    };
    let mut out = Out {
        class,
        bytes: Vec::with_capacity(
            usize::from(ehsize)
                .saturating_add(headers.len().saturating_mul(usize::from(phentsize))),
        ),
    };
    out.bytes
        .extend([0x7f, b'E', b'L', b'F', number, LITTLE, CURRENT]);
    out.bytes.resize(16, 0);
    out.half(CORE);
    out.half(machine);
    out.word(u32::from(CURRENT));
    // e_entry, e_phoff, e_shoff, e_flags.
    out.number(0);
    out.number(u64::from(ehsize));
    out.number(0);
    out.word(0);
    // e_ehsize, e_phentsize, e_phnum; no sections.
    for half in [ehsize, phentsize, count, 0, 0, 0] {
        out.half(half);
    }
    for header in &headers {
        out.header(header)?;
    }
    Ok(out.bytes)
}

/// Bytes in the making.
struct Out {
    class: CoreClass,
    bytes: Vec<u8>,
}

impl Out {
    fn half(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    /// An address, an offset or a length; the caller knows that it fits.
    fn number(&mut self, value: u64) {
        match self.class {
            CoreClass::Elf64 => self.bytes.extend(value.to_le_bytes()),
            CoreClass::Elf32 => self.word(u32::try_from(value).unwrap_or(0)),
        }
    }

    fn header(&mut self, header: &ProgramHeader) -> Result<(), CrashError> {
        /// `PF_R`, `PF_W` and `PF_X`.
        const ALL: u32 = 7;
        let (kind, flags) = match header.kind {
            EntryKind::Load => (1, ALL),
            EntryKind::Note => (4, 0),
        };
        let ProgramHeader {
            what,
            virtual_start,
            physical,
            offset,
            ..
        } = *header;
        let len = physical.len();
        match self.class {
            CoreClass::Elf64 => {
                self.word(kind);
                self.word(flags);
                // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
                for value in [offset, virtual_start, physical.start, len, len, 0] {
                    self.number(value);
                }
            }
            CoreClass::Elf32 => {
                let found = Range::sized(offset, len).unwrap_or_default();
                let beyond = [physical, found].into_iter().find(|r| r.end > 1 << 32);
                if let Some(range) = beyond {
                    return Err(CrashError::Beyond32Bit { what, range });
                }
                if u32::try_from(len).is_err() {
                    return Err(CrashError::Beyond32Bit {
                        what,
                        range: physical,
                    });
                }
                self.word(kind);
                for value in [offset, virtual_start, physical.start, len, len] {
                    self.number(value);
                }
                self.word(flags);
                self.word(0);
            }
        }
        Ok(())
    }
}
