//! `kexec enable` and `kexec disable`: what is changed, and what became of each step, as
//! text and as JSON.

use std::fmt::Write as _;

use kexec_reboot::enable::switch::{self, StepOutcome, TriedStep};
use kexec_reboot::enable::{Feature, FileChange, Image};
use serde_json::{Value, json};

use super::documents::{self, SwitchOutcome};
use super::layout::Layout;
use super::text::{error, row};
use super::words::{bytes, visible};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Switching<'a> {
    /// The feature.
    pub feature: &'static Feature,
    /// On, or off.
    pub on: bool,
    /// What is written and removed.
    pub changes: &'a [FileChange],
    /// The memory that it will hold, in bytes.
    pub held: Option<u64>,
    /// The system that does not run, in whose files it is done.
    pub image: Option<&'a Image>,
    /// What could not be checked there.
    pub unchecked: Vec<String>,
    /// Whether there is anything to do.
    pub steps_left: bool,
}

impl<'a> Switching<'a> {
    /// A feature of the running system.
    pub fn new(feature: &'static Feature, on: bool, changes: &'a [FileChange]) -> Switching<'a> {
        Switching {
            feature,
            on,
            changes,
            held: None,
            image: None,
            unchecked: Vec::new(),
            steps_left: false,
        }
    }

    fn root(&self) -> Option<String> {
        let image = self.image?;
        Some(image.root.display().to_string())
    }
}

/// What is to be changed, and what that costs.
pub fn text(planned: &Switching<'_>) -> String {
    let mut out = String::new();
    let layout = Layout::PLAIN;
    let name = planned.feature.name;
    if planned.changes.is_empty() && !planned.steps_left {
        let word = if planned.on { "on" } else { "off" };
        let place = planned.root().map(|root| format!(" in {}", visible(&root)));
        let _ = writeln!(
            out,
            "{name} is already {word}{}.",
            place.unwrap_or_default()
        );
        return out;
    }
    if planned.on {
        let _ = writeln!(out, "{name}: {}", planned.feature.about);
    }
    if let (Some(root), Some(image)) = (planned.root(), planned.image) {
        let why = image.why.as_ref().map(|why| format!(" ({why})"));
        let text = format!("{root}{}", why.unwrap_or_default());
        row(&mut out, layout, "system in", &text);
    }
    for change in planned.changes {
        row(&mut out, layout, "", &change.text());
    }
    if let Some(held) = planned.held {
        row(
            &mut out,
            layout,
            "costs",
            &format!(
                "about {} of memory that nothing else can use while the image is loaded",
                bytes(held)
            ),
        );
    }
    for unchecked in &planned.unchecked {
        row(&mut out, layout, "unchecked", unchecked);
    }
    if planned.image.is_some() {
        let text = "init was not asked and nothing was started or loaded: it takes effect when \
                    that system boots";
        row(&mut out, layout, "then", text);
    } else if name == "crash" {
        let text = match planned.on {
            true => {
                "the crash kernel is loaded now and at every boot; `kexec crash status` shows it"
            }
            false => "a crash kernel that is loaded stays; `kexec crash unload` unloads it",
        };
        row(&mut out, layout, "then", text);
    } else if planned.on && name == "preload" {
        row(
            &mut out,
            layout,
            "then",
            "every reboot is a kexec; `kexec reboot --cold` and `coldreboot` go through the firmware",
        );
    }
    out
}

/// The steps of `--dry-run`; nothing where there are none.
pub fn not_done(planned: &[TriedStep]) -> String {
    let steps: Vec<String> = planned.iter().map(|one| one.step.text()).collect();
    match steps.is_empty() {
        true => String::new(),
        false => format!(
            "Nothing was changed (--dry-run). It would: {}.\n",
            steps.join(", ")
        ),
    }
}

