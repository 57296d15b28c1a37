//! The checks of the machine, over the machines in tests/machines.
// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod signatures;

use std::path::Path;

use bytes::Bytes;
use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_image::{Image, ImageError, Options, Proof, recognise};
use kexec_load::next_config::NextConfig;
use kexec_load::preflight::{CHECKS, Finding, LoadContext, Severity, run};
use kexec_load::request::{ClassicLoadOptions, Unsigned};
use kexec_load::unpacked::Unpacked;
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::{Lockdown, MemoryRange};
use kexec_plan::{Cmdline, Decision, FilePlan, FileRequest, InitrdFile, Method, file};

use Severity::{Note, Pass, Refusal, Unknown, Warning};

/// The checks that this file is about: those that look at the machine.
const MACHINE: &[&str] = &[
    "permission",
    "syscall-built",
    "load-disabled",
    "load-limit",
    "signature",
    "memory",
    "crash-region",
];

/// One load on one machine.
struct Load {
    host: Snapshot,
    method: Method,
    image: Image,
    plan: FilePlan,
    proofs: Result<Vec<Proof>, ImageError>,
    unsigned: Unsigned,
}

fn machine(name: &str) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    Snapshot::read(&machines.join(name))
}

/// A small unsigned bzImage of 64 MiB in memory on this machine.
fn load(name: &str) -> Load {
    load_with(machine(name), 64 << 20, 0, false)
}

fn load_with(host: Snapshot, init_size: u32, initrd: usize, crash: bool) -> Load {
    let built = BzImageBuilder {
        init_size,
        ..BzImageBuilder::new()
    };
    let image = recognise(Bytes::from(built.build()), &Options::default()).unwrap();
    let initrds = [InitrdFile {
        path: "/boot/initrd.img".to_owned(),
        bytes: Bytes::from(vec![0; initrd]),
    }];
    let plan = file::parts(&FileRequest {
        path: "/boot/vmlinuz",
        image: &image,
        initrds: &initrds[..usize::from(initrd > 0)],
        entry: None,
        append: None,
        reuse: false,
        running: &Cmdline::default(),
        mark: None,
        crash,
    });
    Load {
        host,
        method: Method::FileLoad,
        image,
        plan,
        proofs: Ok(vec![Proof::Bounds]),
        unsigned: Unsigned::Refused,
    }
}

impl Load {
    fn host(mut self, change: impl FnOnce(&mut Snapshot)) -> Load {
        change(&mut self.host);
        self
    }

    fn unsigned(mut self, unsigned: Unsigned) -> Load {
        self.unsigned = unsigned;
        self
    }

    fn classic(mut self) -> Load {
        self.method = Method::ClassicLoad;
        self
    }

    /// The kernel was unpacked from a wrapper.
    fn wrapped(mut self) -> Load {
        self.plan.bare = false;
        self
    }

    fn signed(mut self, of: &str) -> Load {
        self.proofs = Ok(vec![Proof::Authenticode {
            of: of.to_owned(),
            signer: "Debian Secure Boot Signer".to_owned(),
        }]);
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let decision = Decision {
            method: self.method,
            reason: "a test".to_owned(),
        };
        let all = run(&LoadContext {
            host: &self.host,
            image: &self.image,
            plan: &self.plan,
            initrds: &self.plan.initrd,
            unpacked: &Unpacked::default(),
            placed: None,
            classic: &ClassicLoadOptions {
                unsigned: self.unsigned,
                ..ClassicLoadOptions::default()
            },
            decision: &decision,
            proofs: &self.proofs,
            config: &NextConfig::default(),
            old_spelling: false,
        });
        let ours = all.into_iter().filter(|f| MACHINE.contains(&f.check));
        ours.collect()
    }

