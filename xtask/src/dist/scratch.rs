//! An empty root, into which a package manager's own program installs a package.

use super::stage::{StagedFile, read, write};
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::StartProgram;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where package managers keep their own things; and what scripts write to
/// /dev/null is a file here.
const THEIRS: &[&str] = &["dev", "tmp", "var"];
/// What [`Scratch::record`] writes, below the root.
const SAID: &str = "said";
/// Says with which words it was called, and which kernels were there.
const RECORDER: &str = "#!/bin/sh\n\
    echo \"$*\" >> /said\n\
    for kernel in /usr/lib/modules/*/vmlinuz; do\n\
    \t[ ! -e \"$kernel\" ] || echo \"there is $kernel\" >> /said\n\
    done\n";

/// A folder that packages are installed into as if it were `/`.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    /// Files that were there before anything was installed.
    before: BTreeSet<String>,
}

impl Scratch {
    /// A root with nothing but a shell, which scripts of packages run in, and what
    /// ours call.
    pub fn new() -> Result<Scratch> {
        let folder = tempfile::tempdir().context("making a folder for a root")?;
        for path in shell()? {
            let place = below(folder.path(), &path);
            let parent = place.parent().unwrap_or(folder.path());
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            write(&place, &read(&path)?, 0o755)?;
        }
        for theirs in THEIRS {
            fs::create_dir(folder.path().join(theirs)).context("making a folder of the root")?;
        }
        let before = files(folder.path())?;
        Ok(Scratch { folder, before })
    }

    /// The folder, as seen from outside.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Compares what was installed with what was to be: names, permissions, owners,
    /// and every byte.
    pub fn compare(&self, items: &[StagedFile]) -> Result<()> {
        let there = files(self.path())?;
        let installed: BTreeSet<&str> =
            there.difference(&self.before).map(String::as_str).collect();
        let wanted: BTreeSet<&str> = items.iter().map(|item| item.to.as_str()).collect();
        ensure!(
            installed == wanted,
            "installing the package brought {:?} that the table has not, and not {:?} that it has",
            installed.difference(&wanted).collect::<Vec<_>>(),
            wanted.difference(&installed).collect::<Vec<_>>()
        );
        let owner = fs::metadata(self.path())?.uid();
        for item in items {
            let path = self.path().join(&item.to);
            let metadata = fs::symlink_metadata(&path)?;
            if let Some(target) = item.link {
                ensure!(
                    fs::read_link(&path).is_ok_and(|found| found == Path::new(target)),
                    "/{} was installed as something else than a link to {target}",
                    item.to
                );
                continue;
            }
            let mode = metadata.permissions().mode() & 0o7777;
            ensure!(
                metadata.is_file() && mode == item.mode && metadata.uid() == owner,
                "/{} was installed as a file of mode {mode:o} of user {}, expected {:o} of \
                 user {owner}",
                item.to,
                metadata.uid(),
                item.mode
            );
            ensure!(
                read(&path)? == item.data,
                "/{} was installed with other content than it was to have",
                item.to
            );
            for folder in Path::new(&item.to).ancestors().skip(1) {
                let mode = fs::metadata(self.path().join(folder))?.permissions().mode() & 0o7777;
                // The root itself is not the package's.
                ensure!(
                    mode == 0o755 || folder == Path::new(""),
                    "/{} was installed with mode {mode:o}, expected 755",
                    folder.display()
                );
            }
        }
        Ok(())
    }

    /// Puts a program in this place that only says how it was called.
    pub fn record(&self, place: &str) -> Result<()> {
        write(&self.path().join(place), RECORDER.as_bytes(), 0o755)
    }

    /// What that program said since it was asked last.
    pub fn said(&self) -> Result<Vec<String>> {
        let path = self.path().join(SAID);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).context("reading what was called")?;
        fs::remove_file(&path).context("removing what was called")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Fails if something of ours is there: a file or a folder that bears our name.
    pub fn nothing_left(&self) -> Result<()> {
        let mut left = Vec::new();
        for_each(self.path(), Path::new(""), &mut |path, _| {
            left.extend(
                path.to_str()
                    .filter(|path| path.contains("kexec"))
                    .map(str::to_owned),
            );
        })?;
        ensure!(
            left.is_empty(),
            "the package was removed, and this is left: {}",
            left.join(" ")
        );
        Ok(())
    }
}

