//! A kernel is installed while preloading is on: what a reboot would boot is in
//! memory before the package manager goes on. The packages' own scripts run, which
//! run everybody's hooks.

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use serde_json::Value;

const BEFORE: &str = "\
export DEBIAN_FRONTEND=noninteractive
run dpkg dpkg -i /lab/debs/kexec-rs.deb
run enable kexec enable preload
run old kexec status --json
# Making an initramfs takes minutes in the lab; there is one of this kernel.
rm /etc/kernel/postinst.d/initramfs-tools
";

/// What dpkg runs when this kernel's package is configured.
fn postinst(release: &str) -> String {
    format!(
        "run postinst env DPKG_MAINTSCRIPT_NAME=postinst \
         DPKG_MAINTSCRIPT_PACKAGE=linux-image-{release} \
         /var/lib/dpkg/info/linux-image-{release}.postinst configure\n\
         run new kexec status --json\n"
    )
}

/// The command line of what is loaded.
fn cmdline(trial: &Trial, label: &str) -> Result<String> {
    let run = trial.stage("before")?.run(label)?;
    let status: Value = serde_json::from_str(&run.out()).with_context(|| run.err())?;
    let line = status
        .pointer("/normal/image/cmdline")
        .and_then(Value::as_str);
    Ok(line
        .with_context(|| format!("{label}: {status}"))?
        .to_owned())
}

/// The entry that the package's hooks wrote is loaded when they are done, and taken
/// by a reboot that knows nothing of it.
fn loaded_at_once(suite: Suite, layout: SystemLayout, change: &str) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout).product_deb()?;
    let (default, _) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            &format!(
                "{BEFORE}{change}{}jump systemctl reboot\n",
                postinst(&default)
            ),
        )
        .stage("after", "run status kexec status --json\n")
        .run()?;
    let before = trial.stage("before")?;
    for label in ["dpkg", "enable", "postinst"] {
        let run = before.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        ensure!(run.code == 0, "{label} ended with {}", run.code);
    }
    let (old, new) = (cmdline(&trial, "old")?, cmdline(&trial, "new")?);
    println!("{old}\n{new}");
    ensure!(!old.contains("installed=again"), "{old}");
    ensure!(new.contains("installed=again"), "{new}");
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    let after = trial.stage("after")?;
    assert_eq!(after.report.release, default);
    let line = after.report.command_line();
    ensure!(line.contains("installed=again"), "{line}");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// Debian's packages with GRUB: update-grub comes before our hook.
#[test]
fn with_update_grub() -> Result<()> {
    loaded_at_once(
        Suite::Trixie,
        SystemLayout::BiosGrub,
        "echo 'GRUB_CMDLINE_LINUX=\"installed=again\"' >> /etc/default/grub\n",
    )
}

/// Debian's packages with systemd-boot: their hook calls kernel-install, which has
/// our plugin; since 2026 some hooks are below /usr/share.
#[test]
fn with_kernel_install() -> Result<()> {
    loaded_at_once(
        Suite::Sid,
        SystemLayout::EfiSystemdBoot,
        "echo \"$(cat /etc/kernel/cmdline || cat /proc/cmdline) installed=again\" \
         > /run/cmdline\nmv /run/cmdline /etc/kernel/cmdline\n",
    )
}
