//! The kernel inside of a bzImage, and the table with which it is moved.
//!
//! A bzImage is a program that unpacks a vmlinux, puts the segments of it where their
//! physical addresses say, and adds the same number to every address in it that the
//! table names: the distance from where it is linked to where it will run. All of that
//! can be done before the jump, and is done here.

mod relocations;

use bytes::Bytes;

use super::BzImage;
use crate::decompress::Checked;
use crate::formats::elf::{self, Class, ElfKernel, ElfType, Endian, Segment};
use crate::{Arch, ImageError, fields};
use relocations::Relocations;

const NAME: &str = "vmlinux";

/// Where the kernel's own mapping begins: `_text` and all else of the image is at its
/// physical address plus this, before it is moved
/// (Documentation/arch/x86/x86_64/mm.rst, "kernel text mapping, mapped to physical
/// address 0").
pub const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Bytes of that mapping in a kernel that can be moved in it: 1 GiB (`RANDOMIZE_BASE` in
/// arch/x86/Kconfig: "the kernel text mapping is 1 GB").
pub const KERNEL_IMAGE_SIZE: u64 = 1 << 30;

/// The kernel is moved by multiples of this, in physical memory and in its mapping: the
/// size of the pages that map it (`PHYSICAL_ALIGN` in arch/x86/Kconfig: "must be a
/// multiple of 0x200000" on 64 bits).
pub const ALIGNMENT: u64 = 2 << 20;

/// The kernel inside of a bzImage, unpacked and checked: it is laid out as the
/// decompressor expects it, and every entry of its table is an address in it.
#[derive(Clone)]
pub struct Vmlinux {
    elf: ElfKernel,
    bytes: Vec<u8>,
    relocations: Option<Relocations>,
}

impl BzImage {
    /// Unpacks the kernel inside, to at most `cap` bytes. `bytes` is the file that was
    /// parsed.
    ///
    /// # Errors
    /// When the payload cannot be unpacked here, is damaged, or is not laid out like any
    /// known 64-bit Linux.
    pub fn unpack_vmlinux(&self, bytes: &[u8], cap: u64) -> Result<Vmlinux, ImageError> {
        self.unpack_checked(bytes, cap).map(|(kernel, _)| kernel)
    }

    /// The same, and what was proved of the payload meanwhile.
    ///
    /// # Errors
    /// As [`BzImage::unpack_vmlinux`].
    pub fn unpack_checked(&self, bytes: &[u8], cap: u64) -> Result<(Vmlinux, Checked), ImageError> {
        let decoded = self.unpack(bytes, cap)?;
        let decoded = decoded.ok_or_else(|| ImageError::Unsupported {
            what: "the compression of the kernel inside".to_owned(),
            known: "gzip, xz, zstd, lz4, bzip2 and lzma".to_owned(),
        })?;
        let checked = Checked {
            len: fields::len(&decoded.bytes),
            consumed: decoded.consumed,
            checksummed: decoded.checksummed,
        };
        Ok((Vmlinux::parse(decoded.bytes, self.pref_address)?, checked))
    }
}

impl BzImage {
    /// Where the kernel inside may begin: at multiples of this, in physical memory and in
    /// its own mapping.
    pub fn kernel_step(&self) -> u64 {
        u64::from(self.kernel_alignment).max(ALIGNMENT)
    }
}

impl Vmlinux {
    /// Checks what a payload unpacked to. `linked` is the physical address that it is
    /// linked for: `pref_address` of its bzImage.
    ///
    /// # Errors
    /// When it is not laid out like any known 64-bit Linux.
    pub fn parse(bytes: Vec<u8>, linked: u64) -> Result<Vmlinux, ImageError> {
        let elf = ElfKernel::parse(&bytes)?;
        check_kind(&elf)?;
        check_segments(&elf, linked)?;
        let table = elf::end_of_sections(&bytes)?.ok_or_else(|| {
            malformed(
                "e_shoff",
                40,
                0,
                "a section table, behind which the relocations are",
            )
        })?;
        let relocations = Relocations::parse(&bytes, table, &elf.segments)?;
        Ok(Vmlinux {
            elf,
            bytes,
            relocations,
        })
    }

    /// What its headers say.
    pub fn elf(&self) -> &ElfKernel {
        &self.elf
    }

    /// Bytes of physical memory from its start to the end of its last segment.
    pub fn memory_len(&self) -> u64 {
        let end = |s: &Segment| s.paddr.saturating_add(s.memsz);
        let end = self.loaded().map(end).max().unwrap_or(0);
        let start = self.loaded().map(|s| s.paddr).min().unwrap_or(0);
        end.saturating_sub(start)
    }

    /// Bytes for which a decompressor looks for a place: those of its memory, or of the file
    /// with the table behind it, which it unpacks there.
    pub fn place_len(&self) -> u64 {
        self.memory_len().max(fields::len(&self.bytes))
    }

    /// Whether it can run at another place of its mapping than the one it is linked for:
    /// a kernel that was built without that has no table.
    pub fn is_movable(&self) -> bool {
        self.relocations.is_some()
    }

    /// How many addresses are changed when it is moved.
    pub fn relocation_count(&self) -> usize {
        self.relocations.as_ref().map_or(0, Relocations::count)
    }

    /// Makes it run `delta` bytes further up in its mapping. Nothing happens to a kernel
    /// that is not movable.
    pub fn relocate(&mut self, delta: u64) {
        if let Some(relocations) = &self.relocations {
            relocations.apply(&mut self.bytes, &self.elf.segments, delta);
        }
    }

    /// The file, for its segments; the table is still behind them.
    pub fn into_bytes(self) -> (ElfKernel, Bytes) {
        (self.elf, self.bytes.into())
    }

    fn loaded(&self) -> impl Iterator<Item = &Segment> {
        self.elf.segments.iter().filter(|s| s.memsz > 0)
    }
}

impl std::fmt::Debug for Vmlinux {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vmlinux")
            .field("elf", &self.elf)
            .field("len", &self.bytes.len())
            .field("relocations", &self.relocation_count())
            .finish()
    }
}

