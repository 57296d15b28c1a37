//! The lab's own files in every installed system, and its helpers on the host.

use super::base::InitSystem;
use super::installer;
use super::layout::SystemLayout;
use crate::cpio::ArchiveMember;
use crate::initramfs::Initramfs;
use crate::programs::StartProgram;
use crate::scripts::FUNCTIONS;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const RUNNER: &str = include_str!("scripts/runner.sh");
const SERVICE: &str = include_str!("scripts/lab.service");
/// What a fresh system would make up in its first boot.
const MACHINE_ID: &str = "6b657865636c616200000000000000aa\n";
const BUSYBOX: &str = include_str!("scripts/busybox-inittab");
const BUSYBOX_START: &str = include_str!("scripts/busybox-start");
const BUSYBOX_STOP: &str = include_str!("scripts/busybox-stop");

/// What runs the trials, and what finishes the installation.
pub(super) fn of(init: InitSystem, layout: SystemLayout) -> Initramfs {
    let mut files = Initramfs::new();
    files.directory("lab/trial");
    files.program("lab/run", RUNNER);
    files.file("lab/functions", FUNCTIONS);
    files.file("etc/machine-id", MACHINE_ID);
    files.file("etc/hostname", "lab\n");
    if !layout.guest_script().is_empty() {
        files.program("lab/install", installer::SCRIPT);
        files.file("lab/install-script", layout.guest_script());
    }
    match init {
        InitSystem::Systemd => {
            let unit = "etc/systemd/system/lab.service";
            files.file(unit, SERVICE);
            files.symlink(
                "etc/systemd/system/multi-user.target.wants/lab.service",
                "/etc/systemd/system/lab.service",
            );
        }
        // Its inittab is part of the base system.
        InitSystem::Sysvinit => {}
        InitSystem::Busybox => {
            files.file("etc/inittab", BUSYBOX);
            files.program("lab/busybox-start", BUSYBOX_START);
            files.program("lab/busybox-stop", BUSYBOX_STOP);
        }
    }
    files
}

/// Writes files below a folder.
pub(super) fn write(root: &Path, files: &Initramfs) -> Result<()> {
    for (name, entry) in files.members() {
        let path = root.join(name);
        let written = match entry {
            ArchiveMember::Directory if path.is_dir() => Ok(()),
            ArchiveMember::Directory => fs::create_dir(&path),
            ArchiveMember::File { mode, data } => fs::write(&path, data)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(*mode))),
            ArchiveMember::Symlink(target) => symlink(target, &path),
            ArchiveMember::CharDevice { .. } => bail!("no devices are written to a folder: {name}"),
        };
        written.with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Runs a tool of the host; what it says is part of the error.
pub(super) fn call(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.start_output()?;
    if !output.status.success() {
        bail!(
            "{name} ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout).trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Holds back other processes that would make the same file of the cache.
pub(super) fn one_maker(folder: &Path, name: &str) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    file.lock()
        .with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

/// Removes what an older recipe made: files of this folder that begin with
/// `prefix`, are not of `current`, and are older than two days: a test that
/// started with one of them may still be at work.
pub(super) fn remove_old(folder: &Path, prefix: &str, current: &str) {
    const KEEP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEEP));
        if is_old && name.starts_with(prefix) && !name.starts_with(current) {
            // A cache: what cannot be removed now is removed another time.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// FNV-1a: names what is made of exactly these parts.
pub(super) fn fingerprint(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.iter().chain(std::iter::once(&0)))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn only_what_is_old_and_replaced_goes() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
        for (name, is_old) in [
            ("sid-1.tar", true),
            ("sid-2.tar", true),
            ("sid-3.tar", false),
            ("trixie-1.tar", true),
        ] {
            let file = File::create(folder.path().join(name)).unwrap();
            if is_old {
                file.set_modified(long_ago).unwrap();
            }
        }
        remove_old(folder.path(), "sid-", "sid-2");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["sid-2.tar", "sid-3.tar", "trixie-1.tar"]);
    }
}
