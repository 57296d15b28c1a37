//! Which crates are in the program: for the list of licences, the list that the program
//! itself has ([`audit`](super::audit)), and the bill of materials.

use crate::host::{self, cargo};
use crate::product::{PROGRAM, triple};
use anyhow::{Context, Result, ensure};
use kexec_cli::args::Arch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Name and version, which together name one crate.
pub type CrateName = (String, String);

/// A crate that the program is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramCrate {
    /// As crates.io has it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    /// The folder of its sources.
    pub folder: PathBuf,
    /// The SHA-256 of its archive, in hexadecimal (Cargo.lock); ours have none.
    pub checksum: Option<String>,
    /// Whether it is linked in; else it runs while the program is built (build scripts,
    /// procedural macros).
    pub is_linked: bool,
    /// The crates that it uses, by their numbers in the list.
    pub uses: Vec<usize>,
}

/// Every crate that the program of an architecture is made from, by name and version.
///
/// # Errors
/// If cargo cannot be run or does not know one of them.
pub fn of_program(arch: Arch) -> Result<Vec<ProgramCrate>> {
    let triple = triple(arch);
    let linked = tree(&triple, "normal,no-proc-macro")?;
    let all = tree(&triple, "normal,build")?;
    let checksums = checksums(&fs::read_to_string(host::root().join("Cargo.lock"))?);
    let text = output_of(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        &triple,
    ])?;
    let metadata: Value =
        serde_json::from_str(&text).context("reading what cargo metadata says")?;
    let list = |at: &str| {
        let list = metadata.pointer(at).and_then(Value::as_array);
        list.with_context(|| format!("cargo metadata has no list at {at}"))
    };
    let mut crates = Vec::new();
    let mut identities = Vec::new();
    for package in list("/packages")? {
        let key = (word(package, "name")?, word(package, "version")?);
        let Some(licence) = all.get(&key) else {
            continue;
        };
        let manifest = PathBuf::from(word(package, "manifest_path")?);
        identities.push(word(package, "id")?);
        crates.push(ProgramCrate {
            folder: manifest.parent().unwrap_or(&manifest).to_owned(),
            licence: licence.clone(),
            checksum: checksums.get(&key).cloned(),
            is_linked: linked.contains_key(&key),
            name: key.0,
            version: key.1,
            uses: Vec::new(),
        });
    }
    ensure!(
        crates.len() == all.len(),
        "cargo tree names {} crates, cargo metadata knows {} of them",
        all.len(),
        crates.len()
    );
    let number = |identity: &str| identities.iter().position(|one| one == identity);
    for node in list("/resolve/nodes")? {
        let Some(user) = number(&word(node, "id")?) else {
            continue;
        };
        let uses = node.get("deps").and_then(Value::as_array);
        let uses = uses.into_iter().flatten().filter(|used| !only_tests(used));
        let uses: BTreeSet<usize> = uses
            .filter_map(|used| number(used.get("pkg")?.as_str()?))
            .collect();
        if let Some(user) = crates.get_mut(user) {
            user.uses = uses.into_iter().collect();
        }
    }
    Ok(sorted(crates))
}

/// By name and version; the numbers of what each uses follow.
fn sorted(crates: Vec<ProgramCrate>) -> Vec<ProgramCrate> {
    let mut order: Vec<usize> = (0..crates.len()).collect();
    order.sort_by_key(|&old| crates.get(old).map(|one| (&one.name, &one.version)));
    let mut places = vec![0; crates.len()];
    for (new, &old) in order.iter().enumerate() {
        if let Some(place) = places.get_mut(old) {
            *place = new;
        }
    }
    let moved = |one: &ProgramCrate| {
        let mut one = one.clone();
        let uses = one.uses.iter().filter_map(|&old| places.get(old).copied());
        one.uses = uses.collect();
        one.uses.sort_unstable();
        one
    };
    let in_order = order.iter().filter_map(|&old| crates.get(old));
    in_order.map(moved).collect()
}

/// Whether a crate is used by another one's tests alone (The Cargo Book, "cargo
/// metadata", `dep_kinds`).
fn only_tests(used: &Value) -> bool {
    let kinds = used.get("dep_kinds").and_then(Value::as_array);
    kinds.is_some_and(|kinds| {
        let mut kinds = kinds.iter();
        kinds.all(|kind| kind.get("kind").and_then(Value::as_str) == Some("dev"))
    })
}

/// The crates that cargo tree names for these edges, with their licences.
fn tree(triple: &str, edges: &str) -> Result<BTreeMap<CrateName, String>> {
    let text = output_of(&[
        "tree",
        "--package",
        PROGRAM,
        "--edges",
        edges,
        "--prefix",
        "none",
        "--locked",
        "--target",
        triple,
        "--format",
        "{p}|{l}",
    ])?;
    let mut crates = BTreeMap::new();
    for line in text.lines() {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        // Behind the version: our own crates' folder, or that it is a macro.
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        let version = version.trim_start_matches('v');
        let licence = licence.trim_end_matches(" (*)");
        crates.insert((name.to_owned(), version.to_owned()), licence.to_owned());
    }
    ensure!(!crates.is_empty(), "cargo tree names no crate");
    Ok(crates)
}

/// What Cargo.lock says of the archives of crates (The Cargo Book, "Cargo.lock").
fn checksums(lock: &str) -> BTreeMap<CrateName, String> {
    let value = |block: &str, key: &str| {
        let mut lines = block.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(value.trim_matches('"').to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1);
    let of_block = |block: &str| {
        let name = (value(block, "name")?, value(block, "version")?);
        Some((name, value(block, "checksum")?))
    };
    blocks.filter_map(of_block).collect()
}

fn word(value: &Value, key: &str) -> Result<String> {
    let word = value.get(key).and_then(Value::as_str).map(str::to_owned);
    word.with_context(|| format!("cargo metadata has an entry without {key}"))
}

/// What cargo prints.
fn output_of(arguments: &[&str]) -> Result<String> {
    let output = cargo(arguments)
        .output()
        .with_context(|| format!("running cargo {}", arguments.join(" ")))?;
    ensure!(
        output.status.success(),
        "cargo {} ended with {}: {}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("cargo's answer is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_and_what_only_builds() {
        let crates = of_program(Arch::X86_64).unwrap();
        let find = |name: &str| crates.iter().find(|one| one.name == name).unwrap();
        let zlib = find("zlib-rs");
        assert!(zlib.is_linked && zlib.checksum.as_ref().unwrap().len() == 64);
        assert!(!find("serde_derive").is_linked);
        // Our build script's.
        assert!(!find("object").is_linked);
        let program = find(PROGRAM);
        assert!(program.is_linked && program.checksum.is_none());
        let uses: Vec<_> = program.uses.iter().map(|&at| &crates[at].name).collect();
        assert!(uses.contains(&&"kexec-load".to_owned()), "{uses:?}");
        // Of the tests alone.
        assert!(crates.iter().all(|one| one.name != "proptest"));
        assert!(crates.is_sorted_by_key(|one| (&one.name, &one.version)));
    }
}
