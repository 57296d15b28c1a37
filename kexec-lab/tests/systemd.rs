//! Installed systems with a real init: `kexec load`, then the init's own way
//! to end a boot, and what the next boot finds.

use anyhow::Result;
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InitSystem, InstalledMachine, StartedBy, SystemLayout, Trial};

/// Loads the kernel that is not the default, with a word of its own, from a
/// /boot that may have to be mounted for it, and lets that go again.
const LOAD: &str = r#"
run mount sh -c 'mountpoint -q /boot || ! grep -q "/boot .*noauto" /etc/fstab || mount /boot'
run load kexec load /boot/vmlinuz-$OTHER --initrd $INITRD --append "$(cat /proc/cmdline) trial=one"
run unmount sh -c 'while grep "/boot .*noauto" /etc/fstab && grep " /boot ext4" /proc/mounts; do sleep 1; umount /boot; done'
run mounts cat /proc/mounts
jump systemctl kexec
"#;

/// What the next boot has to say beyond its report.
const AFTER: &str = "run witness cat /var/lib/witness\nrun esp ls /efi/loader/entries\n";

/// The course of a trial in lines that can be read.
fn show(what: &str, trial: &Trial) {
    for (stage, started_by) in trial.stages() {
        println!(
            "{what}: {} ({started_by:?}) {} up after {:.1} s, at {:.1} s",
            stage.name,
            stage.report.release,
            stage.report.uptime,
            stage.started.as_secs_f64(),
        );
    }
    println!("{what}: all {:.1} s", trial.seconds());
}

/// `kexec load` of the kernel that is not the default, and `systemctl kexec`.
fn load_and_systemctl_kexec(suite: Suite, layout: SystemLayout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout)
        .product()?
        .witness();
    let (default, other) = machine.kernels()?;
    let initrd = format!("/boot/{}", layout.initrd_name(&other));
    let trial = machine
        .stage("before", &format!("OTHER={other}\nINITRD={initrd}\n{LOAD}"))
        .stage("after", AFTER)
        .run()?;
    show(&format!("{suite} {layout}"), &trial);
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    assert_eq!(before.report.release, default);
    assert_eq!(trial.started_by("before")?, StartedBy::Cold);
    assert_eq!(before.run("load")?.code, 0, "{}", before.run("load")?.err());
    let mounts = before.run("mounts")?.out();
    let boot_is_mounted = mounts.contains(" /boot ext4");
    assert_eq!(
        boot_is_mounted,
        matches!(
            layout,
            SystemLayout::BiosGrubBoot | SystemLayout::FedoraLike
        ),
        "{mounts}"
    );
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    assert_eq!(
        after.report.command_line(),
        format!("{} trial=one", before.report.command_line())
    );
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    if layout == SystemLayout::EfiSystemdBoot {
        let entries = after.run("esp")?.out();
        assert_eq!(entries.lines().count(), 2, "{entries}");
    }
    Ok(())
}

kexec_lab::cells! {
    load_and_systemctl_kexec;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_bios_grub: Trixie, BiosGrub;
    bookworm_efi_systemd_boot: Bookworm, EfiSystemdBoot;
    sid_efi_uki: Sid, EfiUki;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_bios_grub_boot: Trixie, BiosGrubBoot;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_bios_grub_automount: Trixie, BiosGrubAutomount;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_bios_grub_noauto: Trixie, BiosGrubNoauto;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_efi_systemd_boot: Trixie, EfiSystemdBoot;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_efi_uki: Trixie, EfiUki;
    #[ignore = "one more layout: cargo xtask test --all"]
    trixie_efi_grub: Trixie, EfiGrub;
    #[ignore = "one more layout: cargo xtask test --all"]
    bookworm_bios_grub: Bookworm, BiosGrub;
    #[ignore = "one more layout: cargo xtask test --all"]
    bookworm_efi_uki: Bookworm, EfiUki;
    #[ignore = "one more layout: cargo xtask test --all"]
    sid_bios_grub: Sid, BiosGrub;
    #[ignore = "one more layout: cargo xtask test --all"]
    sid_efi_systemd_boot: Sid, EfiSystemdBoot;
    #[ignore = "one more layout: cargo xtask test --all"]
    sid_fedora_like: Sid, FedoraLike;
}

/// systemd goes through kexec.target with nothing loaded, which ends in a cold
/// boot without a word: the lab tells that it was one, and that the file systems were
/// left in order. A reset at once is told too, and that they were not.
#[test]
fn a_cold_boot_is_told_from_a_kexec() -> Result<()> {
    let lab = Lab::open()?;
    let trial = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .cold_boots(2)
        .stage("one", "jump systemctl --no-block start kexec.target\n")
        .stage("two", "echo b > /proc/sysrq-trigger\nsleep 100\n")
        .stage("three", "run fine true\n")
        .run()?;
    show("cold boots", &trial);
    for name in ["one", "two", "three"] {
        assert_eq!(trial.started_by(name)?, StartedBy::Cold, "{name}");
    }
    let console = trial.console();
    assert!(console.contains("Rebooting with kexec"), "{console}");
    assert!(console.contains("reboot: Restarting system"), "{console}");
    assert_eq!(
        trial.stage("two")?.file_system_errors()?,
        Vec::<String>::new()
    );
    assert_ne!(
        trial.stage("three")?.file_system_errors()?,
        Vec::<String>::new()
    );
    Ok(())
}

/// The distribution's own initramfs images, at both ends of the jump.
#[test]
#[ignore = "one more initramfs: cargo xtask test --all"]
fn initramfs_tools() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .distribution_initrd();
    let (_, other) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            &format!("OTHER={other}\nINITRD=/boot/initrd.img-{other}\n{LOAD}"),
        )
        .stage("after", "run fine true\n")
        .run()?;
    show("initramfs-tools", &trial);
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(trial.stage("after")?.report.release, other);
    assert_eq!(
        trial.stage("after")?.file_system_errors()?,
        Vec::<String>::new()
    );
    Ok(())
}

/// Systems without systemd come up, know nothing of a loaded kernel when they
/// are asked to reboot, and leave their file systems in order.
fn without_systemd(init: InitSystem, name: &str, script: &str) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .init(init)
        .program(name, script)
        .cold_boots(1);
    let (default, other) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            &format!(
                "run init cat /proc/1/comm\n\
                 run load kexec load /boot/vmlinuz-{other} --reuse-cmdline\n\
                 jump reboot\n"
            ),
        )
        .stage("after", "run witness cat /var/lib/witness\n")
        .run()?;
    show(&format!("{init:?}"), &trial);
    let before = trial.stage("before")?;
    assert_eq!(before.run("load")?.code, 0, "{}", before.run("load")?.err());
    assert_eq!(before.run("init")?.out(), "init\n");
    let after = trial.stage("after")?;
    assert_eq!(trial.started_by("after")?, StartedBy::Cold);
    assert_eq!(after.report.release, default);
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "one more init: cargo xtask test --all"]
fn sysvinit() -> Result<()> {
    without_systemd(
        InitSystem::Sysvinit,
        "etc/rc6.d/K01witness",
        "#!/bin/sh\necho stopped > /var/lib/witness\n",
    )
}

#[test]
#[ignore = "one more init: cargo xtask test --all"]
fn busybox_init() -> Result<()> {
    without_systemd(
        InitSystem::Busybox,
        "etc/busybox-stop.d/witness",
        "#!/bin/sh\necho stopped > /var/lib/witness\n",
    )
}
