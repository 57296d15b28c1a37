//! The results of a cell, read from what the machine reported.

use super::script::{AFTER, BEFORE, INSTALL, PREPARED, commands};
use super::{Cell, Setup};
use crate::guest::{End, Stage};
use crate::installed::{StartedBy, Trial};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// How a requested reboot ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RebootResult {
    /// The firmware did not run, and the kernel is the one that was wanted.
    Kexec,
    /// The firmware did not run, and another kernel runs: its release.
    Elsewhere(String),
    /// The firmware ran.
    Cold,
    /// The command failed, and this is what it said.
    Refused(String),
    /// Nothing more happened until the time was up.
    Hung,
    /// The machine switched itself off.
    Off,
    /// It was reset, and came back with nothing.
    Lost,
}

impl std::fmt::Display for RebootResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kexec => f.write_str("kexec"),
            Self::Elsewhere(release) => write!(f, "kexec into {release}"),
            Self::Cold => f.write_str("cold boot"),
            Self::Refused(_) => f.write_str("refused"),
            Self::Hung => f.write_str("hung"),
            Self::Off => f.write_str("switched off"),
            Self::Lost => f.write_str("did not come up again"),
        }
    }
}

/// A command that requests a reboot, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// As it is typed in a shell.
    pub command: String,
    /// How the reboot ended.
    pub result: RebootResult,
}

/// What was observed in a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// One for each command that was run; all but the last were refused.
    pub results: Vec<CommandResult>,
    /// What was not as it should be after an arrival: services that were not
    /// stopped, file systems that were not unmounted.
    pub flaws: Vec<String>,
    /// Seconds that QEMU ran.
    pub seconds: f64,
}

impl Observation {
    /// The result of the first command, which is the one that users type.
    #[must_use]
    pub fn first(&self) -> Option<&RebootResult> {
        self.results.first().map(|one| &one.result)
    }

    /// As text that [`Observation::from_json`] reads again.
    ///
    /// # Errors
    /// If a number in it has no such form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).context("writing the observation of a cell")
    }

    /// What [`Observation::to_json`] wrote.
    ///
    /// # Errors
    /// If it is not that.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("reading the observation of a cell")
    }
}

/// Reads the trial of this cell, in which the release `wanted` is to be booted.
pub(super) fn read(cell: &Cell, trial: &Trial, wanted: &str) -> Result<Observation> {
    let installing = trial.stage(INSTALL).ok();
    let before = trial.stage(BEFORE)?;
    let runs = installing.iter().flat_map(|stage| &stage.runs);
    for run in runs.chain(&before.runs) {
        let must = PREPARED.contains(&run.label.as_str());
        ensure!(
            !must || run.code == 0,
            "{} ended with {}: {}{}",
            run.label,
            run.code,
            run.out(),
            run.err()
        );
    }
    ensure!(
        before.report.release != wanted,
        "the machine ran {wanted} to begin with: an arrival there would say nothing"
    );
    let results = results(cell.setup, before, || end(trial, wanted))?;
    let mut flaws = trial.stage(AFTER).map_or_else(|_| Ok(Vec::new()), flaws)?;
    if matches!(cell.setup, Setup::KexecRs(_)) {
        flaws.extend(ours(trial, &results)?);
    }
    Ok(Observation {
        results,
        flaws,
        seconds: trial.seconds(),
    })
}

/// What is wrong with our part: units that have not loaded, a status that does not
/// say what happened.
fn ours(trial: &Trial, results: &[CommandResult]) -> Result<Vec<String>> {
    let mut flaws = Vec::new();
    if trial.started_by(BEFORE)? != StartedBy::Cold {
        flaws.push("the boot before was a kexec and not a cold boot".to_owned());
    }
    if trial.stage(BEFORE)?.run("loaded")?.out() != "1\n" {
        flaws.push("nothing was loaded before".to_owned());
    }
    let Ok(after) = trial.stage(AFTER) else {
        return Ok(flaws);
    };
    for unit in after.run("failed")?.out().lines() {
        if unit.contains("kexec") {
            flaws.push(format!("failed: {unit}"));
        }
    }
    let status = after.run("status")?;
    let value: serde_json::Value = serde_json::from_str(&status.out())
        .with_context(|| format!("kexec status --json: {}{}", status.out(), status.err()))?;
    let told = value.pointer("/last/outcome/what");
    let told = told.and_then(serde_json::Value::as_str);
    let happened = match results.last().map(|one| &one.result) {
        Some(RebootResult::Kexec | RebootResult::Elsewhere(_)) => Some("kexec"),
        Some(RebootResult::Cold) => Some("cold"),
        _ => None,
    };
    if told != happened {
        flaws.push(format!("kexec status tells of {told:?}"));
    }
    Ok(flaws)
}

/// Each command that was tried. `end` says what the machine did.
fn results(
    setup: Setup,
    before: &Stage,
    end: impl Fn() -> Result<RebootResult>,
) -> Result<Vec<CommandResult>> {
    let mut jumps = before.runs.iter().filter(|run| run.label == "jump");
    let mut results = Vec::new();
    for command in commands(setup) {
        let refusal = jumps.next().filter(|run| run.code != 0);
        let result = match refusal {
            Some(run) => RebootResult::Refused(run.err().trim().to_owned()),
            // It succeeded, or the machine went down before it could say so.
            None => end()?,
        };
        let was_refused = matches!(result, RebootResult::Refused(_));
        results.push(CommandResult {
            command: (*command).to_owned(),
            result,
        });
        if !was_refused {
            return Ok(results);
        }
    }
    Ok(results)
}