    /// What one check found.
    #[track_caller]
    fn says(&self, check: &str, expected: &[(Severity, &str)]) {
        let found: Vec<Finding> = self.findings();
        let found: Vec<&Finding> = found.iter().filter(|f| f.check == check).collect();
        let severities: Vec<Severity> = found.iter().map(|f| f.severity).collect();
        let wanted: Vec<Severity> = expected.iter().map(|(s, _)| *s).collect();
        assert_eq!(severities, wanted, "{found:#?}");
        for (finding, (severity, text)) in found.iter().zip(expected) {
            assert!(
                finding.problem.why.contains(text),
                "{text:?} in {finding:#?}"
            );
            // Whoever refuses says what to do.
            assert!(
                *severity != Refusal || !finding.problem.remedy.is_empty(),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn every_check_has_a_name_of_its_own_and_says_what_it_is_about() {
    let names: std::collections::BTreeSet<&str> = CHECKS.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), CHECKS.len());
    assert!(MACHINE.iter().all(|name| names.contains(name)));
    assert!(CHECKS.iter().all(|c| !c.about.is_empty()));
}

/// What stands in the way on each machine, and nothing else.
#[test]
fn each_machine_refuses_for_its_own_reason_only() {
    for (name, refusals) in [
        ("debian-cloud", &[][..]),
        ("crash-reserved", &[]),
        ("kho-active", &[]),
        ("unprivileged", &["permission"]),
        ("container", &["permission"]),
        ("kexec-disabled", &["load-disabled"]),
        ("limits-used-up", &["load-limit"]),
        ("locked-down", &["signature"]),
        ("secure-boot", &["signature"]),
        ("no-kexec", &["syscall-built"]),
        ("debian-arm64", &["syscall-built"]),
    ] {
        let findings = load(name).findings();
        let refused: Vec<&str> = findings
            .iter()
            .filter(|f| f.severity == Refusal)
            .map(|f| f.check)
            .collect();
        assert_eq!(refused, refusals, "{name}: {findings:#?}");
        // Each check that concerns the load says something.
        for check in MACHINE.iter().filter(|c| **c != "crash-region") {
            assert!(
                findings.iter().any(|f| f.check == *check),
                "{name}: {check}"
            );
        }
    }
}

#[test]
fn a_machine_of_which_nothing_is_known_passes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for crash in [false, true] {
        for method in [Method::FileLoad, Method::ClassicLoad] {
            let mut load = load_with(Snapshot::read(dir.path()), 64 << 20, 0, crash);
            load.method = method;
            for finding in load.findings() {
                assert_eq!(finding.severity, Unknown, "{finding:#?}");
                assert!(!finding.problem.why.is_empty());
            }
        }
    }
}

#[test]
fn permission() {
    load("debian-cloud").says("permission", &[(Pass, "CAP_SYS_BOOT")]);
    load("unprivileged").says("permission", &[(Refusal, "does not have")]);
    // The container's root has the flag, and it does not count.
    load("container").says(
        "permission",
        &[(Refusal, "user namespace"), (Warning, "seccomp")],
    );
    // A service's own, as that of kexec-preload.service: every boot would warn.
    load("debian-cloud")
        .host(|h| h.security.seccomp = Fact::Known(true))
        .says("permission", &[(Pass, "CAP_SYS_BOOT"), (Note, "seccomp")]);
    load("debian-cloud")
        .host(|h| h.security.cap_sys_boot = Fact::Unreadable("no /proc".to_owned()))
        .says("permission", &[(Unknown, "the capabilities: no /proc")]);
    load("debian-cloud")
        .host(|h| h.security.user_namespace = Fact::Unreadable("hidden".to_owned()))
        .says("permission", &[(Unknown, "the user namespace: hidden")]);
}

#[test]
fn syscall_built() {
    load("debian-cloud").says("syscall-built", &[(Pass, "CONFIG_KEXEC_FILE")]);
    load("debian-cloud")
        .classic()
        .says("syscall-built", &[(Pass, "CONFIG_KEXEC")]);
    let arm = load("debian-arm64");
    arm.says(
        "syscall-built",
        &[(
            Refusal,
            "without CONFIG_KEXEC_FILE, so it has no kexec_file_load(2)",
        )],
    );
    assert!(
        arm.findings()
            .iter()
            .any(|f| f.problem.remedy.ends_with("-c"))
    );
    // There the other call would be refused, too.
    let locked =
        load("debian-arm64").host(|h| h.security.lockdown = Fact::Known(Lockdown::Integrity));
    let remedy = locked.findings();
    let remedy = remedy.iter().find(|f| f.check == "syscall-built").unwrap();
    assert!(
        remedy
            .problem
            .remedy
            .starts_with("boot a kernel with CONFIG_KEXEC_FILE: lockdown"),
        "{remedy:?}"
    );
    load("debian-arm64")
        .classic()
        .says("syscall-built", &[(Pass, "CONFIG_KEXEC")]);
    load("no-kexec").says("syscall-built", &[(Refusal, "without")]);
    load("kho-active").says("syscall-built", &[(Unknown, "no /proc/config.gz")]);
}

#[test]
fn load_disabled() {
    load("debian-cloud").says("load-disabled", &[(Pass, "it is 0")]);
    load("kexec-disabled").says("load-disabled", &[(Refusal, "it is 1")]);
    load("no-kexec").says("load-disabled", &[(Unknown, "no such file")]);
    load("debian-cloud")
        .host(|h| h.kexec.load_disabled = Fact::Unreadable("EACCES".to_owned()))
        .says("load-disabled", &[(Unknown, "EACCES")]);
}

#[test]
fn load_limit() {
    let limit = |value: Fact<i64>| load("debian-cloud").host(|h| h.kexec.load_limit_reboot = value);
    limit(Fact::Known(-1)).says("load-limit", &[(Pass, "no limit")]);
    limit(Fact::Known(0)).says("load-limit", &[(Refusal, "it is 0")]);
    limit(Fact::Known(1)).says("load-limit", &[(Warning, "the last load")]);
    limit(Fact::Known(5)).says("load-limit", &[(Note, "5 loads are left")]);
    limit(Fact::Unreadable("x".to_owned())).says("load-limit", &[(Unknown, "x")]);
    limit(Fact::Absent).says("load-limit", &[(Unknown, "no such file")]);
    limit(Fact::Absent)
        .host(|h| h.release = "6.1.0-50-amd64".to_owned())
        .says("load-limit", &[(Pass, "before 6.3")]);
    // Each slot has a limit of its own.
    let both = |crash| load_with(machine("debian-cloud"), 1 << 20, 0, crash);
    let panic_used_up = |h: &mut Snapshot| h.kexec.load_limit_panic = Fact::Known(0);
    both(false)
        .host(panic_used_up)
        .says("load-limit", &[(Pass, "no limit")]);
    both(true)
        .host(panic_used_up)
        .says("load-limit", &[(Refusal, "it is 0")]);
}

#[test]
fn ima() {
    let appraises = |h: &mut Snapshot| h.security.ima_appraises_kexec = Fact::Known(true);
    load("debian-cloud").host(appraises).says(
        "signature",
        &[(Pass, "does not require one"), (Note, "security.ima")],
    );
    load("debian-cloud").host(appraises).wrapped().says(
        "signature",
        &[
            (Pass, "does not require one"),
            (Warning, "was unpacked from a wrapper"),
        ],
    );
    load("debian-cloud").host(appraises).classic().says(
        "signature",
        &[(Pass, "allows it"), (Refusal, "gives it none")],
    );
    load("debian-cloud")
        .host(|h| h.security.ima_appraises_kexec = Fact::Unreadable("no policy".to_owned()))
        .says(
            "signature",
            &[(Pass, "does not require one"), (Unknown, "no policy")],
        );
}

#[test]
fn memory() {
    let sized = |kernel: u32, initrd: usize, total: u64, available: u64| {
        load_with(machine("debian-cloud"), kernel, initrd, false).host(|h| {
            h.memory.total = Fact::Known(total);
            h.memory.available = Fact::Known(available);
        })
    };
    sized(64 << 20, 1 << 20, 1 << 30, 1 << 30).says(
        "memory",
        &[
            (
                Pass,
                "65 MiB (kernel 64 MiB, initrd 1 MiB); half of the RAM of 1 GiB is 512 MiB",
            ),
            (Pass, "1 GiB are available"),
        ],
    );
    // The rule counts whole pages, and half is still allowed.
    sized(64 << 20, 64 << 20, 256 << 20, 1 << 30)
        .says("memory", &[(Pass, "128 MiB"), (Pass, "available")]);
    sized(64 << 20, (64 << 20) + 1, 256 << 20, 1 << 30).says(
        "memory",
        &[(Refusal, "allows no more"), (Pass, "available")],
    );
    sized(64 << 20, 0, 1 << 30, 32 << 20).says(
        "memory",
        &[(Pass, "64 MiB"), (Warning, "32 MiB are available")],
    );
    // The kernel does not read files with kexec_load.
    let once = || sized(64 << 20, 64 << 20, 1 << 30, 200 << 20);
    once().says("memory", &[(Pass, ""), (Warning, "256.0 MiB are needed")]);
    let classic = once().classic();
    classic.says("memory", &[(Pass, ""), (Pass, "192.0 MiB are needed")]);
    load("debian-cloud")
        .host(|h| {
            h.memory.total = Fact::Unreadable("a".to_owned());
            h.memory.available = Fact::Unreadable("b".to_owned());
        })
        .says("memory", &[(Unknown, "not compared: a"), (Unknown, "b")]);
}

#[test]
fn crash_region() {
    let crash = |name, init_size| load_with(machine(name), init_size, 0, true);
    load("crash-reserved").says("crash-region", &[]);
    crash("crash-reserved", 64 << 20)
        .says("crash-region", &[(Pass, "256 MiB; the image takes 64 MiB")]);
    crash("crash-reserved", 300 << 20).says("crash-region", &[(Refusal, "300 MiB")]);
    crash("debian-cloud", 64 << 20).says("crash-region", &[(Refusal, "there is none")]);
    // /proc/iomem tells where sysfs does not.
    crash("crash-reserved", 64 << 20)
        .host(|h| h.kexec.crash_size = Fact::Absent)
        .says("crash-region", &[(Pass, "256 MiB")]);
    crash("unprivileged", 64 << 20)
        .host(|h| h.kexec.crash_size = Fact::Absent)
        .says("crash-region", &[(Unknown, "shows zeros")]);
    crash("unprivileged", 64 << 20)
        .host(|h| h.kexec.crash_size = Fact::Known(256 << 20))
        .says("crash-region", &[(Unknown, "one part is unknown: ")]);
}

/// With `crashkernel=SIZE,high` there are two parts; the lower one is for devices, and no
/// image goes there however large it is.
#[test]
fn the_highest_part_of_the_crash_region_takes_the_image() {
    let high = |high_mib: u64, init_size: u32| {
        load_with(machine("crash-reserved"), init_size, 0, true).host(|h| {
            let part = |start: u64, mib: u64| MemoryRange {
                start,
                end: start + (mib << 20),
                kind: "Crash kernel".into(),
                depth: 1,
            };
            h.memory.iomem = Fact::Known(vec![part(1 << 30, 256), part(8 << 30, high_mib)]);
            h.kexec.crash_size = Fact::Known((256 + high_mib) << 20);
        })
    };
    high(128, 200 << 20).says(
        "crash-region",
        &[(Refusal, "384 MiB in all, and 128 MiB in the part")],
    );
    high(256, 200 << 20).says("crash-region", &[(Pass, "512 MiB in all, and 256 MiB")]);
}

#[test]
fn a_redacted_snapshot_is_checked_the_same() {
    for name in [
        "debian-cloud",
        "secure-boot",
        "container",
        "crash-reserved",
        "unprivileged",
    ] {
        for crash in [false, true] {
            let plain = load_with(machine(name), 64 << 20, 4096, crash);
            let redacted = Snapshot::from_json(&plain.host.to_json(true)).unwrap();
            let replayed = load_with(redacted, 64 << 20, 4096, crash);
            assert_eq!(replayed.findings(), plain.findings(), "{name}");
        }
    }
}
