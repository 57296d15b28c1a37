//! Is this ELF file a Linux kernel? There is no magic number for it.

use super::Segment;
use super::reader::{Reader, Sections};
use crate::read;

/// The owner of the notes that the kernel's build adds to itself
/// (`include/linux/build-salt.h`, `include/linux/elfnote-lto.h`).
const OWNER: &[u8] = b"Linux\0";

/// Sections that a kernel has and a program does not: the table of symbols for
/// modules, and the code that is thrown away after the start
/// (`include/asm-generic/vmlinux.lds.h`).
const SECTIONS: &[&[u8]] = &[b"__ksymtab\0", b".init.text\0"];

/// Whether one of the notes is the kernel's own.
pub(super) fn has_note(r: &Reader<'_>, notes: &[Segment]) -> bool {
    notes.iter().any(|segment| {
        let mut rest = read::slice(r.bytes, segment.offset, segment.filesz).unwrap_or_default();
        // A note takes twelve bytes at least, so this ends.
        while let Some((owner, next)) = note(r, rest) {
            if owner == OWNER {
                return true;
            }
            rest = next;
        }
        false
    })
}

/// The owner of the first note in `bytes`, and what follows that note ("Note
/// Section": three words, the name and the content padded to four bytes).
fn note<'a>(r: &Reader<'_>, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name = usize::try_from(r.u32_in(bytes, 0)?).ok()?;
    let content = usize::try_from(r.u32_in(bytes, 4)?).ok()?;
    let rest = bytes.get(12..)?;
    let owner = rest.get(..name)?;
    let len = name
        .checked_next_multiple_of(4)?
        .checked_add(content.checked_next_multiple_of(4)?)?;
    Some((owner, rest.get(len..).unwrap_or_default()))
}

/// Whether one of the sections has a name that only a kernel uses.
pub(super) fn has_section(r: &Reader<'_>, sections: &Sections) -> bool {
    let Some(table) = sections.headers.get(sections.names) else {
        return false;
    };
    let names = read::slice(r.bytes, table.offset, table.size).unwrap_or_default();
    sections.headers.iter().any(|section| {
        let start = usize::try_from(section.name).unwrap_or(usize::MAX);
        let name = names.get(start..).unwrap_or_default();
        SECTIONS.iter().any(|known| name.starts_with(known))
    })
}
