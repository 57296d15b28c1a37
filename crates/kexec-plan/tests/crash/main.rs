//! Plans of crash kernels: where the image goes, what is saved, and what the crash kernel
//! is told of it. `INSTA_UPDATE=always cargo test -p kexec-plan` writes the snapshots anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod places;
mod sound;

use common::{Ask, Bz, MIB, crash_facts, map, ovmf, piece, show};
use kexec_plan::ClassicError;
use kexec_plan::classic::{LoadPlan, SegmentKind};
use kexec_plan::crash::{CoreClass, CpuNotes, CrashError, CrashFacts, HEADERS_MAX};
use kexec_plan::memory::{MemoryFacts, Range, RangeSet, Resource};
use proptest::prelude::*;
use sound::{entries, saved, sound};

const GIB: u64 = 1 << 30;

fn resource(start: u64, end: u64, name: &str, depth: u32) -> Resource {
    Resource {
        range: Range::new(start, end),
        name: name.into(),
        depth,
    }
}

/// 2 GiB on a BIOS machine, 256 MiB of it reserved.
fn machine() -> MemoryFacts {
    MemoryFacts {
        iomem: vec![
            resource(0, 0x1000, "Reserved", 0),
            resource(0x1000, 0x9_fc00, "System RAM", 0),
            resource(0x9_fc00, 0xa_0000, "Reserved", 0),
            resource(MIB, 2 * GIB, "System RAM", 0),
            resource(16 * MIB, 56 * MIB, "Kernel code", 1),
            resource(GIB, GIB + 256 * MIB, "Crash kernel", 1),
            resource(2 * GIB, 2 * GIB + MIB, "ACPI Tables", 0),
            resource(3 * GIB, 3 * GIB + 256 * MIB, "Reserved", 0),
        ],
        firmware: vec![
            (Range::new(0, 0x9_fc00), "System RAM".into()),
            (Range::new(0x9_fc00, 0xa_0000), "Reserved".into()),
            (Range::new(MIB, 2 * GIB), "System RAM".into()),
            (Range::new(2 * GIB, 2 * GIB + MIB), "ACPI Tables".into()),
            (Range::new(3 * GIB, 3 * GIB + 256 * MIB), "Reserved".into()),
        ],
        total: 2 * GIB - 100 * MIB,
        ..MemoryFacts::default()
    }
}

fn ask() -> Ask {
    Ask {
        crash: Some(crash_facts()),
        ..Ask::new(Bz::default().build(), machine())
    }
}

fn refused(ask: &Ask) -> CrashError {
    match ask.plan() {
        Err(ClassicError::Crash(error)) => error,
        other => panic!("{}", show(&other)),
    }
}

#[test]
fn crash_kernels_on_maps() {
    let mut asks = vec![("plain", ask()), ("vmlinux", ask()), ("cma", ask())];
    let mut old = ask();
    old.crash.as_mut().unwrap().uses_low_memory = true;
    asks.push(("low-memory-copied", old));
    asks[1].1.image = common::recognise(common::vmlinux());
    let cma = RangeSet::from(Range::new(1536 * MIB, 1792 * MIB));
    asks[2].1.crash.as_mut().unwrap().cma = cma;
    let high = Ask {
        crash: Some(crash_facts()),
        ..Ask::new(Bz::default().build(), map("crashkernel"))
    };
    asks.push(("high-and-low", high));
    for (name, ask) in asks {
        let plan = ask.plan();
        sound(plan.as_ref().unwrap(), &ask);
        insta::assert_snapshot!(format!("crash-{name}"), show(&plan));
    }
}

#[test]
fn entries_have_the_addresses_of_the_running_kernel() {
    let plan = ask().plan().unwrap();
    let entries = entries(&plan);
    let kernel = entries.iter().find(|e| e.kind == 1).unwrap();
    let text = crash_facts().kernel_text;
    assert_eq!(kernel.virtual_start, text.virtual_start);
    assert_eq!(
        (kernel.physical, kernel.memory),
        (text.physical.start, text.physical.len())
    );
    for load in entries.iter().filter(|e| e.kind == 1) {
        assert_eq!(load.flags, 7);
    }
    for load in entries.iter().filter(|e| e.kind == 1).skip(1) {
        assert_eq!(load.virtual_start - load.physical, 0xffff_8880_0000_0000);
    }
    for note in entries.iter().filter(|e| e.kind == 4) {
        assert_eq!((note.flags, note.virtual_start), (0, 0));
    }
    assert_eq!(
        saved(&entries),
        [Range::new(MIB, GIB), Range::new(GIB + 256 * MIB, 2 * GIB)]
    );
}

