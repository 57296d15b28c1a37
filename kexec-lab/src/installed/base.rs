//! Base systems: a Debian suite with an init, as one tar file that every
//! image of that system is made from.

use super::files::{fingerprint, one_maker, remove_old};
use crate::apt::Suite;
use crate::lab::{Lab, LabKernel};
use crate::programs::StartProgram;
use crate::progress::watched;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// To be raised when what this file or its script makes changes in a way that
/// its inputs do not show.
const VERSION: u32 = 1;
/// What turns a fresh system into one of the lab's.
const CUSTOMIZE: &str = include_str!("scripts/base.sh");

/// What brings a system up and takes it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InitSystem {
    /// systemd with logind, in the version of the suite.
    Systemd,
    /// sysvinit with Debian's init scripts.
    Sysvinit,
    /// busybox, with a short inittab of the lab.
    Busybox,
}

/// What makes the initramfs images of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generator {
    /// initramfs-tools, Debian's own.
    InitramfsTools,
    /// dracut, as Fedora has it.
    Dracut,
}

/// What a base system is made of. Two equal recipes are one file in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The Debian release.
    pub suite: Suite,
    /// The init that is installed.
    pub init: InitSystem,
    /// The generator of initramfs images that is installed.
    pub generator: Generator,
    /// Packages beyond those that every base system has.
    pub packages: Vec<String>,
}

/// A base system in the cache.
#[derive(Debug, Clone)]
pub struct Base {
    /// The tar archive of its root file system.
    pub tar: PathBuf,
    /// The init of its [`Recipe`].
    pub init: InitSystem,
    /// Names this recipe and its state, for what is made from it.
    pub key: String,
    /// Releases of its kernels as a boot loader sorts them, the newest first.
    pub kernels: Vec<String>,
}

impl Recipe {
    /// Every package that mmdebstrap is told to install.
    fn include(&self) -> Vec<String> {
        let mut names = vec![
            "kmod",
            "udev",
            "e2fsprogs",
            "dosfstools",
            "linux-image-cloud-amd64",
        ];
        names.extend(match self.generator {
            Generator::InitramfsTools => ["initramfs-tools"],
            Generator::Dracut => ["dracut"],
        });
        names.extend(["grub-common", "grub2-common", "grub-pc-bin"]);
        match self.init {
            InitSystem::Systemd => {
                names.extend(["systemd-sysv", "dbus", "libpam-systemd"]);
                names.extend(["grub-efi-amd64-bin", "systemd-boot", "systemd-boot-efi"]);
                // Bookworm's systemd has no ukify yet; its manual makes unified
                // images with objcopy.
                names.extend(match self.suite {
                    Suite::Bullseye | Suite::Bookworm | Suite::BookwormBackports => {
                        ["binutils"].as_slice()
                    }
                    _ => &["systemd-ukify", "python3-pefile"],
                });
            }
            InitSystem::Sysvinit => names.extend(["sysvinit-core", "sysv-rc", "initscripts"]),
            InitSystem::Busybox => names.extend(["busybox-static"]),
        }
        let mut names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        names.extend(self.packages.iter().cloned());
        names
    }

    /// The label (see [`crate::KERNELS`]) of the kernel that is put beside the
    /// suite's own.
    fn second_kernel(&self) -> &'static str {
        match self.suite {
            Suite::Trixie | Suite::TrixieBackports => "6.1",
            Suite::Bullseye
            | Suite::Bookworm
            | Suite::BookwormI386
            | Suite::BookwormArm64
            | Suite::BookwormArmhf
            | Suite::BookwormPpc64el
            | Suite::BookwormS390x
            | Suite::BookwormBackports
            | Suite::Sid => "6.12",
        }
    }
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:?}-{:?}", self.suite, self.init, self.generator)?;
        self.packages
            .iter()
            .try_for_each(|package| write!(f, "-{package}"))
    }
}

/// The base system of this recipe, made if it is not in the cache.
///
/// # Errors
/// If it has to be made and this is not root, mmdebstrap is missing, or a
/// package cannot be fetched.
pub fn prepare(lab: &Lab, recipe: &Recipe) -> Result<Base> {
    let second = lab.kernel(recipe.second_kernel())?;
    let include = recipe.include();
    let parts = [
        VERSION.to_string(),
        CUSTOMIZE.to_owned(),
        include.join(","),
        second.release.clone(),
    ];
    let parts = parts.each_ref().map(String::as_bytes);
    let prefix = format!("{recipe}-").to_lowercase();
    let key = format!("{prefix}{:016x}", fingerprint(&parts));
    let folder = lab.folder().join("bases");
    let tar = folder.join(format!("{key}.tar"));
    let record = folder.join(format!("{key}.json"));
    let _one_maker = one_maker(&folder, &key)?;
    if !record.exists() {
        let kernels = make(lab, recipe, &include, &second, &tar)
            .with_context(|| format!("making the base system {recipe}"))?;
        fs::write(&record, serde_json::to_vec(&kernels)?)
            .with_context(|| format!("writing {}", record.display()))?;
        remove_old(&folder, &prefix, &key);
        remove_old(&lab.folder().join("images"), &prefix, &key);
    }
    let kernels = serde_json::from_slice(&crate::files::read(&record)?)
        .with_context(|| format!("reading {}", record.display()))?;
    Ok(Base {
        tar,
        init: recipe.init,
        key,
        kernels,
    })
}

