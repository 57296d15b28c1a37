//! `systemctl enable kexec-load@linux`, then `systemctl kexec`: what people type who
//! follow a wiki, with no boot in between. On installed systems with the package.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use kexec_lab::{Lab, Stage};
use serde_json::Value;

/// Stops with the system, in the ordinary order, and leaves a file.
const WITNESS: &str = "[Unit]\nDescription=Leaves a file when it is stopped\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n\
    ExecStop=/bin/sh -c 'echo stopped > /var/lib/witness'\n";
/// Somebody else's unit, which is enabled and switched off again.
const OTHER: &str = "[Service]\nType=oneshot\nExecStart=true\n\
    [Install]\nWantedBy=multi-user.target\n";

/// `state LABEL` says what is loaded; `quiet LABEL` says it when whatever was to
/// come of the command before has begun and is over.
const STATE: &str = r#"
state() { run "$1-loaded" cat /sys/kernel/kexec_loaded; run "$1-status" kexec status --json; }
quiet() {
    sleep 3
    run "$1-over" sh -c 'n=0; while systemctl list-jobs --no-legend | grep -q .; do
        n=$((n + 1)); [ $n -le 60 ] || exit 1; sleep 0.5; done'
    state "$1"
}
"#;
/// Where `systemctl enable` puts the links.
const INBOX: &str = "/etc/systemd/system/kexec-load.target.wants";
const DPKG: &str = "env DEBIAN_FRONTEND=noninteractive sh -c 'dpkg -i /lab/debs/*.deb'";
/// As a person waits: for 20 s, looking every now and then.
const WAIT: &str = "sh -c 'n=0; until grep -q 1 /sys/kernel/kexec_loaded; do n=$((n + 1)); \
    [ $n -le 100 ] || exit 1; sleep 0.2; done; cat /proc/uptime'";

/// Whether something is loaded, as the kernel says.
fn loaded(stage: &Stage, label: &str) -> Result<bool> {
    if let Ok(over) = stage.run(&format!("{label}-over")) {
        ensure!(over.code == 0, "jobs are left after {label}");
    }
    Ok(stage.good(&format!("{label}-loaded"))?.out() == "1\n")
}

/// What is loaded, as `kexec status` says; null for nothing.
fn image(stage: &Stage, label: &str) -> Result<Value> {
    let run = stage.good(&format!("{label}-status"))?;
    let status: Value = serde_json::from_str(&run.out()).context(run.out())?;
    Ok(status
        .pointer("/normal/image")
        .cloned()
        .unwrap_or(Value::Null))
}

fn tell(trial: &Trial) {
    for (stage, started_by) in trial.stages() {
        println!(
            "# {} ({started_by:?}) on {}",
            stage.name, stage.report.release
        );
        let shown = |label: &str| !label.ends_with("-status");
        for run in stage.runs.iter().filter(|run| shown(&run.label)) {
            println!("{}: {}\n{}{}", run.label, run.code, run.out(), run.err());
        }
    }
    println!("all: {:.1} s", trial.seconds());
}

/// Seconds since the boot, from /proc/uptime.
fn uptime(stage: &Stage, label: &str) -> Result<f64> {
    let text = stage.good(label)?.out();
    let first = text.split_whitespace().next().context("an empty uptime")?;
    first.parse().with_context(|| format!("reading {text}"))
}

