use super::*;
use crate::testing::vmlinux::{LINKED, VmlinuxBuilder};
use proptest::prelude::*;

fn parse(builder: &VmlinuxBuilder) -> Result<Vmlinux, ImageError> {
    Vmlinux::parse(builder.build(), LINKED)
}

/// The bytes that are `len` bytes at a physical address.
fn memory(kernel: Vmlinux, physical: u64, len: u64) -> Vec<u8> {
    let (elf, bytes) = kernel.into_bytes();
    let at = offset_in_file(&elf.segments, physical, len).unwrap();
    bytes[at..at + usize::try_from(len).unwrap()].to_vec()
}

fn place(offset: u64) -> u32 {
    VmlinuxBuilder::place(VmlinuxBuilder::DATA + offset)
}

/// Both forms of the table, with one place in each list.
fn movable(old: bool) -> VmlinuxBuilder {
    let mut builder = VmlinuxBuilder::default();
    builder.data[8..16].copy_from_slice(&0xffff_ffff_8123_4567_u64.to_le_bytes());
    builder.data[20..24].copy_from_slice(&0x8123_4567_u32.to_le_bytes());
    builder.per_cpu = vec![0xcc; 0x100];
    builder.per_cpu[4..8].copy_from_slice(&(-100_i32).to_le_bytes());
    let per_cpu = VmlinuxBuilder::place(VmlinuxBuilder::PER_CPU + 4);
    builder.relocations = match old {
        true => vec![vec![place(8)], vec![per_cpu], vec![place(20)]],
        false => vec![vec![place(8)], vec![place(20)]],
    };
    builder
}

#[test]
fn every_number_moves_its_own_way() {
    for old in [true, false] {
        let mut kernel = parse(&movable(old)).unwrap();
        assert!(kernel.is_movable());
        assert_eq!(kernel.relocation_count(), if old { 3 } else { 2 });
        kernel.relocate(0x1a00_0000);
        let at = |physical, len| memory(kernel.clone(), physical, len);
        let wide = at(VmlinuxBuilder::DATA + 8, 8);
        assert_eq!(wide, 0xffff_ffff_9b23_4567_u64.to_le_bytes());
        let short = at(VmlinuxBuilder::DATA + 20, 4);
        assert_eq!(short, 0x9b23_4567_u32.to_le_bytes());
        let distance = at(VmlinuxBuilder::PER_CPU + 4, 4);
        let moved = if old { 0x1a00_0000 } else { 0 };
        assert_eq!(distance, (-100_i32 - moved).to_le_bytes());
        // Its neighbours stayed.
        assert_eq!(at(VmlinuxBuilder::DATA + 16, 4), [0xda; 4]);
        assert_eq!(at(VmlinuxBuilder::DATA + 24, 4), [0xda; 4]);
    }
}

#[test]
fn a_kernel_without_a_table_stays_where_it_is() {
    let mut builder = movable(false);
    builder.relocations.clear();
    let mut kernel = parse(&builder).unwrap();
    assert!(!kernel.is_movable());
    let before = kernel.clone().into_bytes().1;
    kernel.relocate(0x20_0000);
    assert_eq!(kernel.into_bytes().1, before);
}

#[test]
fn the_memory_that_it_takes() {
    let kernel = parse(&VmlinuxBuilder::default()).unwrap();
    assert_eq!(kernel.memory_len(), 0x40_0000 + 0x2000 + 0x3000);
}

#[test]
fn a_table_of_another_form_is_refused() {
    let refused = |relocations: Vec<Vec<u32>>, expected: &str| {
        let builder = VmlinuxBuilder {
            relocations,
            ..VmlinuxBuilder::default()
        };
        let error = parse(&builder).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(vec![vec![place(8)]], "1 lists");
    refused(vec![vec![], vec![], vec![], vec![]], "4 lists");
    // Zeros behind the bytes of the last segment, where nothing is in the file.
    refused(vec![vec![], vec![place(0x2000)]], "in a segment's bytes");
    refused(
        vec![vec![place(0x2000 - 7)], vec![]],
        "in a segment's bytes",
    );
    // Between two segments, below the kernel, and in the user's half.
    refused(
        vec![vec![VmlinuxBuilder::place(LINKED + 0x1800)], vec![]],
        "in a segment's",
    );
    refused(vec![vec![], vec![0x8000_0000]], "in a segment's bytes");
    refused(vec![vec![], vec![0x7fff_ffff]], "in a segment's bytes");
    // Out of order, twice, and one in the other.
    refused(
        vec![vec![place(16), place(8)], vec![]],
        "behind that of the entry before",
    );
    refused(
        vec![vec![], vec![place(8), place(8)]],
        "behind that of the entry before",
    );
    refused(
        vec![vec![place(8), place(12)], vec![]],
        "behind that of the entry before",
    );
    let mut cut = movable(true).build();
    cut.pop();
    let error = Vmlinux::parse(cut, LINKED).unwrap_err().to_string();
    assert!(error.contains("multiple of 4"), "{error}");
    let mut behind = movable(false).build();
    let table = behind.len() - 16;
    behind.insert(table, 1);
    behind.splice(table + 1..table + 1, [0, 0, 0]);
    let error = Vmlinux::parse(behind, LINKED).unwrap_err().to_string();
    assert!(error.contains("0x1 at its start"), "{error}");
}

#[test]
fn another_layout_is_refused() {
    let error = |kernel: Result<Vmlinux, ImageError>| kernel.unwrap_err().to_string();
    let other = Vmlinux::parse(VmlinuxBuilder::default().build(), LINKED + ALIGNMENT);
    assert!(error(other).contains("p_paddr of the first segment"));
    let good = VmlinuxBuilder::default().build();
    for (at, value, expected) in [
        // e_machine, e_type, e_shoff.
        (18, 3_u64, "e_machine"),
        (16, 62 << 16 | 3, "e_type"),
        (40, 0, "e_shoff"),
        // p_vaddr and p_paddr of the second segment.
        (64 + 56 + 16, 0xffff_ffff_9000_0000, "p_vaddr of a segment"),
        (64 + 56 + 24, LINKED + 0x1000, "p_paddr of a segment"),
        // p_memsz of the second segment.
        (
            64 + 56 + 40,
            KERNEL_IMAGE_SIZE,
            "the end of the last segment",
        ),
    ] {
        let mut bytes = good.clone();
        let width = if at < 40 { 4 } else { 8 };
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        let found = error(Vmlinux::parse(bytes, LINKED));
        assert!(found.contains(expected), "{at}: {found}");
    }
}

proptest! {
    #[test]
    fn no_table_does_harm(
        words in proptest::collection::vec(any::<u32>(), 0..40),
        at in 0..0x6000_usize, byte: u8, delta: u64,
    ) {
        let mut builder = movable(true);
        builder.relocations.push(words);
        let mut bytes = builder.build();
        if let Some(b) = bytes.get_mut(at) {
            *b = byte;
        }
        if let Ok(mut kernel) = Vmlinux::parse(bytes, LINKED) {
            kernel.relocate(delta);
        }
    }

    /// Moving up and down again gives the same bytes.
    #[test]
    fn every_move_can_be_undone(delta: u32, old: bool) {
        let mut kernel = parse(&movable(old)).unwrap();
        let before = kernel.clone().into_bytes().1;
        kernel.relocate(delta.into());
        kernel.relocate(u64::from(delta).wrapping_neg());
        prop_assert_eq!(kernel.into_bytes().1, before);
    }
}
