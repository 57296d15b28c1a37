//! The same values for programs: one document per call, whose keys are those of
//! [`documents`].

use kexec_entries::Survey;
use kexec_load::Error;
use kexec_load::downtime::Downtime;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::{Finding, refusal};
use kexec_machine::Snapshot;
use kexec_reboot::handover::shutdown_request::Handover;
use kexec_reboot::preload::Step;
use kexec_reboot::record::{Attempt, LoadRecord, SlotContent};
use serde_json::{Value, json};

use super::Slots;
use super::documents::{self, PreloadStep};

/// `kexec plan --json`, `kexec load --json`.
pub fn plan(prepared: &Prepared) -> Value {
    json!(parts(prepared))
}

pub(super) fn parts(prepared: &Prepared) -> documents::Plan<'_> {
    documents::Plan {
        plan: &prepared.plan,
        placed: prepared.placed.as_ref(),
        unpacked: &prepared.unpacked,
        method: &prepared.decision,
        proofs: prepared.proofs.as_deref().ok(),
    }
}

/// `kexec reboot --json`, before the shutdown.
pub fn reboot(
    prepared: &Prepared,
    entry: Option<(&str, &str, &str)>,
    way: Option<&Handover>,
) -> Value {
    json!(documents::Reboot {
        plan: parts(prepared),
        entry: entry.map(|(id, title, why)| documents::Entry { id, title, why }),
        then: way,
        findings: &prepared.findings,
    })
}

/// `kexec reboot --cold --json`.
pub fn cold(way: &Handover) -> Value {
    json!(documents::Cold {
        cold: true,
        then: way
    })
}

/// `kexec unload --json`.
pub fn unload(was_loaded: Option<bool>) -> Value {
    json!(documents::Unload { was_loaded })
}

/// `kexec preload --json`.
pub fn step(step: &Step) -> Value {
    json!(preload(step))
}

/// The same with what became of it: whether something was loaded, or the error.
pub fn preloaded(step: &Step, done: &Result<Option<Prepared>, Error>) -> Value {
    let error = done.as_ref().err();
    json!(documents::Preload {
        loaded: Some(matches!(done, Ok(Some(_)))),
        error: error.map(ToString::to_string),
        remedy: error.map(|error| error.remedy().to_owned()),
        ..preload(step)
    })
}

fn preload(step: &Step) -> documents::Preload<'_> {
    let (step, why) = match step {
        Step::Leave(why) => (PreloadStep::Leave, why),
        Step::Wait(why) => (PreloadStep::Wait, why),
        Step::Cannot { why, .. } => (PreloadStep::Cannot, why),
        Step::Doubt(why) => (PreloadStep::Doubt, why),
        Step::Load(why) => (PreloadStep::Load, why),
        Step::TakeOut(why) => (PreloadStep::TakeOut, why),
    };
    documents::Preload {
        step,
        why,
        loaded: None,
        error: None,
        remedy: None,
    }
}

/// `kexec preload --enabled --json`.
pub fn started(started: &[String], failed: &[Error]) -> Value {
    let failures: Vec<(String, &str)> = failed
        .iter()
        .map(|error| (error.to_string(), error.remedy()))
        .collect();
    let failures: Vec<_> = failures
        .iter()
        .map(|(error, remedy)| documents::Failure { error, remedy })
        .collect();
    let first = failed.first();
    json!(documents::Started {
        started,
        failed: &failures,
        error: first.map(ToString::to_string),
        remedy: first.map(Error::remedy),
    })
}

/// `kexec needs-reboot --json`.
pub fn needs_reboot(entry: &str, reasons: &[String]) -> Value {
    json!(documents::NeedsReboot {
        due: !reasons.is_empty(),
        entry,
        reasons,
    })
}

/// `kexec check --json`.
pub fn findings(findings: &[Finding], downtime: Option<&Downtime>) -> Value {
    json!(documents::Check {
        would_load: refusal(findings).is_none(),
        findings,
        downtime,
    })
}

/// An error, for every verb with `--json`.
pub fn error(error: &Error) -> Value {
    failure(&error.to_string(), error.remedy())
}

/// The same in words.
pub fn failure(error: &str, remedy: &str) -> Value {
    json!(documents::Failure { error, remedy })
}

/// `kexec history --json`.
pub fn history(attempts: &[Attempt]) -> Value {
    json!(documents::History { requests: attempts })
}

/// `kexec status --json`; at last the kexecs since the last cold boot, and which reboots
/// are to be cold.
pub fn status(
    host: &Snapshot,
    slots: &Slots,
    last: Option<&Attempt>,
    (kexecs, every): (Option<u64>, Option<u64>),
    enabled: &[&str],
) -> Value {
    json!(documents::Status {
        running: &host.release,
        normal: documents::NormalSlot {
            loaded: host.kexec.loaded.known().copied(),
            image: image(&slots.normal),
            interrupted: interrupted(&slots.normal),
        },
        crash: documents::CrashSlot {
            loaded: host.kexec.crash_loaded.known().copied(),
            reserved: host.kexec.crash_size.known().copied(),
            image: image(&slots.crash),
            interrupted: interrupted(&slots.crash),
        },
        at_work: slots.at_work.as_deref(),
        last,
        kexecs_since_cold_boot: kexecs,
        cold_every: every,
        enabled,
    })
}

/// What is loaded there, where a record says it.
fn image(content: &SlotContent) -> Option<&LoadRecord> {
    match content {
        SlotContent::Ours(record) => Some(record),
        _ => None,
    }
}

fn interrupted(content: &SlotContent) -> Option<documents::Interrupted<'_>> {
    match content {
        SlotContent::Interrupted(found) => Some(documents::Interrupted {
            change: found.change,
            record: found.record.as_deref(),
            why: found.text(),
        }),
        _ => None,
    }
}

/// `kexec list --json`.
pub fn entries(survey: &Survey) -> Value {
    json!(documents::List::of(survey))
}
