//! `kexec reboot` where it must not or cannot arrive: refused beforehand with
//! the reason, or told at the next boot.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use kexec_lab::{CommandRun, Initramfs, Lab};
use serde_json::Value;

/// Takes the image out again while the system shuts down: the image is gone
/// between load and jump.
const THIEF: &str = "[Unit]\nDescription=Unloads the kernel at shutdown\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n\
    ExecStop=/bin/sh -c 'if [ -e /root/steal ]; then rm /root/steal; kexec -u; fi'\n";

/// What is tried one after the other in one boot; none of it may change
/// anything.
const REFUSED: &str = r#"
loaded() { run "loaded-$1" cat /sys/kernel/kexec_loaded; run "past-$1" kexec history --json; }
refuse() { label=$1; shift; run "$label" kexec reboot "$@"; loaded "$label"; }

systemd-inhibit --what=shutdown --mode=block --who=upgrade --why='half way' sleep 1000 &
lock=$!
sleep 2
refuse lock
run over-lock kexec reboot -i --dry-run
kill $lock; sleep 1

refuse nothing no-such-entry
refuse root --cmdline 'root=UUID=01234567-0000-0000-0000-000000000000'

head -c 5000000 /boot/vmlinuz-$OTHER > /root/cut
refuse cut /root/cut --initrd /boot/initrd.img-$OTHER --reuse-cmdline

refuse initrd /boot/vmlinuz-$OTHER --initrd /root/of-another --reuse-cmdline

head -c 1000000 /boot/initrd.img-$OTHER > /root/half
refuse half /boot/vmlinuz-$OTHER --initrd /root/half --reuse-cmdline

mkdir -p /run/initramfs
printf '#!/bin/sh\nreboot -f\n' > /run/initramfs/shutdown
chmod +x /run/initramfs/shutdown
refuse exitrd
rm /run/initramfs/shutdown

bootctl reboot-to-firmware true
refuse firmware
bootctl reboot-to-firmware false

run good kexec reboot --dry-run
echo 1 > /proc/sys/kernel/kexec_load_disabled
refuse sysctl
refuse dry-cold --or-cold --dry-run
jump sh -c 'kexec reboot --or-cold; test $? = 3'
"#;

fn json(run: &CommandRun) -> Result<Value> {
    serde_json::from_str(&run.out()).with_context(|| format!("{}\n{}", run.out(), run.err()))
}

fn last(trial: &Trial, stage: &str) -> Result<Value> {
    let status = json(trial.stage(stage)?.run("status")?)?;
    status.get("last").cloned().context("status says nothing")
}

#[test]
fn refused_beforehand_or_told_at_the_next_boot() -> Result<()> {
    let lab = Lab::open()?;
    let mut another = Initramfs::new();
    another.file("usr/lib/modules/5.10.0-1-amd64/modules.dep", "");
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::EfiSystemdBoot)
        .product()?
        .file("root/of-another", another.build()?)
        .unit("thief.service", "multi-user.target", THIEF);
    let (_, other) = machine.kernels()?;
    let status = "run status kexec status --json\nrun says kexec status\n";
    let trial = machine
        .cold_boots(2)
        .stage("refused", &format!("OTHER={other}\n{REFUSED}"))
        .stage(
            "or-cold",
            &format!("{status}touch /root/steal\njump kexec reboot --append trial=stolen\n"),
        )
        .stage(
            "stolen",
            &format!("{status}jump kexec reboot --now --append trial=now\n"),
        )
        .stage("now", status)
        .run()?;
    let refused = trial.stage("refused")?;
    for (label, code, words) in [
        (
            "lock",
            1,
            "upgrade holds a shutdown inhibitor lock (half way)",
        ),
        ("nothing", 1, "there is no entry of that name"),
        ("root", 1, "this machine has no such device"),
        ("cut", 1, "bzImage cut short"),
        ("initrd", 1, "it could not load them"),
        ("half", 1, "it is cut short or damaged"),
        ("exitrd", 1, "its script does not use kexec"),
        ("firmware", 1, "the firmware's setup was requested"),
        ("sysctl", 1, "kernel.kexec_load_disabled"),
        (
            "dry-cold",
            1,
            "without --dry-run a cold reboot would follow",
        ),
    ] {
        let run = refused.run(label)?;
        println!("# kexec reboot: {label}\n{}{}", run.out(), run.err());
        assert_eq!(run.code, code, "{label}: {}{}", run.out(), run.err());
        ensure!(run.err().contains(words), "{label}: {}", run.err());
        // The machine is as it was.
        assert_eq!(
            refused.run(&format!("loaded-{label}"))?.out(),
            "0\n",
            "{label}"
        );
        let past = json(refused.run(&format!("past-{label}"))?)?;
        assert_eq!(past["requests"], Value::Array(vec![]), "{label}");
    }
    for label in ["over-lock", "good"] {
        let run = refused.run(label)?;
        assert_eq!(run.code, 0, "{label}: {}{}", run.out(), run.err());
    }

    assert_eq!(trial.started_by("or-cold")?, StartedBy::Cold);
    let first = last(&trial, "or-cold")?;
    assert_eq!(first["outcome"]["what"], "cold", "{first}");
    let why = first["outcome"]["candidates"][0]
        .as_str()
        .context("no candidate")?;
    ensure!(why.contains("--or-cold chose it"), "{why}");

    assert_eq!(trial.started_by("stolen")?, StartedBy::Cold);
    let second = last(&trial, "stolen")?;
    println!("{}", trial.stage("stolen")?.run("says")?.out());
    assert_eq!(second["outcome"]["what"], "cold", "{second}");
    ensure!(
        second["outcome"]["candidates"]
            .to_string()
            .contains("unloaded"),
        "{second}"
    );

    assert_eq!(trial.started_by("now")?, StartedBy::Kexec);
    let now = trial.stage("now")?;
    println!("{}", now.run("says")?.out());
    ensure!(now.report.command_line().contains("trial=now"));
    assert_eq!(last(&trial, "now")?["outcome"]["what"], "kexec");
    // Services were killed, and yet every file system is whole.
    assert_eq!(now.file_system_errors()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
