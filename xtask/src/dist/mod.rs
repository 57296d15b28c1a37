//! `cargo xtask dist`: packages, all from one table ([`files::FILES`]).

mod deb;
mod files;
mod rpm;
mod stage;
mod texts;

#[cfg(test)]
mod tests;

use crate::{demo, host};
use anyhow::{Context, Result, bail};
use files::Kind;
use stage::Inputs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is asked for.
pub fn run(words: &[&str], look: bool) -> Result<ExitCode> {
    match words {
        ["deb"] => {
            let note = deb(&demo::build()?, look)?;
            println!("{note}");
        }
        ["rpm"] => println!("{}", rpm::make(&folder(), &Inputs::new(&demo::build()?)?)?),
        ["stage", kind, into] => {
            let inputs = Inputs::new(&demo::build()?)?;
            let items = stage::items(named(kind)?, &inputs)?;
            stage::stage(Path::new(into), &items, inputs.date)?;
        }
        _ => bail!("asked for dist {words:?}, expected deb, rpm, or stage KIND DIR"),
    }
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> Result<Kind> {
    let mut kinds = Kind::ALL.iter().copied();
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
    let made = deb::make(&folder(), &Inputs::new(product)?)?;
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

/// The step of `cargo xtask test`: the Debian package, looked at.
pub fn check(product: &Path) -> Result<String> {
    deb(product, true)
}
