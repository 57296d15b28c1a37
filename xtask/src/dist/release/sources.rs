//! The sources of a release as one archive, and what is made with its checksum.

use super::super::stage::{compressed, read, write};
use super::super::texts::VERSION;
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::{StartProgram, output_of};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What of the repository is released.
#[derive(Debug)]
pub struct Revision {
    /// The tree whose files are packed.
    commit: String,
    /// What has to be known of it, for whoever releases it.
    pub notes: Vec<String>,
}

impl Revision {
    /// The last commit. A signed release is of nothing else; `or_changed` allows files
    /// that were changed since, and takes them as they are.
    ///
    /// # Errors
    /// If there is no repository, files were changed, or the tag of this version is
    /// another commit's.
    pub fn of_checkout(or_changed: bool) -> Result<Revision> {
        let mut notes = Vec::new();
        let head = git(&["rev-parse", "HEAD"])?;
        // A new file below docs/ would be in the packages, and not in the archive.
        let new = match or_changed {
            true => "--untracked-files=no",
            false => "--untracked-files=normal",
        };
        let changed = git(&["status", "--porcelain", new])?;
        let tag = format!("v{VERSION}");
        let tagged = git(&[
            "rev-parse",
            "--quiet",
            "--verify",
            &format!("{tag}^{{commit}}"),
        ]);
        match tagged {
            Ok(commit) if commit == head => {}
            Ok(commit) if !or_changed => bail!(
                "the tag {tag} is the commit {commit}, and this checkout is {head}: check out the \
                 tag, or raise the version in Cargo.toml"
            ),
            _ => notes.push(format!(
                "no tag {tag} at this commit: set it before this is published (git tag -s {tag})"
            )),
        }
        let commit = match changed.as_str() {
            "" => head,
            _ if or_changed => {
                notes.push(
                    "files were changed since the last commit: not for publishing".to_owned(),
                );
                // A commit of the files as they are, which no branch has.
                git(&["stash", "create"])?
            }
            changed => bail!(
                "files were changed since the last commit, and a release is of a commit:\n{changed}\n\
                 commit them, or put them away with git stash"
            ),
        };
        Ok(Revision { commit, notes })
    }

    /// Writes `kexec-rs-VERSION.tar.gz`: the same commit makes the same bytes.
    pub fn archive(&self, folder: &Path) -> Result<PathBuf> {
        let output = Command::new("git")
            // Not the user's umask.
            .args(["-c", "tar.umask=0022", "archive", "--format=tar"])
            .arg(format!("--prefix=kexec-rs-{VERSION}/"))
            .arg(&self.commit)
            .current_dir(host::root())
            .start_output()?;
        ensure!(
            output.status.success(),
            "git archive ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let path = folder.join(archive_name());
        write(&path, &compressed(&output.stdout)?, 0o644)?;
        Ok(path)
    }
}

/// Refuses a changelog that does not have this version.
///
/// # Errors
/// If CHANGELOG.md has no heading with the version.
pub fn require_changelog() -> Result<()> {
    let path = host::root().join("CHANGELOG.md");
    let text = String::from_utf8(read(&path)?).context("CHANGELOG.md is no text")?;
    ensure!(
        has_heading(&text),
        "looked for the heading `## {VERSION}` in CHANGELOG.md: there is none; describe what the \
         release brings"
    );
    Ok(())
}

/// `## 0.1.0`, `## [0.1.0] - 2026-11-29`.
fn has_heading(changelog: &str) -> bool {
    let headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "));
    headings
        .filter_map(|heading| heading.split(' ').next())
        .any(|version| version.trim_matches(['[', ']']) == VERSION)
}

/// What the archive of the sources is called.
pub fn archive_name() -> String {
    format!("kexec-rs-{VERSION}.tar.gz")
}

/// Writes dist/arch/PKGBUILD with the checksum of this archive, and what it includes.
pub fn pkgbuild(folder: &Path, archive: &Path) -> Result<()> {
    let from = host::root().join("dist/arch");
    let text = String::from_utf8(read(&from.join("PKGBUILD"))?).context("PKGBUILD is no text")?;
    let text = with_checksum(&text, &checksum(&read(archive)?))?;
    write(&folder.join("PKGBUILD"), text.as_bytes(), 0o644)?;
    let install = "kexec-rs.install";
    write(&folder.join(install), &read(&from.join(install))?, 0o644)
}

fn with_checksum(pkgbuild: &str, checksum: &str) -> Result<String> {
    const NONE: &str = "sha256sums=(SKIP)";
    ensure!(
        pkgbuild.matches(NONE).count() == 1,
        "looked for {NONE} in dist/arch/PKGBUILD, to write the checksum in its place: found it \
         {} times",
        pkgbuild.matches(NONE).count()
    );
    Ok(pkgbuild.replace(NONE, &format!("sha256sums=({checksum})")))
}

/// SHA-256 in hexadecimal.
pub fn checksum(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What git prints, without the end of the last line.
fn git(words: &[&str]) -> Result<String> {
    let text = output_of(Command::new("git").args(words).current_dir(host::root()))?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_has_the_version_in_a_heading() {
        for heading in [VERSION.to_owned(), format!("[{VERSION}] - 2026-11-29")] {
            assert!(has_heading(&format!("# Changelog\n\n## {heading}\n")));
        }
        assert!(!has_heading(&format!(
            "## Unreleased\n\n- {VERSION}\n\n## {VERSION}1\n"
        )));
    }

    #[test]
    fn the_pkgbuild_gets_the_checksum() {
        let text = std::fs::read_to_string(host::root().join("dist/arch/PKGBUILD")).unwrap();
        let sum = checksum(b"abc");
        // FIPS 180-4's example.
        assert!(sum.starts_with("ba7816bf") && sum.ends_with("f20015ad"));
        let made = with_checksum(&text, &sum).unwrap();
        assert!(made.contains(&format!("\nsha256sums=({sum})\n")) && !made.contains("SKIP"));
        assert!(with_checksum(&made, &sum).is_err());
        // It asks for the archive by the name that the release has.
        let url = format!("releases/download/v$pkgver/{}", "$pkgname-$pkgver.tar.gz");
        assert!(text.contains(&url), "{text}");
        assert_eq!(archive_name(), format!("kexec-rs-{VERSION}.tar.gz"));
    }
}