/// What the machine did after the last command.
fn end(trial: &Trial, wanted: &str) -> Result<RebootResult> {
    if let Ok(after) = trial.stage(AFTER) {
        let release = &after.report.release;
        return Ok(match trial.started_by(AFTER)? {
            StartedBy::Cold => RebootResult::Cold,
            StartedBy::Kexec if release == wanted => RebootResult::Kexec,
            StartedBy::Kexec => RebootResult::Elsewhere(release.clone()),
        });
    }
    match trial.boots.last().map(|boot| boot.end) {
        Some(End::TimedOut) => Ok(RebootResult::Hung),
        Some(End::PoweredOff) => Ok(RebootResult::Off),
        Some(End::Reset) => Ok(RebootResult::Lost),
        None => bail!("the machine never ran"),
    }
}

/// What is wrong with a system that came up again.
fn flaws(after: &Stage) -> Result<Vec<String>> {
    let mut flaws = after.file_system_errors()?;
    if after.run("witness")?.out() != "stopped\n" {
        flaws.push("services were not stopped".to_owned());
    }
    Ok(flaws)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::Suite;
    use crate::guest::{CommandRun, GuestRun, Report};
    use crate::installed::SystemLayout;
    use std::collections::BTreeMap;
    use std::time::Duration;

    const CELL: Cell = Cell {
        suite: Suite::Trixie,
        layout: SystemLayout::BiosGrub,
        setup: Setup::WikiStart,
    };

    fn run(label: &str, code: u8, stdout: &str, stderr: &str) -> CommandRun {
        CommandRun {
            label: label.to_owned(),
            code,
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn stage(name: &str, release: &str, runs: Vec<CommandRun>) -> Stage {
        Stage {
            name: name.to_owned(),
            started: Duration::ZERO,
            jumped: None,
            done: true,
            report: Report {
                release: release.to_owned(),
                ..Report::default()
            },
            runs,
            files: BTreeMap::from([("file-systems".to_owned(), Vec::new())]),
        }
    }

    fn before(jumps: Vec<CommandRun>) -> Stage {
        let mut runs = vec![run("dpkg", 0, "", "")];
        runs.extend(jumps);
        stage(BEFORE, "6.12", runs)
    }

    fn after(release: &str) -> Stage {
        stage(AFTER, release, vec![run("witness", 0, "stopped\n", "")])
    }

    fn boot(stages: Vec<Stage>, end: End) -> GuestRun {
        GuestRun {
            stages,
            console: String::new(),
            duration: Duration::from_secs(1),
            end,
        }
    }

    fn outcomes(boots: Vec<GuestRun>) -> Vec<String> {
        let seen = read(&CELL, &Trial { boots }, "6.1").unwrap();
        let results = seen.results.iter();
        results.map(|one| one.result.to_string()).collect()
    }

    #[test]
    fn refused_and_then_whatever_happened() {
        let refused = || run("jump", 1, "", "No kexec kernel loaded\n");
        let done = || run("jump", 0, "", "");
        // One boot of the firmware with both stages, or one each.
        let jumped = vec![boot(
            vec![before(vec![refused(), done()]), after("6.1")],
            End::PoweredOff,
        )];
        assert_eq!(outcomes(jumped), ["refused", "kexec"]);
        let elsewhere = vec![boot(
            vec![before(vec![refused(), done()]), after("6.12")],
            End::PoweredOff,
        )];
        assert_eq!(outcomes(elsewhere), ["refused", "kexec into 6.12"]);
        let cold = vec![
            boot(vec![before(vec![refused(), done()])], End::Reset),
            boot(vec![after("6.1")], End::PoweredOff),
        ];
        assert_eq!(outcomes(cold), ["refused", "cold boot"]);
        let hung = vec![boot(vec![before(vec![refused(), done()])], End::TimedOut)];
        assert_eq!(outcomes(hung), ["refused", "hung"]);
        let neither = vec![boot(
            vec![before(vec![refused(), refused()])],
            End::PoweredOff,
        )];
        assert_eq!(outcomes(neither), ["refused", "refused"]);
    }

    #[test]
    fn a_command_that_ends_with_its_machine_says_nothing() {
        let boots = vec![boot(vec![before(vec![]), after("6.1")], End::PoweredOff)];
        assert_eq!(outcomes(boots), ["kexec"]);
    }

    #[test]
    fn what_was_not_installed_proves_nothing() {
        let broken = stage(BEFORE, "6.12", vec![run("dpkg", 1, "", "no such file")]);
        let boots = vec![boot(vec![broken], End::PoweredOff)];
        let error = read(&CELL, &Trial { boots }, "6.1").unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error:#}");
        // Nor does an arrival in the kernel that ran before.
        let boots = vec![boot(vec![before(vec![])], End::PoweredOff)];
        assert!(read(&CELL, &Trial { boots }, "6.12").is_err());
    }

    #[test]
    fn flaws_are_told() {
        let dirty = stage(AFTER, "6.1", vec![run("witness", 1, "", "")]);
        let boots = vec![boot(vec![before(vec![]), dirty], End::PoweredOff)];
        let seen = read(&CELL, &Trial { boots }, "6.1").unwrap();
        assert_eq!(seen.flaws, ["services were not stopped"]);
    }

    #[test]
    fn kept_as_it_was() {
        let boots = vec![boot(vec![before(vec![]), after("6.1")], End::PoweredOff)];
        let seen = read(&CELL, &Trial { boots }, "6.1").unwrap();
        assert_eq!(
            Observation::from_json(&seen.to_json().unwrap()).unwrap(),
            seen
        );
    }
}
