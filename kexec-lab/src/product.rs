//! Finding the `kexec` program that the scenarios test.

use crate::files::{read, workspace};
use crate::initramfs::Initramfs;
use crate::lab::Lab;
use anyhow::{Context, Result, bail, ensure};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In `KEXEC_BIN`: the real kexec-tools. A scenario that holds for it proves
/// the scenario; one that does not shows a difference.
const REFERENCE: &str = "kexec-tools";

/// The program under test, as files for a guest: it is `kexec` and `vmcore-dmesg` in
/// the path.
#[derive(Debug, Clone)]
pub struct Product {
    /// The files that put it into a guest's path.
    pub files: Initramfs,
    /// Whether it is the real kexec-tools and not ours.
    pub is_reference: bool,
}

impl Lab {
    /// The program that the environment's `KEXEC_BIN` names, or the release
    /// build of this workspace. `KEXEC_BIN=kexec-tools` is the real
    /// kexec-tools.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn product(&self) -> Result<Product> {
        if std::env::var_os("KEXEC_BIN").is_some_and(|value| value == REFERENCE) {
            let mut files = self.kexec_tools()?;
            files.symlink("bin/kexec", "/ref/kexec");
            files.symlink("bin/vmcore-dmesg", "/ref/vmcore-dmesg");
            return Ok(Product {
                files,
                is_reference: true,
            });
        }
        let mut files = Initramfs::new();
        files.program("bin/kexec", read(&kexec_binary()?)?);
        files.symlink("bin/vmcore-dmesg", "kexec");
        Ok(Product {
            files,
            is_reference: false,
        })
    }
}

/// What the program prints of a dump as `vmcore-dmesg`, with these options.
///
/// # Errors
/// If it cannot be run, or fails: what it said.
pub fn vmcore_dmesg(options: &[&str], dump: &Path) -> Result<String> {
    let output = Command::new(kexec_binary()?)
        .arg0("vmcore-dmesg")
        .args(options)
        .arg(dump)
        .output()
        .context("running vmcore-dmesg")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The environment's `KEXEC_BIN`, or the release build of this workspace.
///
/// # Errors
/// If there is no such file.
pub fn kexec_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KEXEC_BIN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "looked for the program to test at {} (KEXEC_BIN): there is no such file",
                path.display()
            );
        }
        return Ok(path);
    }
    // Tests run in the folder of their package, cargo in that of the workspace.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path = workspace()
        .join(target)
        .join("x86_64-unknown-linux-gnu/release/kexec");
    if !path.is_file() {
        bail!(
            "looked for the program to test at {}: there is no such file; \
             build it with `cargo build --release -p kexec-cli`, or name one in KEXEC_BIN",
            path.display()
        );
    }
    Ok(path)
}

/// The environment's `KEXEC_DEB`, or the newest package of this project in the
/// workspace's `target/dist`.
///
/// # Errors
/// If there is no such file.
pub fn kexec_deb() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KEXEC_DEB").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "looked for the package to test at {} (KEXEC_DEB): there is no such file",
                path.display()
            );
        }
        return Ok(path);
    }
    let folder = workspace().join("target/dist");
    let newest = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max_by_key(|path| {
            path.metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
        });
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let program = kexec_binary()?;
    match newest {
        // What an older program did must not pass for this one.
        Some(path) if modified(&path) < modified(&program) => bail!(
            "the package to test, {}, is older than the program {}: build it anew with \
             `cargo xtask dist deb`, or name one in KEXEC_DEB",
            path.display(),
            program.display()
        ),
        Some(path) => Ok(path),
        None => bail!(
            "looked for the package to test in {}: there is none; build it with \
             `cargo xtask dist deb`, or name one in KEXEC_DEB",
            folder.display()
        ),
    }
}

/// The environment's `KEXEC_RELEASE`, or the release that this workspace has made in
/// `target/dist/release`, for tests.
///
/// # Errors
/// If there is none, or it is older than the program.
pub fn kexec_release() -> Result<PathBuf> {
    let named = std::env::var_os("KEXEC_RELEASE").filter(|path| !path.is_empty());
    if let Some(path) = named {
        return Ok(PathBuf::from(path));
    }
    let folder = workspace().join("target/dist/release");
    // The files have the time of their sources, `release.made` that of its making.
    let made = folder.with_extension("made");
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    if modified(&made).is_none() || modified(&made) < modified(&kexec_binary()?) {
        bail!(
            "looked for a release of this program in {}: there is none, or an older one; make it \
             with `cargo xtask dist --check release`, or name one in KEXEC_RELEASE",
            folder.display()
        );
    }
    Ok(folder)
}
