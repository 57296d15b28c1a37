//! How the segments of an ELF file lie in memory, by their physical addresses
//! (System V gABI, "Program Header": `p_paddr`).

use bytes::Bytes;
use kexec_image::formats::elf::{ElfKernel, Segment};

use super::ClassicError;
use crate::Piece;
use crate::memory::Range;
use crate::memory::range::align_down;
use kexec_image::fields::len_u64;

/// A run of memory that is filled from the file, not page-aligned yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where it is linked to be.
    pub range: Range,
    /// Its content, with zeros between the parts.
    pub content: Vec<Piece>,
}

/// The file as runs of memory. Segments whose pages touch are one run; with
/// `flat` all are, as for Linux, which expects to find itself laid out like
/// the output of its own decompressor.
pub(crate) fn runs(
    elf: &ElfKernel,
    file: &Bytes,
    origin: &str,
    flat: bool,
    page: u64,
) -> Result<Vec<Run>, ClassicError> {
    let mut segments: Vec<&Segment> = elf.segments.iter().filter(|s| s.memsz > 0).collect();
    segments.sort_by_key(|s| s.paddr);
    let mut runs: Vec<Run> = Vec::new();
    for segment in segments {
        let Some(range) = Range::sized(segment.paddr, segment.memsz) else {
            return Err(wrong(format!(
                "segment at {:#x} of {:#x} bytes goes beyond the address space",
                segment.paddr, segment.memsz
            )));
        };
        let bytes = content(segment, file)?;
        let piece = Piece {
            origin: format!("{origin} at {:#x}", segment.paddr),
            len: bytes.len(),
            padding: 0,
            bytes,
        };
        match runs.last_mut() {
            Some(run) if range.start < run.range.end => {
                let (a, b) = (run.range, range);
                return Err(wrong(format!("segments overlap in memory: {a} and {b}")));
            }
            Some(run) if flat || align_down(range.start, page) <= run.range.end => {
                let filled = run.range.start.saturating_add(content_len(&run.content));
                let gap = range.start.saturating_sub(filled);
                let gap = usize::try_from(gap)
                    .map_err(|_| wrong(format!("a gap of {gap:#x} bytes between segments")))?;
                if let Some(last) = run.content.last_mut() {
                    last.padding = gap;
                }
                run.content.push(piece);
                run.range.end = range.end;
            }
            _ => runs.push(Run {
                range,
                content: vec![piece],
            }),
        }
    }
    if runs.is_empty() {
        return Err(wrong("nothing to load".into()));
    }
    Ok(runs)
}

fn content(segment: &Segment, file: &Bytes) -> Result<Bytes, ClassicError> {
    match segment.bytes(file) {
        Some(bytes) if segment.filesz <= segment.memsz => Ok(file.slice_ref(bytes)),
        _ => Err(wrong(format!(
            "segment of {:#x} bytes at {:#x} of a file with {:#x} bytes, {:#x} in memory",
            segment.filesz,
            segment.offset,
            file.len(),
            segment.memsz
        ))),
    }
}

/// The length of pieces with what is between them.
pub(crate) fn content_len(pieces: &[Piece]) -> u64 {
    let one = |p: &Piece| len_u64(p.len).saturating_add(len_u64(p.padding));
    pieces.iter().fold(0, |sum, p| sum.saturating_add(one(p)))
}

/// The physical address of the entry point. Linkers write a virtual one
/// unless told otherwise; a kernel that is entered without paging, or before
/// its own, means the place where those bytes are loaded.
pub(crate) fn physical_entry(elf: &ElfKernel) -> Result<u64, ClassicError> {
    let inside = |start: u64, s: &Segment| {
        Range::sized(start, s.memsz).is_some_and(|r| r.contains(elf.entry))
    };
    if elf.segments.iter().any(|s| inside(s.paddr, s)) {
        return Ok(elf.entry);
    }
    let segment = elf.segments.iter().find(|s| inside(s.vaddr, s));
    let physical = segment.and_then(|s| s.paddr.checked_add(elf.entry.checked_sub(s.vaddr)?));
    physical.ok_or_else(|| wrong(format!("the entry point {:#x} is in no segment", elf.entry)))
}

fn wrong(reason: String) -> ClassicError {
    ClassicError::Layout {
        format: "ELF",
        reason,
    }
}
