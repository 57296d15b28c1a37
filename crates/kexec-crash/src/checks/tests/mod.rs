//! The checks over machines of the snapshots.

mod watchdogs;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use kexec_load::preflight::Severity;
use kexec_machine::snapshot::MemoryRange;
use kexec_plan::{FilePlan, Piece};

use super::*;
use crate::estimate::{Needs, Programs, estimate};
use crate::facts::{Sysctl, TargetFacts, Watchdog};
use crate::size::MIB;
use crate::target::{Service, Target};

mod processors;
mod region;
mod triggers;

/// One crash kernel on one machine, which each test changes in one way.
struct Machine {
    host: Snapshot,
    facts: CrashFacts,
    plan: FilePlan,
    contents: Contents,
    config: Fact<BTreeMap<String, String>>,
}

/// Everything is in order: a region of 256 MiB, an initrd of kdump-utils.
fn machine() -> Machine {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    let mut host = Snapshot::read(&machines.join("crash-reserved"));
    host.kexec.crash_size = Fact::Known(256 * MIB);
    host.memory.total = Fact::Known(4 << 30);
    let option = |name: &str| (name.to_owned(), "y".to_owned());
    Machine {
        plan: FilePlan {
            format: "bzImage".into(),
            release: Some(host.release.clone()),
            kernel: Piece {
                origin: "/boot/vmlinuz".into(),
                len: 0,
                padding: 0,
                bytes: Bytes::new(),
            },
            bare: true,
            initrd: vec![],
            cmdline: "root=/dev/vda1 nr_cpus=1".into(),
            cmdline_from: "derived",
            crash: true,
        },
        host,
        facts: CrashFacts {
            sysctls: vec![Sysctl {
                name: "kernel.panic_on_oops",
                value: Some(1),
                means: "",
            }],
            watchdogs: Fact::Absent,
            iommus: Fact::Known(vec![]),
            target: TargetFacts {
                service: Some(Service::KdumpUtils),
                target: Fact::Known(Target::Folder("/var/crash".into())),
                exists: Fact::Known(true),
                free: Fact::Known(8 << 30),
                file_system: Fact::Known("ext4".into()),
                keys: Fact::Known(0),
                modules: Fact::Known(["ext4".to_owned(), "virtio_blk".to_owned()].into()),
            },
            post_notifiers: Fact::Absent,
            dump_unit: false,
            lines: vec![],
        },
        contents: Contents {
            modules: ["ext4".to_owned(), "virtio_blk".to_owned()].into(),
            savers: vec!["usr/bin/makedumpfile".into()],
            unpacked: Some(20 * MIB),
            systemd: false,
            whole: true,
            image: None,
        },
        config: Fact::Known([option("CONFIG_CRASH_DUMP"), option("CONFIG_PROC_VMCORE")].into()),
    }
}

impl Machine {
    fn findings(&self) -> Vec<Finding> {
        let estimate = estimate(&Needs {
            release: self.plan.release.clone(),
            kernel: 60 * MIB,
            initrd: 8 * MIB,
            unpacked: self.contents.unpacked,
            has_root: true,
            programs: Programs::Few,
            keys: Fact::Known(0),
            encrypted: false,
        });
        run(&CrashContext {
            host: &self.host,
            facts: &self.facts,
            plan: &self.plan,
            contents: &self.contents,
            estimate: &estimate,
            config: &self.config,
        })
    }
}

/// Most of the initrd is in a file system of its own.
fn squash(machine: &mut Machine) {
    machine.contents.image = Some("squashfs-root.img".into());
    machine.contents.whole = false;
}

/// What is found on a machine that differs in one way: only the checks that do not pass.
fn after(change: impl FnOnce(&mut Machine)) -> Vec<(&'static str, Severity)> {
    let mut machine = machine();
    change(&mut machine);
    let findings = machine.findings();
    for finding in &findings {
        let problem = &finding.problem;
        let silent = matches!(finding.severity, Severity::Pass | Severity::Note);
        assert_eq!(problem.remedy.is_empty(), silent, "{finding:?}");
        assert!(
            !problem.why.is_empty() && !problem.why.ends_with('.'),
            "{finding:?}"
        );
    }
    let others = findings.iter().filter(|f| f.severity != Severity::Pass);
    others.map(|f| (f.check, f.severity)).collect()
}

#[test]
fn a_machine_that_is_ready() {
    assert_eq!(after(|_| {}), []);
    let checks: Vec<&str> = machine().findings().iter().map(|f| f.check).collect();
    let all: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(checks, all);
}

