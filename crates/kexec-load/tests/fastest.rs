//! The verbs' choice: the shortest downtime among what the machine allows, and
//! which and why is said.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;

use kexec_image::Arch;
use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::pipeline;
use kexec_load::request::Unsigned;
use kexec_load::{LoadRequest, SyscallChoice};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::{Lockdown, MemoryRange};
use kexec_plan::Method;
use kexec_sys::double::{Call, Double, Machine};
use kexec_sys::{Errno, Slot};

use common::{load, prepared};

fn host(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    let mut host = Snapshot::read(&machines.join("debian-cloud"));
    change(&mut host);
    host
}

struct Boot {
    folder: tempfile::TempDir,
    request: LoadRequest,
}

fn boot() -> Boot {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinuz");
    std::fs::write(&kernel, BzImageBuilder::new().build()).unwrap();
    let mut request = LoadRequest::new(kernel);
    request.syscall = SyscallChoice::Fastest;
    Boot { folder, request }
}

#[test]
fn kexec_load_where_nothing_is_in_its_way() {
    let (boot, kernel) = (boot(), Double::new(Machine::default()));
    let loaded = load(&kernel, &boot.request, &host(|_| ())).unwrap();
    assert_eq!(loaded.decision.method, Method::ClassicLoad);
    assert!(loaded.decision.reason.starts_with("the shortest downtime"));
    assert!(matches!(kernel.calls()[..], [Call::Load { .. }]));
}

#[test]
fn the_running_kernels_own_loader_where_something_is() {
    type Change = fn(&mut Snapshot);
    let table: &[(Change, &str)] = &[
        (
            |h| h.security.lockdown = Fact::Known(Lockdown::Integrity),
            "locked down",
        ),
        (
            |h| h.security.secure_boot = Fact::Known(true),
            "Secure Boot is on",
        ),
        // What cannot be seen counts as on, and the reason says why.
        (
            |h| h.security.secure_boot = Fact::Unreadable("efivarfs is not mounted".into()),
            "Secure Boot is on is unknown, which counts as on (efivarfs is not mounted)",
        ),
        (
            |h| h.security.secure_boot = Fact::Unreadable("SecureBoot: EACCES".into()),
            "which counts as on (SecureBoot: EACCES)",
        ),
        (
            |h| h.security.lockdown = Fact::Unreadable("securityfs is not mounted".into()),
            "which counts as locked down (securityfs is not mounted)",
        ),
        (|h| h.kexec.kho = Fact::Known(true), "live-update state"),
        (
            |h| h.security.selinux_enforcing = Fact::Known(true),
            "SELinux",
        ),
        (
            |h| h.memory.iomem = Fact::Unreadable("it shows zeros".into()),
            "/proc/iomem shows this process no addresses",
        ),
        (
            |h| h.firmware.hypervisor = Fact::Known("tdx".into()),
            "memory is encrypted",
        ),
        (
            |h| h.cmdline = Fact::Known("quiet mem_encrypt=on".into()),
            "memory is encrypted",
        ),
        (
            |h| {
                let Fact::Known(config) = &mut h.config else {
                    panic!("no configuration");
                };
                config.remove("CONFIG_KEXEC");
            },
            "built without kexec_load",
        ),
    ];
    let boot = boot();
    for (change, reason) in table {
        let decision = prepared(&boot.request, &host(change)).unwrap().decision;
        assert_eq!(decision.method, Method::FileLoad, "{reason}");
        assert!(decision.reason.contains(reason), "{decision:?}");
    }
}

#[test]
fn a_crash_kernel_is_the_running_kernels_own_matter() {
    let mut boot = boot();
    boot.request.slot = Slot::Crash;
    let decision = prepared(&boot.request, &host(|_| ())).unwrap().decision;
    assert_eq!(decision.method, Method::FileLoad);
    assert!(decision.reason.contains("crash kernel"), "{decision:?}");
}

/// The kernel is for x86_64, which is refused by a check; what decides is the
/// machine.
#[test]
fn other_architectures_have_no_planner_here() {
    let boot = boot();
    let other = host(|h| h.arch = Some(Arch::Arm64));
    let inputs = pipeline::read(&boot.request, None, None).unwrap();
    let options = kexec_image::Options::default();
    let image = kexec_image::recognise(inputs.kernel.sealed.bytes(), &options).unwrap();
    let here = prepared(&boot.request, &host(|_| ())).unwrap();
    let facts = pipeline::method_facts(&boot.request, &image, &here.plan, Arch::Arm64, &other);
    assert!(facts.not_placed_here);
}

