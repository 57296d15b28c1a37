//! Installed systems with a real init: `kexec load`, then the init's own way
//! to end a boot, and what the next boot finds.

use anyhow::Result;
use vm::Lab;
use vm::apt::Suite;
use vm::installed::{Arrival, Layout, Machine, Trial};

/// Stops with the system, in the ordinary order, and leaves a file.
const WITNESS: &str = "[Unit]\nDescription=Leaves a file when it is stopped\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n\
    ExecStop=/bin/sh -c 'echo stopped > /var/lib/witness'\n";

/// Loads the kernel that is not the default, with a word of its own.
const LOAD: &str = r#"
run uncertain cat /var/lib/witness
run load kexec load /boot/vmlinuz-$OTHER --initrd $INITRD --append "$(cat /proc/cmdline) trial=one"
"#;

fn says(trial: &Trial) {
    for (stage, arrival) in trial.stages() {
        println!(
            "{} ({arrival:?}): {} up after {:.1} s, at {:.1} s; {}",
            stage.name,
            stage.report.release,
            stage.report.uptime,
            stage.started.as_secs_f64(),
            stage.report.command_line(),
        );
    }
    println!("all: {:.1} s", trial.seconds());
}

/// `kexec load` and `systemctl kexec`.
fn load_and_systemctl_kexec(suite: Suite, layout: Layout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = Machine::new(&lab, suite, layout).product()?.unit(
        "witness.service",
        "multi-user.target",
        WITNESS,
    );
    let (default, other) = machine.kernels()?;
    let initrd = match layout {
        Layout::FedoraLike => format!("/boot/initramfs-{other}.img"),
        _ => format!("/boot/initrd.img-{other}"),
    };
    let trial = machine
        .stage(
            "before",
            &format!("OTHER={other}\nINITRD={initrd}\n{LOAD}jump systemctl kexec\n"),
        )
        .stage("after", "run witness cat /var/lib/witness\n")
        .run()?;
    says(&trial);
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    assert_eq!(before.report.release, default);
    assert_eq!(trial.arrival("before")?, Arrival::Cold);
    assert_eq!(before.run("load")?.code, 0, "{}", before.run("load")?.err());
    assert_eq!(trial.arrival("after")?, Arrival::Kexec);
    assert_eq!(after.report.release, other);
    assert_eq!(
        after.report.command_line(),
        format!("{} trial=one", before.report.command_line())
    );
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.unclean()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn trixie_bios_grub() -> Result<()> {
    load_and_systemctl_kexec(Suite::Trixie, Layout::BiosGrub)
}

#[test]
fn bookworm_bios_grub() -> Result<()> {
    load_and_systemctl_kexec(Suite::Bookworm, Layout::BiosGrub)
}

#[test]
fn sid_bios_grub() -> Result<()> {
    load_and_systemctl_kexec(Suite::Sid, Layout::BiosGrub)
}

#[test]
fn trixie_efi_systemd_boot() -> Result<()> {
    load_and_systemctl_kexec(Suite::Trixie, Layout::EfiSystemdBoot)
}

#[test]
fn trixie_efi_uki() -> Result<()> {
    load_and_systemctl_kexec(Suite::Trixie, Layout::EfiUki)
}

#[test]
fn sid_fedora_like() -> Result<()> {
    load_and_systemctl_kexec(Suite::Sid, Layout::FedoraLike)
}
