//! Crash kernels: which call loads them, what is asked of it, and what is refused before.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::{LoadRequest, SyscallChoice};
use kexec_machine::{Fact, Snapshot};
use kexec_plan::Method;
use kexec_plan::classic::SegmentKind;
use kexec_sys::double::{Call, Double, Machine};
use kexec_sys::{Errno, LoadFlags, Slot};

use common::{load, prepared};

const REGION: std::ops::Range<u64> = 0x2b00_0000..0x3b00_0000;

fn host(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    let mut host = Snapshot::read(&machines.join("crash-reserved"));
    change(&mut host);
    host
}

struct Boot {
    _folder: tempfile::TempDir,
    request: LoadRequest,
}

fn boot(syscall: SyscallChoice) -> Boot {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinuz");
    std::fs::write(&kernel, BzImageBuilder::new().build()).unwrap();
    let mut request = LoadRequest::new(kernel);
    request.slot = Slot::Crash;
    request.syscall = syscall;
    request.old_spelling = true;
    Boot {
        _folder: folder,
        request,
    }
}

fn machine(change: impl FnOnce(&mut Machine)) -> Double {
    let mut machine = Machine {
        crash_region: Some(REGION),
        ..Machine::default()
    };
    change(&mut machine);
    Double::new(machine)
}