#[test]
fn unverified_is_about_secure_boot_and_nothing_else() {
    let mut boot = boot();
    boot.request.classic.unsigned = Unsigned::Taken;
    let method = |change: fn(&mut Snapshot)| {
        let decision = prepared(&boot.request, &host(change)).unwrap().decision;
        decision.method
    };
    let secure = |h: &mut Snapshot| h.security.secure_boot = Fact::Known(true);
    // IMA would refuse it there (CONFIG_IMA_ARCH_POLICY).
    assert_eq!(method(secure), Method::FileLoad);
    assert_eq!(
        method(|h| {
            h.security.secure_boot = Fact::Known(true);
            let Fact::Known(config) = &mut h.config else {
                panic!("no configuration");
            };
            config.remove("CONFIG_IMA_ARCH_POLICY");
        }),
        Method::ClassicLoad
    );
    assert_eq!(
        method(|h| {
            h.security.secure_boot = Fact::Known(true);
            h.security.lockdown = Fact::Known(Lockdown::Integrity);
        }),
        Method::FileLoad
    );
}

/// What may be on is shown to the running kernel first; where that kernel has no
/// such call, the other one is no way around anything that is known.
#[test]
fn what_cannot_be_seen_does_not_make_a_kernel_unloadable() {
    let mut boot = boot();
    let unseen =
        host(|h| h.security.secure_boot = Fact::Unreadable("efivarfs is not mounted".into()));
    let kernel = Double::new(Machine {
        has_file_load: false,
        ..Machine::default()
    });
    let loaded = load(&kernel, &boot.request, &unseen).unwrap();
    assert_eq!(loaded.decision.method, Method::ClassicLoad);
    let reason = &loaded.decision.reason;
    assert!(
        reason.contains("efivarfs is not mounted") && reason.ends_with("answered ENOSYS"),
        "{reason}"
    );
    boot.request.classic.unsigned = Unsigned::Taken;
    let decision = prepared(&boot.request, &unseen).unwrap().decision;
    assert_eq!(decision.method, Method::ClassicLoad);
}

#[test]
fn live_update_state_may_be_thrown_away() {
    let mut boot = boot();
    boot.request.classic.discard_liveupdate = true;
    let live = host(|h| h.kexec.kho = Fact::Known(true));
    let prepared = prepared(&boot.request, &live).unwrap();
    assert_eq!(prepared.decision.method, Method::ClassicLoad);
    let said = prepared.findings.iter().find(|f| f.check == "live-update");
    assert!(said.unwrap().problem.why.contains("it will be lost"));
}

#[test]
fn unverified_does_not_get_around_lockdown_and_that_is_said() {
    let mut boot = boot();
    let locked = host(|h| h.security.lockdown = Fact::Known(Lockdown::Integrity));
    let said = |request: &LoadRequest| {
        let findings = prepared(request, &locked).unwrap().findings;
        findings.iter().any(|f| f.problem.what == "--unverified")
    };
    assert!(!said(&boot.request));
    boot.request.classic.unsigned = Unsigned::Taken;
    assert!(said(&boot.request));
}

#[test]
fn what_has_no_plan_goes_the_other_way_and_says_why() {
    let boot = boot();
    // Memory so full of holes that nothing fits.
    let host = host(|h| {
        h.memory.iomem = Fact::Known(vec![MemoryRange {
            start: 0x10_0000,
            end: 0x20_0000,
            kind: "System RAM".into(),
            depth: 0,
        }]);
    });
    let kernel = Double::new(Machine::default());
    let loaded = load(&kernel, &boot.request, &host).unwrap();
    assert_eq!(loaded.decision.method, Method::FileLoad);
    let reason = &loaded.decision.reason;
    assert!(
        reason.starts_with("kexec_load was tried first") && reason.contains("has no plan: "),
        "{reason}"
    );
    assert!(matches!(kernel.calls()[..], [Call::FileLoad { .. }]));
    // Asked for by name, it is an error.
    let mut request = boot.request.clone();
    request.syscall = SyscallChoice::Classic;
    assert!(prepared(&request, &host).is_err());
}

#[test]
fn what_the_kernel_does_not_take_goes_the_other_way() {
    for errno in [Errno::ENOSYS, Errno::EPERM, Errno::EACCES] {
        let (boot, kernel) = (boot(), Double::new(Machine::default()));
        kernel.change(|m| match errno {
            Errno::ENOSYS => m.has_load = false,
            other => m.load_denied = Some(other),
        });
        let loaded = load(&kernel, &boot.request, &host(|_| ())).unwrap();
        assert_eq!(loaded.decision.method, Method::FileLoad);
        let reason = &loaded.decision.reason;
        assert!(reason.contains(errno.name().unwrap()), "{reason}");
        assert!(matches!(
            kernel.calls()[..],
            [Call::Load { .. }, Call::FileLoad { .. }]
        ));
    }
}

#[test]
fn the_files_stay_where_they_are() {
    let boot = boot();
    prepared(&boot.request, &host(|_| ())).unwrap();
    assert_eq!(std::fs::read_dir(boot.folder.path()).unwrap().count(), 1);
}
