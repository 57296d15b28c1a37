//! `kexec reboot` on installed systems: one cell for each init version and
//! layout. The boot loader's default is changed first, so that booting the same
//! again does not pass; the next kernel is known by what it reports.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use kexec_lab::{Lab, readme};
use serde_json::Value;

/// What the machine thinks of itself, as JSON.
fn json(trial: &Trial, stage: &str, label: &str) -> Result<Value> {
    let run = trial.stage(stage)?.run(label)?;
    let text = run.out();
    serde_json::from_str(&text).with_context(|| format!("{label}: {text}\n{}", run.err()))
}

/// The whole cell.
fn reboots_into_the_changed_default(suite: Suite, layout: SystemLayout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout)
        .product()?
        .witness();
    let (default, other) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            &format!(
                "{}run list kexec list\nrun check kexec check\n\
                 run dry kexec reboot --dry-run\nrun mounts cat /proc/self/mounts\n\
                 jump kexec reboot --append trial=one\n",
                layout.change_default(&other)
            ),
        )
        .stage(
            "after",
            "run witness cat /var/lib/witness\nrun up systemctl is-system-running --wait\n\
             run status kexec status --json\n\
             run says kexec status\nrun past kexec history\nrun again kexec history --json\n",
        )
        .run()?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    for label in ["change", "list", "check", "dry", "jump"] {
        if let Ok(run) = before.run(label) {
            println!("# {label}\n{}{}", run.out(), run.err());
        }
    }
    for label in ["says", "past"] {
        println!("# {label}\n{}", after.run(label)?.out());
    }
    println!("all: {:.1} s", trial.seconds());
    assert_eq!(before.report.release, default);
    assert_eq!(
        before.run("change")?.code,
        0,
        "{}",
        before.run("change")?.err()
    );
    assert_eq!(
        before.run("check")?.code,
        0,
        "{}",
        before.run("check")?.out()
    );
    if layout == SystemLayout::BiosGrubNoauto {
        ensure!(
            !before.run("mounts")?.out().contains(" /boot "),
            "/boot was mounted"
        );
    }
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    let line = after.report.command_line().to_owned();
    ensure!(line.contains(" trial=one kexec.id="), "{line}");
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    // The README has the transcript of one of these machines.
    if (suite, layout) == (Suite::Trixie, SystemLayout::BiosGrub) {
        readme::ensure_shown("$ kexec reboot --dry-run", &before.run("dry")?.out())?;
        readme::ensure_shown("$ kexec status", &after.run("says")?.out())?;
    }
    let status = json(&trial, "after", "status")?;
    let said = |path: &str| status.pointer(path).and_then(Value::as_str);
    assert_eq!(said("/last/outcome/what"), Some("kexec"), "{status}");
    assert_eq!(said("/last/outcome/to"), Some(other.as_str()));
    assert_eq!(said("/last/from"), Some(default.as_str()));
    let token = said("/last/token").context("no token")?;
    ensure!(line.contains(token), "{token} is not in {line}");
    let history = json(&trial, "after", "again")?;
    assert_eq!(history.pointer("/requests/0"), status.pointer("/last"));
    Ok(())
}

kexec_lab::cells! {
    reboots_into_the_changed_default;
    trixie_efi_systemd_boot: Trixie, EfiSystemdBoot;
    bookworm_efi_uki: Bookworm, EfiUki;
    trixie_bios_grub: Trixie, BiosGrub;
    bookworm_bios_grub_boot: Bookworm, BiosGrubBoot;
    trixie_bios_grub_automount: Trixie, BiosGrubAutomount;
    sid_bios_grub_noauto: Sid, BiosGrubNoauto;
    sid_fedora_like: Sid, FedoraLike;
    #[ignore = "a cell of cargo xtask test --all"]
    sid_efi_systemd_boot: Sid, EfiSystemdBoot;
    #[ignore = "a cell of cargo xtask test --all"]
    bookworm_efi_systemd_boot: Bookworm, EfiSystemdBoot;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_efi_uki: Trixie, EfiUki;
    #[ignore = "a cell of cargo xtask test --all"]
    sid_efi_uki: Sid, EfiUki;
    #[ignore = "a cell of cargo xtask test --all"]
    bookworm_bios_grub: Bookworm, BiosGrub;
    #[ignore = "a cell of cargo xtask test --all"]
    sid_bios_grub_boot: Sid, BiosGrubBoot;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_bios_grub_noauto: Trixie, BiosGrubNoauto;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_efi_grub: Trixie, EfiGrub;
}
