//! One lock for everything that loads, unloads or hands over: on the folder
//! /run/kexec itself, so that neither a full /run nor one that cannot be written to
//! keeps anybody from taking it. The kernel gives it back when its holder dies.
//!
//! Where there is no such folder and none can be made (an early initramfs without
//! /run, a caller who is not root), there are no records that two programs could
//! spoil, and `kexec -l` and `kexec -e` go on without it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::files::{Files, OnDisk};
use super::outcome::duration;
use crate::Error;

/// How long a load or an unload waits for another one. The largest load that was
/// measured in the lab takes 10 s.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a jump waits: it may be the last program of a shutdown.
pub const PATIENCE_OF_A_JUMP: Duration = Duration::from_secs(10);

/// How often it is tried.
const AGAIN: Duration = Duration::from_millis(50);
/// When it is said that somebody is waited for.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// Who holds the lock. No command line: it can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it does: `kexec preload`.
    pub command: String,
    /// Milliseconds of uptime since which it has the lock.
    pub since: u64,
}

impl Holder {
    /// For people.
    pub fn text(&self) -> String {
        let passed = super::boot::uptime_ms().saturating_sub(self.since);
        format!(
            "`{}` (process {}) has held the lock for {}",
            self.command,
            self.pid,
            duration(passed)
        )
    }
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// The folder that is locked; `None` where there is none.
    folder: Option<File>,
    path: PathBuf,
}

impl Lock {
    /// Whether anybody is kept out by it.
    pub fn is_held(&self) -> bool {
        self.folder.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.folder.is_some() {
            let _ = OnDisk.remove(&holder_file(&self.path));
        }
    }
}

/// The folder that is locked.
fn folder(root: &Path) -> PathBuf {
    root.join("run/kexec")
}

fn holder_file(folder: &Path) -> PathBuf {
    folder.join("holder.json")
}

fn open(folder: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().try_into().map_err(io::Error::other)?)
        .open(folder)
}

/// Takes the lock for `command`, within `patience`; `say` is told whom it waits for.
///
/// # Errors
/// [`Error::System`]: somebody else has it for so long; says who.
pub fn lock(
    root: &Path,
    command: &str,
    patience: Duration,
    say: &mut dyn FnMut(String),
) -> Result<Lock, Error> {
    let path = folder(root);
    // That it cannot be made shows when it is opened.
    let _ = OnDisk.make_folder(&path, false);
    let Ok(file) = open(&path) else {
        return Ok(Lock { folder: None, path });
    };
    let started = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // A file system without locks has no records that are worth one.
            Err(TryLockError::Error(_)) => return Ok(Lock { folder: None, path }),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = started.elapsed();
        if waited >= patience {
            return Err(busy(&path, command, patience));
        }
        if waited >= SAY_AFTER && !said {
            said = true;
            say(format!(
                "waiting for at most {}: {}",
                seconds(patience),
                who(&path)
            ));
        }
        std::thread::sleep(AGAIN);
    }
    let holder = Holder {
        pid: std::process::id(),
        command: command.to_owned(),
        since: super::boot::uptime_ms(),
    };
    // Without it the next one only says less.
    if let Ok(text) = serde_json::to_vec(&holder) {
        let _ = OnDisk.write_new(&holder_file(&path), &text);
    }
    Ok(Lock {
        folder: Some(file),
        path,
    })
}

fn seconds(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn busy(folder: &Path, command: &str, patience: Duration) -> Error {
    let holder = read(folder);
    let remedy = match &holder {
        Some(holder) => format!(
            "wait until it is done, or end process {} if it hangs; then try again",
            holder.pid
        ),
        None => "wait until it is done, then try again; `fuser /run/kexec` names it".to_owned(),
    };
    Error::System {
        what: format!("`{command}` waited {} for its turn", seconds(patience)),
        reason: who(folder),
        remedy,
    }
}

fn read(folder: &Path) -> Option<Holder> {
    let text = OnDisk.read(&holder_file(folder)).ok()??;
    serde_json::from_slice(&text).ok()
}

fn who(folder: &Path) -> String {
    read(folder).map_or_else(
        || "another program has locked /run/kexec".to_owned(),
        |holder| holder.text(),
    )
}

/// Whether somebody is at work just now, for those who only look; with who, as far
/// as that is known.
pub fn held_by(root: &Path) -> Option<String> {
    let path = folder(root);
    let file = open(&path).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| who(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(120);

    fn try_it(root: &Path, command: &str) -> Result<Lock, Error> {
        lock(root, command, SHORT, &mut |_| {})
    }

    #[test]
    fn one_at_a_time_and_who_it_is() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        assert!(held.is_held());
        let error = try_it(root.path(), "kexec -l").unwrap_err();
        let text = format!("{error}: {}", error.hint());
        let pid = std::process::id();
        for words in [
            "`kexec -l` waited 120 ms",
            &format!("`kexec preload` (process {pid}) has held"),
            &format!("end process {pid}"),
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(held_by(root.path()).unwrap().contains("kexec preload"));
        drop(held);
        assert_eq!(held_by(root.path()), None);
        assert!(try_it(root.path(), "kexec -e").unwrap().is_held());
    }

    #[test]
    fn who_cannot_write_down_its_name_has_it_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/kexec/holder.json")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        assert!(held.is_held());
        let error = try_it(root.path(), "kexec -l").unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        assert!(error.hint().contains("fuser"), "{}", error.hint());
    }

    #[test]
    fn a_bare_initramfs_has_none_and_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let held = try_it(root.path(), "kexec -l").unwrap();
        assert!(!held.is_held());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(held_by(root.path()), None);
    }

    #[test]
    fn the_wait_is_told() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        let mut said = Vec::new();
        let waited = SAY_AFTER + SHORT;
        assert!(lock(root.path(), "kexec -u", waited, &mut |text| said.push(text)).is_err());
        drop(held);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("kexec preload"), "{said:?}");
    }
}