#[test]
fn what_is_wrong_is_found() {
    use Severity::{Note, Refusal, Unknown, Warning};
    type Change = fn(&mut Machine);
    let watchdog = |m: &mut Machine, identity: &str, active, timeout| {
        m.facts.watchdogs = Fact::Known(vec![Watchdog {
            name: "watchdog0".into(),
            identity: Some(identity.into()),
            active,
            timeout,
            driver: Some("iTCO_wdt".into()),
        }]);
    };
    let line = |m: &mut Machine, running: &str, crash: &str| {
        m.host.cmdline = Fact::Known(running.into());
        m.plan.cmdline = crash.into();
        m.facts.iommus = Fact::Known(vec!["dmar0".into()]);
    };
    let rows: &[(&str, Change, &str, Severity)] = &[
        (
            "no region",
            |m| m.host.kexec.crash_size = Fact::Known(0),
            "dump-region",
            Refusal,
        ),
        (
            "small region",
            |m| m.host.kexec.crash_size = Fact::Known(64 * MIB),
            "dump-region",
            Warning,
        ),
        (
            "region unseen",
            |m| {
                m.host.kexec.crash_size = Fact::Unreadable("x".into());
                m.host.memory.iomem = Fact::Unreadable("x".into());
            },
            "dump-region",
            Unknown,
        ),
        (
            "no vmcore",
            |m| m.config = Fact::Known(BTreeMap::new()),
            "vmcore-support",
            Refusal,
        ),
        (
            "no config",
            |m| m.config = Fact::Absent,
            "vmcore-support",
            Unknown,
        ),
        (
            "no release",
            |m| {
                m.plan.release = None;
                m.facts.target.modules = Fact::Known(Default::default());
            },
            "crash-kernel-release",
            Unknown,
        ),
        (
            "no module",
            |m| {
                m.contents.modules.remove("virtio_blk");
            },
            "dump-modules",
            Warning,
        ),
        (
            "cut initrd",
            |m| {
                m.contents.modules.clear();
                m.contents.whole = false;
            },
            "dump-modules",
            Unknown,
        ),
        (
            "image in the initrd, modules",
            |m| {
                m.contents.modules.clear();
                squash(m);
            },
            "dump-modules",
            Unknown,
        ),
        (
            "image in the initrd, program",
            |m| {
                m.contents.savers.clear();
                squash(m);
            },
            "dump-program",
            Unknown,
        ),
        (
            "disks unseen",
            |m| m.facts.target.modules = Fact::Unreadable("x".into()),
            "dump-modules",
            Unknown,
        ),
        (
            "no program",
            |m| m.contents.savers.clear(),
            "dump-program",
            Warning,
        ),
        (
            "no program, cut",
            |m| {
                m.contents.savers.clear();
                m.contents.whole = false;
            },
            "dump-program",
            Unknown,
        ),
        (
            "unit not started",
            |m| {
                m.contents.savers.clear();
                m.facts.dump_unit = true;
            },
            "dump-program",
            Warning,
        ),
        (
            "locked down",
            |m| {
                m.host.security.lockdown = Fact::Known(kexec_machine::snapshot::Lockdown::Integrity)
            },
            "crash-lockdown",
            Note,
        ),
        (
            "lockdown unseen",
            |m| m.host.security.lockdown = Fact::Unreadable("x".into()),
            "crash-lockdown",
            Unknown,
        ),
        (
            "target gone",
            |m| m.facts.target.exists = Fact::Known(false),
            "dump-target",
            Warning,
        ),
        (
            "target full",
            |m| m.facts.target.free = Fact::Known(MIB),
            "dump-target",
            Warning,
        ),
        (
            "target in memory",
            |m| m.facts.target.file_system = Fact::Known("tmpfs".into()),
            "dump-target",
            Warning,
        ),
        (
            "target unseen",
            |m| m.facts.target.free = Fact::Unreadable("x".into()),
            "dump-target",
            Unknown,
        ),
        (
            "target elsewhere",
            |m| m.facts.target.target = Fact::Known(Target::Device("UUID=a".into())),
            "dump-target",
            Unknown,
        ),
        (
            "oops goes on",
            |m| m.facts.sysctls[0].value = Some(0),
            "dump-triggers",
            Warning,
        ),
        (
            "no sysctl",
            |m| m.facts.sysctls.clear(),
            "dump-triggers",
            Unknown,
        ),
        (
            "notifiers",
            |m| m.host.cmdline = Fact::Known("crash_kexec_post_notifiers".into()),
            "dump-triggers",
            Warning,
        ),
        (
            "no class",
            |m| m.facts.watchdogs = Fact::Unreadable("x".into()),
            "dump-watchdog",
            Unknown,
        ),
    ];
    for (name, change, check, severity) in rows {
        let mut found = after(change);
        assert!(found.contains(&(*check, *severity)), "{name}: {found:?}");
        found.retain(|(its, _)| its != check);
        // A module that is gone or unseen says nothing of another check.
        assert_eq!(found, [], "{name}");
    }
    for (identity, active, timeout, expected) in [
        ("iTCO_wdt", Some(true), Some(30), Some(Warning)),
        ("iTCO_wdt", Some(true), Some(600), None),
        ("iTCO_wdt", Some(false), Some(30), None),
        ("iTCO_wdt", None, None, Some(Unknown)),
        ("Software Watchdog", Some(true), Some(5), None),
    ] {
        let found = after(|m| watchdog(m, identity, active, timeout));
        let expected: Vec<_> = expected.map(|s| ("dump-watchdog", s)).into_iter().collect();
        assert_eq!(found, expected, "{identity} {timeout:?}");
    }
    let fed = after(|m| {
        watchdog(m, "iTCO_wdt", Some(true), Some(30));
        m.contents.modules.insert("iTCO_wdt".into());
    });
    assert_eq!(fed, [("dump-watchdog", Note)]);
    for (running, crash, expected) in [
        ("intel_iommu=on", "a", Some(Warning)),
        ("intel_iommu=on,sm_on", "intel_iommu=on", None),
        ("a", "amd_iommu=off", Some(Warning)),
        ("a", "iommu=pt", None),
    ] {
        let found = after(|m| line(m, running, crash));
        let expected: Vec<_> = expected.map(|s| ("dump-iommu", s)).into_iter().collect();
        assert_eq!(found, expected, "{running} {crash}");
    }
}

