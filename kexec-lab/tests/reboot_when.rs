//! `kexec reboot` against a lock, over it, and at a time.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};

#[test]
fn locks_are_heeded_and_a_time_is_kept() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub).product()?;
    let trial = machine
        .stage(
            "locked",
            "systemd-inhibit --what=shutdown --mode=block --who=updater --why=half-way \
             sleep 1000 & sleep 2\n\
             run refused kexec reboot\n\
             run loaded cat /sys/kernel/kexec_loaded\n\
             jump kexec reboot -i --append trial=over\n",
        )
        .stage(
            "over",
            "run before cut -d' ' -f1 /proc/uptime\n\
             jump kexec reboot --when=+8s --append trial=later\n",
        )
        .stage("later", "run history kexec history --json\n")
        .run()?;
    let refused = trial.stage("locked")?.run("refused")?;
    assert_eq!(refused.code, 1, "{}", refused.err());
    ensure!(
        refused
            .err()
            .contains("updater holds a shutdown inhibitor lock")
            && refused.err().contains("half-way"),
        "{}",
        refused.err()
    );
    assert_eq!(trial.stage("locked")?.run("loaded")?.out(), "0\n");
    for (stage, word) in [("over", "trial=over"), ("later", "trial=later")] {
        assert_eq!(trial.started_by(stage)?, StartedBy::Kexec);
        let line = trial.stage(stage)?.report.command_line();
        ensure!(line.contains(word), "{stage}: {line}");
        assert_eq!(
            trial.stage(stage)?.file_system_errors()?,
            Vec::<String>::new()
        );
    }
    // The request is remembered when it is made; the shutdown waits for its time.
    let history = trial.stage("later")?.run("history")?.out();
    let history: serde_json::Value = serde_json::from_str(&history)?;
    let waited = history
        .pointer("/requests/0/outcome/shutdown")
        .and_then(serde_json::Value::as_u64);
    ensure!(
        waited.is_some_and(|milliseconds| milliseconds >= 7000),
        "{history}"
    );
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
