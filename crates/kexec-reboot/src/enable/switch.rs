//! Switching a feature on or off, step by step: the steps follow from what is there, each
//! is tried, and what became of each is kept, so that a command that fails half way can
//! tell exactly what it did and what not.

use kexec_load::Error;

use super::parts::OWN_UNITS;
use super::{Feature, FileChange};

/// One step of switching a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchStep {
    /// The files and links are written and removed: all of them, or none.
    Files,
    /// systemd reads its units anew.
    Reload,
    /// A unit is started.
    Start(&'static str),
    /// A unit is stopped.
    Stop(&'static str),
    /// A cold reboot that was requested earlier in this boot no longer keeps the next
    /// image from being loaded.
    AllowKexec,
    /// The image that was loaded ahead is unloaded.
    Unload,
}

impl SwitchStep {
    /// What is done, as a user may type it where that is possible.
    pub fn text(&self) -> String {
        match self {
            SwitchStep::Files => "write and remove the files".to_owned(),
            SwitchStep::Reload => "systemctl daemon-reload".to_owned(),
            SwitchStep::Start(unit) => format!("systemctl start {unit}"),
            SwitchStep::Stop(unit) => format!("systemctl stop {unit}"),
            SwitchStep::AllowKexec => "remove /run/kexec/cold".to_owned(),
            SwitchStep::Unload => "unload the image that was loaded ahead".to_owned(),
        }
    }
}

/// What became of a step.
#[derive(Debug)]
pub enum StepOutcome {
    /// It is done.
    Done,
    /// It was tried, and why it failed.
    Failed(Error),
    /// It was not tried, because one before it failed.
    NotTried,
    /// It would be tried (`--dry-run`).
    Planned,
}

impl StepOutcome {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            StepOutcome::Done => "done",
            StepOutcome::Failed(_) => "failed",
            StepOutcome::NotTried => "not tried",
            StepOutcome::Planned => "planned",
        }
    }
}

/// A step, and what became of it.
#[derive(Debug)]
pub struct TriedStep {
    /// The step.
    pub step: SwitchStep,
    /// What became of it.
    pub outcome: StepOutcome,
}

/// What the steps follow from, besides the files.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// Units of the feature that systemd does not run; of the others it does, or it is
    /// unknown.
    pub inactive: Vec<&'static str>,
    /// Units that another feature needs as well.
    pub needed: Vec<&'static str>,
    /// What is loaded was loaded ahead.
    pub preloaded: bool,
    /// A cold reboot was requested in this boot.
    pub cold: bool,
}

/// What the timer of `metrics` starts.
const METRICS_WRITER: &str = "kexec-metrics.service";

/// What is to be done for a feature to be on or off, in this order. Nothing where it is
/// already.
///
/// Files come first: they fail the most often, and when they do, nothing at all is
/// changed. Stopping the units of files that are gone is no matter to systemd.
pub fn steps(feature: &Feature, on: bool, changes: &[FileChange], now: &Now) -> Vec<SwitchStep> {
    let mut steps = Vec::new();
    if !changes.is_empty() {
        steps.push(SwitchStep::Files);
        // Files of dracut alone are nothing to systemd, which may not run.
        if changes.iter().any(|c| c.path().starts_with(OWN_UNITS)) {
            steps.push(SwitchStep::Reload);
        }
    }
    let is_preload = feature.name == "preload";
    let is_metrics = feature.name == "metrics";
    let units = feature.units.iter().map(|unit| unit.name);
    if on {
        if is_preload && now.cold {
            steps.push(SwitchStep::AllowKexec);
        }
        let starts = units.filter(|unit| now.inactive.contains(unit));
        steps.extend(starts.map(SwitchStep::Start));
        if is_metrics {
            // Now, and not only by its timer: who switches it on learns what is wrong.
            steps.push(SwitchStep::Start(METRICS_WRITER));
        }
    } else {
        let stops = units.filter(|unit| !now.needed.contains(unit));
        let stops = stops.filter(|unit| !now.inactive.contains(unit));
        let mut stops: Vec<SwitchStep> = stops.map(SwitchStep::Stop).collect();
        if is_metrics && !stops.is_empty() {
            stops.push(SwitchStep::Stop(METRICS_WRITER));
        }
        // Before systemd forgets what it knows of them. What writes a file that is removed
        // stops before that, or it writes it once more.
        let at = if is_metrics { 0 } else { steps.len().min(1) };
        steps.splice(at..at, stops);
        if is_preload && now.preloaded {
            steps.push(SwitchStep::Unload);
        }
    }
    steps
}

