//! What the boot protocol, the system call and the caller demand of a plan.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, Bz, Load, MIB, assert_sound, elf, map, piece};
use kexec_image::Kernel;
use kexec_plan::Cmdline;
use kexec_plan::classic::{ClassicError, ElfArgs, ExitMode, Integrity, SegmentKind};
use kexec_plan::memory::{NoMap, Range, RangeSet, Search};

const FOUR_GIB: u64 = 1 << 32;

fn bz(change: impl FnOnce(&mut Bz)) -> Vec<u8> {
    let mut bz = Bz::default();
    change(&mut bz);
    bz.build()
}

#[test]
fn a_bzimage_always_has_all_of_init_size() {
    let ask = Ask::new(Bz::default().build(), map("6g"));
    let plan = ask.plan().unwrap();
    let kernel = plan.segment(SegmentKind::Kernel).unwrap();
    assert_eq!(kernel.memory.len(), 0x3c3_8000);
    assert_eq!((kernel.content_len(), kernel.check_len), (0x4000, 0x4000));
    assert_eq!(kernel.memory.start % 0x20_0000, 0);
    assert_eq!(kernel.bytes(), ask.image.bytes.slice(1024..));
    // Also when a header says less than the file has.
    let plan = Ask::new(bz(|b| b.init_size = 0x1000), map("6g"))
        .plan()
        .unwrap();
    assert_eq!(
        plan.segment(SegmentKind::Kernel).unwrap().memory.len(),
        0x4000
    );
}

