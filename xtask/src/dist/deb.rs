//! A Debian package, by dpkg-deb(1) from a staged folder.

use super::files::{DEBIAN_CONTROL, PackageKind};
use super::stage::{Artifacts, StagedFile, items, read, same, settle, stage, write};
use super::texts::{
    DESCRIPTION, HOMEPAGE, MAINTAINER, STANDS_FOR, SUMMARY, VERSION, debian_version,
};
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_cli::args::Arch;
use kexec_lab::programs::StartProgram;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A package that was made.
#[derive(Debug)]
pub struct DebPackage {
    /// The `.deb` file.
    pub path: PathBuf,
    /// The files that it installs.
    pub items: Vec<StagedFile>,
    /// Kibibytes that it takes when it is installed, as it says itself.
    pub installed: u64,
}

/// Makes the package in a folder.
pub fn make(folder: &Path, inputs: &Artifacts) -> Result<DebPackage> {
    let items = items(PackageKind::Deb, inputs)?;
    let scratch = tempfile::tempdir().context("making a folder for the package")?;
    let tree = scratch.path().join("tree");
    stage(&tree, &items, inputs.date)?;
    let installed = installed_size(&items);
    let control = tree.join("DEBIAN");
    fs::create_dir(&control).context("making the folder DEBIAN")?;
    write(
        &control.join("control"),
        fields(installed, inputs.arch)?.as_bytes(),
        0o644,
    )?;
    write(
        &control.join("md5sums"),
        md5sums(&tree, &items)?.as_bytes(),
        0o644,
    )?;
    let conffiles: String = items
        .iter()
        .filter(|item| item.to.starts_with("etc/"))
        .map(|item| format!("/{}\n", item.to))
        .collect();
    if !conffiles.is_empty() {
        write(&control.join("conffiles"), conffiles.as_bytes(), 0o644)?;
    }
    for (source, name, mode) in DEBIAN_CONTROL {
        write(
            &control.join(name),
            &read(&host::root().join(source))?,
            *mode,
        )?;
    }
    settle(&tree, inputs.date)?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let name = format!(
        "kexec-rs_{}_{}.deb",
        debian_version(),
        debian_arch(inputs.arch)?
    );
    let path = folder.join(name);
    let epoch = seconds(inputs.date).to_string();
    host::call(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([&tree, &path])
            .env("SOURCE_DATE_EPOCH", epoch)
            .stdout(std::process::Stdio::null()),
    )?;
    Ok(DebPackage {
        path,
        items,
        installed,
    })
}

fn seconds(date: SystemTime) -> u64 {
    date.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// As Debian calls the architecture.
pub fn debian_arch(arch: Arch) -> Result<&'static str> {
    match arch {
        Arch::X86_64 => Ok("amd64"),
        Arch::Arm64 => Ok("arm64"),
        Arch::Riscv64 => Ok("riscv64"),
        other => bail!("no Debian package is made for {}", other.name()),
    }
}

/// The control file. Whoever depends on kexec-tools, with or without a version,
/// is content with this package (Debian Policy 7.5 and 7.6.2). Older versions of
/// molly-guard divert /sbin/coldreboot, which kexec-tools has as well.
fn fields(installed: u64, arch: Arch) -> Result<String> {
    let mut out = format!(
        "Package: kexec-rs\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\n\
         Installed-Size: {installed}\nSection: admin\nPriority: optional\nHomepage: {HOMEPAGE}\n\
         Provides: kexec-tools (= 1:{STANDS_FOR}+kexecrs{VERSION})\n\
         Conflicts: kexec-tools, molly-guard (<< 0.8.4~)\n\
         Replaces: kexec-tools\nDescription: {SUMMARY}\n",
        debian_version(),
        debian_arch(arch)?
    );
    for (number, paragraph) in DESCRIPTION.iter().enumerate() {
        if number > 0 {
            out.push_str(" .\n");
        }
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if line.len() + word.len() >= 75 {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{line}");
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(out, "{line}");
    }
    Ok(out)
}

/// Kibibytes: each file rounded up, and one for each folder (deb-substvars(5),
/// Installed-Size).
fn installed_size(items: &[StagedFile]) -> u64 {
    let mut folders: Vec<&Path> = items
        .iter()
        .flat_map(|item| Path::new(&item.to).ancestors().skip(1))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    let files = items.iter().map(|item| item.data.len().div_ceil(1024));
    u64::try_from(files.sum::<usize>() + folders.len()).unwrap_or(u64::MAX)
}

/// One line for each file (deb-md5sums(5)), except configuration and links.
fn md5sums(tree: &Path, items: &[StagedFile]) -> Result<String> {
    let files = items.iter().filter(|item| item.link.is_none());
    let names = files.map(|item| item.to.as_str());
    let output = Command::new("md5sum")
        .args(names.filter(|name| !name.starts_with("etc/")))
        .current_dir(tree)
        .start_output()?;
    ensure!(
        output.status.success(),
        "md5sum ended with {}",
        output.status
    );
    String::from_utf8(output.stdout).context("md5sum's answer is no text")
}

/// Has lintian(1) look at it; what it says must be in the overrides.
pub fn lint(deb: &DebPackage) -> Result<()> {
    let output = Command::new("lintian")
        .args(["--fail-on", "error,warning", "--tag-display-limit", "0"])
        .arg("--allow-root")
        .arg(&deb.path)
        .start_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.is_empty(),
        "lintian ended with {}: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Compares what dpkg-deb lists with what was to be in it.
pub fn compare(deb: &DebPackage) -> Result<()> {
    let output = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(&deb.path)
        .env("LC_ALL", "C.UTF-8")
        .start_output()?;
    ensure!(
        output.status.success(),
        "dpkg-deb ended with {}",
        output.status
    );
    let mut listed = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // -rwxr-xr-x root/root 2427152 2026-11-23 03:07 ./usr/sbin/kexec
        let words: Vec<&str> = line.split_whitespace().collect();
        // lrwxrwxrwx root/root 0 2026-11-23 03:07 ./usr/sbin/vmcore-dmesg -> kexec
        let (permissions, owner, size, path, target) = match words.as_slice() {
            [permissions, owner, size, _, _, path] => (permissions, owner, size, path, ""),
            [permissions, owner, size, _, _, path, "->", target] => {
                (permissions, owner, size, path, *target)
            }
            _ => bail!("dpkg-deb lists {line:?}"),
        };
        ensure!(*owner == "root/root", "{path} belongs to {owner}");
        let path = path.trim_start_matches("./");
        if permissions.starts_with('d') {
            ensure!(*permissions == "drwxr-xr-x", "{path} is {permissions}");
        } else {
            listed.push(format!("{path} {permissions} {size} {target}"));
        }
    }
    same(listed, deb.items.iter().map(StagedFile::line).collect())
}
