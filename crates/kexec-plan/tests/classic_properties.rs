//! For any memory map and any sizes there is a sound plan, or a refusal with
//! numbers that are true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

mod common;

use common::{Ask, Bz, Load, MIB, assert_sound, elf, piece};
use kexec_plan::classic::{ClassicError, LoadPlan, SegmentKind};
use kexec_plan::memory::{MemoryFacts, Range, Resource, Search};
use proptest::prelude::*;

const NAMES: &[&str] = &[
    "System RAM",
    "System RAM",
    "System RAM",
    "Reserved",
    "ACPI Tables",
    "Soft Reserved",
    "PCI Bus 0000:00",
];
const CHILDREN: &[&str] = &[
    "Kernel code",
    "Crash kernel",
    "Reserved",
    "KHO scratch",
    "Kernel bss",
];

/// A map: ranges behind each other with gaps, some with children, unaligned
/// ends, and a firmware map that does not always agree.
fn memory() -> impl Strategy<Value = MemoryFacts> {
    let range = (
        0..NAMES.len(),
        0..3_u64,
        1..900_u64,
        0..4096_u64,
        0..12_usize,
        any::<bool>(),
    );
    (
        proptest::collection::vec(range, 1..40),
        any::<u8>(),
        50..100_u64,
    )
        .prop_map(|(ranges, seed, percent)| {
            let mut facts = MemoryFacts::default();
            let mut at = if seed % 2 == 0 { 0 } else { 0x10_0000 };
            let mut ram = 0;
            for (name, gap, mib, odd, child, known) in ranges {
                let start = at + gap * 0x1_1000;
                let end = start + mib * MIB + odd;
                let resource = |start, end, name: &str, depth| Resource {
                    range: Range::new(start, end),
                    name: name.into(),
                    depth,
                };
                facts.iomem.push(resource(start, end, NAMES[name], 0));
                if let Some(kind) = CHILDREN.get(child) {
                    let third = (end - start) / 3;
                    facts
                        .iomem
                        .push(resource(start + third, start + 2 * third, kind, 1));
                }
                if NAMES[name] == "System RAM" {
                    ram += end - start;
                }
                if known || name < 3 {
                    let kind = if known {
                        NAMES[name]
                    } else {
                        "Unknown E820 type"
                    };
                    facts
                        .firmware
                        .push((Range::new(start, end - odd / 2), kind.into()));
                }
                at = end;
            }
            facts.total = ram / 100 * percent;
            facts
        })
}

