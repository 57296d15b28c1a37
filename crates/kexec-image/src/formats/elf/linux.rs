//! Is this ELF file a Linux kernel? There is no magic number for it.

use super::Segment;
use super::reader::{Reader, SectionHeader, Sections};
use crate::fields;

/// The owner of the notes that the kernel's build adds to itself
/// (`include/linux/build-salt.h`, `include/linux/elfnote-lto.h`).
const OWNER: &[u8] = b"Linux\0";

/// Sections that a kernel has and a program does not: the table of symbols for
/// modules, and the code that is thrown away after the start
/// (`include/asm-generic/vmlinux.lds.h`).
const SECTIONS: &[&[u8]] = &[b"__ksymtab\0", b".init.text\0"];

/// The names of the symbols that modules may use, each with its NUL
/// (`include/asm-generic/vmlinux.lds.h`).
const EXPORTED: &[u8] = b"__ksymtab_strings\0";

/// A symbol that x86_64 exports where it finds out at its start how many levels
/// of page tables are in use, and only there: with CONFIG_X86_5LEVEL since Linux
/// 4.17, always since that option is gone (seen in 6.1, 6.12 and 7.3).
const FIVE_LEVEL: &[u8] = b"ptrs_per_p4d";

/// Whether one of the notes is the kernel's own.
pub(super) fn has_note(r: &Reader<'_>, notes: &[Segment]) -> bool {
    notes.iter().any(|segment| {
        let mut rest = segment.bytes(r.bytes).unwrap_or_default();
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
    let known = |name: &[u8]| SECTIONS.iter().any(|known| name.starts_with(known));
    named(r, sections, known).is_some()
}

/// Whether the kernel takes five levels of page tables as they are when it is
/// entered. A kernel without modules cannot be asked.
pub(super) fn takes_five_levels(r: &Reader<'_>, sections: &Sections) -> bool {
    let strings = named(r, sections, |name| name.starts_with(EXPORTED));
    let names = strings.and_then(|s| fields::slice(r.bytes, s.offset, s.size));
    let mut names = names.unwrap_or_default().split(|b| *b == 0);
    names.any(|name| name == FIVE_LEVEL)
}

/// The first section with such a name; what is asked gets the name with all
/// that follows it in the table of names.
fn named<'a>(
    r: &Reader<'_>,
    sections: &'a Sections,
    is: impl Fn(&[u8]) -> bool,
) -> Option<&'a SectionHeader> {
    let table = sections.headers.get(sections.names)?;
    let names = fields::slice(r.bytes, table.offset, table.size)?;
    sections.headers.iter().find(|section| {
        let start = usize::try_from(section.name).unwrap_or(usize::MAX);
        is(names.get(start..).unwrap_or_default())
    })
}
