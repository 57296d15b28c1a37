//! The program for a machine that takes none of the packages: one archive with the
//! static file, its pages, completions and documents.

use super::super::doc;
use super::super::stage::{Artifacts, StagedFile, compressed, read, stage};
use super::super::texts::VERSION;
use crate::host;
use crate::product::machine;
use anyhow::{Context, Result, ensure};
use kexec_lab::programs::StartProgram;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of the repository that stand beside the program under the same names, with
/// everything below docs/.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// The archive's name without its ending, which is also the folder in it.
pub fn name(inputs: &Artifacts) -> String {
    format!("kexec-rs-{VERSION}-{}-linux", machine(inputs.arch))
}

/// Writes the archive; the same inputs make the same bytes.
pub fn make(folder: &Path, inputs: &Artifacts) -> Result<PathBuf> {
    let name = name(inputs);
    let scratch = tempfile::tempdir().context("making a folder for the archive")?;
    let tree = scratch.path().join("tree");
    stage(&tree, &files(inputs, &name)?, inputs.date)?;
    let output = Command::new("tar")
        .args(["--create", "--sort=name", "--format=gnu"])
        .args(["--owner=0", "--group=0", "--numeric-owner", "--directory"])
        .arg(&tree)
        .arg(&name)
        .start_output()?;
    ensure!(
        output.status.success(),
        "tar ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let path = folder.join(format!("{name}.tar.gz"));
    super::super::stage::write(&path, &compressed(&output.stdout)?, 0o644)?;
    Ok(path)
}

/// Everything in it.
pub fn files(inputs: &Artifacts, folder: &str) -> Result<Vec<StagedFile>> {
    let mut files = Vec::new();
    let mut put = |to: &str, mode: u32, data: Vec<u8>, link| {
        files.push(StagedFile {
            to: format!("{folder}/{to}"),
            mode,
            data,
            link,
        });
    };
    put("kexec", 0o755, inputs.product.clone(), None);
    put("vmcore-dmesg", 0o777, Vec::new(), Some("kexec"));
    for page in &inputs.pages {
        let to = format!("man/{}", page.path);
        put(&to, 0o644, page.text.clone().into_bytes(), None);
    }
    for made in &inputs.completions {
        put(&made.path, 0o644, made.text.clone().into_bytes(), None);
    }
    let third_party = inputs.third_party.clone().into_bytes();
    put("third-party.txt", 0o644, third_party, None);
    let mut documents: Vec<String> = DOCUMENTS.iter().map(|&path| path.to_owned()).collect();
    documents.extend(doc::all()?);
    for path in &documents {
        let mut data = read(&host::root().join(path))?;
        if path.ends_with(".md") {
            let text = String::from_utf8(data).with_context(|| format!("{path} is no text"))?;
            let has = |wanted: &str| documents.iter().find(|one| *one == wanted).cloned();
            data = doc::with_links(&text, path, path, has)?.into_bytes();
        }
        put(path, 0o644, data, None);
    }
    Ok(files)
}
