//! What a multiboot kernel is told, byte by byte (Multiboot 0.6.96, 3.3;
//! Multiboot2 2.0, 3.6).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, map, multiboot1, multiboot2};
use kexec_plan::classic::{ClassicError, ExitMode, LoadPlan, Module, SegmentKind};

fn information(plan: &LoadPlan) -> (Vec<u8>, u64) {
    let s = plan.segment(SegmentKind::Parameters).unwrap();
    (s.bytes().to_vec(), s.memory.start)
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap())
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().unwrap())
}

fn text(b: &[u8], at: usize) -> String {
    let end = at + b[at..].iter().position(|b| *b == 0).unwrap();
    String::from_utf8(b[at..end].to_vec()).unwrap()
}

fn module(n: usize) -> Module {
    Module {
        path: format!("/boot/module{n}"),
        string: format!("/boot/module{n} arg={n}").as_str().into(),
        bytes: vec![u8::try_from(n).unwrap(); 5000 + n].into(),
    }
}

fn ask(file: Vec<u8>, modules: usize) -> Ask {
    let mut ask = Ask::new(file, map("6g"));
    ask.initrd.clear();
    ask.cmdline = "dom0_mem=512M".into();
    ask.modules = (0..modules).map(module).collect();
    ask
}

#[test]
fn version_one() {
    for count in [0, 2, 40] {
        let plan = ask(multiboot1(), count).plan().unwrap();
        let (b, base) = information(&plan);
        let at = |address: u32| usize::try_from(u64::from(address) - base).unwrap();
        assert_eq!(u32_at(&b, 0), 0b10_0100_1101);
        assert_eq!(u32_at(&b, 4), 0x9fc00 / 1024, "mem_lower");
        assert_eq!(u32_at(&b, 8), (0xbffe_0000 - 0x10_0000) / 1024, "mem_upper");
        assert_eq!(text(&b, at(u32_at(&b, 16))), "/boot/vmlinuz dom0_mem=512M");
        assert_eq!(text(&b, at(u32_at(&b, 64))), "kexec-rs");
        assert_eq!(u32_at(&b, 44), 6 * 24);
        let map = at(u32_at(&b, 48));
        assert_eq!(
            (
                u32_at(&b, map),
                u64_at(&b, map + 4),
                u64_at(&b, map + 12),
                u32_at(&b, map + 20)
            ),
            (20, 0, 0x9fc00, 1)
        );
        let last = map + 5 * 24;
        assert_eq!(
            (u64_at(&b, last + 4), u64_at(&b, last + 12)),
            (1 << 32, 3 << 30)
        );
        assert_eq!(usize::try_from(u32_at(&b, 20)).unwrap(), count);
        for n in 0..count {
            let entry = at(u32_at(&b, 24)) + 16 * n;
            let (start, end) = (u32_at(&b, entry), u32_at(&b, entry + 4));
            assert_eq!(
                (start % 4096, end - start),
                (0, u32::try_from(5000 + n).unwrap())
            );
            assert_eq!(
                text(&b, at(u32_at(&b, entry + 8))),
                format!("/boot/module{n} arg={n}")
            );
            // Its bytes are really there.
            let start = u64::from(start);
            let s = plan
                .segments
                .iter()
                .find(|s| s.memory.contains(start))
                .unwrap();
            let from = usize::try_from(start - s.memory.start).unwrap();
            assert_eq!(s.bytes()[from..from + 5000 + n], module(n).bytes);
        }
        let exit = plan.purgatory.exit;
        assert_eq!(
            (exit.rax, exit.rbx, exit.mode),
            (0x2bad_b002, base, ExitMode::Protected32)
        );
        assert_eq!(exit.rip, 0x20_0010);
        assert!(plan.segments.iter().all(|s| s.memory.end <= 1 << 32));
        // The memory of a plain kernel is checked with its zeros.
        let kernel = plan.segment(SegmentKind::Kernel).unwrap();
        assert_eq!((kernel.check_len, kernel.content_len()), (0x2_0000, 0x1234));
    }
}

fn tags(b: &[u8]) -> Vec<(u32, Vec<u8>)> {
    assert_eq!(usize::try_from(u32_at(b, 0)).unwrap(), b.len());
    let mut at = 8;
    let mut tags = Vec::new();
    loop {
        let (kind, size) = (u32_at(b, at), usize::try_from(u32_at(b, at + 4)).unwrap());
        tags.push((kind, b[at + 8..at + size].to_vec()));
        if kind == 0 {
            assert_eq!(at + size, b.len());
            return tags;
        }
        at = (at + size).next_multiple_of(8);
    }
}

