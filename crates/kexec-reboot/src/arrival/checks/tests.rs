//! Each check over facts that are described.

use std::collections::BTreeSet;

use super::*;
use crate::arrival::{
    Exitrd, ExitrdJump, ExitrdKind, FirmwareRequests, Hardware, Keyslot, Locked, NotArrived,
    RootDevice, Watchdog,
};
use crate::handover::init::{Init, InitFacts};
use kexec_load::preflight::Severity;
use kexec_machine::Fact;

fn arrival() -> ArrivalFacts {
    ArrivalFacts {
        boot_sources: vec![],
        exposed: vec![],
        root: RootDevice::Here {
            wanted: "UUID=1".into(),
            device: "/dev/vda1".into(),
        },
        init: InitFacts {
            init: Init::Systemd,
            systemd: Some(257),
            kexec_installed: true,
            inhibitors: vec![],
            hook: None,
        },
        exitrd: Exitrd::None,
        wishes: FirmwareRequests {
            menu: false,
            argument: None,
            os_indications: Fact::Absent,
            boot_next: Fact::Absent,
            capsules: vec![],
        },
        watchdog: Watchdog::default(),
        locked: vec![],
        hardware: Hardware::default(),
        not_arrived: None,
    }
}

/// What a check makes of changed facts.
fn found(
    check: &str,
    yes: bool,
    change: impl FnOnce(&mut ArrivalFacts, &mut Snapshot),
) -> Vec<(Severity, String)> {
    let root = tempfile::tempdir().unwrap();
    let mut host = Snapshot::read(root.path());
    let mut arrival = arrival();
    change(&mut arrival, &mut host);
    let plan = FilePlan {
        format: "bzImage".into(),
        release: None,
        kernel: kexec_plan::Piece {
            origin: "/k".into(),
            len: 0,
            padding: 0,
            bytes: bytes::Bytes::new(),
        },
        bare: true,
        initrd: vec![],
        cmdline: "".into(),
        cmdline_from: "nothing",
        crash: false,
    };
    let findings = run(&ArrivalContext {
        host: &host,
        plan: &plan,
        arrival: &arrival,
        by_init: true,
        allow_passphrase: yes,
        this_machine: yes,
    });
    let of = findings.into_iter().filter(|f| f.check == check);
    of.map(|f| {
        assert!(f.severity != Severity::Refusal || !f.problem.remedy.is_empty());
        (f.severity, f.problem.why)
    })
    .collect()
}

fn severity(
    check: &str,
    change: impl FnOnce(&mut ArrivalFacts, &mut Snapshot),
) -> Option<Severity> {
    found(check, false, change)
        .first()
        .map(|(severity, _)| *severity)
}

#[test]
fn files_that_others_can_change_are_told_with_the_remedy() {
    use crate::arrival::Exposed;
    use kexec_entries::boot_source::BootSource;
    use kexec_machine::volumes::VolumeId;
    use kexec_machine::volumes::trust::{Because, Verdict};
    let check = "owners";
    // A file that somebody named.
    assert_eq!(severity(check, |_, _| {}), None);
    let source = || BootSource {
        volume: VolumeId("vda1".into()),
        device: None,
        kind: None,
        uuid: None,
        how: vec![],
        verdict: Verdict::Believed(Because::RunsFrom("/".into())),
    };
    let of = |exposed: Vec<Exposed>| {
        found(check, false, |a, _| {
            a.boot_sources = vec![source()];
            a.exposed = exposed;
        })
    };
    assert_eq!(of(vec![])[0].0, Severity::Pass);
    let exposed = |by_mount| Exposed {
        path: "/boot/grub/grub.cfg".into(),
        owner: 1000,
        group: 100,
        mode: 0o664,
        by_mount,
    };
    let told = of(vec![exposed(false), exposed(true)]);
    let why = "it belongs to user 1000 and group 100 and has mode 0664";
    assert!(
        told.iter()
            .all(|(s, w)| *s == Severity::Warning && w.contains(why)),
        "{told:?}"
    );
}

#[test]
fn roots() {
    let root = |device: RootDevice| severity("root-exists", |a, _| a.root = device);
    assert_eq!(severity("root-exists", |_, _| {}), Some(Severity::Pass));
    let wanted = || "x".to_owned();
    assert_eq!(
        root(RootDevice::Missing { wanted: wanted() }),
        Some(Severity::Refusal)
    );
    assert_eq!(
        root(RootDevice::Elsewhere { wanted: wanted() }),
        Some(Severity::Note)
    );
    assert_eq!(root(RootDevice::NotNamed), Some(Severity::Warning));
}

#[test]
fn shutdown_images() {
    let image = |jump| Exitrd::Used {
        kind: ExitrdKind::Mkinitcpio,
        jump,
        because: "x".into(),
    };
    let of = |exitrd: Exitrd| severity("shutdown-image", |a, _| a.exitrd = exitrd);
    assert_eq!(of(Exitrd::None), None);
    let by = "y".to_owned();
    assert_eq!(of(image(ExitrdJump::Yes { by })), Some(Severity::Pass));
    let why = "y".to_owned();
    assert_eq!(of(image(ExitrdJump::No { why })), Some(Severity::Refusal));
    let why = "y".to_owned();
    assert_eq!(
        of(image(ExitrdJump::Unknown { why })),
        Some(Severity::Unknown)
    );
    // Only systemd changes into one.
    let other = severity("shutdown-image", |a, _| {
        let why = "y".to_owned();
        a.exitrd = image(ExitrdJump::No { why });
        a.init.init = Init::Sysvinit;
    });
    assert_eq!(other, None);
}