fn check_kind(elf: &ElfKernel) -> Result<(), ImageError> {
    if elf.arch != Some(Arch::X86_64) || elf.class != Class::Elf64 || elf.endian != Endian::Little {
        let machine = format!("machine {}", elf.machine);
        return Err(malformed("e_machine", 18, machine, "x86_64"));
    }
    if elf.elf_type != ElfType::Exec {
        return Err(malformed("e_type", 16, "DYN", "EXEC"));
    }
    Ok(())
}

/// Each segment is at its physical address plus [`START_KERNEL_MAP`]; only the one of the
/// per-CPU variables is at virtual address 0 (Linux before 6.15). They are in order, do
/// not overlap, and the first is where the bzImage says.
fn check_segments(elf: &ElfKernel, linked: u64) -> Result<(), ImageError> {
    let mut segments: Vec<&Segment> = elf.segments.iter().filter(|s| s.memsz > 0).collect();
    segments.sort_by_key(|s| s.paddr);
    let first = segments.first().map_or(0, |s| s.paddr);
    if first != linked || !first.is_multiple_of(ALIGNMENT) {
        let expected = format!("{linked:#x}, a multiple of {ALIGNMENT:#x}");
        return Err(malformed(
            "p_paddr of the first segment",
            0,
            hex(first),
            &expected,
        ));
    }
    let mut end = 0;
    for s in segments {
        if s.paddr < end {
            let what = "p_paddr of a segment";
            return Err(malformed(
                what,
                s.offset,
                hex(s.paddr),
                &format!("{end:#x} or more"),
            ));
        }
        let mapped = s.paddr.checked_add(START_KERNEL_MAP);
        if s.vaddr != 0 && Some(s.vaddr) != mapped {
            let expected = format!("{:#x} behind p_paddr, or 0", START_KERNEL_MAP);
            return Err(malformed(
                "p_vaddr of a segment",
                s.offset,
                hex(s.vaddr),
                &expected,
            ));
        }
        end = s.paddr.saturating_add(s.memsz);
    }
    if end > KERNEL_IMAGE_SIZE {
        let expected = format!("{KERNEL_IMAGE_SIZE:#x} at most");
        return Err(malformed(
            "the end of the last segment",
            0,
            hex(end),
            &expected,
        ));
    }
    Ok(())
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
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

/// A number out of a table, which is sign-extended, as the physical address that it means
/// before the kernel is moved.
fn physical(word: u32) -> u64 {
    let extended = i64::from(word.cast_signed()).cast_unsigned();
    extended.wrapping_sub(START_KERNEL_MAP)
}

/// Where `width` bytes at a physical address are in the file; `None` when no segment has
/// all of them in the file.
fn offset_in_file(segments: &[Segment], address: u64, width: u64) -> Option<usize> {
    let segment = segments.iter().find(|s| {
        let within = address.checked_sub(s.paddr);
        let end = within.and_then(|within| within.checked_add(width));
        end.is_some_and(|end| end <= s.filesz)
    })?;
    let at = segment
        .offset
        .checked_add(address.checked_sub(segment.paddr)?)?;
    usize::try_from(at).ok()
}

/// The number at `at` as the table has it.
fn word(bytes: &[u8], at: usize) -> u32 {
    fields::u32_at(bytes, at).unwrap_or(0)
}

#[cfg(test)]
mod tests;
