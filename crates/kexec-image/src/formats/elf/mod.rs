//! ELF kernels: a `vmlinux`, a multiboot kernel, a plain program. Offsets and
//! names are those of the System V gABI, chapters "ELF Header", "Program
//! Header" and "Sections".

mod dynamic;
mod linux;
mod reader;

use serde::Serialize;

pub use dynamic::Needs;

use super::{Format, Opened};
use crate::{Arch, ImageError, Kernel, fields};
use reader::Reader;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a kernel as an ELF file, such as vmlinux",
    probe: |bytes| bytes.starts_with(MAGIC),
    open: |bytes, _| ElfKernel::parse(bytes).map(|e| Opened::Kernel(Kernel::Elf(e))),
};

const NAME: &str = "ELF";
const MAGIC: &[u8] = b"\x7fELF";

/// The most program headers that are accepted. A vmlinux has about five; the
/// field could say 65535.
pub const MAX_PROGRAM_HEADERS: u16 = 128;

/// `p_type` of a segment that is loaded.
const PT_LOAD: u32 = 1;
/// `p_type` of a segment of notes.
const PT_NOTE: u32 = 4;

/// The width of addresses (`EI_CLASS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 32 bits.
    Elf32,
    /// 64 bits.
    Elf64,
}

/// The order of bytes (`EI_DATA`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    /// The lowest byte comes first.
    Little,
    /// The highest byte comes first.
    Big,
}

/// What an ELF file is for (`e_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ElfType {
    /// `ET_EXEC`: linked to its addresses.
    Exec,
    /// `ET_DYN`: linked to be moved.
    Dyn,
}

/// One segment that is loaded (`PT_LOAD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// `p_offset`: where its bytes are in the file.
    pub offset: u64,
    /// `p_filesz`: how many bytes of it are in the file.
    pub filesz: u64,
    /// `p_vaddr`: its virtual address.
    pub vaddr: u64,
    /// `p_paddr`: its physical address, the one that counts for a kernel.
    pub paddr: u64,
    /// `p_memsz`: its size in memory; what goes beyond `filesz` is zero.
    pub memsz: u64,
    /// `p_align`: 0 and 1 are none.
    pub align: u64,
    /// `p_flags`: 1 execute, 2 write, 4 read.
    pub flags: u32,
}

impl Segment {
    /// Its bytes in `file`, the file that was parsed. A segment of zeros alone has
    /// none, wherever its `p_offset` points: linkers leave it behind the end of the
    /// file. `None` for another file that is too short.
    pub fn bytes<'f>(&self, file: &'f [u8]) -> Option<&'f [u8]> {
        match self.filesz {
            0 => Some(&[]),
            len => fields::slice(file, self.offset, len),
        }
    }
}

/// What the headers of an ELF file say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElfKernel {
    /// The width of addresses.
    pub class: Class,
    /// The order of bytes.
    pub endian: Endian,
    /// `e_machine`.
    pub machine: u16,
    /// The same as an architecture, if it is one we know.
    pub arch: Option<Arch>,
    /// `e_type`.
    pub elf_type: ElfType,
    /// `e_entry`: where it starts.
    pub entry: u64,
    /// What is loaded, in the order of the file.
    pub segments: Vec<Segment>,
    /// Whether it is a Linux kernel rather than another ELF file: it has a
    /// note of the owner `Linux` (`BUILD_SALT`, since 4.19), or one of the
    /// sections that only a kernel has (`__ksymtab`, `.init.text`).
    pub is_linux: bool,
    /// Whether it is known to start with five-level paging (LA57). There are no
    /// `xloadflags` in an ELF file; a 64-bit x86 kernel that can looks at CR4
    /// when it is entered, and exports a symbol that others do not have.
    pub five_level: bool,
}

impl ElfKernel {
    /// Reads the ELF header and the program headers of `bytes`.
    ///
    /// # Errors
    /// When the file is not one that can be loaded, contradicts itself, or is
    /// shorter than its segments and its section table promise.
    pub fn parse(bytes: &[u8]) -> Result<ElfKernel, ImageError> {
        let (class, endian) = ident(bytes)?;
        let r = Reader::new(bytes, class, endian);
        let header = r.header()?;
        let elf_type = match header.e_type {
            2 => ElfType::Exec,
            3 => ElfType::Dyn,
            n => return Err(malformed("e_type", 16, n, "2 (EXEC) or 3 (DYN)")),
        };
        let at = r.offset_of_phnum();
        if header.phnum > MAX_PROGRAM_HEADERS {
            let limit = format!("at most {MAX_PROGRAM_HEADERS}");
            return Err(malformed("e_phnum", at, header.phnum, &limit));
        }
        if header.phnum > 0 && header.phentsize != r.program_header_len() {
            let expected = r.program_header_len().to_string();
            return Err(malformed(
                "e_phentsize",
                at - 2,
                header.phentsize,
                &expected,
            ));
        }
        let mut segments = Vec::new();
        let mut notes = Vec::new();
        for index in 0..header.phnum {
            let (p_type, segment, at) = r.program_header(&header, index)?;
            check_in_file(&segment, index, bytes)?;
            match p_type {
                PT_LOAD => {
                    check_load(&segment, index, at)?;
                    segments.push(segment);
                }
                PT_NOTE => notes.push(segment),
                _ => {}
            }
        }
        if segments.iter().all(|s| s.memsz == 0) {
            return Err(malformed("e_phnum", at, header.phnum, "a segment to load"));
        }
        let sections = r.sections(&header)?;
        let is_linux = linux::has_note(&r, &notes) || linux::has_section(&r, &sections);
        let arch = arch(header.machine, class);
        let five_level = arch == Some(Arch::X86_64) && linux::takes_five_levels(&r, &sections);
        Ok(ElfKernel {
            class,
            endian,
            machine: header.machine,
            arch,
            elf_type,
            entry: header.entry,
            segments,
            is_linux,
            five_level,
        })
    }
}

