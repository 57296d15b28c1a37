//! An entry that the boot loader was told to boot once: `kexec reboot` boots it,
//! the boot loader is made to forget it, and the next start through the firmware
//! takes the usual one. That the boot loader would have taken it is seen at the
//! end: the same wish, through the firmware.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};

/// Tells the boot loader, and shows what it was told.
struct OneShotRequest {
    tell: String,
    show: &'static str,
}

fn one_shot_request(layout: SystemLayout, other: &str) -> OneShotRequest {
    match layout {
        SystemLayout::EfiSystemdBoot => OneShotRequest {
            tell: format!("bootctl set-oneshot \"$(basename /efi/loader/entries/*{other}.conf)\""),
            show: "cat /sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        },
        SystemLayout::FedoraLike => OneShotRequest {
            // By its title, which every GRUB finds: the id begins with a digit.
            tell: format!(
                "grub-editenv /boot/grub2/grubenv set 'next_entry=Fedora Linux ({other}) 44 (Lab)'"
            ),
            show: "grep ^next_entry=. /boot/grub2/grubenv",
        },
        _ => OneShotRequest {
            tell: "grub-reboot '1>2'".to_owned(),
            show: "grep ^next_entry=. /boot/grub/grubenv",
        },
    }
}

fn boots_once(suite: Suite, layout: SystemLayout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout).product()?;
    let (default, other) = machine.kernels()?;
    let OneShotRequest { tell, show } = one_shot_request(layout, &other);
    let trial = machine
        .cold_boots(2)
        .stage(
            "before",
            &format!("run tell {tell}\nrun list kexec list\njump kexec reboot\n"),
        )
        .stage(
            "after",
            &format!(
                "run still {show}\nrun status kexec status\nrun gone {show}\n\
                 run list kexec list\njump systemctl reboot\n"
            ),
        )
        .stage("cold", &format!("run tell {tell}\njump systemctl reboot\n"))
        .stage("loader", &format!("run gone {show}\n"))
        .run()?;
    let stage = |name: &str| trial.stage(name);
    let (before, after) = (stage("before")?, stage("after")?);
    println!(
        "{}\n{}",
        before.run("list")?.out(),
        after.run("list")?.out()
    );
    println!(
        "{}{}",
        after.run("status")?.out(),
        after.run("status")?.err()
    );
    println!("all: {:.1} s", trial.seconds());
    assert_eq!(before.report.release, default);
    ensure!(before.run("list")?.out().contains("next boot only"));

    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    assert_eq!(after.run("still")?.code, 0, "nobody has looked yet");
    let status = after.run("status")?;
    let said = status.out() + &status.err();
    ensure!(said.contains("kexec'd from"), "{said}");
    ensure!(
        said.contains("one-shot entry was booted, and is cleared now"),
        "{said}"
    );
    ensure!(after.run("gone")?.code != 0, "the wish is still there");
    ensure!(!after.run("list")?.out().contains("next boot only"));

    assert_eq!(trial.started_by("cold")?, StartedBy::Cold);
    assert_eq!(stage("cold")?.report.release, default);
    assert_eq!(trial.started_by("loader")?, StartedBy::Cold);
    assert_eq!(stage("loader")?.report.release, other);
    ensure!(stage("loader")?.run("gone")?.code != 0);
    Ok(())
}

#[test]
fn systemd_boot() -> Result<()> {
    boots_once(Suite::Trixie, SystemLayout::EfiSystemdBoot)
}

#[test]
fn grub() -> Result<()> {
    boots_once(Suite::Trixie, SystemLayout::BiosGrub)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn grub_with_blscfg() -> Result<()> {
    boots_once(Suite::Sid, SystemLayout::FedoraLike)
}