/// The flags of the last kexec_load(2), which succeeded.
fn flags(kernel: &Double) -> LoadFlags {
    match kernel.calls().last() {
        Some(Call::Load {
            flags,
            places,
            entry,
            result: Ok(()),
        }) => {
            assert!(REGION.contains(entry));
            for place in places {
                assert!(REGION.contains(&place.mem) && place.mem + place.memsz <= REGION.end);
            }
            *flags
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn kexec_load_into_the_reserved_memory() {
    let (boot, kernel) = (boot(SyscallChoice::Classic), machine(|_| ()));
    let loaded = load(&kernel, &boot.request, &host(|_| ())).unwrap();
    assert_eq!(
        flags(&kernel),
        LoadFlags::arch(62) | LoadFlags::ON_CRASH,
        "{:?}",
        kernel.calls()
    );
    let placed = loaded.placed.unwrap();
    // Processors 0 and 5, the kernel's own note, the kernel, two ranges of memory.
    let header = placed.segment(SegmentKind::CoreHeader).unwrap();
    assert_eq!(header.bytes().len(), 64 + 6 * 56);
    let told = format!("elfcorehdr={:#x}", header.memory.start);
    assert_eq!(placed.cmdline.to_string(), told);
}

/// Linux keeps out of the first MiB since 5.5. Before, and where the release says nothing, it
/// is copied at the crash, and the copy is what is saved.
#[test]
fn an_older_kernels_low_memory_is_copied() {
    let boot = boot(SyscallChoice::Classic);
    for (release, is_copied) in [
        ("5.4.0-100-generic", true),
        ("4.19.0-27-amd64", true),
        ("gentoo", true),
        ("5.5.0", false),
        ("7.3.4", false),
    ] {
        let kernel = machine(|_| ());
        let host = host(|h| h.release = release.into());
        let loaded = load(&kernel, &boot.request, &host).unwrap();
        let placed = loaded.placed.unwrap();
        let copy = placed.purgatory.copy;
        assert_eq!(copy.is_some(), is_copied, "{release}");
        let header = placed.segment(SegmentKind::CoreHeader).unwrap();
        let ranges = if is_copied { 3 } else { 2 };
        assert_eq!(header.bytes().len(), 64 + (4 + ranges) * 56, "{release}");
        let Some(copy) = copy else { continue };
        assert!(copy.from.end <= 640 << 10, "{copy:?}");
        let place = placed.segment(SegmentKind::Backup).unwrap();
        assert_eq!((place.memory, place.content_len()), (copy.destination(), 0));
    }
}

#[test]
fn hotplug_is_a_flag_and_room_for_the_running_kernels_header() {
    let mut boot = boot(SyscallChoice::Classic);
    boot.request.classic.options.hotplug = true;
    let kernel = machine(|m| m.release = (6, 6));
    let loaded = load(&kernel, &boot.request, &host(|_| ())).unwrap();
    let expected = LoadFlags::ON_CRASH | LoadFlags::UPDATE_ELFCOREHDR;
    assert_eq!(flags(&kernel), LoadFlags::arch(62) | expected);
    let placed = loaded.placed.unwrap();
    let header = placed.segment(SegmentKind::CoreHeader).unwrap();
    assert_eq!(header.memory.len(), 36864);
    let checks = placed.purgatory.checks.iter();
    assert!(checks.clone().all(|check| check.name != header.name));
    assert!(checks.count() >= 2);

    let old = host(|h| h.kexec.elfcorehdr_size = Fact::Absent);
    let error = prepared(&boot.request, &old).unwrap_err();
    assert!(error.to_string().starts_with("--hotplug: "), "{error}");
    assert!(
        error.to_string().contains("crash_elfcorehdr_size"),
        "{error}"
    );
}

/// With -a the crash slot has a second way, too.
#[test]
fn auto_goes_on_to_kexec_load() {
    let boot = boot(SyscallChoice::Auto);
    let kernel = machine(|m| m.has_file_load = false);
    let loaded = load(&kernel, &boot.request, &host(|_| ())).unwrap();
    assert_eq!(loaded.decision.method, Method::ClassicLoad);
    assert!(
        loaded.decision.reason.contains("answered ENOSYS"),
        "{:?}",
        loaded.decision
    );
    assert!(matches!(
        kernel.calls()[..],
        [
            Call::FileLoad {
                result: Err(Errno::ENOSYS),
                ..
            },
            Call::Load { .. }
        ]
    ));
    assert!(flags(&kernel).contains(LoadFlags::ON_CRASH));
    // With the verbs, too.
    let mut verb = boot;
    verb.request.syscall = SyscallChoice::Fastest;
    verb.request.old_spelling = false;
    let loaded = load(&kernel, &verb.request, &host(|_| ())).unwrap();
    assert_eq!(loaded.decision.method, Method::ClassicLoad);
}

/// What kexec_load(2) cannot tell the crash kernel is no second way, and the error has both.
#[test]
fn auto_has_no_second_way_without_the_facts() {
    let boot = boot(SyscallChoice::Auto);
    let kernel = machine(|m| m.has_file_load = false);
    let blind = host(|h| h.crash.kernel_map = Fact::Unreadable("/proc/kcore: EPERM".into()));
    let error = load(&kernel, &boot.request, &blind).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("CONFIG_KEXEC_FILE"), "{said}");
    assert!(said.contains("then kexec_load(2) was tried"), "{said}");
    assert!(said.contains("/proc/kcore: EPERM"), "{said}");
    assert_eq!(kernel.calls().len(), 1);
}

#[test]
fn keys_of_a_dump_target_need_the_running_kernels_loader() {
    let keys = |h: &mut Snapshot| h.crash.dump_keys = Fact::Known(2);
    let auto = boot(SyscallChoice::Auto);
    let found = prepared(&auto.request, &host(keys)).unwrap();
    assert_eq!(found.decision.method, Method::FileLoad);
    assert!(
        found.decision.reason.contains("keys"),
        "{:?}",
        found.decision
    );
    // There is no second way then.
    let kernel = machine(|m| m.has_file_load = false);
    load(&kernel, &auto.request, &host(keys)).unwrap_err();
    assert_eq!(kernel.calls().len(), 1);

    let classic = boot(SyscallChoice::Classic);
    let kernel = machine(|_| ());
    let error = load(&kernel, &classic.request, &host(keys)).unwrap_err();
    assert!(
        error.to_string().contains("hands none of them on"),
        "{error}"
    );
    assert!(error.remedy().contains("-s"), "{}", error.remedy());
    assert!(kernel.calls().is_empty());
    // None, and a folder for them: nothing to say.
    let none = host(|h| h.crash.dump_keys = Fact::Known(0));
    load(&machine(|_| ()), &classic.request, &none).unwrap();
    // They are for the crash slot.
    let mut normal = boot(SyscallChoice::Auto);
    normal.request.slot = Slot::Normal;
    let found = prepared(&normal.request, &host(keys)).unwrap();
    assert!(
        !found.decision.reason.contains("keys"),
        "{:?}",
        found.decision
    );
}

#[test]
fn what_is_not_known_is_refused_with_its_reason() {
    type Change = fn(&mut Snapshot);
    let table: &[(Change, &str)] = &[
        (
            |h| h.memory.iomem = Fact::Unreadable("/proc/iomem: shows zeros".into()),
            "cannot read /proc/iomem",
        ),
        (
            |h| h.crash.cpu_notes = Fact::Unreadable("cpu0/crash_notes: EACCES".into()),
            "cpu0/crash_notes: EACCES",
        ),
        (
            |h| h.crash.vmcoreinfo = Fact::Absent,
            "/sys/kernel/vmcoreinfo, which a crash kernel is told of: does not exist",
        ),
        (
            |h| h.crash.kernel_map = Fact::Unreadable("/proc/kcore: EPERM".into()),
            "/proc/kcore: EPERM",
        ),
        (
            |h| h.kexec.crash_cma_ranges = Fact::Unreadable("crash_cma_ranges: x".into()),
            "crash_cma_ranges: x",
        ),
    ];
    let boot = boot(SyscallChoice::Classic);
    for (change, words) in table {
        let error = prepared(&boot.request, &host(change)).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(error.remedy().contains("-s"), "{}", error.remedy());
    }
}

#[test]
fn without_reserved_memory_there_is_no_plan() {
    let boot = boot(SyscallChoice::Classic);
    let none = host(|h| {
        if let Fact::Known(iomem) = &mut h.memory.iomem {
            iomem.retain(|range| range.kind != "Crash kernel");
        }
        h.crash.cpu_notes = Fact::Unreadable("not looked up".into());
    });
    let error = prepared(&boot.request, &none).unwrap_err();
    assert!(
        error.to_string().contains("no memory is reserved"),
        "{error}"
    );
    assert!(
        error.remedy().contains("add crashkernel=SIZE"),
        "{}",
        error.remedy()
    );
}

/// The ranges of `,cma` are shown since Linux 6.19 only.
#[test]
fn hidden_cma_is_noted() {
    let boot = boot(SyscallChoice::Classic);
    let notes = |change: fn(&mut Snapshot)| {
        let placed = prepared(&boot.request, &host(change))
            .unwrap()
            .placed
            .unwrap();
        placed.notes.join("\n")
    };
    let hidden = notes(|h| {
        h.release = "6.17.3".into();
        h.cmdline = Fact::Known("crashkernel=160M crashkernel=1G,cma".into());
    });
    assert!(hidden.contains("crash_cma_ranges"), "{hidden}");
    assert!(!notes(|_| ()).contains("crash_cma_ranges"));
}

/// A crash hands nothing over, whichever call loaded.
#[test]
fn live_update_state_is_no_matter_of_a_crash_kernel() {
    let handover = |h: &mut Snapshot| h.kexec.kho = Fact::Known(true);
    let classic = boot(SyscallChoice::Classic);
    let kernel = machine(|_| ());
    load(&kernel, &classic.request, &host(handover)).unwrap();
    assert!(flags(&kernel).contains(LoadFlags::ON_CRASH));
}
