//! `cargo xtask dist`: packages, all from one table ([`files::FILES`]).

mod arch;
mod audit;
pub mod crates;
mod deb;
mod doc;
mod files;
mod release;
mod rpm;
mod scratch;
mod stage;
mod texts;

#[cfg(test)]
mod tests;

use crate::command::Arguments;
use crate::{host, product};
use anyhow::{Context, Result, bail, ensure};
use files::PackageKind;
use stage::Artifacts;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `cargo xtask dist` with these words and flags.
pub fn run(words: &[&str], arguments: &Arguments) -> Result<ExitCode> {
    let look = arguments.has("--check");
    for flag in ["--key", "--unsigned", "--url", "--arch"] {
        ensure!(
            !arguments.has(flag) || matches!(words, ["release", ..]) && !look,
            "{flag} is of `dist release`, which takes no --check with it"
        );
    }
    match words {
        ["release"] if look => println!("{}", release::check(&folder().join("release"))?),
        ["release"] | ["release", _] => {
            let (folder, release) = release::typed(words.get(1).copied(), arguments)?;
            release.make(&folder)?;
            println!("{}", release.said(&folder)?);
        }
        ["deb"] => {
            let note = deb(&product::build()?, look)?;
            println!("{note}");
        }
        ["rpm"] => println!("{}", rpm(&product::build()?, look)?),
        ["arch"] => println!("{}", arch(&product::build()?, look)?),
        ["program"] => println!("{}", product::build()?.display()),
        ["stage", kind, into] => {
            let inputs = artifacts(&product::build()?)?;
            let items = stage::items(named(kind)?, &inputs)?;
            stage::stage(Path::new(into), &items, inputs.date)?;
        }
        _ => bail!(
            "asked for dist {words:?}, expected deb, rpm, arch, release [DIR], program, or stage KIND DIR"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// What packages of this machine's architecture are made of, with this program.
fn artifacts(product: &Path) -> Result<Artifacts> {
    let arch = host::arch()?;
    Artifacts::new(audit::packaged(product, arch)?, arch)
}

fn named(name: &str) -> Result<PackageKind> {
    let mut kinds = PackageKind::ALL.iter().copied();
    kinds
        .find(|kind| kind.name() == name)
        .with_context(|| format!("{name} is no kind of package: deb, rpm, arch"))
}

/// Where packages are put.
fn folder() -> PathBuf {
    host::root().join("target/dist")
}

/// Makes the Debian package and looks at it; says how large it is, and what could
/// not look at it.
fn deb(product: &Path, look: bool) -> Result<String> {
    let made = deb::make(&folder(), &artifacts(product)?)?;
    let size = std::fs::metadata(&made.path)?.len();
    let mut note = format!(
        "{}: {size} bytes, {} files, {} KiB installed",
        made.path.display(),
        made.items.len(),
        made.installed
    );
    if look {
        deb::compare(&made)?;
        if host::has("lintian") {
            deb::lint(&made)?;
            note.push_str("; lintian has nothing to say");
        } else {
            note.push_str("; lintian is not installed");
        }
    }
    Ok(note)
}

/// The same for the RPM package.
fn rpm(product: &Path, look: bool) -> Result<String> {
    let made = rpm::make(&folder(), &artifacts(product)?)?;
    let mut note = size(&made.path, made.items.len())?;
    if look {
        rpm::check(&made)?;
        note.push_str("; rpm installed and removed it");
    }
    Ok(note)
}

/// The same for Arch Linux's package.
fn arch(product: &Path, look: bool) -> Result<String> {
    let made = arch::make(&folder(), &artifacts(product)?)?;
    let mut note = size(&made.path, made.items.len())?;
    if look {
        arch::check(&made)?;
        note.push_str("; pacman installed it, ran its hook and removed it");
    }
    Ok(note)
}

fn size(package: &Path, files: usize) -> Result<String> {
    let size = std::fs::metadata(package)
        .with_context(|| format!("looked for {}", package.display()))?
        .len();
    Ok(format!(
        "{}: {size} bytes, {files} files",
        package.display()
    ))
}