#[test]
fn without_the_flag_nothing_is_above_4_gib() {
    let plan = Ask::new(Bz::default().build(), map("6g")).plan().unwrap();
    assert!(plan.segments.iter().all(|s| s.memory.start >= FOUR_GIB));
    let mut ask = Ask::new(bz(|b| b.xloadflags = 1), map("6g"));
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    let mine = |k: SegmentKind| plan.segment(k).unwrap().memory;
    assert!(mine(SegmentKind::Kernel).end <= FOUR_GIB);
    assert!(mine(SegmentKind::Parameters).end <= FOUR_GIB);
    assert!(
        mine(SegmentKind::Initrd).end <= 0x8000_0000,
        "initrd_addr_max"
    );
    // Twice as much as there is below initrd_addr_max.
    ask.initrd = vec![piece("initrd", 2200 * MIB)];
    match ask.plan().unwrap_err() {
        ClassicError::NoRoom(n) => {
            assert_eq!((n.what.as_str(), n.size), ("initrd", 2200 * MIB));
            assert!(n.largest > 1900 * MIB && n.largest < n.size, "{n}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_32_bit_entry_stays_low() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.options.entry_32bit = true;
    let old = Ask::new(
        bz(|b| {
            b.xloadflags = 0;
            b.version = 0x20a;
        }),
        map("6g"),
    );
    // A 32-bit kernel goes where its own KASLR would put it, a 64-bit one that is
    // entered in 32 bits anywhere in low memory.
    for (ask, end) in [(ask, 0x3800_0000), (old, 0x2000_0000)] {
        let plan = ask.plan().unwrap();
        assert_sound(&plan, &ask.memory);
        let mine = |k: SegmentKind| plan.segment(k).unwrap().memory;
        assert!(mine(SegmentKind::Kernel).end <= end);
        assert!(mine(SegmentKind::Parameters).end <= 0x3800_0000);
        assert!(mine(SegmentKind::Initrd).end <= 0x8000_0000);
        assert!(mine(SegmentKind::Purgatory).end <= FOUR_GIB);
        let exit = plan.purgatory.exit;
        assert_eq!(exit.mode, ExitMode::Protected32);
        assert_eq!(exit.rip, mine(SegmentKind::Kernel).start);
        assert_eq!(exit.rsi, mine(SegmentKind::Parameters).start);
    }
}

#[test]
fn preferred_address_and_alignment() {
    let low = |change: fn(&mut Bz)| {
        let mut ask = Ask::new(bz(change), map("6g"));
        ask.options.search = Search::Lowest;
        ask.plan()
            .map(|p| p.segment(SegmentKind::Kernel).unwrap().memory.start)
    };
    assert_eq!(low(|_| ()).unwrap(), 0x100_0000);
    assert_eq!(low(|b| b.pref = 0x123_4567).unwrap(), 0x140_0000);
    assert_eq!(low(|b| b.pref = 0).unwrap(), 0x20_0000);
    assert_eq!(low(|b| b.alignment = 0).unwrap(), 0x100_0000);
    assert_eq!(low(|b| b.alignment = 0x4000_0000).unwrap(), 0x4000_0000);
    assert!(matches!(
        low(|b| b.alignment = 0x30_0000),
        Err(ClassicError::Layout { .. })
    ));
    // A kernel that cannot be moved goes where it wants to be, or nowhere.
    assert_eq!(low(|b| b.relocatable = false).unwrap(), 0x100_0000);
    let error = low(|b| {
        b.relocatable = false;
        b.pref = 0xc000_0000;
    });
    let error = error.unwrap_err();
    assert!(matches!(error, ClassicError::Occupied { .. }), "{error}");
}

#[test]
fn five_level_paging() {
    let with = |file: Vec<u8>, change: fn(&mut Ask)| {
        let mut ask = Ask::new(file, map("6g"));
        ask.firmware.la57 = true;
        change(&mut ask);
        let plan = ask.plan().unwrap();
        let mode = plan.purgatory.exit.mode;
        let tables = plan.segment(SegmentKind::PageTables).cloned();
        assert_eq!(
            matches!(mode, ExitMode::Long64FourLevel { .. }),
            tables.is_some()
        );
        if let (ExitMode::Long64FourLevel { page_tables }, Some(tables)) = (mode, &tables) {
            assert_eq!(u64::from(page_tables), tables.memory.start);
            // Both are needed while the processor runs in 32 bits.
            let purgatory = plan.segment(SegmentKind::Purgatory).unwrap();
            assert!(tables.memory.end <= FOUR_GIB && purgatory.memory.end <= FOUR_GIB);
            let content = tables.bytes();
            let maps = |address| common::walk(&content, page_tables.into(), 3, address);
            let segments = plan.segments.iter().map(|s| s.memory.start);
            for address in segments.chain([0, plan.purgatory.exit.rip, 0x9_f000]) {
                assert_eq!(maps(address), Some(address), "{address:#x}");
            }
            // No memory is there.
            assert_eq!(maps(1 << 40), None);
            assert!(
                plan.purgatory
                    .checks
                    .iter()
                    .any(|c| c.name == "page tables")
            );
        }
        tables.is_some()
    };
    let takes = bz(|b| b.xloadflags = 0x7f);
    assert!(!with(takes.clone(), |_| ()));
    // It goes down to four by itself, and some of them fail at it.
    assert!(with(takes, |ask| ask.cmdline = "quiet no5lvl".into()));
    // The decompressor claims to cope, the kernel has been built without.
    let without = bz(|b| b.xloadflags = 0x3f);
    assert!(with(without.clone(), |_| ()));
    assert!(!with(without.clone(), |ask| ask.firmware.la57 = false));
    assert!(with(bz(|b| b.xloadflags = 0x1f), |_| ()));
    // Paging is off there.
    assert!(!with(without.clone(), |ask| ask.options.entry_32bit = true));
    assert!(with(common::vmlinux(), |_| ()));
    fn says_so(ask: &mut Ask) {
        if let Kernel::Elf(elf) = &mut ask.image.kernel {
            elf.five_level = true;
        }
    }
    assert!(!with(common::vmlinux(), says_so));
    let mut ask = Ask::new(without, map("6g"));
    ask.firmware.la57 = true;
    ask.options.preserve_context = true;
    ask.options.mem_max = Some(0x7fff_ffff);
    let error = ask.plan().unwrap_err();
    assert!(error.to_string().contains("no jump back"), "{error}");
}

#[test]
fn nothing_above_64_tib() {
    let ask = Ask::new(Bz::default().build(), map("80t"));
    let plan = ask.plan().unwrap();
    assert!(plan.segments.iter().all(|s| s.memory.end <= 1 << 46));
}

#[test]
fn bounds_of_the_caller() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.options.mem_min = Some(0x1000_0000);
    ask.options.mem_max = Some(0x1fff_ffff);
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    let window = Range::new(0x1000_0000, 0x2000_0000);
    assert!(plan.segments.iter().all(|s| window.covers(s.memory)));
    ask.options.mem_max = Some(0x1200_0000);
    assert!(matches!(ask.plan(), Err(ClassicError::NoRoom(_))));
    ask.options.mem_max = Some(0);
    assert!(matches!(ask.plan(), Err(ClassicError::NoRoom(_))));
    ask.options.mem_min = Some(u64::MAX);
    ask.options.mem_max = Some(u64::MAX);
    assert!(ask.plan().is_err());
}

#[test]
fn what_the_next_command_line_takes_away() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.cmdline = Cmdline::from("root=/dev/vda mem=1G memmap=256M$768M");
    let plan = ask.plan().unwrap();
    assert!(plan.segments.iter().all(|s| s.memory.end <= 768 * MIB));
    assert!(plan.notes.iter().any(|n| n.contains("mem=")));
    // Multiboot kernels have their own meaning of it.
    let mut xen = Ask::new(common::multiboot1(), map("6g"));
    xen.cmdline = Cmdline::from("mem=1M");
    xen.plan().unwrap();
}

#[test]
fn half_of_the_memory_at_most() {
    let mut ask = Ask::new(Bz::default().build(), map("tiny-256m"));
    let rest = |ask: &Ask| ask.plan().unwrap().limit - ask.plan().unwrap().total;
    let more = rest(&ask);
    // To the page.
    ask.initrd.push(piece("more", more));
    ask.plan().unwrap();
    ask.initrd.push(piece("page", 4096));
    match ask.plan().unwrap_err() {
        ClassicError::HalfOfMemory {
            needed,
            limit,
            memory,
            parts,
        } => {
            assert_eq!(needed, limit + 4096);
            assert_eq!(memory, ask.memory.total);
            assert!(
                parts.contains("initrd") && parts.contains("kernel"),
                "{parts}"
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn no_map_no_plan() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    for r in &mut ask.memory.iomem {
        r.range = Range::new(0, 1);
    }
    let error = ask.plan().unwrap_err();
    assert_eq!(error, ClassicError::NoMap(NoMap::Zeros));
    assert!(
        error.to_string().contains("/proc/iomem shows zeros"),
        "{error}"
    );
    assert!(error.remedy().contains("root"));
}

#[test]
fn integrity_is_a_choice() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    let names = |ask: &Ask| -> Vec<String> {
        let plan = ask.plan().unwrap();
        plan.purgatory
            .checks
            .iter()
            .map(|c| c.name.clone())
            .collect()
    };
    assert_eq!(names(&ask), ["initrd", "kernel", "parameters"]);
    ask.options.integrity = Integrity::None;
    assert!(names(&ask).is_empty());
}

#[test]
fn options_that_are_refused_say_why() {
    let with = |file: Vec<u8>, change: fn(&mut Ask)| {
        let mut ask = Ask::new(file, map("6g"));
        change(&mut ask);
        let error = ask.plan().unwrap_err();
        format!("{error} / {}", error.remedy())
    };
    let text = with(Bz::default().build(), |a| a.options.real_mode = true);
    assert!(
        text.contains("--real-mode") && text.contains("BIOS"),
        "{text}"
    );
    let text = with(common::vmlinux(), |a| {
        a.options.elf_args = ElfArgs::ElfNotes
    });
    assert!(text.contains("--args-elf"), "{text}");
    let text = with(Bz::default().build(), |a| a.options.preserve_context = true);
    assert!(text.contains("--mem-max"), "{text}");
}

#[test]
fn preserved_context_keeps_all_memory_within_the_bounds() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.options.preserve_context = true;
    ask.options.mem_min = Some(0x1000_0000);
    ask.options.mem_max = Some(0x2fff_ffff);
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    let covered: RangeSet = plan.segments.iter().map(|s| s.memory).collect();
    assert_eq!(covered, Range::new(0x1000_0000, 0x3000_0000).into());
    let room = plan.purgatory.jump_back.unwrap();
    let parameters = plan.segment(SegmentKind::Parameters).unwrap();
    assert!(parameters.memory.covers(room));
    assert!(room.len() >= u64::try_from(ask.cmdline.len_with_nul()).unwrap() + 41);
}

#[test]
fn memory_that_only_efi_knows_of() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.memory
        .firmware
        .retain(|(range, _)| range.start < FOUR_GIB);
    assert_eq!(ask.plan().unwrap().memory_map.len(), 5);
    ask.firmware.running_cmdline = Cmdline::from("add_efi_memmap");
    let plan = ask.plan().unwrap();
    let last = plan.memory_map.last().unwrap();
    assert_eq!(last.range, Range::new(FOUR_GIB, 7 << 30));
}

#[test]
fn what_the_running_command_line_took_away_comes_back() {
    // The kernel shows memmap= of its own command line as reserved memory too.
    let mut ask = Ask::new(Bz::default().build(), map("efi-esrt"));
    ask.firmware = common::ovmf().0;
    let reserved = |ask: &Ask| {
        let plan = ask.plan().unwrap();
        assert!(
            plan.segments
                .iter()
                .all(|s| !s.memory.overlaps(Range::new(0x6b40_0000, 0x6b41_0000)))
        );
        plan.memory_map.iter().any(|e| e.range.start == 0x6b40_0000)
    };
    assert!(reserved(&ask));
    ask.firmware.running_cmdline = Cmdline::from("memmap=64K$0x6b400000");
    assert!(!reserved(&ask));
}

#[test]
fn names_fit_into_the_purgatorys_message() {
    for file in [
        Bz::default().build(),
        common::vmlinux(),
        common::multiboot1(),
        common::multiboot2(None),
    ] {
        let mut ask = Ask::new(file, map("6g"));
        ask.options.integrity = Integrity::Sha256;
        let plan = ask.plan().unwrap();
        assert!(
            plan.purgatory.checks.iter().all(|c| c.name.len() <= 16),
            "{:?}",
            plan.purgatory.checks
        );
    }
}

#[test]
fn entry_is_overridden_and_said() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.options.entry = Some(0x1234_5678);
    let plan = ask.plan().unwrap();
    assert_eq!(plan.purgatory.exit.rip, 0x1234_5678);
    assert!(plan.notes.iter().any(|n| n.contains("--entry")));
}