/// Where the section table of `bytes` ends, which is the last thing in a file that a
/// linker or objcopy wrote; `None` when it has no such table.
///
/// # Errors
/// When the headers are not those of an ELF file, or the table is not all there.
pub(crate) fn end_of_sections(bytes: &[u8]) -> Result<Option<u64>, ImageError> {
    let (class, endian) = ident(bytes)?;
    let r = Reader::new(bytes, class, endian);
    Ok(r.sections(&r.header()?)?.end)
}

/// The machine alone does not tell everything: RISC-V and LoongArch share one
/// number between both widths.
fn arch(machine: u16, class: Class) -> Option<Arch> {
    let arch = Arch::from_elf_machine(machine)?;
    let wide = match arch {
        Arch::X86 | Arch::Arm => Class::Elf32,
        Arch::X86_64
        | Arch::Arm64
        | Arch::Riscv64
        | Arch::LoongArch64
        | Arch::Ppc64
        | Arch::S390x => Class::Elf64,
    };
    (class == wide).then_some(arch)
}

/// `e_ident`: magic, class, data, version.
fn ident(bytes: &[u8]) -> Result<(Class, Endian), ImageError> {
    let byte = |at: usize| {
        fields::u8_at(bytes, at).ok_or_else(|| ImageError::Truncated {
            format: NAME,
            what: "e_ident".into(),
            needs: 16,
            has: fields::len(bytes),
        })
    };
    if !bytes.starts_with(MAGIC) {
        return Err(malformed("e_ident", 0, "something else", "\\x7fELF"));
    }
    let class = match byte(4)? {
        1 => Class::Elf32,
        2 => Class::Elf64,
        n => return Err(malformed("EI_CLASS", 4, n, "1 (32 bits) or 2 (64 bits)")),
    };
    let endian = match byte(5)? {
        1 => Endian::Little,
        2 => Endian::Big,
        n => return Err(malformed("EI_DATA", 5, n, "1 (little) or 2 (big)")),
    };
    match byte(6)? {
        1 => Ok((class, endian)),
        n => Err(malformed("EI_VERSION", 6, n, "1")),
    }
}

/// The bytes of every segment, loaded or not, are in the file.
fn check_in_file(segment: &Segment, index: u16, bytes: &[u8]) -> Result<(), ImageError> {
    let needs = segment.offset.saturating_add(segment.filesz);
    let has = fields::len(bytes);
    if segment.filesz > 0 && needs > has {
        return Err(ImageError::Truncated {
            format: NAME,
            what: format!("segment {index}"),
            needs,
            has,
        });
    }
    Ok(())
}

/// A segment that is loaded makes sense. `at` is where its header is.
fn check_load(segment: &Segment, index: u16, at: u64) -> Result<(), ImageError> {
    let wrong = |field: &str, found: u64, expected: String| ImageError::Malformed {
        format: NAME,
        what: format!("{field} of segment {index}"),
        offset: at,
        found: format!("{found:#x}"),
        expected,
    };
    if segment.memsz < segment.filesz {
        let expected = format!("p_filesz ({:#x}) or more", segment.filesz);
        return Err(wrong("p_memsz", segment.memsz, expected));
    }
    if segment.align > 1 && !segment.align.is_power_of_two() {
        return Err(wrong("p_align", segment.align, "a power of two".into()));
    }
    for (field, start) in [("p_paddr", segment.paddr), ("p_vaddr", segment.vaddr)] {
        if start.checked_add(segment.memsz.saturating_sub(1)).is_none() {
            let expected = "an address with room for the segment behind it".into();
            return Err(wrong(field, start, expected));
        }
    }
    Ok(())
}

fn malformed(what: &str, offset: u64, found: impl std::fmt::Display, expected: &str) -> ImageError {
    ImageError::Malformed {
        format: NAME,
        what: what.to_owned(),
        offset,
        found: found.to_string(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests;
