//! The same values for programs. Keys are only ever added.

use kexec_entries::Survey;
use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::{Finding, refusal};
use kexec_machine::Snapshot;
use kexec_reboot::enable::{Feature, FileChange};
use kexec_reboot::handover::shutdown_request::Handover;
use kexec_reboot::preload::Step;
use kexec_reboot::record::{Attempt, SlotContent};
use serde_json::{Value, json};

use super::Slots;

/// `kexec plan --json`.
pub fn plan(prepared: &Prepared) -> Value {
    json!({
        "plan": prepared.plan,
        "placed": prepared.placed,
        "method": prepared.decision,
        "proofs": prepared.proofs.as_ref().ok(),
    })
}

/// `kexec reboot --json`, before the shutdown.
pub fn reboot(
    prepared: &Prepared,
    entry: Option<(&str, &str, &str)>,
    way: Option<&Handover>,
) -> Value {
    let mut value = plan(prepared);
    if let Some(object) = value.as_object_mut() {
        let entry = entry.map(|(id, title, why)| json!({ "id": id, "title": title, "why": why }));
        object.insert("entry".to_owned(), json!(entry));
        object.insert("then".to_owned(), json!(way));
        object.insert("findings".to_owned(), json!(prepared.findings));
    }
    value
}

/// `kexec reboot --cold --json`.
pub fn cold(way: &Handover) -> Value {
    json!({ "cold": true, "then": way })
}

/// `kexec preload --json`.
pub fn step(step: &Step) -> Value {
    let (word, why) = match step {
        Step::Leave(why) => ("leave", why),
        Step::Doubt(why) => ("doubt", why),
        Step::Load(why) => ("load", why),
        Step::TakeOut(why) => ("take_out", why),
    };
    json!({ "step": word, "why": why })
}

/// `kexec enable --json`, `kexec disable --json`.
pub fn switch(feature: &Feature, on: bool, changes: &[FileChange], held: Option<u64>) -> Value {
    json!({ "feature": feature.name, "on": on, "changes": changes, "held": held })
}

/// `kexec enable --json` where this machine does not need the feature.
pub fn not_needed(feature: &Feature, why: &str) -> Value {
    json!({ "feature": feature.name, "on": false, "changes": [], "not_needed": why })
}

/// `kexec needs-reboot --json`.
pub fn needs_reboot(entry: &str, reasons: &[String]) -> Value {
    json!({ "due": !reasons.is_empty(), "entry": entry, "reasons": reasons })
}

/// `kexec check --json`.
pub fn findings(findings: &[Finding]) -> Value {
    json!({
        "would_load": refusal(findings).is_none(),
        "findings": findings,
    })
}

/// An error, for every verb with `--json`.
pub fn error(error: &Error) -> Value {
    json!({
        "error": error.to_string(),
        "remedy": error.remedy(),
    })
}

/// `kexec history --json`.
pub fn history(attempts: &[Attempt]) -> Value {
    json!({ "requests": attempts })
}

/// `kexec status --json`; at last the kexecs since the last cold boot, and which reboots
/// are to be cold.
pub fn status(
    host: &Snapshot,
    slots: &Slots,
    last: Option<&Attempt>,
    (kexecs, every): (Option<u64>, Option<u64>),
) -> Value {
    let image = |content: &SlotContent| match content {
        SlotContent::Ours(record) => json!(record),
        _ => Value::Null,
    };
    let interrupted = |content: &SlotContent| match content {
        SlotContent::Interrupted(found) => {
            json!({ "change": found.change, "record": found.record, "why": found.text() })
        }
        _ => Value::Null,
    };
    json!({
        "running": host.release,
        "normal": {
            "loaded": host.kexec.loaded.known(),
            "image": image(&slots.normal),
            "interrupted": interrupted(&slots.normal),
        },
        "crash": {
            "loaded": host.kexec.crash_loaded.known(),
            "reserved": host.kexec.crash_size.known(),
            "image": image(&slots.crash),
            "interrupted": interrupted(&slots.crash),
        },
        "at_work": slots.at_work,
        "last": last,
        "kexecs_since_cold_boot": kexecs,
        "cold_every": every,
    })
}

/// `kexec list --json`.
pub fn entries(survey: &Survey) -> Value {
    json!({
        "answer": survey.answer,
        "sources": survey.sources,
        "notes": survey.notes,
    })
}
