//! What must hold for every plan of a crash kernel, without the planner's own help.

use kexec_plan::classic::{LoadPlan, SegmentKind};
use kexec_plan::memory::{MemoryKind, Range};

use super::common::{Ask, MIB};

/// One entry of an ELF core header, read back without the writer's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub kind: u32,
    pub offset: u64,
    pub virtual_start: u64,
    pub physical: u64,
    pub file: u64,
    pub memory: u64,
    pub flags: u32,
    pub align: u64,
}

/// The entries of the header of a plan.
pub fn entries(plan: &LoadPlan) -> Vec<Entry> {
    let segment = plan.segment(SegmentKind::CoreHeader).unwrap();
    let bytes = segment.bytes();
    let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(&bytes[..4], b"\x7fELF");
    assert_eq!((bytes[5], bytes[6]), (1, 1), "little-endian, version 1");
    assert_eq!(
        (half(16), half(18), word(20)),
        (4, 62, 1),
        "a core of x86-64"
    );
    let wide = bytes[4] == 2;
    let (from, size, count) = match wide {
        true => {
            assert_eq!((long(24), long(40), word(48)), (0, 0, 0));
            assert_eq!((half(52), half(54)), (64, 56));
            (long(32), 56, half(56))
        }
        false => {
            assert_eq!((word(24), word(32), word(36)), (0, 0, 0));
            assert_eq!((half(40), half(42)), (52, 32));
            (word(28).into(), 32, half(44))
        }
    };
    let from = usize::try_from(from).unwrap();
    assert_eq!(bytes.len(), from + usize::from(count) * size);
    let all = (0..usize::from(count)).map(|i| {
        let at = from + i * size;
        let n = |k: usize| match wide {
            true => long(at + 8 + 8 * k),
            false => word(at + 4 + 4 * k).into(),
        };
        Entry {
            kind: word(at),
            offset: n(0),
            virtual_start: n(1),
            physical: n(2),
            file: n(3),
            memory: n(4),
            flags: word(at + if wide { 4 } else { 24 }),
            align: if wide { n(5) } else { word(at + 28).into() },
        }
    });
    all.collect()
}

/// The memory that the header has, without the kernel's own entry, in its order.
pub fn saved(entries: &[Entry]) -> Vec<Range> {
    let loads = entries.iter().filter(|e| e.kind == 1).skip(1);
    loads
        .map(|e| Range::new(e.physical, e.physical + e.memory))
        .collect()
}

/// What must hold for every plan of a crash kernel.
pub fn sound(plan: &LoadPlan, ask: &Ask) {
    let facts = ask.crash.as_ref().unwrap();
    let crash = ask.memory.iomem.iter().filter(|r| r.name == "Crash kernel");
    let window = crash.clone().map(|r| r.range).max().unwrap();
    assert!(plan.crash && !plan.preserve_context);
    let mut last = window.start;
    for s in &plan.segments {
        assert!(window.covers(s.memory), "{} is outside", s.name);
        assert!(s.memory.start >= last, "{} overlaps", s.name);
        assert_eq!((s.memory.start % 4096, s.memory.end % 4096), (0, 0));
        last = s.memory.end;
    }
    assert!(window.contains(plan.entry));
    let copy = plan.purgatory.copy;
    // The header: notes first, each at its own address; then the kernel; then memory.
    let entries = entries(plan);
    let notes = facts.cpus.len() + 1;
    for (i, e) in entries.iter().enumerate() {
        assert_eq!(e.kind, if i < notes { 4 } else { 1 });
        let place = match copy.filter(|copy| copy.from.contains(e.physical)) {
            Some(copy) => copy.to + (e.physical - copy.from.start),
            None => e.physical,
        };
        assert_eq!((e.offset, e.file, e.align), (place, e.memory, 0));
    }
    let notes: Vec<Range> = entries[..notes]
        .iter()
        .map(|e| Range::new(e.physical, e.physical + e.memory))
        .collect();
    let cpus = facts.cpus.iter().map(|c| c.range);
    assert_eq!(notes, cpus.chain([facts.vmcoreinfo]).collect::<Vec<_>>());
    // Memory, address by address of every end: saved once, or left out for a reason.
    let saved = saved(&entries);
    let touch = |w: &[Range]| copy.is_some_and(|copy| copy.from.end == w[1].start);
    assert!(
        saved
            .windows(2)
            .all(|w| w[0].end < w[1].start || (w[0].end == w[1].start && touch(w)))
    );
    let ends = ask.memory.iomem.iter().map(|r| r.range);
    let ends = ends.chain(facts.cma.iter()).chain([Range::new(0, MIB)]);
    // Of thousands, some hundred.
    let step = 1 + ask.memory.iomem.len() / 300;
    for at in ends
        .step_by(step)
        .flat_map(|r| [r.start.saturating_sub(1), r.start, r.end - 1, r.end])
    {
        let is = |name: &str| {
            let mut all = ask.memory.iomem.iter();
            all.any(|r| r.name.split(" (").next() == Some(name) && r.range.contains(at))
        };
        let unused = at < MIB && !facts.uses_low_memory;
        let out = unused || is("Crash kernel") || facts.cma.iter().any(|r| r.contains(at));
        let times = saved.iter().filter(|r| r.contains(at)).count();
        assert_eq!(times, usize::from(is("System RAM") && !out), "{at:#x}");
    }
    // The map: what is the crash kernel's own, without the header.
    let header = plan.segment(SegmentKind::CoreHeader).unwrap().memory;
    let ram = plan.memory_map.iter().filter(|e| e.kind == MemoryKind::Ram);
    let copied = |r: &Range| copy.is_some_and(|copy| copy.from.covers(*r));
    for entry in ram.clone() {
        assert!(!entry.range.overlaps(header));
        let twice = saved.iter().filter(|r| r.overlaps(entry.range));
        assert!(twice.clone().all(copied), "{twice:?}");
    }
    let low = Range::new(0, 640 << 10);
    let has_low = ask
        .memory
        .iomem
        .iter()
        .any(|r| r.name.split(" (").next() == Some("System RAM") && r.range.overlaps(low));
    assert_eq!(copy.is_some(), facts.uses_low_memory && has_low);
    assert_eq!(
        plan.segment(SegmentKind::Backup).map(|s| s.memory),
        copy.map(|copy| copy.destination())
    );
    if let Some(copy) = copy {
        assert!(low.covers(copy.from) && !copy.from.is_empty());
        let inside = saved.iter().filter(|r| r.overlaps(low));
        assert!(
            inside.clone().count() > 0 && inside.clone().all(copied),
            "{copy:?}"
        );
        assert!(window.covers(copy.destination()));
    }
    for s in &plan.segments {
        let inside = ram.clone().any(|e| e.range.covers(s.memory));
        let is_kept = matches!(s.kind, SegmentKind::CoreHeader | SegmentKind::Backup);
        assert_eq!(inside, !is_kept, "{}", s.name);
    }
    assert!(
        plan.memory_map
            .windows(2)
            .all(|w| w[0].range.end <= w[1].range.start)
    );
    let word = format!("elfcorehdr={:#x}", header.start);
    assert_eq!(
        plan.cmdline.value("elfcorehdr"),
        word.strip_prefix("elfcorehdr=").map(str::to_owned)
    );
    let parameters = plan.segment(SegmentKind::Parameters).unwrap().bytes();
    let line = plan.cmdline.as_bytes();
    assert!(parameters.windows(line.len()).any(|w| w == line));
}