/// Whether a step failed.
pub fn has_failed(tried: &[TriedStep]) -> bool {
    let mut outcomes = tried.iter().map(|one| &one.outcome);
    outcomes.any(|outcome| matches!(outcome, StepOutcome::Failed(_)))
}

/// Every step with its outcome, where one failed.
pub fn failure(planned: &Switching<'_>, tried: &[TriedStep], layout: Layout) -> Option<String> {
    let problem = switch::failure(
        planned.feature,
        planned.on,
        tried,
        planned.root().as_deref(),
    )?;
    let mut out = String::new();
    let count = |word: &str| {
        tried
            .iter()
            .filter(|one| one.outcome.word() == word)
            .count()
    };
    if count("done") == 0 && count("failed") == 1 {
        // The error of the files says that nothing was changed.
        let mut failed = tried.iter();
        if let Some(StepOutcome::Failed(found)) = failed.find_map(|one| match &one.outcome {
            outcome @ StepOutcome::Failed(_) => Some(outcome),
            _ => None,
        }) {
            return Some(error(found, layout));
        }
    }
    let _ = writeln!(
        out,
        "kexec: switching {} {}: {} of {} steps failed",
        planned.feature.name,
        if planned.on { "on" } else { "off" },
        count("failed"),
        tried.len()
    );
    for one in tried {
        let text = match &one.outcome {
            StepOutcome::Failed(found) => found.to_string(),
            _ => one.step.text(),
        };
        let _ = writeln!(out, "       {:9}  {}", one.outcome.word(), visible(&text));
    }
    let _ = writeln!(out, "       {}", visible(problem.remedy()));
    Some(out)
}

/// The same for programs: one document, whatever became of it.
pub fn json(planned: &Switching<'_>, tried: &[TriedStep]) -> Value {
    let failed = switch::failure(
        planned.feature,
        planned.on,
        tried,
        planned.root().as_deref(),
    );
    json!(documents::Switch {
        feature: planned.feature.name,
        on: planned.on,
        changes: planned.changes,
        held: planned.held,
        root: planned.root(),
        unchecked: &planned.unchecked,
        steps: tried.iter().map(step).collect(),
        not_needed: None,
        error: failed.as_ref().map(ToString::to_string),
        remedy: failed.as_ref().map(|error| error.remedy().to_owned()),
    })
}

fn step(one: &TriedStep) -> documents::SwitchStep {
    let (outcome, failed) = match &one.outcome {
        StepOutcome::Done => (SwitchOutcome::Done, None),
        StepOutcome::Failed(error) => (SwitchOutcome::Failed, Some(error)),
        StepOutcome::NotTried => (SwitchOutcome::NotTried, None),
        StepOutcome::Planned => (SwitchOutcome::Planned, None),
    };
    documents::SwitchStep {
        step: one.step.text(),
        outcome,
        error: failed.map(ToString::to_string),
        remedy: failed.map(|error| error.remedy().to_owned()),
    }
}

/// Why `kexec enable FEATURE` does nothing here.
pub fn not_needed(feature: &Feature, why: &str) -> String {
    format!(
        "{} is not needed: {why}. Nothing was written.\n",
        feature.name
    )
}

