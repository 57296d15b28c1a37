//! What was loaded, remembered for `kexec status`: the kernel itself only knows
//! whether something is loaded. Kept under /run, so that it ends with the boot;
//! readable for root only, because command lines can hold secrets.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kexec_plan::{Cmdline, Decision, FilePlan};
use kexec_sys::Slot;
use serde::{Deserialize, Serialize};

use super::private;
use crate::preload::Preloaded;

/// What is remembered of one load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this layout.
    pub format: u32,
    /// Seconds since 1970 when it was loaded.
    pub time: u64,
    /// The kernel file.
    pub kernel: String,
    /// What the kernel file is.
    pub image: String,
    /// The kernel's release, when its header says it.
    pub release: Option<String>,
    /// Bytes of the kernel that was handed over.
    pub kernel_len: usize,
    /// Where the parts of the initrd came from.
    pub initrd: Vec<String>,
    /// Bytes of the initrd.
    pub initrd_len: usize,
    /// The next kernel's command line.
    pub cmdline: Cmdline,
    /// The system call.
    pub method: String,
    /// Why that one.
    pub reason: String,
    /// It was loaded ahead, and from what.
    #[serde(default)]
    pub preloaded: Option<Preloaded>,
}

impl Record {
    /// What to remember of a plan that was carried out now.
    pub fn of(plan: &FilePlan, decision: &Decision, now: SystemTime) -> Record {
        Record {
            format: 1,
            time: now
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            kernel: plan.kernel.origin.clone(),
            image: plan.format.clone(),
            release: plan.release.clone(),
            kernel_len: plan.kernel.len,
            initrd: plan.initrd.iter().map(|p| p.origin.clone()).collect(),
            initrd_len: plan.initrd_len(),
            cmdline: plan.cmdline.clone(),
            method: decision.method.name().to_owned(),
            reason: decision.reason.clone(),
            preloaded: None,
        }
    }
}

/// Where the record of a slot is, below `root`.
pub fn path(root: &Path, slot: Slot) -> PathBuf {
    root.join("run/kexec").join(match slot {
        Slot::Normal => "loaded.json",
        Slot::Crash => "crash.json",
    })
}

/// Writes the record of a slot, whole or not at all.
///
/// # Errors
/// When /run is missing or not writable; the load itself is not affected.
pub fn write(root: &Path, slot: Slot, record: &Record) -> io::Result<()> {
    let path = path(root, slot);
    let text = serde_json::to_vec_pretty(record)?;
    if let Some(folder) = path.parent() {
        // Not recursive: without a /run there is nothing to remember in.
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    private::write(&path, &text, false)
}

/// Forgets a slot's record; that there was none is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(root: &Path, slot: Slot) -> io::Result<()> {
    match fs::remove_file(path(root, slot)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads a slot's record; `None` when there is none or it is not readable.
pub fn read(root: &Path, slot: Slot) -> Option<Record> {
    let text = fs::read(path(root, slot)).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.format == 1).then_some(record)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record() -> Record {
        Record {
            format: 1,
            time: 1,
            kernel: "/boot/vmlinuz".into(),
            image: "bzImage".into(),
            release: None,
            kernel_len: 3,
            initrd: vec![],
            initrd_len: 0,
            cmdline: "luks.key=secret".into(),
            method: "kexec_file_load".into(),
            reason: "-s asks for it".into(),
            preloaded: None,
        }
    }

    #[test]
    fn written_read_and_forgotten() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        write(root.path(), Slot::Normal, &record()).unwrap();
        write(root.path(), Slot::Normal, &record()).unwrap();
        assert_eq!(read(root.path(), Slot::Normal), Some(record()));
        assert_eq!(read(root.path(), Slot::Crash), None);
        let file = path(root.path(), Slot::Normal);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        forget(root.path(), Slot::Normal).unwrap();
        forget(root.path(), Slot::Normal).unwrap();
        assert_eq!(read(root.path(), Slot::Normal), None);
    }

    #[test]
    fn without_run_nothing_is_made() {
        let root = tempfile::tempdir().unwrap();
        assert!(write(root.path(), Slot::Normal, &record()).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
