//! A running kernel that uses five-level paging, and a next one that does not.
//!
//! What goes wrong without, and with which kernels: [`super::paging`]. A vmlinux does not
//! even try to go down to four levels.

use super::layout::{CEILING, FOUR_GIB, PAGE};
use super::page_tables::{Levels, one_to_one};
use super::paging;
use crate::Piece;
use crate::classic::{Builder, ClassicError, ClassicRequest, Draft, ExitMode, SegmentKind};
use crate::memory::{MemoryKind, Range, RangeSet};
use kexec_image::fields::len;

/// Whether the next kernel is to be entered with four levels. `takes_five`: it
/// uses five where it finds them.
pub(super) fn needed(request: &ClassicRequest<'_>, takes_five: bool) -> bool {
    request.firmware.la57 && (!takes_five || paging::is_told_four(request.cmdline))
}

/// Puts the tables into memory and gives the mode that uses them.
///
/// # Errors
/// When there is no place for them below 4 GiB, or the old kernel is to be returned to.
pub(super) fn place(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
) -> Result<ExitMode, ClassicError> {
    if request.options.preserve_context {
        return Err(ClassicError::Option {
            option: "--load-preserve-context",
            reason: "the running kernel uses five-level paging and the next one does not, so no \
                     jump back is possible"
                .into(),
            hint: "boot the running kernel with no5lvl",
        });
    }
    builder.note(
        "the running kernel uses five-level paging, which the next one does not support: it is \
         entered with four levels",
    );
    let mapped = mapped(request);
    // Once for the size, once with the address known.
    let size = len(&one_to_one(0, &mapped, Levels::Four));
    let draft = Draft {
        name: "page tables".into(),
        kind: SegmentKind::PageTables,
        size,
        content: Vec::new(),
        check_len: size,
    };
    let at = builder.place(draft, PAGE, Range::new(0, FOUR_GIB))?;
    let bytes = one_to_one(at, &mapped, Levels::Four);
    let piece = Piece {
        origin: "page tables with four levels".into(),
        len: bytes.len(),
        padding: 0,
        bytes: bytes.into(),
    };
    builder.set_content(SegmentKind::PageTables, vec![piece], Vec::new());
    match u32::try_from(at) {
        Ok(page_tables) => Ok(ExitMode::Long64FourLevel { page_tables }),
        Err(_) => Err(ClassicError::Layout {
            format: "page tables",
            reason: format!("they are at {at:#x}, expected below {FOUR_GIB:#x}"),
        }),
    }
}

/// What the running kernel maps for a next one: memory, the ACPI tables, and the first
/// MiB, where the decompressor looks for room.
fn mapped(request: &ClassicRequest<'_>) -> RangeSet {
    let map = request.memory.iomem_map();
    let mut mapped = RangeSet::new();
    for kind in [MemoryKind::Ram, MemoryKind::AcpiData, MemoryKind::AcpiNvs] {
        for range in map.of_kind(kind).iter() {
            mapped.insert(range);
        }
    }
    mapped.insert(Range::new(0, 1 << 20));
    mapped.intersect(&Range::new(0, CEILING).into())
}
