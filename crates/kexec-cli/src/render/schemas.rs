//! The schemas in `docs/json/`: made from [`documents`], and held against documents of
//! this program. After a change: `UPDATE_SCHEMAS=1 cargo test -p kexec-cli schemas`, then
//! read the difference.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::time::SystemTime;

use kexec_crash::cmdline::derive;
use kexec_crash::shrink::Shrink;
use kexec_crash::status::CrashStatus;
use kexec_load::Error;
use kexec_load::preflight::{CheckGroup, Finding, Severity};
use kexec_machine::{Problem, Snapshot};
use kexec_reboot::enable;
use kexec_reboot::enable::switch::{StepOutcome, SwitchStep, TriedStep};
use kexec_reboot::handover::init::Init;
use kexec_reboot::handover::shutdown_request::Handover;
use kexec_reboot::preload::Step;
use kexec_reboot::record::slot::{Interrupted, SlotChange};
use kexec_reboot::record::{LoadRecord, SlotContent};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::documents::{self, FORMAT};
use super::downtime;
use super::switching::{self, Switching};
use super::{Slots, crash, devices, entries, json as render, plans, reboots};
use crate::args::{ANSWERING, Verb};

/// Every document by the name of its file, and of what it is the document.
fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        (
            "reboot",
            schema::<documents::Reboot<'_>>("kexec reboot --json"),
        ),
        (
            "reboot-cold",
            schema::<documents::Cold<'_>>("kexec reboot --cold --json"),
        ),
        ("load", schema::<documents::Plan<'_>>("kexec load --json")),
        ("unload", schema::<documents::Unload>("kexec unload --json")),
        (
            "status",
            schema::<documents::Status<'_>>("kexec status --json"),
        ),
        (
            "history",
            schema::<documents::History<'_>>("kexec history --json"),
        ),
        ("list", schema::<documents::List<'_>>("kexec list --json")),
        ("plan", schema::<documents::Plan<'_>>("kexec plan --json")),
        (
            "check",
            schema::<documents::Check<'_>>("kexec check --json"),
        ),
        (
            "needs-reboot",
            schema::<documents::NeedsReboot<'_>>("kexec needs-reboot --json"),
        ),
        (
            "crash-status",
            schema::<CrashStatus>("kexec crash status --json"),
        ),
        (
            "crash-load",
            schema::<crash::CrashLoad<'_>>("kexec crash load --json"),
        ),
        (
            "crash-estimate",
            schema::<crash::CrashEstimate<'_>>("kexec crash estimate --json"),
        ),
        (
            "crash-shrink",
            schema::<crash::CrashShrink>("kexec crash shrink --json"),
        ),
        (
            "enable",
            schema::<documents::Switch<'_>>("kexec enable --json"),
        ),
        (
            "disable",
            schema::<documents::Switch<'_>>("kexec disable --json"),
        ),
        (
            "preload",
            schema::<documents::Preload<'_>>("kexec preload --json"),
        ),
        (
            "preload-enabled",
            schema::<documents::Started<'_>>("kexec preload --enabled --json"),
        ),
        (
            "parallel-shutdown",
            schema::<documents::ParallelShutdown<'_>>("kexec parallel-shutdown --json"),
        ),
        (
            "version",
            schema::<documents::Version>("kexec version --json"),
        ),
        (
            "error",
            schema::<documents::Failure<'_>>("any verb with --json that fails"),
        ),
    ]
}

/// The schema of one document, with the key that every one has.
fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    schema["title"] = json!(title);
    schema["properties"]["format"] = json!({
        "const": FORMAT,
        "description": "The version of these documents: it changes when a key is removed or means something else.",
    });
    schema["required"]
        .as_array_mut()
        .unwrap()
        .push(json!("format"));
    schema
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/json")
}

#[test]
fn schemas_are_those_of_the_documents() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let mut names = Vec::new();
    for (name, schema) in schemas() {
        let path = folder().join(format!("{name}.schema.json"));
        let text = format!("{schema:#}\n");
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "{name}: UPDATE_SCHEMAS=1 cargo test -p kexec-cli schemas"
        );
        names.push(format!("{name}.schema.json"));
    }
    for file in std::fs::read_dir(folder()).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        assert!(
            names.contains(&file) || file == "README.md",
            "{file} is of no document"
        );
    }
    for verb in ANSWERING {
        // Its subcommands have one each.
        let name = match *verb {
            Verb::Crash => "crash-status",
            _ => verb.name(),
        };
        assert!(names.contains(&format!("{name}.schema.json")));
    }
}