/// The same for programs.
pub fn not_needed_json(feature: &Feature, why: &str) -> Value {
    json!(documents::Switch {
        feature: feature.name,
        on: false,
        changes: &[],
        held: None,
        root: None,
        unchecked: &[],
        steps: Vec::new(),
        not_needed: Some(why),
        error: None,
        remedy: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kexec_load::Error;
    use kexec_reboot::enable;
    use kexec_reboot::enable::switch::SwitchStep;

    fn tried(outcomes: [StepOutcome; 3]) -> Vec<TriedStep> {
        let start = SwitchStep::Start("kexec-preload.service");
        let steps = [SwitchStep::Files, SwitchStep::Reload, start];
        let tried = steps.into_iter().zip(outcomes);
        tried
            .map(|(step, outcome)| TriedStep { step, outcome })
            .collect()
    }

    fn failed(why: &str) -> StepOutcome {
        StepOutcome::Failed(Error::system("running it", why, "look"))
    }

    #[test]
    fn a_failure_half_way_lists_every_step() {
        let preload = enable::feature("preload").unwrap();
        let changes = [FileChange::Remove {
            path: "/etc/x".to_owned(),
        }];
        let planned = Switching::new(preload, true, &changes);
        let half = tried([
            StepOutcome::Done,
            failed("exit status: 1"),
            StepOutcome::NotTried,
        ]);
        assert_eq!(
            failure(&planned, &half, Layout::PLAIN).unwrap(),
            "kexec: switching preload on: 1 of 3 steps failed\n       \
             done       write and remove the files\n       \
             failed     running it: exit status: 1\n       \
             not tried  systemctl start kexec-preload.service\n       \
             look; then run `kexec enable preload` again, or `kexec disable preload` to go back\n"
        );
        assert!(has_failed(&half));
        let value = json(&planned, &half);
        assert_eq!(value["steps"][2]["outcome"], "not_tried");
        assert_eq!(value["steps"][1]["error"], "running it: exit status: 1");
        assert!(value["error"].is_string() && value["remedy"].is_string());
        // Where nothing was changed, the error alone says it.
        let none = tried([failed("full"), StepOutcome::NotTried, StepOutcome::NotTried]);
        assert_eq!(
            failure(&planned, &none, Layout::PLAIN).unwrap(),
            "kexec: running it: full\n       look\n"
        );
        // The way back is that of the same system.
        let image = Image {
            root: "/mnt".into(),
            why: None,
        };
        let elsewhere = Switching {
            image: Some(&image),
            ..planned.clone()
        };
        let remedy = json(&elsewhere, &half)["remedy"].to_string();
        assert!(
            remedy.contains("`kexec disable preload --root /mnt`"),
            "{remedy}"
        );
        let all = tried([StepOutcome::Done, StepOutcome::Done, StepOutcome::Done]);
        assert_eq!(failure(&planned, &all, Layout::PLAIN), None);
        assert_eq!(json(&planned, &all).get("error"), None);
    }

    #[test]
    fn a_dry_run_is_not_taken_for_the_real_one() {
        let planned = || StepOutcome::Planned;
        assert_eq!(
            not_done(&tried([planned(), planned(), planned()])),
            "Nothing was changed (--dry-run). It would: write and remove the files, systemctl \
             daemon-reload, systemctl start kexec-preload.service.\n"
        );
        assert_eq!(not_done(&[]), "");
    }

    #[test]
    fn what_becomes_of_the_crash_kernel_is_told() {
        let crash = enable::feature("crash").unwrap();
        let changes = [FileChange::Remove {
            path: "/etc/x".to_owned(),
        }];
        let last = |on| {
            let planned = Switching::new(crash, on, &changes);
            let text = text(&planned);
            text.lines().last().unwrap_or_default().to_owned()
        };
        assert!(last(true).contains("then"), "{}", last(true));
        assert!(
            last(true).ends_with("loaded now and at every boot; `kexec crash status` shows it")
        );
        assert!(
            last(false)
                .ends_with("a crash kernel that is loaded stays; `kexec crash unload` unloads it")
        );
    }

    #[test]
    fn what_is_so_already_is_told_with_its_place() {
        let preload = enable::feature("preload").unwrap();
        let mut planned = Switching::new(preload, false, &[]);
        assert_eq!(text(&planned), "preload is already off.\n");
        let image = Image {
            root: "/mnt".into(),
            why: None,
        };
        planned.image = Some(&image);
        assert_eq!(text(&planned), "preload is already off in /mnt.\n");
        // An image that is still loaded is something to do.
        planned.image = None;
        planned.steps_left = true;
        assert_eq!(text(&planned), "");
    }
}
