//! Plans of a kernel that was taken out of its bzImage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;

use common::{Ask, Bz, MIB, assert_sound, map, map_names, ovmf};
use kexec_image::ElfKernel;
use kexec_plan::Cmdline;
use kexec_plan::classic::{ExitMode, KaslrSeed, LoadPlan, Segment, SegmentKind, UnpackedKernel};
use kexec_plan::memory::{Range, RangeSet};

const LINKED: u64 = 16 * MIB;
const LARGE: u64 = 2 * MIB;

fn unpacked(seed: Option<u64>) -> UnpackedKernel {
    let bytes = common::vmlinux();
    UnpackedKernel {
        elf: ElfKernel::parse(&bytes).unwrap(),
        bytes: bytes.into(),
        // 0x222_0000 + 0x80_0000 - 0x100_0000
        memory_len: 0x1a2_0000,
        seed: seed.map(KaslrSeed),
    }
}

fn ask(map_name: &str, seed: Option<u64>) -> Ask {
    let mut ask = Ask::new(Bz::default().build(), map(map_name));
    if map_name.contains("ovmf") || map_name.contains("efi") {
        ask.firmware = ovmf().0;
    }
    ask.unpacked = Some(unpacked(seed));
    ask
}

fn kernel(plan: &LoadPlan) -> &Segment {
    plan.segment(SegmentKind::Kernel).unwrap()
}

fn loadflags(plan: &LoadPlan) -> u8 {
    plan.segment(SegmentKind::Parameters).unwrap().bytes()[0x211]
}

/// What the decompressor would have left in memory: each segment of the file where its
/// physical address says.
fn flat() -> Vec<u8> {
    let bytes = common::vmlinux();
    let mut memory = Vec::new();
    for s in &ElfKernel::parse(&bytes).unwrap().segments {
        let at = usize::try_from(s.paddr - LINKED).unwrap();
        memory.resize(memory.len().max(at), 0);
        memory.truncate(at);
        memory.extend(s.bytes(&bytes).unwrap());
    }
    memory
}

#[test]
fn on_every_map_as_the_decompressor_leaves_it() {
    let mut plans = 0;
    for name in map_names() {
        let ask = ask(&name, Some(0x1234_5678_9abc_def0));
        let Ok(plan) = ask.plan() else {
            assert!(
                Ask {
                    unpacked: None,
                    ..ask
                }
                .plan()
                .is_err(),
                "{name}"
            );
            continue;
        };
        plans += 1;
        assert_sound(&plan, &ask.memory);
        let kernel = kernel(&plan);
        let Range { start, end } = kernel.memory;
        assert!(
            start.is_multiple_of(LARGE) && end.is_multiple_of(LARGE),
            "{name}"
        );
        assert!(start >= LINKED, "{name}: {start:#x}");
        assert_eq!(kernel.bytes(), flat(), "{name}");
        assert_eq!(kernel.check_len, kernel.content_len(), "{name}");
        let exit = &plan.purgatory.exit;
        assert_eq!(exit.rip, start + 0x122_0100, "{name}");
        assert_eq!(exit.mode, ExitMode::Long64, "{name}");
        // Loaded high, quiet, placed at random.
        assert_eq!(loadflags(&plan), 1 | 1 << 5 | 1 << 1, "{name}");
    }
    assert!(plans > 6, "{plans}");
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_one_does_not() {
    let at = |seed| {
        kernel(&ask("qemu-6.1-seabios", seed).plan().unwrap())
            .memory
            .start
    };
    assert_eq!(at(Some(5)), at(Some(5)));
    let places: BTreeSet<u64> = (0..50).map(|seed| at(Some(seed))).collect();
    assert!(places.len() > 30, "{places:x?}");
    let plan = ask("qemu-6.1-seabios", None).plan().unwrap();
    assert_eq!(at(None), kernel(&plan).memory.start);
    assert_eq!(loadflags(&plan) & 1 << 1, 0);
}

#[test]
fn never_where_the_next_kernel_has_no_memory_or_may_lose_it() {
    let mut limited = ask("qemu-6.1-seabios", None);
    limited.cmdline = Cmdline::from("mem=400M memmap=100M$100M");
    let mut removable = ask("qemu-6.1-seabios", None);
    removable.memory.removable = RangeSet::from(Range::new(300 * MIB, 1 << 40));
    removable.initrd.clear();
    for seed in 0..200 {
        limited.unpacked = Some(unpacked(Some(seed)));
        let plan = limited.plan().unwrap();
        for segment in &plan.segments {
            let Range { start, end } = segment.memory;
            assert!(
                end <= 400 * MIB,
                "{seed}: {} ends at {end:#x}",
                segment.name
            );
            assert!(
                end <= 100 * MIB || start >= 200 * MIB,
                "{seed}: {}",
                segment.name
            );
        }
        removable.unpacked = Some(unpacked(Some(seed)));
        let plan = removable.plan().unwrap();
        assert!(kernel(&plan).memory.end <= 300 * MIB, "{seed}");
    }
}

/// A place at random is not what fails a load that another place allows.
#[test]
fn without_a_place_for_chance_there_is_still_one() {
    let mut ask = ask("qemu-6.1-seabios", Some(1));
    ask.memory.removable = RangeSet::from(Range::new(0, 1 << 40));
    let plan = ask.plan().unwrap();
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("not placed at random")),
        "{:?}",
        plan.notes
    );
}

/// In the middle of memory, the kernel would leave no hole for the initrd.
#[test]
fn chance_never_costs_a_large_initrd_its_place() {
    let mut ask = ask("qemu-6.1-seabios", None);
    ask.options.mem_max = Some(200 * MIB - 1);
    ask.initrd = vec![common::piece("initrd", 130 * MIB)];
    let fixed = kernel(&ask.plan().unwrap()).memory;
    let (mut random, mut not) = (0, 0);
    for seed in 0..100 {
        ask.unpacked = Some(unpacked(Some(seed)));
        let plan = ask.plan().unwrap();
        let said = plan
            .notes
            .iter()
            .any(|note| note.contains("not placed at random"));
        match said {
            true => assert_eq!(kernel(&plan).memory, fixed, "{seed}"),
            false => random += 1,
        }
        not += usize::from(said);
    }
    // A place is drawn again before none is; and where none is, that is said.
    assert!(random > 50, "{random} at random, {not} not");
}

/// From five levels into a kernel that was told to use four.
#[test]
fn the_purgatory_leaves_five_levels() {
    let mut ask = ask("qemu-6.1-seabios", Some(1));
    ask.firmware.la57 = true;
    assert_eq!(ask.plan().unwrap().purgatory.exit.mode, ExitMode::Long64);
    ask.cmdline = Cmdline::from("no5lvl");
    let mode = ask.plan().unwrap().purgatory.exit.mode;
    assert!(matches!(mode, ExitMode::Long64FourLevel { .. }), "{mode:?}");
}
