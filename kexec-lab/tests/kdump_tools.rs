//! Debian's kdump-tools with this package in place of kexec-tools: the whole way, from the
//! unit that loads the crash kernel to the dump that the crash kernel saves.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Lab, Stage};
use serde_json::Value;
use std::time::Duration;

/// What the running kernel's log has before the crash.
const NEEDLE: &str = "needle-8a41d3";

/// kdump-tools asks at its installation, and makes GRUB's menu anew with its own
/// reservation. That is made for machines without an emulator; here it is larger, which the
/// second command does where kdump-tools has written it.
const INSTALL: &str = r#"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
rm -f /lab/debs/kexec-tools_*.deb
run ours dpkg -i /lab/debs/kexec-rs.deb
run others dpkg -i /lab/debs/*_*.deb
run audit dpkg --audit
run owner dpkg -S /usr/sbin/kexec
sed -i 's/crashkernel=[^ "]*/crashkernel=320M/' /etc/default/grub.d/kdump-tools.cfg
run grub update-grub
run reserved grep -c crashkernel=320M /boot/grub/grub.cfg
jump systemctl reboot
"#;

/// After a boot with the reservation.
fn armed() -> String {
    format!(
        r#"
run unit systemctl is-active kdump-tools.service
run show kdump-config show
run status kdump-config status
run loaded kexec -S
run record kexec status
run stop systemctl stop kdump-tools.service
run stopped kexec -S -p
run not-ready kdump-config status
run load kdump-config load
run by-hand kexec -p -S
run unload kdump-config unload
run unloaded kexec -S
run start systemctl start kdump-tools.service
run started kexec -S
run ready kdump-config show
run estimate kexec crash estimate --json
run parts kexec crash estimate
run failed systemctl --failed --no-legend
echo {NEEDLE} > /dev/kmsg
sync
jump sh -c 'echo c > /proc/sysrq-trigger'
"#
    )
}

/// After the crash kernel has rebooted the machine.
const SAVED: &str = r#"
run folder sh -c 'ls -lR /var/crash'
run dump sh -c 'head -c 12 /var/crash/2*/dump.*'
run dmesg sh -c 'cat /var/crash/2*/dmesg.*'
run whole sh -c 'cat /var/crash/2*/dump.* | makedumpfile -R /var/crash/core'
run kind sh -c 'head -c 8 /var/crash/core'
run again kexec -S
run least cat /var/lib/least
"#;

#[test]
fn debians_kdump_tools_saves_a_dump() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub);
    let trial = machine
        .product_deb()?
        // With kexec-tools, on which it depends.
        .debs("kdump-tools")?
        .debs("makedumpfile")?
        .least_memory()
        // 320 MiB of it are the crash kernel's.
        .memory_mb(1536)
        .timeout(Duration::from_secs(900))
        // To the reservation, and out of the crash kernel.
        .cold_boots(2)
        .stage("installed", INSTALL)
        .stage("armed", &armed())
        .stage("saved", SAVED)
        .run()?;
    for boot in &trial.boots {
        println!("{:?} after {:.0} s", boot.end, boot.duration.as_secs_f64());
    }
    let installed = trial.stage("installed")?;
    for label in ["ours", "others", "grub", "reserved"] {
        let run = installed.run(label)?;
        ensure!(run.code == 0, "{label}: {}{}", run.out(), run.err());
    }
    ensure!(installed.run("owner")?.out().starts_with("kexec-rs:"));
    ensure!(installed.run("audit")?.out().is_empty());

    let armed = trial.stage("armed")?;
    for run in &armed.runs {
        println!("# {} {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
    for label in [
        "unit", "show", "status", "stop", "load", "unload", "start", "ready",
    ] {
        let run = armed.run(label)?;
        ensure!(run.code == 0, "{label}: {}{}", run.out(), run.err());
    }
    // What `-S` means: 1 is loaded, 0 is not.
    for (label, code) in [
        ("loaded", 1),
        ("stopped", 0),
        ("by-hand", 1),
        ("unloaded", 0),
        ("started", 1),
    ] {
        assert_eq!(armed.run(label)?.code, code, "{label}");
    }
    let state = |label: &str| anyhow::Ok(armed.run(label)?.out());
    ensure!(state("not-ready")?.contains(": Not ready to kdump"));
    ensure!(state("status")?.contains(": ready to kdump"));
    let shown = armed.run("ready")?.out();
    ensure!(
        shown.contains("ready to kdump") && shown.contains("/sbin/kexec -p"),
        "{shown}"
    );
    let record = armed.run("record")?.out();
    ensure!(record.contains("kdump-tools-dump.service"), "{record}");
    ensure!(armed.run("failed")?.out().is_empty());

    ensure!(trial.started_by("saved")? == StartedBy::Cold);
    let saved = trial.stage("saved")?;
    for run in &saved.runs {
        let out = run.out();
        println!("# {} {}\n{:.3000}{}", run.label, run.code, out, run.err());
    }
    // The header of a flattened dump, as kdump-tools makes it; then of what is in it.
    ensure!(saved.run("dump")?.stdout == b"makedumpfile");
    ensure!(saved.run("kind")?.stdout.starts_with(b"KDUMP "));
    let log = saved.run("dmesg")?.out();
    ensure!(log.contains(NEEDLE), "{log}");
    ensure!(log.contains("sysrq: Trigger a crash"), "{log}");
    is_enough(armed, saved)
}

/// What was needed of the 320 MiB is not more than the estimate for the same initrd.
fn is_enough(armed: &Stage, saved: &Stage) -> Result<()> {
    let estimate: Value = serde_json::from_slice(&armed.good("estimate")?.stdout)?;
    let bytes = estimate.get("bytes").and_then(Value::as_u64);
    let estimated = bytes.context("no bytes")? >> 20;
    let least: u64 = saved.good("least")?.out().trim().parse()?;
    let needed = 320 - (least >> 10);
    println!("{needed} MiB were needed, {estimated} MiB were estimated");
    ensure!(needed <= estimated);
    Ok(())
}
