//! Plans that keep the running kernel, to be jumped back to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, Bz, Load, assert_sound, elf, map};
use kexec_plan::classic::{ClassicError, LoadPlan, SegmentKind};
use kexec_plan::memory::{MemoryKind, Range, RangeSet};
use proptest::prelude::*;

fn preserved(file: Vec<u8>, min: Option<u64>, max: u64) -> (Ask, LoadPlan) {
    let mut ask = Ask::new(file, map("6g"));
    ask.options.preserve_context = true;
    ask.options.mem_min = min;
    ask.options.mem_max = Some(max);
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    (ask, plan)
}

fn covered(plan: &LoadPlan) -> RangeSet {
    plan.segments.iter().map(|s| s.memory).collect()
}

fn ram(plan: &LoadPlan) -> RangeSet {
    let ram = plan.memory_map.iter().filter(|e| e.kind == MemoryKind::Ram);
    ram.map(|e| e.range).collect()
}

/// What it may use is saved, and it is told of nothing else.
#[test]
fn the_next_kernel_has_exactly_what_is_saved() {
    let bz = Bz::default().build();
    let window = Range::new(0x1000_0000, 0x2000_0000);
    let (ask, plan) = preserved(bz.clone(), Some(window.start), window.end - 1);
    assert_eq!(covered(&plan), window.into());
    assert_eq!(ram(&plan), window.into());
    // The rest of the memory is there, but not its own.
    let all = ask.memory.firmware_map().of_kind(MemoryKind::Ram).total();
    let reserved = plan.memory_map.iter();
    let reserved = reserved.filter(|e| e.kind == MemoryKind::Reserved);
    let reserved: u64 = reserved.map(|e| e.range.len()).sum();
    assert!(reserved >= all - window.len(), "{reserved:#x}");
    let said = "268435456 bytes of memory are kept for the next kernel";
    assert!(
        plan.notes.iter().any(|n| n.starts_with(said)),
        "{:?}",
        plan.notes
    );
}

/// Linux cannot start without memory below 1 MiB (its other processors' code),
/// where nothing is placed.
#[test]
fn low_memory_is_saved_for_linux() {
    let (_, plan) = preserved(Bz::default().build(), None, 0x1fff_ffff);
    let low = Range::new(0x1000, 0x9_f000);
    let all: RangeSet = [low, Range::new(0x10_0000, 0x2000_0000)]
        .into_iter()
        .collect();
    assert_eq!((covered(&plan), ram(&plan)), (all.clone(), all));
    let backup = &plan.segments[0];
    assert_eq!((backup.kind, backup.memory), (SegmentKind::Backup, low));
    assert_eq!((backup.content_len(), backup.check_len), (0, 0));

    let load = Load(0x1800_0000, 0x1800_0000, vec![0xc3; 16], 16);
    let other = elf(true, 0x1800_0000, &[load], false, &[]);
    let (_, plan) = preserved(other, None, 0x1fff_ffff);
    assert_eq!(covered(&plan), Range::new(0x10_0000, 0x2000_0000).into());
}

#[test]
fn nobody_is_told_of_a_way_back_that_is_not_there() {
    let plan = Ask::new(Bz::default().build(), map("6g")).plan().unwrap();
    assert_eq!(plan.purgatory.jump_back, None);
    assert!(!plan.segments.iter().any(|s| s.kind == SegmentKind::Backup));
    assert!(!plan.notes.iter().any(|n| n.contains("for the jump back")));
}

proptest! {
    /// On every machine and in every window: what the next kernel may write to is
    /// what is saved, or there is no plan.
    #[test]
    fn nothing_is_told_of_that_is_not_saved(
        which in 0..common::map_names().len(), min in 0..0x4000_u64, len in 1..0x4000_u64,
        odd in 0..0x10_0000_u64,
    ) {
        let name = &common::map_names()[which];
        let mut ask = Ask::new(Bz::default().build(), map(name));
        ask.initrd.clear();
        ask.options.preserve_context = true;
        ask.options.mem_min = Some((min << 20) + odd);
        ask.options.mem_max = Some(((min + len) << 20) + odd / 3);
        match ask.plan() {
            Ok(plan) => {
                assert_sound(&plan, &ask.memory);
                prop_assert_eq!(ram(&plan), covered(&plan));
            }
            Err(
                ClassicError::NoRoom(_) | ClassicError::HalfOfMemory { .. }
                | ClassicError::TooManySegments { .. },
            ) => {}
            Err(other) => prop_assert!(false, "{name}: {other}"),
        }
    }
}