/// The schema, where no other keys are allowed than those that it names: a reader may meet
/// new ones, but what is printed today is all in it.
fn closed(mut schema: Value) -> Value {
    // A definition that a variant adds a key to is closed where that is done.
    let mut extended = Vec::new();
    walk(&mut schema, &mut |map| {
        if let (Some(name), true) = (map.get("$ref"), map.contains_key("properties")) {
            extended.push(name.as_str().unwrap().to_owned());
            map.insert("unevaluatedProperties".to_owned(), json!(false));
        }
    });
    walk(&mut schema, &mut |map| {
        if map.get("properties").is_some_and(Value::is_object) && map.contains_key("type") {
            map.entry("unevaluatedProperties").or_insert(json!(false));
        }
    });
    for name in extended {
        let at = name.trim_start_matches('#');
        let definition = schema.pointer_mut(at).unwrap().as_object_mut().unwrap();
        definition.remove("unevaluatedProperties");
    }
    schema
}

/// Has every object in a schema looked at.
fn walk(value: &mut Value, look: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            look(map);
            for value in map.values_mut() {
                walk(value, look);
            }
        }
        Value::Array(list) => {
            for value in list {
                walk(value, look);
            }
        }
        _ => {}
    }
}

/// Holds a document against the schema of that name.
fn hold(name: &str, mut document: Value) {
    document["format"] = json!(FORMAT);
    let schema = schemas().into_iter().find(|(known, _)| *known == name);
    let validator = jsonschema::validator_for(&closed(schema.unwrap().1)).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{document:#}");
}

fn finding() -> Finding {
    Finding {
        check: "test",
        group: CheckGroup::Kernel,
        severity: Severity::Warning,
        problem: Problem::new("what", "why", "remedy"),
    }
}

#[test]
fn plans_are_as_their_schemas_say() {
    let mut prepared = plans::prepared();
    prepared.findings = vec![finding()];
    hold("load", render::plan(&prepared));
    prepared.unpacked = plans::unpacked();
    hold("load", render::plan(&prepared));
    for plan in [
        plans::Ask::new("crashkernel"),
        plans::Ask::multiboot("holes"),
    ] {
        prepared.placed = Some(plan.plan());
        hold("plan", render::plan(&prepared));
    }
    let handover = Handover {
        init: Init::Systemd,
        command: vec!["systemctl".to_owned(), "kexec".to_owned()],
        environment: vec![("NAME".to_owned(), "value".to_owned())],
        why: String::new(),
    };
    let entry = Some(("id", "title", "why"));
    hold("reboot", render::reboot(&prepared, entry, Some(&handover)));
    hold("reboot", render::reboot(&prepared, None, None));
    hold("reboot-cold", render::cold(&handover));
    hold("check", render::findings(&prepared.findings, None));
    for downtime in downtime::tests::every() {
        hold(
            "check",
            render::findings(&prepared.findings, Some(&downtime)),
        );
    }
}

#[test]
fn lists_are_as_their_schema_says() {
    for survey in entries::every_machine() {
        hold("list", render::entries(&survey));
    }
}

#[test]
fn what_happened_is_as_the_schemas_say() {
    let attempts = reboots::tests::all();
    hold("history", render::history(&attempts));
    let prepared = plans::prepared();
    let record = || Box::new(LoadRecord::of(&prepared, SystemTime::UNIX_EPOCH));
    let root = tempfile::tempdir().unwrap();
    let host = Snapshot::read(root.path());
    let interrupted = |record| {
        SlotContent::Interrupted(Interrupted {
            change: SlotChange::Load,
            record,
        })
    };
    for (normal, crash) in [
        (SlotContent::Ours(record()), SlotContent::Empty),
        (interrupted(Some(record())), interrupted(None)),
        (SlotContent::Unknown, SlotContent::Foreign),
    ] {
        let slots = Slots {
            normal,
            crash,
            at_work: Some("kexec load".to_owned()),
        };
        hold(
            "status",
            render::status(
                &host,
                &slots,
                attempts.last(),
                (Some(1), None),
                &["preload"],
            ),
        );
    }
}

#[test]
fn crash_kernels_are_as_their_schemas_say() {
    let mut prepared = plans::prepared();
    prepared.findings = vec![finding()];
    let derived = derive(&"quiet root=/dev/a".into(), &[], Some(&"panic=5".into()));
    hold("crash-load", crash::load_json(&prepared, Some(&derived)));
    hold("crash-load", crash::load_json(&prepared, None));
    let (estimate, status) = (crash::tests::estimated(), crash::tests::ready());
    hold("crash-estimate", crash::estimate_json(&estimate, None));
    hold("crash-estimate", crash::estimate_json(&estimate, Some(1)));
    let shrink = Shrink {
        before: 2,
        after: 1,
    };
    hold("crash-shrink", crash::shrink_json(shrink, true));
    hold("crash-status", crash::status_json(&status));
    hold("crash-status", crash::status_json(&crash::tests::unarmed()));
}

#[test]
fn small_documents_are_as_their_schemas_say() {
    hold("unload", render::unload(None));
    hold("unload", render::unload(Some(true)));
    hold(
        "needs-reboot",
        render::needs_reboot("id", &["because".to_owned()]),
    );
    let (choice, unbound) = devices::tests::example();
    let name = "parallel-shutdown";
    hold(name, devices::json(&choice, Some(&unbound), None));
    hold(name, devices::json(&choice, None, Some("why")));
    let units = ["kexec-load@x.service".to_owned()];
    hold("preload-enabled", render::started(&units, &[]));
    let failed = [Error::refused("what", "why", "remedy")];
    hold("preload-enabled", render::started(&[], &failed));
    hold("version", kexec_cli::help::version_json());
    let why = || "why".to_owned();
    for step in [
        Step::Leave(why()),
        Step::Wait(why()),
        Step::Cannot {
            why: why(),
            remedy: "remedy".to_owned(),
        },
        Step::Doubt(why()),
        Step::Load(why()),
        Step::TakeOut(why()),
    ] {
        hold("preload", render::step(&step));
        hold("preload", render::preloaded(&step, &Ok(None)));
        let failed = Err(Error::refused("what", "why", "remedy"));
        hold("preload", render::preloaded(&step, &failed));
    }
    for feature in enable::FEATURES {
        let root = tempfile::tempdir().unwrap();
        let changes = enable::enable(root.path(), feature, "/usr/sbin/kexec").unwrap();
        let mut planned = Switching::new(feature, true, &changes);
        planned.held = Some(1);
        planned.unchecked = vec!["something".to_owned()];
        let steps = [
            StepOutcome::Done,
            StepOutcome::Failed(Error::refused("what", "why", "remedy")),
            StepOutcome::NotTried,
            StepOutcome::Planned,
        ]
        .map(|outcome| TriedStep {
            step: SwitchStep::Files,
            outcome,
        });
        hold("enable", switching::json(&planned, &steps));
        planned.on = false;
        hold("disable", switching::json(&planned, &[]));
        hold("enable", switching::not_needed_json(feature, "why"));
    }
    let error = Error::refused("what", "why", "remedy");
    hold("error", render::error(&error));
}

/// A schema that allowed everything would hold for everything.
#[test]
fn a_key_that_no_schema_names_is_noticed() {
    let wrong = |name: &str, document: Value| {
        let schema = schemas().into_iter().find(|(known, _)| *known == name);
        !jsonschema::is_valid(&closed(schema.unwrap().1), &document)
    };
    assert!(wrong("version", json!({ "version": "1" })));
    assert!(wrong(
        "unload",
        json!({ "was_loaded": "no", "format": FORMAT })
    ));
    assert!(wrong(
        "unload",
        json!({ "was_loaded": true, "new": 1, "format": FORMAT })
    ));
    let mut check = render::findings(&[finding()], None);
    check["format"] = json!(FORMAT);
    assert!(!wrong("check", check.clone()));
    check["findings"][0]["new"] = json!(1);
    assert!(wrong("check", check));
    let [downtime, ..] = downtime::tests::every();
    let mut check = render::findings(&[], Some(&downtime));
    check["format"] = json!(FORMAT);
    assert!(!wrong("check", check.clone()));
    check["downtime"]["phases"][0]["millis"] = json!("7");
    assert!(wrong("check", check));
}