/// A command that may change into the root: as root, or as the root of a user
/// namespace of its own.
pub fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if host::is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("unshare");
    command.arg("--map-root-user").arg(program.as_ref());
    Ok(command)
}

/// Runs a command; what it said on both outputs.
pub fn said_by(command: &mut Command) -> Result<String> {
    let output = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::process::Stdio::null())
        .start_output()?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        output.status.success(),
        "{:?} ended with {}: {said}",
        command.get_program(),
        output.status
    );
    Ok(said)
}

/// Refuses a machine without these programs.
pub fn require(programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = programs
        .iter()
        .filter(|(program, _)| !host::has(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (programs, packages): (Vec<_>, Vec<_>) = missing.into_iter().copied().unzip();
    bail!(
        "looked for {}: not on this machine. On Debian they are in the packages {}",
        programs.join(", "),
        packages.join(" ")
    )
}

/// The shell, rmdir(1), and the libraries that they need, as ldd(1) lists them.
fn shell() -> Result<BTreeSet<PathBuf>> {
    let programs = ["/bin/sh", "/bin/rmdir"];
    let said = said_by(Command::new("ldd").args(programs))?;
    // libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...), and before that
    // the program itself with a colon.
    Ok(said
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .chain(programs)
        .map(PathBuf::from)
        .collect())
}

/// A path from the root on, below another root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Every file that is not a package manager's.
fn files(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for_each(root, Path::new(""), &mut |path, is_folder| {
        if !is_folder {
            found.insert(path.display().to_string());
        }
    })?;
    Ok(found)
}

/// Calls with each file and each folder that is not a package manager's.
fn for_each(root: &Path, at: &Path, call: &mut impl FnMut(&Path, bool)) -> Result<()> {
    let folder = root.join(at);
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = at.join(entry.file_name());
        if THEIRS.iter().any(|theirs| path == Path::new(theirs)) {
            continue;
        }
        let is_folder = entry.file_type()?.is_dir();
        call(&path, is_folder);
        if is_folder {
            for_each(root, &path, call)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every comparison must see.
    #[test]
    fn differences_are_seen() {
        let scratch = Scratch::new().unwrap();
        let item = StagedFile {
            to: "usr/share/kexec-rs/x".to_owned(),
            mode: 0o644,
            data: b"x".to_vec(),
            link: None,
        };
        let items = [item];
        assert!(scratch.compare(&items).is_err(), "there is nothing");
        let folder = scratch.path().join("usr/share/kexec-rs");
        fs::create_dir_all(&folder).unwrap();
        for path in ["usr", "usr/share", "usr/share/kexec-rs"] {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(scratch.path().join(path), mode).unwrap();
        }
        let place = folder.join("x");
        write(&place, b"x", 0o644).unwrap();
        scratch.compare(&items).unwrap();
        let refused = |why: &str| {
            let error = format!("{:#}", scratch.compare(&items).unwrap_err());
            assert!(error.contains(why), "{error}");
        };
        write(&place, b"x", 0o600).unwrap();
        refused("mode 600");
        write(&place, b"y", 0o644).unwrap();
        refused("other content");
        write(&place, b"x", 0o644).unwrap();
        write(&folder.join("more"), b"", 0o644).unwrap();
        refused("that the table has not");
        fs::remove_file(folder.join("more")).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        refused("mode 700");
        let error = scratch.nothing_left().unwrap_err().to_string();
        assert!(error.contains("usr/share/kexec-rs/x"), "{error}");
        fs::remove_dir_all(folder).unwrap();
        scratch.nothing_left().unwrap();
    }

    #[test]
    fn calls_are_recorded() {
        let scratch = Scratch::new().unwrap();
        assert_eq!(scratch.said().unwrap(), Vec::<String>::new());
        fs::write(scratch.path().join(SAID), "one\ntwo\n").unwrap();
        assert_eq!(scratch.said().unwrap(), ["one", "two"]);
        assert_eq!(scratch.said().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        require(&[("sh", "dash")]).unwrap();
        let error = require(&[("sh", "dash"), ("no-such-program", "x")]).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error:#}");
    }
}
