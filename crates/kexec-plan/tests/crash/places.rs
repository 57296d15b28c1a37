//! What a crash kernel is told of memory that is not its own, and what helps where nothing
//! fits.

use kexec_plan::crash::CrashError;
use kexec_plan::memory::{MemoryKind, Range};

use super::{GIB, ask, refused, resource};

/// Memory for special purposes, which the running kernel uses through the driver kmem: it is
/// saved, and the crash kernel must not use it in its turn.
#[test]
fn soft_reserved_memory_is_reserved_for_a_crash_kernel() {
    let mut asked = ask();
    let special = Range::new(4 * GIB, 6 * GIB);
    let (start, end) = (special.start, special.end);
    for (name, depth) in [
        ("Soft Reserved", 0),
        ("dax0.0", 1),
        ("System RAM (kmem)", 2),
    ] {
        asked.memory.iomem.push(resource(start, end, name, depth));
    }
    asked
        .memory
        .firmware
        .push((special, "Soft Reserved".into()));
    let plan = asked.plan().unwrap();
    super::sound(&plan, &asked);
    let saved = super::saved(&super::entries(&plan));
    assert!(saved.contains(&special), "{saved:x?}");
    let there = plan.memory_map.iter().filter(|e| e.range.overlaps(special));
    let kinds: Vec<_> = there.map(|e| (e.range, e.kind)).collect();
    assert_eq!(kinds, [(special, MemoryKind::Reserved)]);
}

/// A 32-bit entry, with all of the reserved memory above 4 GiB.
#[test]
fn a_larger_region_is_no_remedy_where_it_is_too_high() {
    let mut asked = ask();
    let high = |end| resource(8 * GIB, end, "System RAM", 0);
    asked.memory.iomem.push(high(16 * GIB));
    let region = resource(8 * GIB, 9 * GIB, "Crash kernel", 1);
    asked.memory.iomem.push(region);
    assert!(asked.plan().is_ok());
    asked.options.entry_32bit = true;
    let error = refused(&asked);
    assert!(matches!(error, CrashError::TooHigh(..)), "{error}");
    assert!(error.to_string().contains("begins at 0x200000000"));
    assert!(error.remedy().contains("without ,high"));
    asked.options.entry_32bit = false;
    asked.options.mem_max = Some(4 * GIB);
    assert!(matches!(refused(&asked), CrashError::TooHigh(..)));
    // Here more memory helps.
    asked.options.mem_max = None;
    asked.initrd = vec![super::piece("/initrd", GIB)];
    assert!(matches!(refused(&asked), CrashError::NoRoom(_)));
}
