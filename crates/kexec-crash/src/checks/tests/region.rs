//! Where the reserved memory is.

use kexec_load::preflight::Severity;
use kexec_machine::Fact;
use kexec_machine::snapshot::MemoryRange;

use super::after;

/// Devices that reach no higher than 4 GiB need some of the reserved memory below.
#[test]
fn a_region_above_4_gib_without_one_below_is_found() {
    let at = |kind: &str, start, len| MemoryRange {
        start,
        end: start + len,
        kind: kind.to_owned(),
        depth: 0,
    };
    let region = |gib: u64| at("Crash kernel", gib << 30, 512 << 20);
    let low = at("System RAM", 1 << 20, 2 << 30);
    let high = at("System RAM", 4 << 30, 8 << 30);
    let found = |iomem: &[&MemoryRange], lent: Option<u64>| {
        let lent = lent.map(|gib| at("cma", gib << 30, 1 << 28));
        after(|m| {
            m.host.memory.iomem = Fact::Known(iomem.iter().map(|one| (*one).clone()).collect());
            m.host.kexec.crash_cma_ranges = Fact::Known(lent.into_iter().collect());
        })
    };
    let warned = [("dump-region", Severity::Warning)];
    assert_eq!(found(&[&low, &high, &region(8)], None), warned);
    assert_eq!(found(&[&low, &high, &region(8)], Some(9)), warned);
    assert_eq!(found(&[&low, &high, &region(8), &region(1)], None), []);
    assert_eq!(found(&[&low, &high, &region(8)], Some(1)), []);
    assert_eq!(found(&[&low, &high, &region(1)], None), []);
    // There is none on this machine.
    assert_eq!(found(&[&high, &region(8)], None), []);
    let unread = after(|m| m.host.memory.iomem = Fact::Unreadable("x".into()));
    assert_eq!(unread, []);
}
