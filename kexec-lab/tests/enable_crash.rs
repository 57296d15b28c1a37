//! `kexec enable crash`: the crash kernel is loaded when it is switched on, at every boot,
//! and again when a kernel package or, where the kernel does not follow that itself, a
//! processor comes.

use anyhow::{Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Lab, Stage};
use std::time::Duration;

/// `invocation`: which run of the unit was the last; the script keeps it in /run/before.
/// `run_again`: waits until there was another. `not_again`: waits, and there was none. Both
/// fail where the mark of a change is left. `processor`: one comes, as udev sees it.
const WORDS: &str = r#"
invocation() { systemctl show --property InvocationID --value kexec-crash.service; }
run_again() { # since the invocation in /run/before, within 30 seconds
	n=0
	until [ "$(invocation)" != "$(cat /run/before)" ] &&
		[ "$(systemctl is-active kexec-crash.service)" = inactive ]; do
		n=$((n + 1))
		[ $n -le 60 ] || return 1
		sleep 0.5
	done
	[ ! -e /run/kexec-crash-changed ]
}
not_again() { # within 5 seconds
	sleep 5
	[ "$(invocation)" = "$(cat /run/before)" ] && [ ! -e /run/kexec-crash-changed ]
}
processor() {
	udevadm trigger --settle --action=add --subsystem-match=cpu
}
"#;

const ENABLE: &str = r#"
run unreserved kexec enable crash
sed -i 's/ panic=-1/ panic=-1 crashkernel=256M/' /boot/grub/grub.cfg
jump systemctl reboot
"#;

fn armed(other: &str) -> String {
    format!(
        r#"
run before kexec -S
run enable kexec enable crash
run loaded kexec -S
run enabled systemctl is-enabled kexec-crash.service kexec-crash-changed.path
run watched systemctl is-active kexec-crash-changed.path
run record kexec status
invocation > /run/before
run hotplug cat /sys/devices/system/cpu/crash_hotplug
run processor processor
run kernel-follows not_again
run hook /etc/kernel/postinst.d/zzz-kexec
run reloaded run_again
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s /usr/lib/systemd/system/kdump.service /etc/systemd/system/multi-user.target.wants/
invocation > /run/before
: > /run/kexec-crash-changed
run left-alone run_again
invocation > /run/before
run no-loop not_again
run note journalctl --boot --no-pager --unit kexec-crash.service
rm /etc/systemd/system/multi-user.target.wants/kdump.service
run failed systemctl --failed --no-legend
jump kexec reboot /boot/vmlinuz-{other} --initrd /boot/initrd.img-{other} --reuse-cmdline
"#
    )
}

const OLDER: &str = r#"
run at-boot kexec -S
run watched systemctl is-active kexec-crash-changed.path
run cycles sh -c 'journalctl --boot --no-pager | grep -i "ordering cycle"'
run record kexec status
run no-hotplug cat /sys/devices/system/cpu/crash_hotplug
invocation > /run/before
run processor processor
run reloaded run_again
run again kexec -S
run failed systemctl --failed --no-legend
run disable kexec disable crash
run kept kexec -S
run gone sh -c 'find /etc -name "*kexec*" ! -path "/etc/kexec*"'
mkdir -p /etc/systemd/system/basic.target.wants
ln -s /usr/lib/systemd/system/kdump-tools.service /etc/systemd/system/basic.target.wants/
run beside kexec enable crash
run by-unit kexec crash load --by-unit
run nothing sh -c 'find /etc -name "*kexec*" ! -path "/etc/kexec*"'
"#;

fn show(stage: &Stage) {
    for run in &stage.runs {
        println!("# {} {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
}

#[test]
fn the_crash_kernel_follows_what_changes() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub).product()?;
    let (_, other) = machine.kernels()?;
    let trial = machine
        .timeout(Duration::from_secs(600))
        .cold_boots(1)
        .stage("unreserved", ENABLE)
        .stage("armed", &format!("{WORDS}{}", armed(&other)))
        .stage("older", &format!("{WORDS}{OLDER}"))
        .run()?;
    println!("{:.0} s", trial.seconds());
    let unreserved = trial.stage("unreserved")?;
    show(unreserved);
    let refused = unreserved.run("unreserved")?;
    ensure!(refused.code == 1 && refused.err().contains("add crashkernel=SIZE"));

    let armed = trial.stage("armed")?;
    show(armed);
    for label in [
        "enable",
        "enabled",
        "watched",
        "kernel-follows",
        "hook",
        "reloaded",
        "left-alone",
        "no-loop",
    ] {
        armed.good(label)?;
    }
    let enabled = armed.run("enable")?;
    let (out, err) = (enabled.out(), enabled.err());
    ensure!(err.contains("nothing would save the dump"), "{err}");
    ensure!(out.contains("loaded now and at every boot"), "{out}");
    ensure!(
        armed
            .run("note")?
            .out()
            .contains("kdump.service is enabled, which loads one itself"),
        "the unit does not say why it loaded nothing"
    );
    assert_eq!(armed.run("before")?.code, 0);
    assert_eq!(armed.run("loaded")?.code, 1);
    assert_eq!(armed.run("hotplug")?.out().trim(), "1");
    ensure!(armed.run("failed")?.out().is_empty());

    ensure!(trial.started_by("older")? == StartedBy::Kexec);
    let older = trial.stage("older")?;
    show(older);
    ensure!(older.report.release == other, "{}", older.report.release);
    assert_eq!(older.run("at-boot")?.code, 1);
    ensure!(older.run("record")?.out().contains(&other));
    ensure!(older.run("no-hotplug")?.code != 0);
    older.good("watched")?;
    ensure!(older.run("cycles")?.out().is_empty());
    older.good("reloaded")?;
    assert_eq!(older.run("again")?.code, 1);
    ensure!(older.run("failed")?.out().is_empty());
    older.good("disable")?;
    // The crash kernel stays, and nothing else.
    assert_eq!(older.run("kept")?.code, 1);
    for label in ["gone", "nothing"] {
        ensure!(older.run(label)?.out().is_empty(), "{label}");
    }
    let beside = older.run("beside")?;
    ensure!(beside.code == 1 && beside.err().contains("kdump-tools.service is enabled"));
    older.good("by-unit")?;
    Ok(())
}