/// Before Linux 5.5: what is below 640 KiB is saved from a copy, and is the crash kernel's.
#[test]
fn low_memory_in_use_is_copied() {
    let mut asked = ask();
    asked.crash.as_mut().unwrap().uses_low_memory = true;
    let plan = asked.plan().unwrap();
    sound(&plan, &asked);
    let copy = plan.purgatory.copy.unwrap();
    assert_eq!(copy.from, Range::new(0x1000, 0xa_0000));
    let entries = entries(&plan);
    let low = entries.iter().find(|e| e.physical == 0x1000).unwrap();
    assert_eq!((low.offset, low.memory), (copy.to, 0x9_ec00));
    assert_eq!(low.virtual_start, 0xffff_8880_0000_1000);
    assert_eq!(
        saved(&entries),
        [
            Range::new(0x1000, 0x9_fc00),
            Range::new(MIB, GIB),
            Range::new(GIB + 256 * MIB, 2 * GIB)
        ]
    );
    let names: Vec<_> = plan.purgatory.checks.iter().map(|c| &c.name).collect();
    assert!(!names.iter().any(|name| *name == "low memory"), "{names:?}");
    // A 32-bit header has no room for a copy above 4 GiB.
    let mut high = Ask {
        crash: asked.crash.clone(),
        ..Ask::new(Bz::default().build(), map("crashkernel"))
    };
    high.options.core_class = Some(CoreClass::Elf32);
    assert!(matches!(refused(&high), CrashError::Beyond32Bit { .. }));
    // A machine without such memory needs no copy.
    asked.memory.iomem.retain(|r| r.range.start >= MIB);
    let plan = asked.plan().unwrap();
    sound(&plan, &asked);
    assert_eq!(plan.purgatory.copy, None);
}

#[test]
fn everything_is_checked_but_a_header_that_the_running_kernel_rewrites() {
    let checked = |plan: &LoadPlan| {
        let names = plan.purgatory.checks.iter().map(|c| c.name.clone());
        names.collect::<Vec<_>>()
    };
    let plain = ask().plan().unwrap();
    assert!(checked(&plain).contains(&"ELF core header".to_owned()));
    assert_eq!(checked(&plain).len(), 4, "{:?}", checked(&plain));
    assert!(!plain.hotplug);
    let mut asked = ask();
    asked.crash.as_mut().unwrap().hotplug_size = Some(0x9001);
    let plan = asked.plan().unwrap();
    sound(&plan, &asked);
    assert!(plan.hotplug);
    assert!(!checked(&plan).contains(&"ELF core header".to_owned()));
    assert_eq!(checked(&plan).len(), 3);
    let header = plan.segment(SegmentKind::CoreHeader).unwrap();
    assert_eq!(header.memory.len(), 0xa000);
}

#[test]
fn the_command_line() {
    let line = |text: &str, pass_memmap| {
        let mut asked = ask();
        asked.cmdline = text.into();
        asked.options.pass_memmap = pass_memmap;
        let plan = asked.plan().unwrap();
        sound(&plan, &asked);
        let header = plan.segment(SegmentKind::CoreHeader).unwrap().memory;
        plan.cmdline
            .to_string()
            .replace(&format!("{:#x}", header.start), "HEADER")
    };
    assert_eq!(line("", false), "elfcorehdr=HEADER");
    assert_eq!(line("quiet", false), "quiet elfcorehdr=HEADER");
    // What is behind -- is init's, and what was there for another crash kernel goes.
    let given = "a elfcorehdr=0x1000 b -- elfcorehdr=5";
    assert_eq!(line(given, false), "a b elfcorehdr=HEADER -- elfcorehdr=5");
    let words = line("quiet", true);
    let words: Vec<&str> = words.split(' ').collect();
    assert_eq!(words[..3], ["quiet", "memmap=exactmap", "memmap=635K@4K"]);
    assert_eq!(words.last(), Some(&"elfcorehdr=HEADER"));
    for word in [
        "memmap=1K$639K",
        "memmap=1024K#2097152K",
        "memmap=262144K$3145728K",
    ] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
}