/// Tries the steps. Behind a failure only those are tried that do not need it: without the
/// files nothing, and without systemd having read them no start.
pub fn carry_out(
    steps: Vec<SwitchStep>,
    mut carry: impl FnMut(&SwitchStep) -> Result<(), Error>,
) -> Vec<TriedStep> {
    let (mut files, mut read) = (true, true);
    let mut tried = Vec::new();
    for step in steps {
        let possible = match step {
            SwitchStep::Files => true,
            SwitchStep::Start(_) => files && read,
            _ => files,
        };
        let outcome = match possible.then(|| carry(&step)) {
            None => StepOutcome::NotTried,
            Some(Ok(())) => StepOutcome::Done,
            Some(Err(error)) => {
                files &= step != SwitchStep::Files;
                read &= step != SwitchStep::Reload;
                StepOutcome::Failed(error)
            }
        };
        tried.push(TriedStep { step, outcome });
    }
    tried
}

/// Whether every step is done.
pub fn is_done(tried: &[TriedStep]) -> bool {
    tried
        .iter()
        .all(|one| matches!(one.outcome, StepOutcome::Done))
}

/// The error that comes of the steps, where one failed: the failure itself where nothing
/// was changed, else one that names every step with its outcome.
pub fn failure(
    feature: &Feature,
    on: bool,
    tried: &[TriedStep],
    root: Option<&str>,
) -> Option<Error> {
    let failed: Vec<&Error> = tried
        .iter()
        .filter_map(|one| match &one.outcome {
            StepOutcome::Failed(error) => Some(error),
            _ => None,
        })
        .collect();
    if failed.is_empty() {
        return None;
    }
    let of = |wanted: &str| {
        let steps = tried.iter().filter(|one| one.outcome.word() == wanted);
        let steps: Vec<String> = steps.map(|one| one.step.text()).collect();
        match steps.is_empty() {
            true => "nothing".to_owned(),
            false => steps.join(", "),
        }
    };
    let whys: Vec<String> = failed.iter().map(|error| error.to_string()).collect();
    let why = format!(
        "{}; done: {}; failed: {}; not tried: {}",
        whys.join("; "),
        of("done"),
        of("failed"),
        of("not tried"),
    );
    let mut remedies: Vec<&str> = failed.iter().map(|error| error.remedy()).collect();
    remedies.retain(|remedy| !remedy.is_empty());
    remedies.dedup();
    let (word, other) = match on {
        true => ("enable", "disable"),
        false => ("disable", "enable"),
    };
    let name = feature.name;
    let root = root.map(|root| format!(" --root {root}"));
    let root = root.unwrap_or_default();
    remedies.push("");
    let again = match of("done").as_str() {
        "nothing" => format!("then run `kexec {word} {name}{root}` again"),
        _ => format!(
            "then run `kexec {word} {name}{root}` again, or `kexec {other} {name}{root}` to go back"
        ),
    };
    let what = format!("switching {name} {}", if on { "on" } else { "off" });
    Some(Error::system(what, why, remedies.join("; ") + &again))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enable::feature;

    fn change() -> Vec<FileChange> {
        let path = format!("{OWN_UNITS}/x");
        vec![FileChange::Remove { path }]
    }

    fn preload() -> &'static Feature {
        feature("preload").unwrap()
    }

    const UNITS: [&str; 2] = ["kexec-preload.service", "kexec-refresh.service"];

    fn texts(steps: &[SwitchStep]) -> Vec<String> {
        steps.iter().map(SwitchStep::text).collect()
    }

    #[test]
    fn steps_follow_from_what_is_there() {
        let off = Now {
            inactive: UNITS.to_vec(),
            ..Now::default()
        };
        let on = steps(
            preload(),
            true,
            &change(),
            &Now {
                cold: true,
                ..off.clone()
            },
        );
        assert_eq!(
            texts(&on),
            [
                "write and remove the files",
                "systemctl daemon-reload",
                "remove /run/kexec/cold",
                "systemctl start kexec-preload.service",
                "systemctl start kexec-refresh.service",
            ]
        );
        let running = Now {
            preloaded: true,
            ..Now::default()
        };
        assert_eq!(
            texts(&steps(preload(), false, &change(), &running)),
            [
                "write and remove the files",
                "systemctl stop kexec-preload.service",
                "systemctl stop kexec-refresh.service",
                "systemctl daemon-reload",
                "unload the image that was loaded ahead",
            ]
        );
        // What is as it should be needs nothing; what a failure left is done then.
        assert_eq!(steps(preload(), true, &[], &Now::default()), []);
        assert_eq!(steps(preload(), false, &[], &off), []);
        let left = Now {
            inactive: vec![UNITS[0]],
            ..running.clone()
        };
        assert_eq!(
            steps(preload(), false, &[], &left),
            [SwitchStep::Stop(UNITS[1]), SwitchStep::Unload]
        );
        // What systemd does not read.
        let dracut = [FileChange::Remove {
            path: "/etc/dracut.conf.d/50-kexec.conf".into(),
        }];
        let exitrd = feature("exitrd").unwrap();
        let only = steps(exitrd, true, &dracut, &Now::default());
        assert_eq!(only, [SwitchStep::Files]);
        // Another feature needs it.
        let needed = Now {
            needed: vec![UNITS[1]],
            ..running
        };
        let kept = steps(preload(), false, &[], &needed);
        assert!(!kept.contains(&SwitchStep::Stop(UNITS[1])), "{kept:?}");
    }

    /// The timer once wrote between the removal of its file and its own end.
    #[test]
    fn metrics_are_written_at_once_and_never_after_their_removal() {
        let metrics = feature("metrics").unwrap();
        let timer = metrics.units[0].name;
        let inactive = Now {
            inactive: vec![timer],
            ..Now::default()
        };
        let on = steps(metrics, true, &change(), &inactive);
        let writes = [SwitchStep::Start(timer), SwitchStep::Start(METRICS_WRITER)];
        assert!(on.ends_with(&writes), "{on:?}");
        let off = steps(metrics, false, &change(), &Now::default());
        let stops = [SwitchStep::Stop(timer), SwitchStep::Stop(METRICS_WRITER)];
        assert!(
            off.starts_with(&stops) && off.contains(&SwitchStep::Files),
            "{off:?}"
        );
        assert_eq!(steps(metrics, false, &[], &inactive), []);
    }

    /// Each step fails once: the report names it, what was done and what was not, and
    /// never that nothing was changed.
    #[test]
    fn every_failure_is_told_with_what_was_done() {
        for on in [true, false] {
            let now = Now {
                inactive: if on { UNITS.to_vec() } else { Vec::new() },
                preloaded: true,
                cold: true,
                ..Now::default()
            };
            let all = steps(preload(), on, &change(), &now);
            for broken in 0..all.len() {
                let mut at = 0;
                let mut really = Vec::new();
                let tried = carry_out(all.clone(), |step| {
                    let is = all.iter().position(|one| one == step).unwrap();
                    at = at.max(is);
                    if is == broken {
                        return Err(Error::system(step.text(), "exit status: 1", "see the log"));
                    }
                    really.push(step.text());
                    Ok(())
                });
                assert_eq!(tried.len(), all.len());
                assert!(!is_done(&tried));
                let error = failure(preload(), on, &tried, None).unwrap();
                let text = error.to_string();
                assert!(
                    text.contains(&format!("failed: {}", all[broken].text())),
                    "{text}"
                );
                let done = match really.is_empty() {
                    true => "nothing".to_owned(),
                    false => really.join(", "),
                };
                assert!(text.contains(&format!("; done: {done}; ")), "{text}");
                assert!(!text.contains("nothing was changed"), "{text}");
                assert!(error.remedy().starts_with("see the log; then run"));
                assert_eq!(error.remedy().contains("to go back"), !really.is_empty());
                let StepOutcome::Failed(found) = &tried[broken].outcome else {
                    panic!("{:?}", tried[broken]);
                };
                assert_eq!(found.remedy(), "see the log");
                let told: Vec<String> = tried
                    .iter()
                    .filter(|one| matches!(one.outcome, StepOutcome::Done))
                    .map(|one| one.step.text())
                    .collect();
                assert_eq!(told, really);
                // Without the files, nothing; without a reload, no start.
                if broken == 0 {
                    assert_eq!(really, Vec::<String>::new());
                }
                if on && broken == 1 {
                    assert!(
                        really.iter().all(|step| !step.contains("start")),
                        "{really:?}"
                    );
                }
                if !on && broken > 0 {
                    assert_eq!(really.len(), all.len() - 1);
                }
            }
        }
    }
}
