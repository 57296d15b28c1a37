//! The list of its crates that a released program has in itself, so that `cargo audit
//! bin` and other scanners find known defects in it: a section `.dep-v0` with JSON,
//! compressed (cargo-auditable, PARSING.md and its JSON schema).
//!
//! cargo-auditable itself would have to be installed before anything can be built, on
//! the machines of distributions too, and would compile the program differently from a
//! plain `cargo build`. The section is added to the program that cargo has built.

use super::crates::{self, ProgramCrate};
use super::scratch::said_by;
use super::stage::{read, write};
use crate::host;
use crate::product::{PROGRAM, machine};
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use kexec_cli::args::Arch;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The section's name.
const SECTION: &str = ".dep-v0";

/// The program as it is packaged: as cargo built it, with the list.
///
/// # Errors
/// If cargo or objcopy(1) fails.
pub fn packaged(program: &Path, arch: Arch) -> Result<Vec<u8>> {
    let list = compressed(&list(&crates::of_program(arch)?))?;
    let scratch = tempfile::tempdir().context("making a folder for the program")?;
    let (section, out) = (scratch.path().join("list"), scratch.path().join("program"));
    write(&section, &list, 0o644)?;
    let objcopy = match arch == host::arch()? {
        true => "objcopy".to_owned(),
        false => format!("{}-linux-gnu-objcopy", machine(arch)),
    };
    said_by(
        Command::new(objcopy)
            .arg(format!("--add-section={SECTION}={}", section.display()))
            .args([program, &out]),
    )
    .with_context(|| format!("adding the list of crates to {}", program.display()))?;
    let made = read(&out)?;
    ensure!(
        made.windows(list.len()).any(|part| part == list),
        "objcopy has not added the list of crates to {}",
        program.display()
    );
    Ok(made)
}

/// The list as JSON; keys that have their default value are left out.
fn list(crates: &[ProgramCrate]) -> Value {
    let package = |one: &ProgramCrate| {
        let mut package = Map::new();
        package.insert("name".to_owned(), json!(one.name));
        package.insert("version".to_owned(), json!(one.version));
        let source = match one.checksum {
            Some(_) => "crates.io",
            None => "local",
        };
        package.insert("source".to_owned(), json!(source));
        if !one.is_linked {
            package.insert("kind".to_owned(), json!("build"));
        }
        if !one.uses.is_empty() {
            package.insert("dependencies".to_owned(), json!(one.uses));
        }
        if one.name == PROGRAM {
            package.insert("root".to_owned(), json!(true));
        }
        Value::Object(package)
    };
    json!({ "packages": crates.iter().map(package).collect::<Vec<_>>() })
}

fn compressed(list: &Value) -> Result<Vec<u8>> {
    let mut writer = ZlibEncoder::new(Vec::new(), Compression::best());
    writer.write_all(list.to_string().as_bytes())?;
    writer.finish().context("compressing the list of crates")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reader that scanners use finds the list in a program.
    #[test]
    fn scanners_read_the_list() {
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Any program will do, one without debug information is smaller.
        let small = folder.path().join("small");
        said_by(Command::new("strip").arg("-o").arg(&small).arg(program)).unwrap();
        let made = packaged(&small, Arch::X86_64).unwrap();
        assert_eq!(made, packaged(&small, Arch::X86_64).unwrap());
        let info = auditable_info::audit_info_from_slice(&made, 1 << 20).unwrap();
        let find = |name: &str| info.packages.iter().find(|one| one.name == name).unwrap();
        let root = find(PROGRAM);
        assert!(root.root && root.version.to_string() == env!("CARGO_PKG_VERSION"));
        let uses = root.dependencies.iter().map(|&at| &info.packages[at].name);
        assert!(uses.into_iter().any(|name| name == "kexec-load"));
        for (name, source, kind) in [
            ("zlib-rs", "CratesIo", "Runtime"),
            ("serde_derive", "CratesIo", "Build"),
            ("kexec-load", "Local", "Runtime"),
        ] {
            let found = find(name);
            let found = (format!("{:?}", found.source), format!("{:?}", found.kind));
            assert_eq!(found, (source.to_owned(), kind.to_owned()), "{name}");
        }
    }
}
