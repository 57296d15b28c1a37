//! `kexec reboot` under inits that know nothing of kexec.

use anyhow::{Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InitSystem, InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Lab, Stage};

/// As a package would install it: at the end of runlevel 6, in front of the
/// script that reboots.
const HOOK: &str = include_str!("../../dist/sysvinit/kexec");

/// Without the hook `kexec reboot` is refused, says what is missing, and what works
/// without it.
fn refused(stage: &Stage, missing: &str) -> Result<()> {
    let refused = stage.run("refused")?;
    assert_eq!(refused.code, 1, "{}", refused.err());
    for said in [missing, "kexec reboot --now"] {
        ensure!(refused.err().contains(said), "{}", refused.err());
    }
    Ok(())
}

#[test]
fn sysvinit_with_and_without_its_hook() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .init(InitSystem::Sysvinit)
        .product()?
        .program("etc/init.d/kexec", HOOK)
        .program(
            "etc/init.d/witness",
            "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: witness\n# Required-Start: $remote_fs\n\
             # Required-Stop: $remote_fs\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n\
             # Short-Description: Leaves a file when it is stopped\n### END INIT INFO\n\
             [ \"$1\" = stop ] && echo stopped > /var/lib/witness\nexit 0\n",
        );
    let (_, other) = machine.kernels()?;
    let load = format!(
        "/boot/vmlinuz-{other} --initrd /boot/initrd.img-{other} --reuse-cmdline --append trial=one"
    );
    let trial = machine
        .stage(
            "before",
            &format!(
                "run refused kexec reboot {load}\n\
                 run hook update-rc.d kexec defaults\n\
                 run witness update-rc.d witness defaults\n\
                 run order grep ^reboot: /etc/init.d/.depend.stop\n\
                 jump kexec reboot {load}\n"
            ),
        )
        .stage(
            "after",
            &format!("run witness cat /var/lib/witness\nrun says kexec status\njump kexec reboot --now {load} --append trial=now\n"),
        )
        .stage("now", "run says kexec status\n")
        .run()?;
    let before = trial.stage("before")?;
    refused(before, "its reboot does not jump")?;
    // Without that order startpar runs both at once, and sometimes the firmware wins.
    let order = before.run("order")?.out();
    ensure!(order.contains(" kexec"), "{order}");
    let after = trial.stage("after")?;
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    ensure!(after.report.command_line().contains("trial=one kexec.id="));
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    ensure!(
        after.run("says")?.out().contains("kexec'd from"),
        "{}",
        after.run("says")?.out()
    );
    let now = trial.stage("now")?;
    assert_eq!(trial.started_by("now")?, StartedBy::Kexec);
    ensure!(now.report.command_line().contains("trial=now"));
    assert_eq!(now.file_system_errors()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// busybox runs its `::shutdown:` lines in their order, one after the other: that
/// of the lab stops the services and unmounts, this one comes behind it.
const SHUTDOWN_LINE: &str = "::shutdown:/usr/sbin/kexec -e -y";

#[test]
fn busybox_with_and_without_its_line() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .init(InitSystem::Busybox)
        .product()?
        .program(
            "etc/busybox-stop.d/witness",
            "#!/bin/busybox sh\necho stopped > /var/lib/witness\n",
        );
    let (_, other) = machine.kernels()?;
    let load = format!(
        "/boot/vmlinuz-{other} --initrd /boot/initrd.img-{other} --reuse-cmdline --append trial="
    );
    let trial = machine
        .stage(
            "before",
            &format!(
                "run refused kexec reboot {load}one\n\
                 echo '{SHUTDOWN_LINE}' >> /etc/inittab\nrun reread kill -HUP 1\n\
                 jump kexec reboot {load}one\n"
            ),
        )
        .stage(
            "after",
            &format!(
                "run witness cat /var/lib/witness\nrun says kexec status\n\
                 jump kexec reboot --now {load}now\n"
            ),
        )
        .stage(
            "now",
            &format!("run says kexec status\nrun load kexec load {load}off\njump poweroff\n"),
        )
        .stage("off", "run unload kexec unload\n")
        .run()?;
    println!("all: {:.1} s", trial.seconds());
    refused(trial.stage("before")?, "::shutdown: line of /etc/inittab")?;
    let after = trial.stage("after")?;
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    for name in ["after", "now"] {
        let says = trial.stage(name)?.run("says")?.out();
        ensure!(says.contains("kexec'd from"), "{name}: {says}");
    }
    // The line knows nothing of what is asked for: what is loaded is jumped into.
    for (name, word) in [("after", "one"), ("now", "now"), ("off", "off")] {
        let stage = trial.stage(name)?;
        assert_eq!(trial.started_by(name)?, StartedBy::Kexec, "{name}");
        assert_eq!(stage.report.release, other, "{name}");
        let line = stage.report.command_line();
        ensure!(line.contains(&format!(" trial={word}")), "{name}: {line}");
        assert_eq!(stage.file_system_errors()?, Vec::<String>::new(), "{name}");
    }
    Ok(())
}
