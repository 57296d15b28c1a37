//! What docs/fleets.md says about the engines that reboot fleets: the exact call of
//! each ends in a kexec.

mod ansible;
mod role;

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use std::time::Duration;

/// What is tried here.
const DOCS: &str = include_str!("../../../docs/fleets.md");
/// Beyond the base system: the engine that can be had from Debian, and what Ansible
/// needs. One list for all tests of this file: it is one system in the cache.
const PACKAGES: [&str; 3] = ["openssh-server", "iproute2", "unattended-upgrades"];

/// Stops with the system, in the ordinary order, and leaves a line.
const WITNESS: &str = "[Unit]\nDescription=Leaves a line when it is stopped\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n\
    ExecStop=/bin/sh -c 'echo stopped >> /var/lib/witness'\n";

/// A command as a container of a pod with `hostPID: true` runs it: the machine's
/// processes, but a root of its own, in which there is only a busybox, and
/// namespaces of its own.
const POD: &str = "#!/bin/sh\n\
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    unshare --mount --uts --ipc --net --cgroup \
    sh -c 'mount -t proc proc /pod/proc && exec chroot /pod \"$@\"' pod \"$@\"\n";
/// How kured's way into the machine's mount namespace begins.
const NSENTER: &str = "/usr/bin/nsenter -m/proc/1/ns/mnt --";

/// The boot loader's default becomes the other kernel ...
const TO_OTHER: &str =
    "run change sed -i 's/set default=\"0\"/set default=\"1>2\"/' /boot/grub/grub.cfg\n";
/// ... and the first one again.
const TO_FIRST: &str =
    "run change sed -i 's/set default=\"1>2\"/set default=\"0\"/' /boot/grub/grub.cfg\n";

/// What stands between the quotes behind this setting in the document.
fn quoted(setting: &str) -> Result<&'static str> {
    DOCS.split_once(&format!("\n{setting}=\""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(value, _)| value)
        .with_context(|| format!("docs/fleets.md has no {setting}=\"...\""))
}

/// The line of the document that starts so.
fn line(start: &str) -> Result<&'static str> {
    DOCS.lines()
        .find(|line| line.starts_with(start))
        .with_context(|| format!("docs/fleets.md has no line {start}..."))
}

/// A system with the engines, and the two kernels that its boot loader can start:
/// the default at first, and the other one.
fn machine(lab: &Lab) -> Result<(InstalledMachine<'_>, String, String)> {
    let machine = InstalledMachine::new(lab, Suite::Trixie, SystemLayout::BiosGrub)
        .packages(&PACKAGES)
        .product()?
        .unit("witness.service", "multi-user.target", WITNESS)
        .timeout(Duration::from_secs(600));
    let (first, other) = machine.kernels()?;
    Ok((machine, first, other))
}

/// This stage was reached by a kexec into this kernel, after an orderly shutdown
/// that was the one with this number.
fn arrived(trial: &Trial, stage: &str, release: &str, shutdowns: usize) -> Result<()> {
    let found = trial.stage(stage)?;
    assert_eq!(trial.started_by(stage)?, StartedBy::Kexec, "{stage}");
    assert_eq!(found.report.release, release, "{stage}");
    assert_eq!(found.file_system_errors()?, Vec::<String>::new(), "{stage}");
    let witness = found.run("witness")?.out();
    assert_eq!(witness, "stopped\n".repeat(shutdowns), "{stage}");
    Ok(())
}