fn check(plan: Result<LoadPlan, ClassicError>, ask: &Ask) -> Result<(), TestCaseError> {
    match plan {
        Ok(plan) => {
            assert_sound(&plan, &ask.memory);
            if let Some(initrd) = plan.segment(SegmentKind::Initrd) {
                let size: usize = ask.initrd.iter().map(|p| p.len).sum();
                prop_assert_eq!(initrd.check_len, u64::try_from(size).unwrap());
            }
        }
        Err(ClassicError::NoRoom(n)) => {
            prop_assert!(n.largest < n.size, "{}", n);
            prop_assert!(n.largest <= n.free, "{}", n);
        }
        Err(ClassicError::HalfOfMemory {
            needed,
            limit,
            memory,
            ..
        }) => {
            prop_assert!(needed > limit && limit <= memory / 2);
        }
        Err(ClassicError::NoMap(_) | ClassicError::Occupied { .. }) => {}
        Err(other) => prop_assert!(false, "{}", other),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_bzimage_anywhere(
        memory in memory(), init in 1..0x1000_0000_u32, initrd in 0..2_000_000_000_u64,
        shift in 12..28_u32, flags in 0..0x80_u16, relocatable in any::<bool>(),
        low in any::<bool>(), free in proptest::collection::vec((0..20_000_u64, 1..500_u64), 0..8),
    ) {
        let bz = Bz { init_size: init, alignment: 1 << shift, xloadflags: flags, relocatable, ..Bz::default() };
        let mut ask = Ask::new(bz.build(), memory);
        ask.initrd = vec![piece("initrd", initrd)];
        ask.options.search = if low { Search::Lowest } else { Search::Highest };
        ask.memory.free = free.into_iter().map(|(at, len)| Range::new(at * MIB, (at + len) * MIB)).collect();
        let plan = ask.plan();
        if let Ok(plan) = &plan {
            let kernel = plan.segment(SegmentKind::Kernel).expect("a kernel");
            prop_assert!(kernel.memory.len() >= u64::from(init));
            prop_assert!(!relocatable || kernel.memory.start % (1 << shift) == 0);
            let above = plan.segments.iter().any(|s| s.memory.end > 1 << 32);
            prop_assert!(!above || flags & 3 == 3);
        }
        check(plan, &ask)?;
    }

    #[test]
    fn what_fits_is_found(memory in memory(), init in 1..0x800_0000_u32) {
        // With a kernel alone a refusal for lack of room must be true of the
        // largest hole, computed here from the map.
        let mut ask = Ask::new(Bz { init_size: init, alignment: 4096, ..Bz::default() }.build(), memory);
        ask.initrd.clear();
        if let Ok(d) = ask.memory.destinations(1 << 20, 4096)
            && let Err(ClassicError::NoRoom(n)) = ask.plan()
            && n.what == "kernel"
        {
            let above = d.free.iter().filter_map(|r| r.intersect(n.within));
            let largest = above.map(|r| r.len()).max().unwrap_or(0);
            prop_assert_eq!(n.largest, largest);
            prop_assert!(largest < u64::from(init).next_multiple_of(4096));
        }
    }

    #[test]
    fn elf_files_anywhere(
        memory in memory(),
        loads in proptest::collection::vec((0..0x4000_0000_u64, 0..3000_usize, 0..0x200_0000_u64), 1..8),
        wide in any::<bool>(), linux in any::<bool>(), entry in 0..8_usize,
    ) {
        let loads: Vec<Load> = loads.iter().map(|(at, len, more)| {
            Load(*at, at ^ 0x4000_0000, vec![1; *len], u64::try_from(*len).unwrap() + more)
        }).collect();
        let entry = loads[entry % loads.len()].0;
        let ask = Ask::new(elf(wide, entry, &loads, linux, &[]), memory);
        match ask.plan() {
            Err(ClassicError::Layout { .. }) => {}
            plan => check(plan, &ask)?,
        }
    }

    #[test]
    fn multiboot_anywhere(memory in memory(), words in any::<[u32; 4]>(), initrd in 0..500_000_000_u64) {
        let limits = [words[0] % 0x800_0000, words[1] | 0x1000_0000, 1 << (words[2] % 26), words[3] % 3];
        for file in [common::multiboot1(), common::multiboot2(Some(limits)), common::multiboot2(None)] {
            let mut ask = Ask::new(file, memory.clone());
            ask.initrd = vec![piece("initrd", initrd)];
            check(ask.plan(), &ask)?;
        }
    }

    #[test]
    fn damaged_headers_never_panic(
        memory in memory(), which in 0..4_usize,
        flips in proptest::collection::vec((0..0x400_usize, any::<u8>()), 1..12),
    ) {
        let mut file = match which {
            0 => Bz::default().build(),
            1 => common::vmlinux(),
            2 => common::multiboot1(),
            _ => common::multiboot2(Some([0, u32::MAX, 4096, 1])),
        };
        for (at, byte) in flips {
            if let Some(b) = file.get_mut(at) {
                *b = byte;
            }
        }
        if let Ok(image) = kexec_image::recognise(file.into(), &kexec_image::Options::default()) {
            let mut ask = Ask::new(Bz::default().build(), memory);
            ask.image = image;
            if let Ok(plan) = ask.plan() {
                assert_sound(&plan, &ask.memory);
            }
        }
    }

    #[test]
    fn any_text_is_a_map_or_a_reason(text in "(MemTotal: [0-9]{1,12} kB\n)?\\[iomem\\]\n( {0,4}[0-9a-f]{1,16}-[0-9a-f]{1,16} : (System RAM|Reserved|Kernel code)\n){0,20}") {
        if let Ok(memory) = MemoryFacts::parse(&text) {
            let ask = Ask::new(Bz::default().build(), memory);
            if let Ok(plan) = ask.plan() {
                assert_sound(&plan, &ask.memory);
            }
        }
    }
}
