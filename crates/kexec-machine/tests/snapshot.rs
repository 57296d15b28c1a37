//! Snapshots of the machines in tests/machines.
// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};

use kexec_image::Arch;
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::{KernelMap, Lockdown, NotePlace, SnapshotError};
use proptest::prelude::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/machines")
        .join(name)
}

fn machine(name: &str) -> Snapshot {
    let folder = folder(name);
    assert!(folder.is_dir(), "{}", folder.display());
    Snapshot::read(&folder)
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder("")).unwrap();
    let folders = entries
        .map(Result::unwrap)
        .filter(|e| e.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 11);
    names
}

#[test]
fn a_debian_cloud_machine() {
    let host = machine("debian-cloud");
    assert_eq!(host.arch, Some(Arch::X86_64));
    assert_eq!(host.release, "6.12.94+deb13-cloud-amd64");
    assert!(host.cmdline.known().unwrap().value("crashkernel").is_some());
    assert_eq!(host.kexec.loaded, Fact::Known(false));
    assert_eq!(host.kexec.crash_size, Fact::Known(0));
    assert_eq!(host.kexec.load_disabled, Fact::Known(false));
    assert_eq!(host.kexec.load_limit_reboot, Fact::Known(-1));
    assert_eq!(host.kexec.kho, Fact::Known(false));
    assert_eq!(host.kexec.liveupdate_sessions, Fact::Known(false));
    assert_eq!(host.security.cap_sys_boot, Fact::Known(true));
    assert_eq!(host.security.lockdown, Fact::Known(Lockdown::None));
    assert_eq!(host.security.secure_boot, Fact::Absent);
    assert_eq!(host.security.selinux_enforcing, Fact::Absent);
    assert_eq!(host.security.user_namespace, Fact::Known(false));
    assert_eq!(host.security.seccomp, Fact::Known(false));
    assert_eq!(host.signature_enforced(), Fact::Known(false));
    assert_eq!(host.memory.total, Fact::Known(1_029_976_064));
    assert_eq!(host.memory.iomem.known().unwrap().len(), 14);
    assert_eq!(host.crash_regions(), Fact::Known(vec![]));
    let map = host.memory.firmware_map.known().unwrap();
    let starts: Vec<u64> = map.iter().map(|r| r.start).collect();
    assert_eq!(starts, [0, 0x10_0000, 0x3ffd_f000]);
    assert!(!host.firmware.efi);
    assert_eq!(host.firmware.boot_params.known().unwrap().len(), 8192);
    assert_eq!(host.firmware.la57, Fact::Known(false));
    assert_eq!(host.firmware.hypervisor, Fact::Known("kvm".to_owned()));
    assert_eq!(host.built_with("CONFIG_KEXEC_FILE"), Some(true));
    assert_eq!(host.built_with("CONFIG_KEXEC_SIG_FORCE"), Some(false));
    assert_eq!(host.release_at_least(6, 12), Some(true));
    assert_eq!(host.release_at_least(6, 13), Some(false));
}