#[test]
fn version_two() {
    let mut ask = ask(multiboot2(None), 2);
    ask.firmware.rsdp_copy = Some(vec![3; 36].into());
    let plan = ask.plan().unwrap();
    let (b, base) = information(&plan);
    let tags = tags(&b);
    let kinds: Vec<u32> = tags.iter().map(|t| t.0).collect();
    assert_eq!(kinds, [1, 2, 3, 3, 4, 6, 15, 0]);
    assert_eq!(text(&tags[0].1, 0), "/boot/vmlinuz dom0_mem=512M");
    assert_eq!(text(&tags[3].1, 8), "/boot/module1 arg=1");
    assert_eq!(u32_at(&tags[3].1, 4) - u32_at(&tags[3].1, 0), 5001);
    assert_eq!((u32_at(&tags[5].1, 0), tags[5].1.len()), (24, 8 + 6 * 24));
    assert_eq!(tags[6].1, [3; 36]);
    assert_eq!(plan.purgatory.exit.rax, 0x36d7_6289);
    assert_eq!(plan.purgatory.exit.rbx, base);
    // Linked at 2 MiB and not moved.
    assert_eq!(
        plan.segment(SegmentKind::Kernel).unwrap().memory.start,
        0x20_0000
    );
}

/// Xen, started this way on a machine with UEFI, resets it before it says a word.
#[test]
fn what_a_bios_would_tell_is_missed() {
    let mentions_uefi = |plan: &LoadPlan| plan.notes.iter().any(|n| n.contains("UEFI"));
    let bios = ask(multiboot2(None), 0);
    assert!(!mentions_uefi(&bios.plan().unwrap()));
    let mut uefi = ask(multiboot2(None), 0);
    uefi.firmware = common::ovmf().0;
    assert!(mentions_uefi(&uefi.plan().unwrap()));
}

#[test]
fn kernels_are_moved_as_they_prefer() {
    for (preference, expected) in [(0, 0x20_0000), (1, 0x40_0000), (2, 0x1fe0_0000)] {
        let min = if preference == 1 { 0x30_0000 } else { 0 };
        let limits = [min, 0x1fff_ffff, 0x20_0000, preference];
        let plan = ask(multiboot2(Some(limits)), 0).plan().unwrap();
        let kernel = plan.segment(SegmentKind::Kernel).unwrap();
        assert_eq!(kernel.memory.start, expected);
        assert_eq!(plan.purgatory.exit.rip, expected + 0x40);
        let tags = tags(&information(&plan).0);
        let base = tags.iter().find(|t| t.0 == 21).unwrap();
        assert_eq!(u64::from(u32_at(&base.1, 0)), expected);
    }
}

#[test]
fn what_cannot_be_is_said() {
    let with_video = {
        let mut file = multiboot1();
        let at = file
            .windows(4)
            .position(|w| w == 0x1bad_b002_u32.to_le_bytes())
            .unwrap();
        let flags = 7_u32;
        let sum = 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
        file[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
        file[at + 8..at + 12].copy_from_slice(&sum.to_le_bytes());
        file
    };
    let error = ask(with_video, 0).plan().unwrap_err();
    assert!(error.to_string().contains("video mode"), "{error}");
    // A header whose addresses name nothing.
    let words = [
        0x1bad_b002_u32,
        0x1_0000,
        0,
        0x10_0000,
        0x10_0000,
        0x10_0000,
        0,
        0x10_0000,
    ];
    let mut file: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    file[8..12].copy_from_slice(
        &0_u32
            .wrapping_sub(words[0])
            .wrapping_sub(words[1])
            .to_le_bytes(),
    );
    let error = ask(file, 0).plan().unwrap_err();
    assert!(error.to_string().contains("nothing to load"), "{error}");
    // At an address that is not memory.
    let load = common::Load(0x8_0000, 0x8_0000, vec![1; 16], 16);
    let low = common::elf(false, 0x8_0000, &[load], false, &[]);
    let error = ask(low, 0).plan().unwrap_err();
    assert!(
        matches!(&error, ClassicError::Occupied { range, .. } if range.start == 0x8_0000),
        "{error}"
    );
    // Modules are for multiboot.
    let plain = common::elf(
        true,
        0x100_0000,
        &[common::Load(0x100_0000, 0, vec![1; 16], 16)],
        false,
        &[],
    );
    let error = ask(plain.clone(), 1).plan().unwrap_err();
    assert!(error.to_string().contains("--module"), "{error}");
    let plan = ask(plain, 0).plan().unwrap();
    assert_eq!(
        (plan.method.as_str(), plan.purgatory.exit.mode),
        ("ELF, 64-bit entry", ExitMode::Long64)
    );
    assert!(plan.segment(SegmentKind::Parameters).is_none());
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("gets no command line"))
    );
}