#[test]
fn a_command_line_without_room_is_refused() {
    let mut asked = ask();
    asked.cmdline = "x".repeat(2040).as_str().into();
    let error = refused(&asked);
    assert!(matches!(
        error,
        CrashError::CmdlineTooLong { max: 2047, .. }
    ));
    assert!(error.to_string().contains("(elfcorehdr=)"), "{error}");
    // It is the kernel's own limit without that.
    asked.cmdline = "x".repeat(2048).as_str().into();
    assert!(matches!(
        asked.plan(),
        Err(ClassicError::CmdlineTooLong { len: 2048, .. })
    ));
}

/// ACPI's root pointer is where a kernel finds it itself, or on the command line.
#[test]
fn acpi_without_efi_runtime_services() {
    let (firmware, _) = ovmf();
    let mut asked = ask();
    asked.firmware = firmware;
    let with = asked.plan().unwrap();
    assert_eq!(with.cmdline.value("acpi_rsdp"), None);
    asked.options.no_efi = true;
    let without = asked.plan().unwrap();
    assert_eq!(
        without.cmdline.value("acpi_rsdp").as_deref(),
        Some("0x7fb7e014")
    );
    assert_eq!(ask().plan().unwrap().cmdline.value("acpi_rsdp"), None);
}

#[test]
fn only_what_a_32_bit_header_can_describe() {
    let mut asked = ask();
    asked.options.core_class = Some(CoreClass::Elf32);
    let facts = asked.crash.as_mut().unwrap();
    facts.cpus.truncate(1);
    facts.cpus[0].range = Range::new(0x7000_0000, 0x7000_0160);
    // Addresses of a 64-bit kernel do not fit, and are left out.
    let plan = asked.plan().unwrap();
    let all = entries(&plan);
    assert!(all.iter().all(|e| e.virtual_start == 0));
    assert_eq!(saved(&all).len(), 2);
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("no virtual addresses"))
    );
    let facts = asked.crash.as_mut().unwrap();
    facts.cpus[0].range = Range::new(4 * GIB - 1, 4 * GIB + 1);
    let error = refused(&asked);
    assert!(error.to_string().contains("beyond the 4 GiB"), "{error}");
    let mut asked = ask();
    asked.options.core_class = Some(CoreClass::Elf32);
    asked.options.hotplug = true;
    assert!(
        asked
            .plan()
            .unwrap_err()
            .to_string()
            .contains("always as ELF64")
    );
}

#[test]
fn thousands_of_ranges_and_processors() {
    let mut asked = ask();
    for i in 0..5000 {
        let start = 8 * GIB + i * 4 * MIB;
        let name = ["System RAM (virtio_mem)", "System RAM (kmem)"][usize::from(i % 2 == 0)];
        asked
            .memory
            .iomem
            .push(resource(start, start + 2 * MIB, name, 2));
    }
    let facts = asked.crash.as_mut().unwrap();
    // Every third number.
    facts.cpus = (0..3000)
        .map(|n| CpuNotes {
            cpu: n * 3,
            range: Range::sized(0x10_0000 + u64::from(n) * 0x1000, 0x160).unwrap(),
        })
        .collect();
    let plan = asked.plan().unwrap();
    sound(&plan, &asked);
    let entries = entries(&plan);
    assert_eq!(entries.len(), 3000 + 1 + 1 + 2 + 5000);
    // No more than fit.
    let facts = asked.crash.as_mut().unwrap();
    let many = u32::try_from(HEADERS_MAX - 5003).unwrap();
    facts.cpus = (0..many)
        .map(|cpu| CpuNotes {
            cpu,
            range: Range::new(0x1000, 0x2000),
        })
        .collect();
    let error = refused(&asked);
    assert!(
        matches!(error, CrashError::TooManyHeaders { ranges: 5002, count, .. } if count == HEADERS_MAX + 1),
        "{error}"
    );
    // Each processor and each range less is an entry less.
    let remedy = error.remedy();
    assert!(
        remedy.contains("nr_cpus=") && remedy.contains("mem="),
        "{remedy}"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    type Change = fn(&mut Ask);
    let table: &[(Change, &str)] = &[
        (
            |a| a.memory.iomem.retain(|r| r.name != "Crash kernel"),
            "no memory is reserved",
        ),
        (
            |a| a.crash.as_mut().unwrap().cpus[1].range = Range::default(),
            "the note of processor 1 is at 0x0..0x0",
        ),
        (
            |a| a.crash.as_mut().unwrap().vmcoreinfo = Range::default(),
            "vmcoreinfo is at",
        ),
        (
            |a| a.crash.as_mut().unwrap().kernel_text.physical = Range::default(),
            "the running kernel is at",
        ),
        (
            |a| a.crash.as_mut().unwrap().kernel_text.virtual_start = u64::MAX,
            "the running kernel is at",
        ),
        (
            |a| a.crash.as_mut().unwrap().direct_map = u64::MAX - 5,
            "System RAM is at",
        ),
        (
            |a| a.image = common::recognise(common::multiboot1()),
            "only Linux finds what it has to save",
        ),
        (|a| a.options.preserve_context = true, "is not returned to"),
        (
            |a| a.initrd = vec![piece("/initrd", 256 * MIB)],
            "no place for initrd",
        ),
        (
            |a| a.crash.as_mut().unwrap().hotplug_size = Some(u64::MAX),
            "ELF core header",
        ),
    ];
    for (change, words) in table {
        let mut asked = ask();
        change(&mut asked);
        let error = asked.plan().unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!error.remedy().is_empty());
    }
}