#[test]
fn memory_of_cma_counts() {
    let with = |bytes: u64| {
        after(|m| {
            m.host.kexec.crash_size = Fact::Known(80 * MIB);
            m.host.kexec.crash_cma_ranges = Fact::Known(vec![MemoryRange {
                start: 0x1000_0000,
                end: 0x1000_0000 + bytes,
                kind: "Crash kernel".into(),
                depth: 0,
            }]);
        })
    };
    assert_eq!(with(MIB), [("dump-region", Severity::Warning)]);
    assert_eq!(with(256 * MIB), []);
}

#[test]
fn releases_are_compared() {
    let of = |release: &str| {
        after(|m| {
            m.host.release = "6.12.57+deb13-amd64".into();
            m.plan.release = Some(release.into());
            // What is built into another kernel is unknown.
            m.facts.target.modules = Fact::Known(Default::default());
        })
    };
    assert_eq!(of("6.12.57+deb13-amd64"), []);
    assert_eq!(
        of("6.1.0-40-amd64"),
        [("crash-kernel-release", Severity::Warning)]
    );
    assert_eq!(
        of("7.3.4-amd64"),
        [("crash-kernel-release", Severity::Note)]
    );
}

#[test]
fn debians_way_is_understood() {
    let debian = |unit: bool, line: &str| {
        let line = line.to_owned();
        after(move |m| {
            m.contents.savers.clear();
            m.facts.dump_unit = unit;
            m.plan.cmdline = line.as_str().into();
        })
    };
    assert_eq!(debian(true, "systemd.unit=kdump-tools-dump.service"), []);
    let warning = [("dump-program", Severity::Warning)];
    assert_eq!(
        debian(false, "systemd.unit=kdump-tools-dump.service"),
        warning
    );
    assert_eq!(debian(true, "systemd.unit=rescue.target"), warning);
}

#[test]
fn names_are_listed_once() {
    let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    names.extend(preflight::CHECKS.iter().map(|check| check.name));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(CHECKS.iter().all(|check| !check.about.ends_with('.')));
}

/// The size of one finding once contradicted that of another.
#[test]
fn a_region_is_found_once_and_its_remedy_names_the_size() {
    let with = |size, load: Severity| {
        let mut machine = machine();
        machine.host.kexec.crash_size = Fact::Known(size);
        let mut findings = machine.findings();
        findings.retain(|finding| finding.check == "dump-region");
        findings.push(Finding {
            check: "crash-region",
            severity: load,
            ..findings[0].clone()
        });
        once(&mut findings);
        findings
    };
    let none = with(0, Severity::Refusal);
    let [finding] = none.as_slice() else {
        panic!("{none:?}")
    };
    assert_eq!(finding.check, "dump-region");
    let estimate = "crashkernel=128M";
    assert_eq!(
        finding.problem.remedy,
        format!(
            "add {estimate} to the kernel command line for good (Debian: /etc/default/grub.d/, \
             then update-grub), and reboot"
        )
    );
    let small = with(64 * MIB, Severity::Refusal);
    assert_eq!((small.len(), small[0].check), (1, "crash-region"));
    assert_eq!(with(64 * MIB, Severity::Pass).len(), 2);
    assert_eq!(with(256 * MIB, Severity::Pass).len(), 2);
}

#[test]
fn root_is_not_sent_to_root() {
    let remedy = |root| {
        let mut machine = machine();
        machine.host.security.cap_sys_boot = Fact::Known(root);
        machine.facts.target.free = Fact::Unreadable("x".into());
        let findings = machine.findings();
        let found = findings.iter().find(|f| f.check == "dump-target");
        found.unwrap().problem.remedy.clone()
    };
    assert_eq!(remedy(true), "look at it with df(1)");
    assert_eq!(remedy(false), "run it as root");
}
