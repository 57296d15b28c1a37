//! `cargo xtask dist release`: everything that a page of a release has, and the folders
//! of its repositories, from one commit.

mod apt;
mod check;
mod program;
mod rpm;
mod sbom;
pub mod sign;
mod sources;
mod tarball;

pub use check::check;
#[cfg(test)]
pub use tarball::files as tarball_files;

use super::crates;
use super::stage::{Artifacts, read, settle, write};
use super::texts::VERSION;
use super::{deb, rpm as rpm_package};
use crate::command::Arguments;
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_cli::args::Arch;
use sign::SigningKey;
use sources::{Revision, checksum};
use std::fs;
use std::path::{Path, PathBuf};

/// The list of checksums.
const SUMS: &str = "SHA256SUMS";
/// Where the repositories are served unless `--url` says otherwise.
const URL: &str = "https://kexec-rs.github.io/kexec-rs";

/// With what the release is signed.
#[derive(Debug)]
pub enum Signing {
    /// With this key.
    Key(SigningKey),
    /// With nothing: whoever takes it trusts the server and the way to it.
    None,
}

/// What is to be made.
#[derive(Debug)]
pub struct Release {
    /// The commit.
    pub revision: Revision,
    /// Where the folder itself will be served, without a slash at the end.
    pub url: String,
    /// The architectures of the program.
    pub archs: Vec<Arch>,
    /// The key.
    pub signing: Signing,
}

/// What was typed: the folder, and what goes into it.
///
/// # Errors
/// If neither a key nor `--unsigned` was given, or there is no clean commit.
pub fn typed(folder: Option<&str>, arguments: &Arguments) -> Result<(PathBuf, Release)> {
    let signing = match (arguments.value("--key"), arguments.has("--unsigned")) {
        (Some(fingerprint), false) => Signing::Key(SigningKey::named(fingerprint)?),
        (None, true) => Signing::None,
        (Some(_), true) => bail!("--key and --unsigned exclude each other: give one of them"),
        (None, false) => bail!(
            "a release is signed: name the key with --key FINGERPRINT (`gpg --list-secret-keys` \
             shows yours), or give --unsigned for one that nobody is to install"
        ),
    };
    let archs = arguments
        .value("--arch")
        .unwrap_or(crate::product::machine(host::arch()?));
    let archs = archs.split(',').map(|name| {
        Arch::from_uname(name)
            .filter(|arch| program::TARGETS.contains(arch))
            .with_context(|| {
                let names = program::TARGETS.map(crate::product::machine).join(", ");
                format!("--arch {name}: releases are made for {names}")
            })
    });
    let archs = archs.collect::<Result<Vec<_>>>()?;
    let url = arguments.value("--url").unwrap_or(URL);
    ensure!(
        url.starts_with("https://") || url.starts_with("http://"),
        "--url {url}: expected the address at which the folder will be served, https://..."
    );
    ensure!(
        url.starts_with("https://") || matches!(signing, Signing::None),
        "--url {url}: expected https://: kexec-rs.repo names the key at this address, and over \
         http:// anybody in between could supply another one"
    );
    sources::require_changelog()?;
    let release = Release {
        revision: Revision::of_checkout(false)?,
        url: url.trim_end_matches('/').to_owned(),
        archs,
        signing,
    };
    let folder = folder.map_or_else(
        || super::folder().join(format!("kexec-rs-{VERSION}")),
        PathBuf::from,
    );
    Ok((folder, release))
}

impl Release {
    /// Makes everything in a folder that is empty or does not exist yet.
    ///
    /// # Errors
    /// If the folder has something in it, or a program fails that makes or signs a part.
    pub fn make(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        ensure!(
            fs::read_dir(folder)?.next().is_none(),
            "looked for an empty folder at {}: there is something in it; name another one, or \
             remove it",
            folder.display()
        );
        let folder = &fs::canonicalize(folder)?;
        let scratch = tempfile::tempdir().context("making a folder for packages")?;
        let date = host::source_date()?;
        let toolchain = sbom::Toolchain::here()?;
        let (mut debs, mut rpms) = (Vec::new(), Vec::new());
        for &arch in &self.archs {
            let inputs = Artifacts::new(program::packaged(arch)?, arch)?;
            let made = deb::make(scratch.path(), &inputs)?;
            copy(&made.path, folder)?;
            debs.push((arch, made));
            let made = rpm_package::make(scratch.path(), &inputs)?;
            if let Signing::Key(key) = &self.signing {
                key.sign_rpm(&made.path)?;
            }
            copy(&made.path, folder)?;
            rpms.push(made);
            tarball::make(folder, &inputs)?;
            let crates = crates::of_program(arch)?;
            let bill = sbom::document(&inputs.product, arch, &crates, &toolchain, date);
            let path = folder.join(format!("{}.cdx.json", tarball::name(&inputs)));
            write(&path, format!("{bill:#}\n").as_bytes(), 0o644)?;
        }
        let archive = self.revision.archive(folder)?;
        sources::pkgbuild(folder, &archive)?;
        write_sums(folder)?;
        if let Signing::Key(key) = &self.signing {
            key.sign(&folder.join(SUMS), &folder.join(format!("{SUMS}.asc")))?;
            key.export(folder)?;
        }
        apt::make(&folder.join("apt"), &self.url, &debs, &self.signing, date)?;
        rpm::make(&folder.join("rpm"), &self.url, &rpms, &self.signing, date)?;
        settle(folder, date)
    }

    /// What was made, and what whoever publishes it has to know.
    pub fn said(&self, folder: &Path) -> Result<String> {
        let mut text = format!("in {}:\n", folder.display());
        let mut names: Vec<_> = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort();
        for name in names {
            let metadata = fs::metadata(folder.join(&name))?;
            text.push_str(&match metadata.is_dir() {
                true => format!("{:>10}  {name}/\n", "folder"),
                false => format!("{:>10}  {name}\n", metadata.len()),
            });
        }
        let made = self.archs.iter().map(|&arch| crate::product::machine(arch));
        let made: Vec<&str> = made.collect();
        let targets = program::TARGETS.map(crate::product::machine);
        let not_made = targets.into_iter().filter(|name| !made.contains(name));
        text.push_str(&format!("made for {}", made.join(", ")));
        for name in not_made {
            text.push_str(&format!("; not for {name} (--arch)"));
        }
        text.push_str(&match &self.signing {
            Signing::Key(key) => format!("\nsigned with {}", key.fingerprint()),
            Signing::None => "\nNOT SIGNED: with these repositories, whoever is between a machine \
                              and the server decides what is installed as root"
                .to_owned(),
        });
        for note in &self.revision.notes {
            text.push_str(&format!("\nnote: {note}"));
        }
        Ok(text)
    }
}

/// Copies a file into a folder, under its own name.
fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default();
    write(&folder.join(name), &read(file)?, 0o644)
}

/// Writes the checksums of all files of the folder, as sha256sum(1) does.
fn write_sums(folder: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            lines.push(format!("{}  {name}\n", checksum(&read(&entry.path())?)));
        }
    }
    lines.sort_by(|a, b| a.split("  ").nth(1).cmp(&b.split("  ").nth(1)));
    write(&folder.join(SUMS), lines.concat().as_bytes(), 0o644)
}
