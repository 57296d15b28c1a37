//! `kexec enable preload` with the program alone, without a package: switched
//! on, used by a plain `systemctl reboot`, and switched off again.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use serde_json::Value;

const FILES: &str = "find /etc /usr/lib/systemd /usr/lib/kernel -newer /var/lib/before \
                     -name '*kexec*' ! -name '*.wants'";

#[test]
fn switched_on_used_and_switched_off() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .cold_boots(1);
    let (first, other) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            "run change sed -i 's/set default=\"0\"/set default=\"1>2\"/' /boot/grub/grub.cfg\n\
             touch /var/lib/before\n\
             run due kexec needs-reboot\n\
             run enable kexec enable preload\n\
             run again kexec enable preload\n\
             run status kexec status\n\
             jump systemctl reboot\n",
        )
        .stage(
            "after",
            &format!(
                "run due kexec needs-reboot\n\
                 run journal journalctl -b -u kexec-preload -o cat --no-pager\n\
                 run idle sh -c 'systemctl daemon-reload; systemctl stop kexec-preload \
                 kexec-refresh; kexec status'\n\
                 run disable kexec disable preload\n\
                 run loaded cat /sys/kernel/kexec_loaded\n\
                 run left {FILES}\n\
                 run off kexec disable preload\n\
                 run turn kexec enable preload --cold-every=2\n\
                 run why kexec preload\n\
                 run empty cat /sys/kernel/kexec_loaded\n\
                 run way kexec status\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "cold",
            &format!(
                "run journal journalctl -b -u kexec-preload -o cat --no-pager\n\
                 run status kexec status\n\
                 run none kexec enable metrics\n\
                 run folder mkdir -p /var/lib/prometheus/node-exporter\n\
                 run metrics kexec enable metrics\n\
                 run timer systemctl is-active kexec-metrics.timer\n\
                 run file cat /var/lib/prometheus/node-exporter/kexec.prom\n\
                 run change sed -i '/vmlinuz-{other} /s/$/ kexec=off/' /boot/grub/grub.cfg\n\
                 run on kexec preload\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "off",
            "run journal journalctl -b -u kexec-preload -o cat --no-pager\n\
             run preload kexec preload\n\
             run loaded cat /sys/kernel/kexec_loaded\n\
             run timer systemctl is-active kexec-metrics.timer\n\
             run history kexec history\n\
             run records kexec history --json\n\
             run draw kexec history --svg -\n\
             run metrics kexec metrics\n\
             run without kexec disable metrics\n\
             run gone find /var/lib/prometheus /etc/systemd -name '*metrics*' -o -name '*.prom'\n",
        )
        .run()?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    let out = |stage: &str, label: &str| -> Result<String> {
        let run = trial.stage(stage)?.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        Ok(run.out())
    };
    assert_eq!(before.report.release, first);
    out("before", "due")?;
    assert_eq!(before.run("due")?.code, 0);
    ensure!(out("before", "enable")?.contains("every reboot is a kexec"));
    assert_eq!(out("before", "again")?, "preload is already on.\n");
    ensure!(out("before", "status")?.contains("loaded ahead"));

    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.report.release, other);
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    out("after", "due")?;
    assert_eq!(after.run("due")?.code, 1);
    let journal = out("after", "journal")?;
    ensure!(
        journal.contains(&format!("kexec'd from {first} to {other}")),
        "{journal}"
    );
    ensure!(
        journal.contains("Loading: nothing is loaded yet."),
        "{journal}"
    );
    // Neither a reload nor a stop loads or unloads anything.
    ensure!(out("after", "idle")?.contains("loaded ahead"));
    assert_eq!(
        after.run("disable")?.code,
        0,
        "{}",
        after.run("disable")?.err()
    );
    assert_eq!(out("after", "loaded")?, "0\n");
    assert_eq!(out("after", "left")?, "");
    assert_eq!(out("after", "off")?, "preload is already off.\n");

    // Every second reboot goes through the firmware: this is the turn of one.
    ensure!(out("after", "turn")?.contains("writes /etc/kexec-rs.conf"));
    ensure!(out("after", "why")?.contains("every 2nd reboot goes through the firmware"));
    assert_eq!(out("after", "empty")?, "0\n");
    let way = out("after", "way")?;
    ensure!(
        way.contains("1 of 1 since the last cold boot; the next reboot goes"),
        "{way}"
    );
    assert_eq!(trial.started_by("cold")?, StartedBy::Cold);
    let cold = trial.stage("cold")?;
    assert_eq!(cold.report.release, other);
    let journal = out("cold", "journal")?;
    let requested = "as requested at";
    ensure!(
        journal.contains("cold boot at") && journal.contains(requested),
        "{journal}"
    );
    ensure!(
        journal.contains("Loading: nothing is loaded yet."),
        "{journal}"
    );
    let status = out("cold", "status")?;
    ensure!(
        status.contains("0 of 1 since the last cold boot; every 2nd reboot"),
        "{status}"
    );

    // Metrics need the folder of the collector, and are there at once.
    out("cold", "none")?;
    assert_eq!(cold.run("none")?.code, 1);
    for label in ["metrics", "change", "on"] {
        out("cold", label)?;
        assert_eq!(
            cold.run(label)?.code,
            0,
            "{label}: {}",
            cold.run(label)?.err()
        );
    }
    for stage in ["cold", "off"] {
        assert_eq!(out(stage, "timer")?, "active\n");
    }
    let metrics = out("cold", "file")?;
    for line in [
        "kexec_requests{outcome=\"kexec\"} 1",
        "kexec_requests{outcome=\"cold_requested\"} 1",
        "kexec_last_reboot_outcome{outcome=\"cold_requested\"} 1",
        "kexec_expected_release_running 1",
        "kexec_reboots_since_cold_boot 0",
        "kexec_cold_every_reboots 2",
        "kexec_preloaded 1",
        "kexec_preload_refused 0",
    ] {
        ensure!(metrics.lines().any(|is| is == line), "no {line}: {metrics}");
    }
    let metrics = out("off", "metrics")?;
    ensure!(
        metrics.contains("kexec_reboots_since_cold_boot 1\n"),
        "{metrics}"
    );
    for label in ["history", "records", "draw", "without"] {
        out("off", label)?;
        assert_eq!(trial.stage("off")?.run(label)?.code, 0, "{label}");
    }
    let history = out("off", "history")?;
    ensure!(history.matches("kexec'd from").count() == 2, "{history}");
    ensure!(
        history.contains(requested) && !history.contains("possible causes"),
        "{history}"
    );
    assert_eq!(out("off", "gone")?, "");

    // kexec=off on the command line of one boot: nothing is loaded in it.
    let off = trial.stage("off")?;
    assert_eq!(trial.started_by("off")?, StartedBy::Kexec);
    let line = off.report.command_line();
    ensure!(line.split(' ').any(|word| word == "kexec=off"), "{line}");
    for said in [out("off", "journal")?, out("off", "preload")?] {
        ensure!(said.contains("command line has kexec=off"), "{said}");
    }
    assert_eq!(off.run("preload")?.code, 0);
    assert_eq!(out("off", "loaded")?, "0\n");
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// While the idle time of an automount ends, every walk over it waits for systemd,
/// which waits for the units that look at /boot: the shutdown hung for ever.
#[test]
fn an_automount_that_ends_during_the_shutdown() -> Result<()> {
    let lab = Lab::open()?;
    // Stopped before kexec-refresh.service, for longer than the idle time of 2 s.
    let late = "[Unit]\nAfter=kexec-refresh.service boot.automount\n[Service]\nType=oneshot\n\
                RemainAfterExit=yes\nExecStart=true\nExecStop=sleep 6\n";
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrubAutomount)
        .product()?
        .unit("late.service", "multi-user.target", late);
    let trial = machine
        .stage(
            "before",
            "run enable kexec enable preload\n\
             run touch ls /boot\n\
             jump systemctl reboot\n",
        )
        .stage(
            "after",
            "run says kexec status\nrun status kexec status --json\n\
             run journal journalctl -b -u kexec-preload -o cat --no-pager\n",
        )
        .run()?;
    assert_eq!(trial.stage("before")?.run("enable")?.code, 0);
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    let after = trial.stage("after")?;
    // What stayed could not be compared, and the boot that it led to says so.
    for label in ["says", "journal"] {
        let said = after.run(label)?.out();
        println!("# {label}\n{said}");
        ensure!(said.contains("kexec'd from"), "{label}: {said}");
        ensure!(
            said.contains("not compared at the shutdown with what a reboot would have booted"),
            "{label}: {said}"
        );
    }
    let status: Value = serde_json::from_str(&after.run("status")?.out())?;
    let said = |path: &str| status.pointer(path).and_then(Value::as_str);
    assert_eq!(said("/last/outcome/what"), Some("kexec"), "{status}");
    ensure!(said("/last/uncompared").is_some(), "{status}");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