#[test]
fn pages_that_the_kernel_will_hand_out_are_avoided() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    // All of the memory above 4 GiB is free now, and some below.
    ask.memory.free = [
        Range::new(FOUR_GIB, 7 << 30),
        Range::new(0x4000_0000, 0xbffe_0000),
    ]
    .into_iter()
    .collect();
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    let free = &ask.memory.free;
    assert!(plan.segments.iter().all(|s| !free.overlaps(s.memory)));
}

#[test]
fn a_flat_vmlinux_has_every_byte_where_it_belongs() {
    let ask = Ask::new(common::vmlinux(), map("6g"));
    let plan = ask.plan().unwrap();
    let kernel = plan.segment(SegmentKind::Kernel).unwrap();
    assert_eq!(kernel.memory, Range::new(0x100_0000, 0x2a2_0000));
    let bytes = kernel.bytes();
    // The per-CPU segment, by its physical address.
    assert_eq!(bytes[0x120_0000..0x120_0800], [1; 0x800]);
    assert_eq!((bytes[0x11f_ffff], bytes[0x120_0800]), (0, 0));
    assert_eq!(bytes.len(), 0x122_1000);
}

#[test]
fn odd_elf_files() {
    let plan = |loads: &[Load], entry: u64| {
        Ask::new(elf(true, entry, loads, false, &[]), map("6g")).plan()
    };
    let at = |paddr: u64, len: usize, memsz: u64| Load(paddr, paddr, vec![1; len], memsz);
    // Overlap.
    let error = plan(
        &[at(0x100_0000, 0x100, 0x2000), at(0x100_1000, 0x100, 0x100)],
        0x100_0000,
    );
    assert!(error.unwrap_err().to_string().contains("overlap"));
    // An entry point nowhere.
    let error = plan(&[at(0x100_0000, 0x100, 0x100)], 0x200).unwrap_err();
    assert!(error.to_string().contains("entry point 0x200"), "{error}");
    // Not at the start of a page; two in one page; the entry is virtual.
    let loads = [
        Load(0x100_0804, 0xffff_0000_0804, vec![1; 0x10], 0x10),
        Load(0x100_0900, 0xffff_0000_0900, vec![2; 0x10], 0x800),
        Load(0x200_0000, 0xffff_0100_0000, vec![3; 0x10], 0x10),
    ];
    let made = plan(&loads, 0xffff_0000_0904).unwrap();
    assert_eq!(made.purgatory.exit.rip, 0x100_0904);
    let kernels: Vec<_> = made
        .segments
        .iter()
        .filter(|s| s.kind == SegmentKind::Kernel)
        .collect();
    assert_eq!(kernels.len(), 2);
    assert_eq!(kernels[0].memory, Range::new(0x100_0000, 0x100_2000));
    let bytes = kernels[0].bytes();
    assert_eq!(bytes[0x804..0x814], [1; 0x10]);
    assert_eq!(bytes[0x900..0x910], [2; 0x10]);
    assert_eq!((bytes[0x803], bytes[0x814], bytes[0x8ff]), (0, 0, 0));
    assert_eq!(
        kernels[0].parts[0].range,
        Range::new(0x100_0804, 0x100_0814)
    );
    assert_eq!(kernels[0].check_len, 0x1100);
    // So many that the system call does not take them.
    let many: Vec<Load> = (1..20).map(|n| at(n * 0x100_0000, 0x10, 0x10)).collect();
    let error = plan(&many, 0x100_0000).unwrap_err();
    assert_eq!(error, ClassicError::TooManySegments { count: 20 });
    // Larger than the machine.
    let error = plan(&[at(0x100_0000, 0x10, 1 << 45)], 0x100_0000).unwrap_err();
    assert!(matches!(error, ClassicError::Occupied { .. }), "{error}");
}

#[test]
fn the_purgatory_fits_or_is_refused() {
    let mut plan = Ask::new(Bz::default().build(), map("6g")).plan().unwrap();
    plan.set_purgatory(vec![0xcc; 0x5000].into()).unwrap();
    assert_eq!(
        plan.segments[plan.purgatory.segment].bytes()[..2],
        [0xcc; 2]
    );
    let error = plan.set_purgatory(vec![0; 0x5001].into()).unwrap_err();
    assert_eq!(
        error,
        ClassicError::PurgatoryTooLarge {
            has: 0x5001,
            room: 0x5000
        }
    );
}

#[test]
fn the_same_input_gives_the_same_plan() {
    for name in common::map_names() {
        let ask = Ask::new(Bz::default().build(), map(&name));
        assert_eq!(ask.plan(), ask.plan(), "{name}");
    }
}
