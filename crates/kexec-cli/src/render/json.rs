//! The same values for programs. Keys are only ever added.

use kexec_core::enable::{Change, Feature};
use kexec_core::handover::ask::Handover;
use kexec_core::pipeline::Prepared;
use kexec_core::preflight::{Finding, refusal};
use kexec_core::preload::Step;
use kexec_core::record::{Attempt, Record};
use kexec_core::sources::Survey;
use kexec_core::{Error, Snapshot};
use serde_json::{Value, json};

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
pub fn switch(feature: &Feature, on: bool, changes: &[Change], held: Option<u64>) -> Value {
    json!({ "feature": feature.name, "on": on, "changes": changes, "held": held })
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
        "remedy": error.hint(),
    })
}

/// `kexec history --json`.
pub fn history(attempts: &[Attempt]) -> Value {
    json!({ "requests": attempts })
}

/// `kexec status --json`.
pub fn status(
    host: &Snapshot,
    normal: Option<&Record>,
    crash: Option<&Record>,
    last: Option<&Attempt>,
) -> Value {
    let loaded = host.kexec.loaded.known();
    let crash_loaded = host.kexec.crash_loaded.known();
    json!({
        "running": host.release,
        "normal": { "loaded": loaded, "image": normal.filter(|_| loaded == Some(&true)) },
        "crash": {
            "loaded": crash_loaded,
            "reserved": host.kexec.crash_size.known(),
            "image": crash.filter(|_| crash_loaded == Some(&true)),
        },
        "last": last,
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