/// The two lines, and everything that must not load or unload anything.
fn typed(suite: Suite, layout: SystemLayout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout)
        .product_deb()?
        .unit("witness.service", "multi-user.target", WITNESS)
        .file("etc/systemd/system/other.service", OTHER);
    let (first, other) = machine.kernels()?;
    let initrd = layout.initrd_name(&other);
    let escaped = first.replace('+', r"\\x2b");
    let trial = machine
        .stage(
            "before",
            &format!(
                "{STATE}run dpkg {DPKG}\n\
                 run links sh -euc 'ln -s vmlinuz-{other} /boot/vmlinuz-linux; \
                 ln -s {initrd} /boot/initramfs-linux.img'\n\
                 run reload systemctl daemon-reload\n\
                 run other systemctl enable --now other.service\n\
                 quiet idle\n\
                 run before cat /proc/uptime\n\
                 run enable systemctl enable kexec-load@linux\n\
                 run typed cat /proc/uptime\n\
                 jump systemctl kexec\n\
                 run wait {WAIT}\nstate enabled\n\
                 run journal journalctl -b -o short-monotonic --no-pager \
                 -u kexec-load@linux -u kexec-load-enabled.service -u kexec-load-enabled.path\n\
                 jump systemctl kexec\n"
            ),
        )
        .stage(
            "after",
            &format!(
                "{STATE}run witness cat /var/lib/witness\nstate boot\n\
                 run reload systemctl daemon-reload\n\
                 run other systemctl disable --now other.service\n\
                 run stop systemctl stop kexec-load@linux kexec-load.target \
                 kexec-load-enabled.path kexec-load-enabled.service\n\
                 state stop\n\
                 run dpkg {DPKG}\n\
                 quiet dpkg\n\
                 run second systemctl enable kexec-load@{first}\n\
                 quiet second\n\
                 run unload kexec unload\n\
                 run disable systemctl disable --now kexec-load@{first}\n\
                 quiet disable\n\
                 run others sh -euc 'systemctl enable --now other.service; \
                 systemctl daemon-reload'\n\
                 run dpkg-again {DPKG}\n\
                 quiet nothing\n\
                 mkdir -p /root/inbox {INBOX}\n\
                 run unseen sh -euc 'ln -s /usr/lib/systemd/system/kexec-load@.service \
                 \"/root/inbox/kexec-load@{escaped}.service\"; \
                 mount --bind /root/inbox {INBOX}; systemctl daemon-reload'\n\
                 quiet unseen\n\
                 run umount umount {INBOX}\n\
                 run unload kexec unload\n\
                 run again systemctl enable kexec-load@linux\n\
                 quiet again\n\
                 run unload kexec unload\n\
                 run twice sh -euc 'systemctl disable kexec-load@linux; \
                 systemctl enable kexec-load@linux'\n\
                 quiet twice\n\
                 run links sh -c 'ls {INBOX}; ls /etc/systemd/system/multi-user.target.wants | grep kexec'\n\
                 run failed systemctl --failed --plain --no-legend\n"
            ),
        )
        .observe()?;
    tell(&trial);
    // It is told before it is judged.
    ensure!(trial.boots.len() == 1, "a cold boot{}", trial.summary());
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    for label in ["dpkg", "links", "reload", "other", "enable"] {
        before.good(label)?;
    }
    ensure!(!loaded(before, "idle")?, "loaded before it was enabled");
    let (start, typed) = (uptime(before, "before")?, uptime(before, "typed")?);
    if let Ok(run) = before.run("wait") {
        println!(
            "enabled in {:.1} s, loaded {:.1} s after that: {}",
            typed - start,
            uptime(before, "wait")? - typed,
            run.code
        );
    }
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    assert_eq!(after.run("witness")?.out(), "stopped\n");

    // It is enabled, and so the boot has loaded it.
    ensure!(loaded(after, "boot")?, "not loaded at boot");
    let boot = image(after, "boot")?;
    ensure!(!boot.is_null(), "unknown to kexec status");
    for label in ["reload", "other", "stop", "dpkg", "second", "unload"] {
        after.good(label)?;
    }
    assert_eq!(image(after, "stop")?, boot);
    assert_eq!(image(after, "dpkg")?, boot);
    // The upgrade has started the watch that was stopped.
    let second = image(after, "second")?;
    ensure!(loaded(after, "second")? && second != boot, "{second}");
    for label in [
        "disable",
        "others",
        "dpkg-again",
        "unseen",
        "again",
        "twice",
    ] {
        after.good(label)?;
    }
    for label in ["disable", "nothing"] {
        ensure!(!loaded(after, label)?, "loaded by {label}");
    }
    // A link that systemd did not see being made is there after it has read its units
    // anew; and to enable a unit that was stopped by hand starts it, or one that is
    // active although somebody has unloaded its kernel.
    for (label, release) in [("unseen", &first), ("again", &other), ("twice", &other)] {
        let image = image(after, label)?;
        let there = image.get("release").and_then(Value::as_str);
        assert_eq!(there, Some(release.as_str()), "{label}");
    }
    assert_eq!(
        after.good("links")?.out(),
        format!(
            "kexec-load@{}.service\nkexec-load@linux.service\n",
            first.replace('+', r"\x2b")
        )
    );
    assert_eq!(after.good("failed")?.out(), "");
    Ok(())
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn enabled_and_typed_with_systemd_252() -> Result<()> {
    typed(Suite::Bookworm, SystemLayout::BiosGrubBoot)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn enabled_and_typed_with_systemd_257() -> Result<()> {
    typed(Suite::Trixie, SystemLayout::BiosGrubAutomount)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn enabled_and_typed_with_systemd_262() -> Result<()> {
    typed(Suite::Sid, SystemLayout::BiosGrubBoot)
}

/// Enabled with an older version of the package: a link in another folder. And
/// enabled by a program that makes the link itself, and does not have systemd read its
/// units anew: so it must not matter which of both comes first.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn enabled_before_the_upgrade() -> Result<()> {
    let lab = Lab::open()?;
    let machine =
        InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub).product_deb()?;
    let (first, other) = machine.kernels()?;
    let old = "/etc/systemd/system/multi-user.target.wants/kexec-load@linux.service";
    let trial = machine
        .cold_boots(1)
        .stage(
            "old",
            &format!(
                "{STATE}ln -s vmlinuz-{other} /boot/vmlinuz-linux\n\
                 ln -s initrd.img-{other} /boot/initramfs-linux.img\n\
                 run link ln -s /usr/lib/systemd/system/kexec-load@.service {old}\n\
                 run dpkg {DPKG}\nquiet dpkg\n\
                 run reload systemctl daemon-reload\nquiet reload\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "boot",
            &format!(
                "{STATE}state boot\nrun is systemctl is-enabled kexec-load@linux\n\
                 run enable systemctl enable kexec-load@linux\nquiet enable\n\
                 run disable systemctl disable kexec-load@linux\nquiet disable\n\
                 run left find /etc/systemd/system -name 'kexec-load@*'\n\
                 mkdir -p {INBOX}\nsleep 0.5\n\
                 run by-hand ln -s /usr/lib/systemd/system/kexec-load@.service \
                 '{INBOX}/kexec-load@{}.service'\nquiet by-hand\n",
                first.replace('+', r"\x2b")
            ),
        )
        .run()?;
    tell(&trial);
    let (upgrade, boot) = (trial.stage("old")?, trial.stage("boot")?);
    upgrade.good("link")?;
    for label in ["dpkg", "reload"] {
        upgrade.good(label)?;
        ensure!(!loaded(upgrade, label)?, "loaded by {label}");
    }
    assert_eq!(trial.started_by("boot")?, StartedBy::Cold);
    ensure!(loaded(boot, "boot")?, "not loaded at boot");
    assert_eq!(boot.good("is")?.out(), "enabled\n");
    let image = image(boot, "boot")?;
    for label in ["enable", "disable"] {
        boot.good(label)?;
        assert_eq!(self::image(boot, label)?, image, "after {label}");
    }
    assert_eq!(boot.good("left")?.out(), "");
    boot.good("by-hand")?;
    ensure!(loaded(boot, "by-hand")?);
    let by_hand = self::image(boot, "by-hand")?;
    assert_eq!(
        by_hand.get("release").and_then(Value::as_str),
        Some(first.as_str())
    );
    Ok(())
}
