//! What a snapshot has of a crash kernel, of machines in tests/machines.
// The helper here is no test of its own, which the lints would leave alone.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use kexec_machine::snapshot::{KernelMap, NotePlace};
use kexec_machine::{Fact, Snapshot};

fn machine(name: &str) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    Snapshot::read(&machines.join(name))
}

#[test]
fn of_a_machine_with_reserved_memory() {
    let host = machine("crash-reserved");
    let crash = &host.crash;
    let notes = crash.cpu_notes.known().unwrap().iter();
    let notes: Vec<(u32, u64, u64)> = notes
        .map(|n| (n.cpu, n.place.address, n.place.size))
        .collect();
    assert_eq!(notes, [(0, 0x3ec3_9400, 368), (5, 0x3ecb_9400, 368)]);
    let (address, size) = (0x3c1_e000, 0x1024);
    assert_eq!(crash.vmcoreinfo, Fact::Known(NotePlace { address, size }));
    assert_eq!(host.kexec.crash_cma_ranges, Fact::Absent);
    assert_eq!(host.kexec.crash_hotplug_cpu, Fact::Known(true));
    assert_eq!(host.kexec.crash_hotplug_memory, Fact::Known(true));
    assert_eq!(host.kexec.elfcorehdr_size, Fact::Known(36864));
    assert_eq!(crash.dump_keys, Fact::Absent);
    let map = KernelMap {
        page_offset: 0xffff_9a1d_4000_0000,
        text: 0xffff_ffff_9c00_0000,
        physical: 0x1c00_0000,
        len: 0x283_0000,
    };
    assert_eq!(crash.kernel_map, Fact::Known(map));
    // Where KASLR put the kernel is nobody's business; how large it is stays.
    let redacted = host.redact().crash;
    let shown = KernelMap {
        page_offset: 0xffff_8880_0000_0000,
        text: 0xffff_ffff_8100_0000,
        physical: 0x100_0000,
        len: 0x283_0000,
    };
    assert_eq!(redacted.kernel_map, Fact::Known(shown));
    assert_eq!(redacted.cpu_notes, crash.cpu_notes);
    // Another machine has none reserved, and is not asked.
    let other = machine("debian-cloud").crash;
    for reason in [other.cpu_notes.reason(), other.kernel_map.reason()] {
        assert!(reason.unwrap().contains("no memory is reserved"));
    }
}

/// A snapshot of a version that did not look.
#[test]
fn a_snapshot_without_what_a_crash_kernel_is_told() {
    let json = machine("crash-reserved").to_json(false);
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    value.as_object_mut().unwrap().remove("crash").unwrap();
    let old = Snapshot::from_json(&value.to_string()).unwrap();
    assert!(
        old.crash
            .vmcoreinfo
            .reason()
            .unwrap()
            .contains("older version")
    );
    assert_eq!(old.crash, kexec_machine::snapshot::CrashState::default());
}
