//! Tests of the direction in which things depend on each other: crates here, the
//! modules of each crate in [`modules`].

mod modules;
mod source;

use crate::host;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Each crate, and those right below it. It may use these and whatever is below them;
/// a crate that is not here is refused. `docs/architecture.md` says why.
const CRATES: &[(&str, &[&str])] = &[
    // Tools, which nothing in the product uses.
    ("xtask", &["kexec-cli", "kexec-lab"]),
    ("kexec-lab", &["kexec-reboot"]),
    // The product.
    ("kexec-cli", &["kexec-reboot", "kexec-crash"]),
    (
        "kexec-crash",
        &["kexec-load", "kexec-entries", "kexec-vmcore"],
    ),
    ("kexec-reboot", &["kexec-load", "kexec-entries"]),
    ("kexec-load", &["kexec-machine", "kexec-purgatory"]),
    ("kexec-entries", &["kexec-machine"]),
    ("kexec-machine", &["kexec-plan", "kexec-sys"]),
    ("kexec-sys", &["kexec-image"]),
    ("kexec-plan", &["kexec-image"]),
    ("kexec-image", &[]),
    ("kexec-vmcore", &[]),
    ("kexec-purgatory", &[]),
];

/// A crate of the workspace.
#[derive(Debug)]
struct Crate {
    name: String,
    /// The folder of its `Cargo.toml`.
    folder: PathBuf,
    /// The crates that it uses, whatever for: tests and build scripts too.
    uses: BTreeSet<String>,
}

/// The crates of the workspace, as cargo sees them.
fn packages() -> Vec<Crate> {
    let mut cargo = host::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "cargo metadata ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    read(&serde_json::from_slice(&output.stdout).unwrap())
}

/// The crates in the answer of `cargo metadata`.
fn read(metadata: &Value) -> Vec<Crate> {
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
            let uses = package["dependencies"].as_array().unwrap();
            Crate {
                name: name(package),
                folder: manifest.parent().unwrap().to_owned(),
                // Those of the workspace alone have a folder.
                uses: uses
                    .iter()
                    .filter(|dependency| dependency["path"].is_string())
                    .map(name)
                    .collect(),
            }
        })
        .collect()
}

/// Everything below a crate.
fn below(table: &BTreeMap<&str, &[&'static str]>, name: &str) -> BTreeSet<&'static str> {
    let mut all = BTreeSet::new();
    let mut ahead: Vec<&str> = table[name].to_vec();
    while let Some(next) = ahead.pop() {
        if all.insert(next) {
            ahead.extend(table[next]);
        }
    }
    all
}

/// What contradicts the table.
fn contradictions(
    rows: &[(&'static str, &'static [&'static str])],
    packages: &[Crate],
) -> Vec<String> {
    let table: BTreeMap<&str, &[&str]> = rows.iter().copied().collect();
    let mut found = Vec::new();
    for package in packages {
        if !table.contains_key(package.name.as_str()) {
            found.push(format!("{} is not in the table", package.name));
            continue;
        }
        let below = below(&table, &package.name);
        assert!(
            !below.contains(package.name.as_str()),
            "the table has a circle through {}",
            package.name
        );
        for used in &package.uses {
            // A crate's tests use it with its feature for tests.
            if *used != package.name && !below.contains(used.as_str()) {
                found.push(format!(
                    "{} uses {used}, which is not below it",
                    package.name
                ));
            }
        }
    }
    let is_there = |name: &str| packages.iter().any(|package| package.name == name);
    let gone = table.keys().filter(|name| !is_there(name));
    found.extend(gone.map(|name| format!("the table has {name}, which does not exist")));
    found
}

#[test]
fn crates_depend_on_those_below_them() {
    let found = contradictions(CRATES, &packages());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_arrow_the_wrong_way_is_found() {
    let metadata = |rows: &[(&str, &[&str])]| {
        let packages: Vec<Value> = rows
            .iter()
            .map(|(name, uses)| {
                let mut uses: Vec<Value> = uses
                    .iter()
                    .map(|name| serde_json::json!({"name": name, "kind": "dev", "path": "/p"}))
                    .collect();
                uses.push(serde_json::json!({"name": "serde", "kind": null}));
                serde_json::json!({
                    "name": name,
                    "manifest_path": format!("/p/{name}/Cargo.toml"),
                    "dependencies": uses,
                })
            })
            .collect();
        read(&serde_json::json!({"packages": packages}))
    };
    let table: &[(&str, &[&str])] = &[("top", &["middle"]), ("middle", &["low"]), ("low", &[])];
    let check = |rows: &[(&str, &[&str])]| contradictions(table, &metadata(rows));
    let none: [&str; 0] = [];
    assert_eq!(
        check(&[("top", &["low", "top"]), ("middle", &[]), ("low", &[])]),
        none
    );
    assert_eq!(
        check(&[("top", &[]), ("middle", &[]), ("low", &["middle"])]),
        ["low uses middle, which is not below it"]
    );
    assert_eq!(
        check(&[("top", &[]), ("middle", &[]), ("low", &[]), ("new", &[])]),
        ["new is not in the table"]
    );
    assert_eq!(
        check(&[("top", &[]), ("low", &[])]),
        ["the table has middle, which does not exist"]
    );
}
