//! The image that jumps back into a kernel that was kept in memory (kexec jump):
//! a few instructions with page tables of their own.
//!
//! The kernel that leaves maps the memory that it was told of, and where the
//! other one waits is not among it. So the jump goes through code that lies in
//! memory of the kernel that leaves, loads tables that map both one to one, and
//! jumps on.

use super::layout::{CEILING, FLOOR, PAGE};
use super::page_tables::{Levels, one_to_one};
use crate::classic::{ClassicError, JumpBackImage};
use crate::memory::range::align_up;
use crate::memory::{MemoryFacts, MemoryKind, PlaceRequest, Placer, Range, RangeSet, Search};
use kexec_image::fields::len;

/// Makes it for a kernel that waits at `entry`.
///
/// # Errors
/// When there is no place for it, or no such address.
pub(crate) fn jump_back(
    entry: u64,
    memory: &MemoryFacts,
    five_level: bool,
) -> Result<JumpBackImage, ClassicError> {
    if entry == 0 || entry >= CEILING {
        return Err(ClassicError::Option {
            option: "--entry",
            reason: format!("no kernel waits at {entry:#x}"),
            hint: "give the address of kexec_jump_back_entry= from this kernel's command line",
        });
    }
    let free = memory.destinations(FLOOR, PAGE)?.free;
    // All of the running kernel's memory: its stack is somewhere in there.
    let mut mapped = memory.iomem_map().of_kind(MemoryKind::Ram);
    mapped = mapped.intersect(&Range::new(0, CEILING).into());
    mapped.insert(Range::new(entry, entry.saturating_add(PAGE)));
    // Once for the size, once with the address known.
    let size = len(&image(0, entry, &mapped, five_level));
    let size = align_up(size, PAGE).unwrap_or(u64::MAX);
    let place = Placer::new(free, &memory.free).place(&PlaceRequest {
        what: "the jump-back image",
        size,
        align: PAGE,
        within: Range::new(FLOOR, CEILING),
        search: Search::Highest,
    })?;
    Ok(JumpBackImage {
        memory: place,
        bytes: image(place.start, entry, &mapped, five_level).into(),
    })
}

/// The code in the first page, the tables behind it.
fn image(base: u64, entry: u64, mapped: &RangeSet, five_level: bool) -> Vec<u8> {
    let root = base.saturating_add(PAGE);
    let levels = if five_level {
        Levels::Five
    } else {
        Levels::Four
    };
    let mut bytes = Vec::new();
    bytes.extend([0x48, 0xb8]); // mov rax, the tables
    bytes.extend(root.to_le_bytes());
    bytes.extend([0x0f, 0x22, 0xd8]); // mov cr3, rax
    bytes.extend([0x48, 0xb8]); // mov rax, entry
    bytes.extend(entry.to_le_bytes());
    bytes.extend([0xff, 0xe0]); // jmp rax
    kexec_image::fields::pad(&mut bytes, usize::try_from(PAGE).unwrap_or(0));
    bytes.extend(one_to_one(root, mapped, levels));
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::layout::LARGE_PAGE;
    use super::super::page_tables::GIB;
    use super::*;
    use crate::memory::Resource;

    const TIB: u64 = 1 << 40;

    fn memory(ranges: &[Range]) -> MemoryFacts {
        let ram = |range: &Range| Resource {
            range: *range,
            name: "System RAM".into(),
            depth: 0,
        };
        MemoryFacts {
            iomem: ranges.iter().map(ram).collect(),
            total: 1 << 30,
            ..MemoryFacts::default()
        }
    }

    /// What the processor finds at `address`: none, or the physical address.
    fn walk(image: &JumpBackImage, levels: u32, address: u64) -> Option<u64> {
        let word = |at: u64| {
            let offset = usize::try_from(at - image.memory.start).unwrap();
            u64::from_le_bytes(image.bytes[offset..offset + 8].try_into().unwrap())
        };
        let mut table = word(image.memory.start + 2);
        for level in (0..levels).rev() {
            let shift = 21 + 9 * level;
            let entry = word(table + 8 * ((address >> shift) & 511));
            if entry & 1 == 0 {
                return None;
            }
            if entry & 0x80 != 0 {
                assert_eq!(level, 0);
                return Some((entry & !0xfff) | (address & (LARGE_PAGE - 1)));
            }
            table = entry & !0xfff;
        }
        None
    }

    #[test]
    fn both_kernels_are_mapped_one_to_one() {
        let ram = [
            Range::new(0x10_0000, 0x1800_0000),
            Range::new(5 * TIB, 5 * TIB + GIB),
        ];
        for (five, levels) in [(false, 3), (true, 4)] {
            let entry = 0x1_8000_00f2;
            let image = jump_back(entry, &memory(&ram), five).unwrap();
            assert!(ram.iter().any(|r| r.covers(image.memory)));
            assert!(len(&image.bytes) <= image.memory.len());
            for address in [0x10_0000, 0x17ff_ffff, entry, 5 * TIB, image.memory.start] {
                assert_eq!(walk(&image, levels, address), Some(address), "{address:#x}");
            }
            for address in [0x4000_0000, 0x2_0000_0000, TIB, 6 * TIB] {
                assert_eq!(walk(&image, levels, address), None, "{address:#x}");
            }
            assert_eq!(image.bytes[..2], [0x48, 0xb8]);
            assert_eq!(image.bytes[15..23], entry.to_le_bytes());
        }
    }

    #[test]
    fn an_address_where_nobody_waits_is_refused() {
        let ram = memory(&[Range::new(0x10_0000, 0x1800_0000)]);
        for entry in [0, CEILING, u64::MAX] {
            let error = jump_back(entry, &ram, false).unwrap_err().to_string();
            assert!(error.contains("no kernel waits at"), "{error}");
        }
        assert!(jump_back(1 << 30, &memory(&[]), false).is_err());
    }
}
