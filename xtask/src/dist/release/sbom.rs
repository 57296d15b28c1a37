//! The bill of materials of a program: which libraries are in it, from where, under
//! which licences, and what only took part in building it (CycloneDX 1.5, JSON).

use super::super::crates::{CrateName, ProgramCrate};
use super::super::texts::{HOMEPAGE, SUMMARY, VERSION};
use super::sources::checksum;
use crate::host;
use crate::product::{PROGRAM, machine};
use anyhow::{Context, Result};
use kexec_cli::args::Arch;
use kexec_lab::programs::output_of;
use serde_json::{Value, json};
use std::process::Command;
use std::time::SystemTime;

/// What is linked in and not a crate.
#[derive(Debug)]
pub struct Toolchain {
    /// The version of the Rust standard library.
    rust: String,
    /// The distribution and version of the GNU C library.
    glibc: CrateName,
}

impl Toolchain {
    /// Of this machine, which builds the program.
    ///
    /// # Errors
    /// If rustc(1) or ldd(1) cannot be run.
    pub fn here() -> Result<Toolchain> {
        let rustc = output_of(
            Command::new("rustc")
                .arg("--version")
                .current_dir(host::root()),
        )?;
        let ldd = output_of(Command::new("ldd").arg("--version"))?;
        Toolchain::of(&rustc, &ldd)
    }

    /// `rustc 1.95.0 (59807616e 2026-04-14)`, `ldd (Debian GLIBC 2.36-9+deb12u14) 2.36`.
    fn of(rustc: &str, ldd: &str) -> Result<Toolchain> {
        let rust = rustc.split(' ').nth(1).context("rustc has no version")?;
        let line = ldd.lines().next().unwrap_or_default();
        let of_distribution = line
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        let (distribution, _) = of_distribution.with_context(|| {
            format!("ldd --version says {line:?}, expected a version in brackets")
        })?;
        let version = line.rsplit(' ').next().unwrap_or_default();
        Ok(Toolchain {
            rust: rust.to_owned(),
            glibc: (distribution.to_owned(), version.to_owned()),
        })
    }
}

/// The document for a program of these crates.
pub fn document(
    program: &[u8],
    arch: Arch,
    crates: &[ProgramCrate],
    toolchain: &Toolchain,
    date: SystemTime,
) -> Value {
    let mut components: Vec<Value> = crates
        .iter()
        .filter(|one| one.name != PROGRAM)
        .map(component)
        .collect();
    components.push(json!({
        "type": "library",
        "bom-ref": "rust-std",
        "name": "std",
        "version": toolchain.rust,
        "description": "The Rust standard library",
        "scope": "required",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }));
    let (distribution, glibc) = &toolchain.glibc;
    components.push(json!({
        "type": "library",
        "bom-ref": "glibc",
        "name": "glibc",
        "version": glibc,
        "description": format!("The GNU C library ({distribution})"),
        "cpe": format!("cpe:2.3:a:gnu:glibc:{glibc}:*:*:*:*:*:*:*"),
        "scope": "required",
        "licenses": [{"expression": "LGPL-2.1-or-later"}],
    }));
    let mut dependencies: Vec<Value> = crates
        .iter()
        .map(|one| {
            let used = one.uses.iter().filter_map(|&at| crates.get(at));
            let mut used: Vec<String> = used.map(identity).collect();
            if one.name == PROGRAM {
                used.extend(["rust-std".to_owned(), "glibc".to_owned()]);
            }
            json!({"ref": identity(one), "dependsOn": used})
        })
        .collect();
    dependencies.push(json!({"ref": "rust-std", "dependsOn": ["glibc"]}));
    let root = crates.iter().find(|one| one.name == PROGRAM);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": humantime::format_rfc3339_seconds(date).to_string(),
            "component": {
                "type": "application",
                "bom-ref": root.map(identity),
                "name": "kexec-rs",
                "version": VERSION,
                "description": SUMMARY,
                "hashes": [{"alg": "SHA-256", "content": checksum(program)}],
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "externalReferences": [{"type": "website", "url": HOMEPAGE}],
                "properties": [{"name": "architecture", "value": machine(arch)}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// The name of a crate within the document: its package URL, or for ours, which are on
/// no server, name and version.
fn identity(one: &ProgramCrate) -> String {
    match one.checksum {
        Some(_) => format!("pkg:cargo/{}@{}", one.name, one.version),
        None => format!("{}@{}", one.name, one.version),
    }
}

fn component(one: &ProgramCrate) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": identity(one),
        "name": one.name,
        "version": one.version,
        // What only takes part in building is not in the program.
        "scope": if one.is_linked { "required" } else { "excluded" },
        // Older crates have a slash for OR (The Cargo Book, "The license field").
        "licenses": [{"expression": one.licence.replace('/', " OR ")}],
    });
    if let (Some(sum), Some(fields)) = (&one.checksum, component.as_object_mut()) {
        fields.insert("purl".to_owned(), json!(identity(one)));
        fields.insert(
            "hashes".to_owned(),
            json!([{"alg": "SHA-256", "content": sum}]),
        );
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::crates::of_program;
    use std::collections::BTreeSet;
    use std::time::UNIX_EPOCH;

    #[test]
    fn every_crate_is_there_once_and_every_reference_leads_to_one() {
        let crates = of_program(Arch::X86_64).unwrap();
        let toolchain = Toolchain::here().unwrap();
        let made = document(b"abc", Arch::X86_64, &crates, &toolchain, UNIX_EPOCH);
        let list = |at: &str| made.pointer(at).unwrap().as_array().unwrap();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        names.insert(
            made.pointer("/metadata/component/bom-ref")
                .unwrap()
                .as_str()
                .unwrap(),
        );
        for component in list("/components") {
            let name = component["bom-ref"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
            assert!(
                component["licenses"][0]["expression"]
                    .as_str()
                    .is_some_and(|it| !it.is_empty())
            );
        }
        // All crates, one of which is the program, and two libraries more.
        assert_eq!(names.len(), crates.len() + 2);
        for one in list("/dependencies") {
            assert!(names.contains(one["ref"].as_str().unwrap()), "{one}");
            for used in one["dependsOn"].as_array().unwrap() {
                assert!(names.contains(used.as_str().unwrap()), "{used}");
            }
        }
        let find = |name: &str| {
            let mut all = list("/components").iter();
            all.find(|one| one["name"] == name).unwrap()
        };
        assert_eq!(find("zlib-rs")["scope"], "required");
        assert_eq!(find("serde_derive")["scope"], "excluded");
        assert!(
            find("zlib-rs")["purl"]
                .as_str()
                .unwrap()
                .starts_with("pkg:cargo/zlib-rs@")
        );
        assert_eq!(made["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn versions_of_what_is_linked_in() {
        let of = |ldd| Toolchain::of("rustc 1.95.0 (59807616e 2026-04-14)\n", ldd);
        let found = of("ldd (Debian GLIBC 2.36-9+deb12u14) 2.36\nCopyright\n").unwrap();
        assert_eq!(found.rust, "1.95.0");
        let wanted = ("Debian GLIBC 2.36-9+deb12u14".to_owned(), "2.36".to_owned());
        assert_eq!(found.glibc, wanted);
        assert!(of("musl libc").is_err());
    }
}
