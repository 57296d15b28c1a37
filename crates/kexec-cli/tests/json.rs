//! What `--json` prints, held against the schemas in docs/json: one document in each call,
//! whatever becomes of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Deserializer, Value};

fn schema(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/json");
    let text = std::fs::read_to_string(folder.join(format!("{name}.schema.json")));
    serde_json::from_str(&text.expect("every document has a schema")).expect("it is JSON")
}

/// Runs the program; the one document that it prints is as one of these schemas says.
fn one_document(words: &[&str], code: Option<i32>, schemas: &[&str]) -> Value {
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    let done = kexec.args(words).output().expect("the program runs");
    if code.is_some() {
        assert_eq!(done.status.code(), code, "{words:?}: {done:?}");
    }
    let documents = Deserializer::from_slice(&done.stdout).into_iter::<Value>();
    let documents: Result<Vec<Value>, _> = documents.collect();
    let [document] = documents
        .expect("it is JSON")
        .try_into()
        .expect("one document");
    let fits = |name: &&str| jsonschema::is_valid(&schema(name), &document);
    assert!(schemas.iter().any(fits), "{words:?}: {document:#}");
    document
}

/// The snapshot of another machine, and a kernel.
fn files(folder: &Path) -> (String, String) {
    let machine =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines/debian-cloud");
    let (snapshot, kernel) = (folder.join("machine.json"), folder.join("vmlinuz"));
    let text = kexec_machine::Snapshot::read(&machine).to_json(true);
    std::fs::write(&snapshot, text).expect("a file");
    let file = kexec_image::testing::bzimage::BzImageBuilder::new().build();
    std::fs::write(&kernel, file).expect("a file");
    (snapshot.display().to_string(), kernel.display().to_string())
}

#[test]
fn documents_of_another_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, kernel) = files(folder.path());
    let checked = one_document(
        &["check", &kernel, "--host", &host, "--json"],
        None,
        &["check"],
    );
    assert!(checked.get("findings").is_some_and(Value::is_array));
    // What the snapshot does not have is said.
    let checked = one_document(
        &["check", "-p", &kernel, "--host", &host, "--json"],
        None,
        &["check"],
    );
    let findings = checked.get("findings").and_then(Value::as_array);
    let unseen = findings.into_iter().flatten().find(|finding| {
        let is = |key: &str, value: &str| finding.get(key).and_then(Value::as_str) == Some(value);
        is("check", "dump-target") && is("severity", "unknown")
    });
    assert!(unseen.is_some(), "{checked}");
    one_document(
        &["plan", &kernel, "-c", "--host", &host, "--json"],
        Some(0),
        &["plan"],
    );
    one_document(&["status", "--host", &host, "--json"], Some(0), &["status"]);
}

/// What this machine is like is unknown here: the document is one of the two.
#[test]
fn documents_of_this_machine() {
    one_document(&["version", "--json"], Some(0), &["version"]);
    one_document(&["status", "--json"], None, &["status", "error"]);
    one_document(&["history", "--json"], None, &["history", "error"]);
    one_document(&["list", "--json"], None, &["list", "error"]);
    one_document(
        &["needs-reboot", "--json"],
        None,
        &["needs-reboot", "error"],
    );
    one_document(&["check", "--json"], None, &["check", "error"]);
    one_document(
        &["reboot", "--dry-run", "--json"],
        None,
        &["reboot", "error"],
    );
    one_document(
        &["preload", "--dry-run", "--json"],
        None,
        &["preload", "error"],
    );
    for action in ["kexec", "reboot"] {
        let dry = ["parallel-shutdown", action, "--dry-run", "--json"];
        one_document(&dry, Some(0), &["parallel-shutdown"]);
    }
    let cold = ["reboot", "--cold", "--dry-run", "--json"];
    one_document(&cold, None, &["reboot-cold", "error"]);
    for feature in ["preload", "refresh", "exitrd", "parallel-shutdown"] {
        let on = ["enable", feature, "--dry-run", "--json"];
        one_document(&on, None, &["enable", "error"]);
        let off = ["disable", feature, "--dry-run", "--json"];
        one_document(&off, None, &["disable", "error"]);
    }
}

#[test]
fn failures_are_documents() {
    let missing = one_document(&["plan", "/no/such/kernel", "--json"], Some(1), &["error"]);
    let said = missing.get("error").and_then(Value::as_str);
    assert!(
        said.is_some_and(|said| said.contains("/no/such/kernel")),
        "{missing}"
    );
}

/// A program that gave a wrong option reads standard output, too.
#[test]
fn usage_errors_are_documents() {
    for (words, says) in [
        (["load", "--json", "--nonsense"].as_slice(), "--nonsense"),
        (&["enable", "everything", "--json"], "everything"),
        (
            &["unload", "--append", "x", "--json"],
            "does not take --append",
        ),
    ] {
        let document = one_document(words, Some(2), &["error"]);
        let said = document.get("error").and_then(Value::as_str);
        assert!(said.is_some_and(|said| said.contains(says)), "{document}");
        let remedy = document.get("remedy").and_then(Value::as_str);
        assert!(
            remedy.is_some_and(|remedy| remedy.starts_with("see kexec ")),
            "{document}"
        );
    }
}