/// Ranges behind each other, of RAM and else, with one or two regions in them.
fn memory() -> impl Strategy<Value = MemoryFacts> {
    let range = (0..6_usize, 0..3_u64, 300..900_u64, 0..4096_u64, 0..4_usize);
    proptest::collection::vec(range, 2..30).prop_map(|ranges| {
        let names = [
            "System RAM",
            "System RAM",
            "System RAM (kmem)",
            "Reserved",
            "ACPI Tables",
            "Persistent Memory (legacy)",
        ];
        let mut facts = MemoryFacts::default();
        let mut at = 0x1000;
        for (i, (name, gap, mib, odd, crash)) in ranges.into_iter().enumerate() {
            let (start, end) = (at + gap * 0x1_1000, at + gap * 0x1_1000 + mib * MIB + odd);
            let name = if i < 2 { "System RAM" } else { names[name] };
            facts.iomem.push(resource(start, end, name, 0));
            if i == 1 || (crash == 0 && name == "System RAM") {
                let middle = (start + 32 * MIB).next_multiple_of(16 * MIB);
                facts
                    .iomem
                    .push(resource(middle, middle + 224 * MIB, "Crash kernel", 1));
            }
            let kind = if name.ends_with("(kmem)") {
                "Persistent Memory"
            } else {
                name
            };
            facts.firmware.push((Range::new(start, end), kind.into()));
            at = end;
        }
        facts.total = 1 << 36;
        facts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_machine_gets_a_sound_plan(
        memory in memory(), initrd in 0..0x700_0000_u64, hotplug in proptest::option::of(1..0x10_0000_u64),
        cma in proptest::collection::vec((0..20_u64, 1..40_u64), 0..4), pass in any::<bool>(),
        uses_low_memory in any::<bool>(),
        cpus in proptest::collection::btree_set(0..9000_u32, 1..40),
    ) {
        let mut asked = Ask::new(Bz::default().build(), memory);
        asked.initrd = vec![piece("/initrd", initrd)];
        asked.options.pass_memmap = pass;
        let regions: RangeSet = asked.memory.iomem.iter()
            .filter(|r| r.name == "Crash kernel").map(|r| r.range).collect();
        let ram: RangeSet = asked.memory.iomem.iter()
            .filter(|r| r.name == "System RAM").map(|r| r.range).collect();
        let cma = cma.iter().map(|(at, len)| Range::new(at * 100 * MIB, (at * 100 + len) * MIB));
        let note = |cpu: u32| CpuNotes {
            cpu,
            range: Range::sized(0x10_0000 + u64::from(cpu) * 0x200, 0x160).unwrap(),
        };
        let mut cma = ram.intersect(&cma.collect()).without(&regions);
        cma.remove(Range::new(0, MIB));
        asked.crash = Some(CrashFacts {
            cpus: cpus.into_iter().map(note).collect(),
            cma,
            hotplug_size: hotplug,
            uses_low_memory,
            ..crash_facts()
        });
        match asked.plan() {
            Ok(plan) => sound(&plan, &asked),
            Err(ClassicError::Crash(CrashError::NoRoom(no))) => prop_assert!(no.largest < no.size, "{}", no),
            Err(ClassicError::Crash(CrashError::CmdlineTooLong { .. })) => prop_assert!(pass),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