/// One engine after the other, each from the kernel that the one before it booted.
#[test]
fn the_exact_calls() -> Result<()> {
    let command = quoted("--reboot-command")?;
    let sentinel = format!(
        "/lab/pod {NSENTER} {}",
        quoted("--reboot-sentinel-command")?
    );
    let signal = line("--reboot-method=signal")?
        .rsplit('=')
        .next()
        .context("no signal")?;
    ensure!(DOCS.contains("sends signal 39"), "kured's default");
    let transactional = line("sync;kexec ")?;
    ensure!(!transactional.contains('"'), "{transactional}");
    let snapshot = "/.snapshots/2/snapshot/boot";

    let lab = Lab::open()?;
    let busybox = lab.package(Suite::Bookworm, "busybox-static", Keep::Named(&["busybox"]))?;
    let mut pod = kexec_lab::Initramfs::new();
    pod.program(
        "pod/bin/busybox",
        std::fs::read(busybox.path.join("bin/busybox"))?,
    );
    pod.symlink("pod/bin/kill", "busybox");
    pod.symlink("pod/usr/bin/nsenter", "../../bin/busybox");
    pod.directory("pod/proc");
    let (machine, first, other) = machine(&lab)?;
    // What each boot looks at, and what it looks at once the default is another.
    let up = format!("run witness cat /var/lib/witness\nrun after {sentinel}\n");
    let due = format!("run due {sentinel}\n");
    let trial = machine
        .with(&pod)
        .program("lab/pod", POD)
        .file(
            "etc/apt/apt.conf.d/52reboot",
            format!("{}\n", line("Unattended-Upgrade::")?),
        )
        .stage(
            "kured-command",
            &format!(
                "{TO_OTHER}{due}run alone /lab/pod /bin/busybox test -e /usr/sbin/kexec\n\
                      jump /lab/pod {NSENTER} {command}\n"
            ),
        )
        .stage(
            "kured-signal",
            &format!(
                "{up}{TO_FIRST}{due}run enable kexec enable preload\n\
                 jump /lab/pod /bin/kill -{signal} 1\n"
            ),
        )
        .stage(
            "kured-default-signal",
            &format!("{up}jump /lab/pod /bin/kill -39 1\n"),
        )
        .stage(
            "unattended-upgrades",
            // The hook is the package's own, run by dpkg after a new kernel.
            &format!(
                "{up}run hook env DPKG_MAINTSCRIPT_PACKAGE=linux-image-new \
                 /etc/kernel/postinst.d/unattended-upgrades\n\
                 jump unattended-upgrade --verbose\n"
            ),
        )
        .stage(
            "transactional-update",
            &format!(
                "{up}run log cat /var/log/unattended-upgrades/unattended-upgrades.log\n\
                 run disable kexec disable preload\n{TO_OTHER}{due}\
                 mkdir -p {snapshot}\ncp /boot/vmlinuz-{other} {snapshot}/vmlinuz\n\
                 cp /boot/initrd.img-{other} {snapshot}/initrd\n\
                 jump sh -c \"{transactional}\"\n"
            ),
        )
        .stage("last", &format!("{up}run history kexec history\n"))
        .run()?;
    for (stage, _) in trial.stages() {
        println!("# {} at {:.1} s", stage.name, stage.started.as_secs_f64());
        for run in &stage.runs {
            println!("{}: {}\n{}{}", run.label, run.code, run.out(), run.err());
        }
    }
    println!("all: {:.1} s", trial.seconds());

    // Where an engine is switched on, the boot loader's default was changed; where
    // only the call is another one, it stays.
    let stages = [
        ("kured-signal", &other),
        ("kured-default-signal", &first),
        ("unattended-upgrades", &first),
        ("transactional-update", &first),
        ("last", &other),
    ];
    for (shutdowns, (stage, release)) in (1..).zip(stages) {
        arrived(&trial, stage, release, shutdowns)?;
        assert_eq!(trial.stage(stage)?.run("after")?.code, 1, "{stage}");
    }
    for stage in ["kured-command", "kured-signal", "transactional-update"] {
        let due = trial.stage(stage)?.run("due")?;
        assert_eq!(due.code, 0, "{stage}: {}{}", due.out(), due.err());
    }
    // Each jump has a token of its own. The last one came by kexec-tools' command
    // lines, which know none, and must not carry on an old one.
    let mut tokens = std::collections::BTreeSet::new();
    for (stage, _) in trial.stages().skip(1) {
        let line = stage.report.command_line();
        let token = line
            .split_once(" kexec.id=")
            .map(|(_, token)| token.to_owned());
        assert_eq!(
            token.is_none(),
            stage.name == "last",
            "{}: {line}",
            stage.name
        );
        tokens.extend(token);
    }
    assert_eq!(tokens.len(), 4, "{tokens:?}");
    assert_eq!(trial.stage("kured-command")?.run("alone")?.code, 1);
    let log = trial.stage("transactional-update")?.run("log")?.out();
    ensure!(log.contains("reboot-required, rebooting"), "{log}");
    Ok(())
}

/// Signal 40 asks systemd for kexec.target, and nobody looks first whether something
/// is loaded: what docs/fleets.md says of that.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn signal_40_with_nothing_loaded() -> Result<()> {
    ensure!(
        DOCS.contains("Where nothing is loaded, signal 40 is a reboot through the firmware"),
        "docs/fleets.md says what comes of it"
    );
    let lab = Lab::open()?;
    let (machine, first, _) = machine(&lab)?;
    let trial = machine
        .cold_boots(1)
        .stage(
            "before",
            "run loaded cat /sys/kernel/kexec_loaded\njump sh -c 'kill -40 1'\n",
        )
        .stage(
            "after",
            "run witness cat /var/lib/witness\nrun status kexec status\n",
        )
        .run()?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    assert_eq!(before.run("loaded")?.out(), "0\n");
    assert_eq!(trial.started_by("after")?, StartedBy::Cold);
    assert_eq!(after.report.release, first);
    // An orderly shutdown all the same.
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    println!(
        "{}{}",
        after.run("status")?.out(),
        after.run("status")?.err()
    );
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
