//! Loading ahead: what a reboot would boot lies in the kernel's slot before
//! anybody asks for a reboot, so that whoever asks gets a kexec.
//!
//! ```text
//! Situation (read) ──decide──▶ Step: leave it, load, or take it out
//! ```
//!
//! One rule stands above all others: what is loaded ahead is what a reboot
//! through the firmware would boot now, or the machine is left to the firmware.
//! Where that cannot be told, what is loaded stays, and a warning says so.

mod fresh;
mod policy;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use fresh::{FileStamp, Fingerprint};
pub use policy::{InSlot, Moment, Situation, Step, decide};

/// What is loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// What a reboot would boot.
    Default,
    /// A kernel by its name in /boot, as kexec-load@NAME.service asks for.
    Named(String),
}

/// What a record remembers of an image that was loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preloaded {
    /// What it is.
    pub of: Of,
    /// The files it came from, as they were.
    pub from: Fingerprint,
}

/// Where it is remembered that this boot is to end in the firmware: nothing is
/// loaded ahead any more. Under /run, so that it ends with the boot.
pub fn cold_flag(root: &Path) -> PathBuf {
    root.join("run/kexec/cold")
}

/// Remembers it.
///
/// # Errors
/// When /run cannot be written to.
pub fn choose_cold(root: &Path) -> io::Result<()> {
    let path = cold_flag(root);
    if let Some(folder) = path.parent() {
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    fs::write(path, "")
}

/// Forgets it.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn choose_kexec(root: &Path) -> io::Result<()> {
    match fs::remove_file(cold_flag(root)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Keeps every other `kexec preload` out until it is dropped: a package's hooks
/// and a unit may run at once. `None` where /run cannot be written to.
pub fn lock(root: &Path) -> Option<fs::File> {
    let folder = root.join("run/kexec");
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return None,
        _ => {}
    }
    let file = fs::File::create(folder.join("lock")).ok()?;
    file.lock().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_boot_is_chosen_and_taken_back() {
        let root = tempfile::tempdir().unwrap();
        assert!(choose_cold(root.path()).is_err());
        fs::create_dir(root.path().join("run")).unwrap();
        choose_cold(root.path()).unwrap();
        choose_cold(root.path()).unwrap();
        assert!(cold_flag(root.path()).exists());
        choose_kexec(root.path()).unwrap();
        choose_kexec(root.path()).unwrap();
        assert!(!cold_flag(root.path()).exists());
        assert!(lock(root.path()).is_some());
    }
}