#[test]
fn wishes_are_not_swallowed() {
    let check = "firmware-wishes";
    assert_eq!(severity(check, |_, _| {}), None);
    assert_eq!(
        severity(check, |_, h| h.firmware.efi = true),
        Some(Severity::Pass)
    );
    let setup = severity(check, |a, _| a.wishes.os_indications = Fact::Known(1));
    assert_eq!(setup, Some(Severity::Refusal));
    let unreadable = severity(check, |a, _| {
        a.wishes.boot_next = Fact::Unreadable("EIO".into())
    });
    assert_eq!(unreadable, Some(Severity::Unknown));
}

#[test]
fn programs_that_systemd_wants() {
    let of = |version, installed| {
        severity("kexec-program", |a, _| {
            a.init.systemd = version;
            a.init.kexec_installed = installed;
        })
    };
    assert_eq!(of(Some(257), true), Some(Severity::Pass));
    assert_eq!(of(Some(257), false), Some(Severity::Warning));
    assert_eq!(of(Some(262), false), Some(Severity::Pass));
    assert_eq!(of(None, false), Some(Severity::Warning));
}

#[test]
fn watchdogs() {
    let of = |kexec: Option<&str>, runtime: Option<&str>| {
        severity("watchdog", |a, _| {
            a.watchdog.kexec = kexec.map(str::to_owned);
            a.watchdog.runtime = runtime.map(str::to_owned);
        })
    };
    assert_eq!(of(None, None), None);
    assert_eq!(of(Some("1min"), None), Some(Severity::Warning));
    assert_eq!(of(Some("1min"), Some("30")), Some(Severity::Pass));
}

#[test]
fn disks_that_would_ask() {
    let disk = |pcrs: &[u32], signed: &[u32]| Locked {
        device: "/dev/vda3".into(),
        mounted: "/".into(),
        keyslots: vec![Keyslot {
            kind: "systemd-tpm2".into(),
            pcrs: pcrs.iter().copied().collect(),
            signed_pcrs: signed.iter().copied().collect::<BTreeSet<_>>(),
        }],
        unreadable: None,
    };
    let of = |disk: Locked, allowed| {
        let found = found("unlock", allowed, |a, _| a.locked = vec![disk]);
        found.first().map(|(severity, _)| *severity)
    };
    assert_eq!(severity("unlock", |_, _| {}), None);
    assert_eq!(of(disk(&[7], &[]), false), Some(Severity::Pass));
    assert_eq!(of(disk(&[], &[]), false), Some(Severity::Pass));
    assert_eq!(of(disk(&[7], &[11]), false), Some(Severity::Refusal));
    assert_eq!(of(disk(&[7, 11], &[]), true), Some(Severity::Warning));
    let mut two = disk(&[11], &[]);
    two.keyslots.extend(disk(&[7], &[]).keyslots);
    assert_eq!(of(two, false), Some(Severity::Pass));
    let mut unreadable = disk(&[], &[]);
    unreadable.unreadable = Some("EACCES".into());
    assert_eq!(of(unreadable, false), Some(Severity::Unknown));
}

#[test]
fn machines_and_guests() {
    assert_eq!(severity("hardware", |_, _| {}), None);
    let pi = severity("hardware", |a, _| {
        a.hardware.model = "Raspberry Pi 4 Model B Rev 1.4".into();
    });
    assert_eq!(pi, Some(Severity::Warning));
    // Of this one nobody has reported a kexec that arrived.
    for (yes, expected) in [(false, Severity::Refusal), (true, Severity::Warning)] {
        let rock = found("hardware", yes, |a, _| {
            a.hardware.model = "Radxa ROCK Pi 4B".into();
        });
        let [(severity, why)] = &rock[..] else {
            panic!("{rock:?}");
        };
        assert_eq!(*severity, expected);
        assert!(why.contains("https://") && why.contains("2022-"), "{why}");
    }
    for (kind, expected) in [
        ("kvm", None),
        ("xen-hvm", None),
        ("xen-pv", Some(Severity::Refusal)),
        ("xen-dom0", Some(Severity::Refusal)),
        ("tdx", Some(Severity::Warning)),
        ("sev-snp", Some(Severity::Warning)),
    ] {
        let of = severity("hardware", |_, h| {
            h.firmware.hypervisor = Fact::Known(kind.to_owned());
        });
        assert_eq!(of, expected, "{kind}");
    }
}

/// A power cut during the jump looks the same: a warning is enough where somebody watches.
#[test]
fn a_last_kexec_that_did_not_arrive_is_told() {
    let check = "last-kexec";
    assert_eq!(severity(check, |_, _| {}), None);
    let last = |a: &mut ArrivalFacts| {
        a.not_arrived = Some(NotArrived {
            kernel: "/boot/vmlinuz-7.3".into(),
            release: Some("7.3.0".into()),
            firmware: Some("Maker 1.0".into()),
            firmware_now: None,
        });
    };
    let found = found(check, false, |a, _| last(a));
    let [(severity, why)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*severity, Severity::Warning);
    assert!(
        why.contains("/boot/vmlinuz-7.3") && why.contains("Maker 1.0"),
        "{why}"
    );
}