impl Base {
    /// Names of the packages that are installed in it.
    pub(super) fn packages(&self) -> Result<BTreeSet<String>> {
        let output = Command::new("tar")
            .args(["--extract", "--to-stdout", "--occurrence=1", "--file"])
            .arg(&self.tar)
            .arg("./var/lib/dpkg/status")
            .start_output()?;
        if !output.status.success() {
            bail!(
                "tar, asked for the dpkg status in {}, ended with {}: {}",
                self.tar.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(installed(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// The packages that a dpkg status says are installed: deb-control(5), stanzas
/// with `Package:` and `Status:`, whose last word is the state.
fn installed(status: &str) -> BTreeSet<String> {
    status
        .split("\n\n")
        .filter_map(|stanza| {
            let value = |key| stanza.lines().find_map(|line| line.strip_prefix(key));
            let is_installed = value("Status: ")?.ends_with(" installed");
            is_installed.then_some(value("Package: ")?.to_owned())
        })
        .collect()
}

/// Runs mmdebstrap; its file takes its final name as the last act.
fn make(
    lab: &Lab,
    recipe: &Recipe,
    include: &[String],
    second: &LabKernel,
    tar: &Path,
) -> Result<Vec<String>> {
    require_root()?;
    eprintln!(
        "lab: making the base system {recipe} ({} and what they need)",
        include.join(" ")
    );
    let scratch = tempfile::tempdir().context("making a folder for the base system's scripts")?;
    let hook = scratch.path().join("customize");
    fs::write(&hook, CUSTOMIZE)
        .and_then(|()| fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)))
        .context("writing the base system's script")?;
    let releases = scratch.path().join("releases");
    let (sources, settings) = lab.apt_sources(recipe.suite)?;
    let options = scratch.path().join("apt.conf");
    fs::write(&options, settings).context("writing the base system's apt settings")?;
    let partial = tar.with_extension(format!("partial-{}", std::process::id()));
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=minbase", "--mode=root", "--format=tar"])
        .arg(format!("--include={}", include.join(",")))
        .arg(format!("--aptopt={}", options.display()))
        .args(
            ["doc", "man", "locale", "info"]
                .map(|what| format!("--dpkgopt=path-exclude=/usr/share/{what}/*")),
        )
        .arg(format!("--customize-hook={}", hook.display()))
        .arg(recipe.suite.name())
        .arg(&partial)
        .arg(&sources)
        .env("LAB_INIT", format!("{:?}", recipe.init))
        .env("LAB_KERNEL", &second.path)
        .env("LAB_MODULES", &second.modules)
        .env("LAB_RELEASE", &second.release)
        .env("LAB_RELEASES", &releases);
    let log = scratch.path().join("log");
    command.arg(format!("--logfile={}", log.display()));
    let say = || format!("the base system {recipe}: {}", last_line(&log));
    let output = watched(&mut command, say)?;
    if !output.status.success() {
        let _ = fs::remove_file(&partial);
        let mut log = fs::read_to_string(&log).unwrap_or_default();
        log.push_str(&String::from_utf8_lossy(&output.stderr));
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(30);
        bail!(
            "mmdebstrap ended with {}; its last lines are:\n{}",
            output.status,
            lines.get(from..).unwrap_or_default().join("\n")
        );
    }
    let kernels: Vec<String> = fs::read_to_string(&releases)
        .context("reading which kernels the base system has")?
        .lines()
        .map(str::to_owned)
        .collect();
    if kernels.len() != 2 {
        bail!("expected two kernels in the base system, found {kernels:?}");
    }
    fs::rename(&partial, tar).with_context(|| format!("moving {}", tar.display()))?;
    Ok(kernels)
}

/// What mmdebstrap said last in its log: `I: downloading packages with apt...`.
fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rfind(|line| line.starts_with("I: "));
    let last = last.map_or("starting", |line| line.trim_start_matches("I: "));
    last.trim_end_matches('.').to_owned()
}

/// Refuses to go on where files cannot be given to other users.
pub(super) fn require_root() -> Result<()> {
    let output = Command::new("id").arg("-u").start_output()?;
    if output.stdout.trim_ascii() != b"0" {
        bail!(
            "installed systems are unpacked with their owners and changed in a chroot, which only \
             root may do: run this as root once; what it makes is kept in the lab's folder"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1\n\n\
                      Package: b\nStatus: deinstall ok config-files\n\n\
                      Package: c\nStatus: hold ok installed\nDescription: x\n Package: d\n";
        let names: Vec<String> = installed(status).into_iter().collect();
        assert_eq!(names, ["a", "c"]);
    }
}