fn what_a_crash_kernel_is_told(host: &Snapshot) {
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

#[test]
fn what_is_special_about_the_others() {
    let locked = machine("locked-down");
    assert_eq!(locked.security.lockdown, Fact::Known(Lockdown::Integrity));
    assert!(locked.locked_down());
    assert_eq!(locked.signature_enforced(), Fact::Known(false));

    let secure = machine("secure-boot");
    assert!(secure.firmware.efi);
    assert_eq!(secure.firmware.efi_bits, Fact::Known(64));
    assert_eq!(secure.security.secure_boot, Fact::Known(true));
    assert_eq!(secure.security.ima_appraises_kexec, Fact::Known(false));
    assert_eq!(secure.signature_enforced(), Fact::Known(true));

    let user = machine("unprivileged");
    assert_eq!(user.security.cap_sys_boot, Fact::Known(false));
    assert_eq!(
        user.memory.iomem.reason(),
        Some("/proc/iomem: shows zeros: needs CAP_SYS_ADMIN")
    );

    let disabled = machine("kexec-disabled");
    assert_eq!(disabled.kexec.load_disabled, Fact::Known(true));

    let limits = machine("limits-used-up");
    assert_eq!(limits.kexec.load_limit_reboot, Fact::Known(0));
    assert_eq!(limits.kexec.load_limit_panic, Fact::Known(0));

    let container = machine("container");
    assert_eq!(container.security.user_namespace, Fact::Known(true));
    assert_eq!(container.security.pid_namespace, Fact::Known(true));
    assert_eq!(container.security.seccomp, Fact::Known(true));
    assert!(
        container
            .security
            .lockdown
            .reason()
            .unwrap()
            .contains("securityfs")
    );
    assert_eq!(container.config, Fact::Absent);
    assert_eq!(container.signature_enforced(), Fact::Absent);

    let crash = machine("crash-reserved");
    assert_eq!(crash.kexec.crash_size, Fact::Known(256 << 20));
    let regions = crash.crash_regions();
    let [region] = regions.known().unwrap().as_slice() else {
        panic!("{regions:?}");
    };
    assert_eq!(
        (region.start, region.len(), region.depth),
        (0x2b00_0000, 256 << 20, 1)
    );
    what_a_crash_kernel_is_told(&crash);

    let kho = machine("kho-active");
    assert_eq!(kho.kexec.kho, Fact::Known(true));
    assert_eq!(kho.kexec.liveupdate_sessions, Fact::Known(true));
    let scratch = kho.kexec.kho_scratch.known().unwrap();
    let places: Vec<(u64, u64)> = scratch.iter().map(|r| (r.start, r.len())).collect();
    assert_eq!(places, [(0x3000_0000, 4 << 20), (0x2000_0000, 8 << 20)]);

    let none = machine("no-kexec");
    assert_eq!(none.kexec.loaded, Fact::Absent);
    assert_eq!(none.kexec.load_disabled, Fact::Absent);
    assert_eq!(none.built_with("CONFIG_KEXEC"), Some(false));
    assert_eq!(none.security.lockdown, Fact::Absent);

    let arm = machine("debian-arm64");
    assert_eq!(arm.arch, Some(Arch::Arm64));
    assert_eq!(arm.firmware.la57, Fact::Absent);
    assert_eq!(arm.built_with("CONFIG_KEXEC_FILE"), Some(false));
}

/// A copy of a machine with some files written over; `None` takes one away.
fn changed(name: &str, changes: &[(&str, Option<&[u8]>)]) -> (tempfile::TempDir, Snapshot) {
    let dir = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp")
        .arg("-a")
        .arg(folder(name).join("."))
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    for (path, content) in changes {
        let path = dir.path().join(path);
        match content {
            Some(content) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            None if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }
    let snapshot = Snapshot::read(dir.path());
    (dir, snapshot)
}

#[test]
fn kho_is_told_from_command_line_and_configuration() {
    let no_debugfs: (&str, Option<&[u8]>) = ("sys/kernel/debug", None);
    let config = "boot/config-7.2.13-luo";
    let kho = |changes: &[(&str, Option<&[u8]>)]| {
        let all: Vec<_> = [no_debugfs]
            .into_iter()
            .chain(changes.iter().copied())
            .collect();
        changed("kho-active", &all).1.kexec.kho
    };
    assert_eq!(kho(&[]), Fact::Known(true));
    assert_eq!(
        kho(&[("proc/cmdline", Some(b"kho=off"))]),
        Fact::Known(false)
    );
    assert!(kho(&[("proc/cmdline", Some(b"quiet"))]).reason().is_some());
    let default = b"CONFIG_KEXEC_HANDOVER=y\nCONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT=y\n";
    let built = b"CONFIG_KEXEC_HANDOVER=y\n";
    for (line, options, expected) in [
        ("quiet", &default[..], true),
        ("kho=0", &default[..], false),
        ("quiet", &built[..], false),
        ("kho=y", &built[..], true),
        ("kho=on", &b"CONFIG_KEXEC=y\n"[..], false),
    ] {
        assert_eq!(
            kho(&[
                ("proc/cmdline", Some(line.as_bytes())),
                (config, Some(options))
            ]),
            Fact::Known(expected),
            "{line}"
        );
    }
    // Merged in 6.16: before that there is nothing to ask.
    assert_eq!(
        kho(&[
            ("proc/cmdline", Some(b"kho=on")),
            ("proc/sys/kernel/osrelease", Some(b"6.15.9"))
        ]),
        Fact::Known(false)
    );
}

#[test]
fn sessions_that_could_not_be_looked_for_are_not_none() {
    let (_, host) = changed("kho-active", &[("proc/1/fd/5", None)]);
    assert_eq!(host.kexec.liveupdate_sessions, Fact::Known(false));
    let (_, host) = changed("kho-active", &[("dev", None)]);
    assert!(host.kexec.liveupdate_sessions.reason().is_some());
}

/// A kernel without kexec has no such files; a machine without sysfs has no files.
#[test]
fn without_sysfs_nobody_knows_what_is_loaded() {
    let loaded =
        |changes: &[(&str, Option<&[u8]>)]| changed("debian-cloud", changes).1.kexec.loaded;
    assert!(loaded(&[("sys", None)]).reason().unwrap().contains("sysfs"));
    let file = "sys/kernel/kexec_loaded";
    assert_eq!(loaded(&[(file, None)]), Fact::Absent);
}

#[test]
fn secure_boot_is_read_where_it_can_be() {
    let variable = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let state =
        |changes: &[(&str, Option<&[u8]>)]| changed("secure-boot", changes).1.security.secure_boot;
    assert_eq!(
        state(&[(variable, Some(&[6, 0, 0, 0, 0]))]),
        Fact::Known(false)
    );
    assert!(
        state(&[(variable, Some(&[6, 0, 0, 0]))])
            .reason()
            .unwrap()
            .contains("4 bytes")
    );
    assert!(
        state(&[(variable, Some(&[6, 0, 0, 0, 2]))])
            .reason()
            .unwrap()
            .contains("its value is 2")
    );
    // Without sysfs nobody knows whether there is EFI at all; with it, a BIOS
    // machine has no Secure Boot.
    assert!(state(&[("sys", None)]).reason().unwrap().contains("sysfs"));
    assert_eq!(state(&[("sys/firmware", None)]), Fact::Absent);
    // efivarfs not mounted.
    assert!(
        state(&[(variable, None)])
            .reason()
            .unwrap()
            .contains("efivarfs")
    );
    // The EFI stub's own finding then tells.
    let mut params = [0u8; 4096];
    let data = "sys/kernel/boot_params/data";
    for (byte, expected) in [(3, Fact::Known(true)), (2, Fact::Known(false))] {
        params[0x1ec] = byte;
        assert_eq!(state(&[(variable, None), (data, Some(&params))]), expected);
    }
    // Firmware without Secure Boot has other variables.
    let other = "sys/firmware/efi/efivars/Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    assert_eq!(
        state(&[(variable, None), (other, Some(b"x"))]),
        Fact::Absent
    );
}

#[test]
fn an_ima_policy_is_asked_where_it_can_be_read() {
    let policy = "sys/kernel/security/ima/policy";
    let ima = |changes: &[(&str, Option<&[u8]>)]| {
        changed("secure-boot", changes)
            .1
            .security
            .ima_appraises_kexec
    };
    let rule: &[u8] = b"appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n";
    assert_eq!(ima(&[(policy, Some(rule))]), Fact::Known(true));
    assert_eq!(
        ima(&[
            (policy, Some(rule)),
            ("proc/cmdline", Some(b"ima_appraise=log"))
        ]),
        Fact::Known(false)
    );
    let unread: &[(&str, Option<&[u8]>)] = &[
        (policy, None),
        ("sys/kernel/security/ima/count", Some(b"0")),
    ];
    assert!(
        ima(unread)
            .reason()
            .unwrap()
            .contains("CONFIG_IMA_READ_POLICY")
    );
    let mut named = unread.to_vec();
    named.push(("proc/cmdline", Some(b"ima_policy=tcb|secure_boot")));
    assert_eq!(ima(&named), Fact::Known(true));
    assert_eq!(
        ima(&[(
            "boot/config-6.12.94+deb13-cloud-amd64",
            Some(b"CONFIG_KEXEC=y")
        )]),
        Fact::Absent
    );
}

#[test]
fn the_machine_the_tests_run_on_can_be_read() {
    let host = Snapshot::read(Path::new("/"));
    assert!(!host.release.is_empty());
    assert!(host.arch.is_some());
    assert!(host.memory.total.known().is_some_and(|t| *t > 1 << 20));
    assert_eq!(Snapshot::from_json(&host.to_json(false)), Ok(host));
}

#[test]
fn nothing_at_all_is_a_snapshot_too() {
    let dir = tempfile::tempdir().unwrap();
    let host = Snapshot::read(dir.path());
    assert_eq!(host.cmdline, Fact::Absent);
    assert!(host.security.user_namespace.reason().is_some());
    assert_eq!(Snapshot::from_json(&host.to_json(false)), Ok(host));
    let host = Snapshot::read(&dir.path().join("gone"));
    assert!(host.cmdline.reason().unwrap().contains("ENOENT"));
}

#[test]
fn written_and_read_back_it_is_the_same() {
    for name in names() {
        let host = machine(&name);
        assert_eq!(
            Snapshot::from_json(&host.to_json(false)),
            Ok(host.clone()),
            "{name}"
        );
        let redacted = Snapshot::from_json(&host.to_json(true)).unwrap();
        assert!(redacted.redacted, "{name}");
        assert_eq!(redacted, host.redact(), "{name}");
        assert_eq!(redacted.redact(), redacted, "{name}: twice is once");
    }
}

#[test]
fn secrets_do_not_leave_the_machine() {
    let host = machine("debian-cloud");
    assert!(host.to_json(false).contains("hunter2"));
    let text = host.to_json(true);
    for secret in [
        "hunter2",
        "0a1b2c3d",
        "Kernel code",
        "Kernel bss",
        "0000001c",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    // setup_data and code32_start, as hexadecimal.
    assert!(host.to_json(false).contains("3412fa3f"));
    assert!(!text.contains("3412fa3f"));
    // What decides stays.
    let redacted = host.redact();
    let line = |s: &Snapshot| s.cmdline.known().unwrap().clone();
    assert_eq!(line(&redacted).len_with_nul(), line(&host).len_with_nul());
    assert_eq!(
        line(&redacted).value("crashkernel").as_deref(),
        Some("256M")
    );
    assert_eq!(redacted.kexec, host.kexec);
    assert_eq!(redacted.security, host.security);
    let ram = |s: &Snapshot| -> Vec<_> {
        let ranges = s.memory.iomem.known().unwrap().iter();
        ranges
            .filter(|r| !r.kind.starts_with("Kernel"))
            .cloned()
            .collect()
    };
    assert_eq!(ram(&redacted), ram(&host));
}

#[test]
fn what_is_no_snapshot_is_refused_with_the_reason() {
    let text = machine("debian-cloud").to_json(false);
    let other = text.replacen("\"format\": 1", "\"format\": 2", 1);
    assert_eq!(
        Snapshot::from_json(&other),
        Err(SnapshotError::Format { found: 2 })
    );
    // The format is looked at before anything else of an unknown layout.
    assert_eq!(
        Snapshot::from_json("{\"format\": 7}"),
        Err(SnapshotError::Format { found: 7 })
    );
    for broken in [
        "",
        "{}",
        "[]",
        "null",
        "{\"format\": 1}",
        "{\"format\": -1}",
    ] {
        let result = Snapshot::from_json(broken);
        assert!(
            matches!(result, Err(SnapshotError::Malformed { .. })),
            "{broken}"
        );
    }
    let large = " ".repeat((16 << 20) + 1);
    assert!(matches!(
        Snapshot::from_json(&large),
        Err(SnapshotError::TooLarge { .. })
    ));
    let deep = format!("{{\"format\": 1, \"cmdline\": {}", "[".repeat(100_000));
    assert!(Snapshot::from_json(&deep).is_err());
    let mut host = machine("debian-cloud");
    let Fact::Known(ranges) = &mut host.memory.iomem else {
        panic!()
    };
    ranges[3].end = ranges[3].start;
    assert!(matches!(
        Snapshot::from_json(&host.to_json(false)),
        Err(SnapshotError::Impossible { .. })
    ));
    host.memory.iomem = Fact::Absent;
    host.firmware.boot_params = Fact::Known("zz".repeat(4096));
    assert!(matches!(
        Snapshot::from_json(&host.to_json(false)),
        Err(SnapshotError::Impossible { .. })
    ));
}

#[test]
fn a_snapshot_cut_anywhere_is_refused() {
    let text = machine("kho-active").to_json(true);
    for end in 0..text.len() {
        if text.is_char_boundary(end) {
            assert!(Snapshot::from_json(&text[..end]).is_err(), "{end}");
        }
    }
}

proptest! {
    #[test]
    fn a_snapshot_with_flipped_bits_is_read_or_refused(at in 0usize..8000, bit in 0..7u8) {
        let mut bytes = machine("kho-active").to_json(true).into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Snapshot::from_json(&text);
        }
    }

    #[test]
    fn files_with_anything_in_them_are_facts(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        which in 0usize..14,
    ) {
        let files = [
            "proc/cmdline",
            "proc/iomem",
            "proc/meminfo",
            "proc/cpuinfo",
            "proc/config.gz",
            "proc/self/status",
            "proc/self/uid_map",
            "proc/sys/kernel/kexec_load_limit_reboot",
            "proc/sys/kernel/osrelease",
            "sys/kernel/security/lockdown",
            "sys/kernel/security/ima/policy",
            "sys/kernel/boot_params/data",
            "sys/kernel/debug/kho/out/scratch_phys",
            "sys/firmware/memmap/0/start",
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(files[which % files.len()]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        let host = Snapshot::read(dir.path());
        let _ = host.redact().to_json(false);
        prop_assert!(Snapshot::from_json(&host.to_json(true)).is_ok());
    }
}
