//! Manual pages and completions, made from the definition of the command line.

mod bash;
mod fish;
mod lint;
mod pages;
mod roff;
mod vmcore_dmesg;
mod zsh;

#[cfg(test)]
mod paths;
#[cfg(test)]
mod tests;

use crate::host;
use anyhow::{Context, Result};
use kexec_cli::args::{Arch, Flag, Value, Verb, flags_for, flags_of};
use std::path::Path;

/// Something made, by its path below the folder of all of them.
#[derive(Debug, Clone)]
pub struct GeneratedFile {
    /// Such as `man8/kexec.8`.
    pub path: String,
    /// Its content: roff, or a shell's completion script.
    pub text: String,
}

impl GeneratedFile {
    fn new(path: impl Into<String>, text: String) -> GeneratedFile {
        let path = path.into();
        GeneratedFile { path, text }
    }
}

/// The manual pages, with this date.
pub fn manual_pages(date: &str) -> Vec<GeneratedFile> {
    let named = |name: &str, text| GeneratedFile::new(format!("man8/{name}.8"), text);
    let mut made = vec![named("kexec", pages::complete(date))];
    made.push(named(kexec_cli::coldreboot::NAME, pages::coldreboot(date)));
    made.push(named(
        kexec_cli::vmcore_dmesg::NAME,
        vmcore_dmesg::page(date),
    ));
    for companion in kexec_cli::companions::COMPANIONS {
        made.push(named(companion.name, pages::companion(companion, date)));
    }
    for page in kexec_cli::manual::PAGES {
        made.push(named(page.name, pages::page(page, date)));
        // So that `man kexec list` finds it.
        for verb in page.verbs.iter().skip(1) {
            let name = format!("kexec-{}", verb.name());
            made.push(named(&name, format!(".so man8/{}.8\n", page.name)));
        }
    }
    made
}

/// The completions of the shells, on a machine of `arch`.
pub fn completions(arch: Arch) -> Vec<GeneratedFile> {
    let mut made = vec![
        GeneratedFile::new("completions/kexec", bash::completion(arch)),
        GeneratedFile::new("completions/_kexec", zsh::completion(arch)),
        GeneratedFile::new("completions/kexec.fish", fish::completion(arch)),
    ];
    made.extend(vmcore_dmesg::completions());
    made
}

/// Writes everything below a folder, and returns what that is.
pub fn write(folder: &Path) -> Result<Vec<GeneratedFile>> {
    let date = host::day(host::source_date()?);
    let made = [manual_pages(&date), completions(host::arch()?)].concat();
    for one in &made {
        let path = folder.join(&one.path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        std::fs::write(&path, &one.text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(made)
}

/// Writes everything below a folder and has it looked at.
pub fn check(folder: &Path) -> Result<String> {
    let made = write(folder)?;
    lint::all(folder, &made)
}

/// The options of a verb, or without one those of the old spelling.
fn flags(verb: Option<Verb>, arch: Arch) -> Vec<&'static Flag> {
    match verb {
        Some(verb) => flags_of(verb),
        None => flags_for(arch),
    }
}

/// Every spelling of an option.
fn spellings(flag: &Flag) -> Vec<String> {
    let short = flag.short.map(|letter| format!("-{}", char::from(letter)));
    let longs = flag.longs().map(|long| format!("--{long}"));
    short.into_iter().chain(longs).collect()
}

/// Whether it takes a value.
fn takes_value(flag: &Flag) -> bool {
    flag.value != Value::None
}
