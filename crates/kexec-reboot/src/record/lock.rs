//! One lock for everything that loads, unloads or hands over: on the folder
//! /run/kexec itself, so that neither a full /run nor one that cannot be written to
//! keeps anybody from taking it. The kernel gives it back when its holder dies.
//!
//! Where there is no such folder and none can be made (an early initramfs without
//! /run, a caller who is not root), there are no records that two programs could
//! spoil, and `kexec -l` and `kexec -e` go on without it. Whatever else keeps root from
//! the lock is said; and what is no folder of root's is refused, because records in it
//! are anybody's word.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::files::{OnDisk, RecordFiles};
use super::outcome::duration;
use kexec_load::Error;
use kexec_sys::in_words;

/// How long a load or an unload waits for another one. The largest load that was
/// measured in the lab takes 10 s.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a jump waits: it may be the last program of a shutdown.
pub(crate) const PATIENCE_OF_A_JUMP: Duration = Duration::from_secs(10);

/// How often it is tried.
const AGAIN: Duration = Duration::from_millis(50);
/// When it is said that somebody is waited for.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// Who holds the lock. No command line: it can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The id of its process.
    pub pid: u32,
    /// What it does: `kexec preload`.
    pub command: String,
    /// Milliseconds of uptime since which it has the lock.
    pub since: u64,
}

impl Holder {
    /// Who it is and since when, for messages.
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

/// The permissions of the folder: records can hold secrets.
const MODE: u32 = 0o700;

/// Whose lock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A load or an unload: without a folder that can be trusted it is refused.
    Change,
    /// A jump, which may be the last program of a shutdown: it goes on without the
    /// lock, and says so.
    Jump,
}

/// Why there is no lock.
enum Absent {
    /// There is no folder, or the caller may not look into it.
    Fine,
    /// What is wrong: nobody is kept out.
    Said(String),
    /// It is nothing of root's.
    Refused {
        /// What was found at the place of the folder.
        found: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Opens the folder, as root's own. `user` is who asks.
fn open_own(path: &Path, user: rustix::process::Uid) -> Result<File, Absent> {
    let remedy = |what: &str| format!("{what} {}; then try again", path.display());
    match open(path) {
        Ok(file) => {
            let found = file.metadata().map_err(|e| unlockable(path, &e))?;
            if found.uid() != 0 && found.uid() != user.as_raw() {
                return Err(Absent::Refused {
                    found: format!(
                        "{} belongs to user {}, expected root",
                        path.display(),
                        found.uid()
                    ),
                    remedy: remedy("look at what is in it, and remove it: ls -la; rm -r"),
                });
            }
            Ok(file)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Absent::Fine),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !user.is_root() => {
            Err(Absent::Fine)
        }
        Err(e) => match fs::symlink_metadata(path) {
            Ok(found) if !found.is_dir() => Err(Absent::Refused {
                found: format!(
                    "{} is {}, expected a directory",
                    path.display(),
                    if found.is_symlink() {
                        "a symbolic link"
                    } else {
                        "no directory"
                    }
                ),
                remedy: remedy("find out what made it, and remove it: ls -l; rm"),
            }),
            _ => Err(unlockable(path, &e)),
        },
    }
}

fn unlockable(path: &Path, error: &io::Error) -> Absent {
    Absent::Said(format!(
        "warning: {} cannot be locked: {}; do not run kexec twice at a time, and mount a \
         tmpfs on /run",
        path.display(),
        in_words(error)
    ))
}

/// Gives a folder that an earlier version or somebody else made the permissions of a
/// new one.
fn correct(file: &File, path: &Path, say: &mut dyn FnMut(String)) {
    let Ok(found) = file.metadata() else { return };
    let mode = found.mode() & 0o7777;
    if mode == MODE {
        return;
    }
    let corrected = file.set_permissions(fs::Permissions::from_mode(MODE));
    let path = path.display();
    match corrected {
        Err(e) => say(format!(
            "warning: {path} has mode {mode:04o}, which could not be changed: {}; other users \
             may read what was loaded; make it private: chmod 0700 {path}",
            in_words(e)
        )),
        // Whoever can write there can have put a record there.
        Ok(()) if mode & 0o022 != 0 => say(format!(
            "warning: {path} had mode {mode:04o}, and other users could write to it; it has 0700 \
             now, but its record of the loaded kernel may be forged: load the kernel again"
        )),
        Ok(()) => {}
    }
}

/// Takes the lock for `command`, within `patience`; `say` is told whom it waits for, and
/// what keeps it from having the lock.
///
/// # Errors
/// [`Error::System`]: somebody else has it for so long; says who.
/// [`Error::NotReady`]: the folder is no folder of root's, and something is to be changed.
pub fn lock(
    root: &Path,
    command: &str,
    (purpose, patience): (Purpose, Duration),
    say: &mut dyn FnMut(String),
) -> Result<Lock, Error> {
    let path = folder(root);
    let made = OnDisk.make_folder(&path, false);
    let user = rustix::process::geteuid();
    let opened = open_own(&path, user).map_err(|absent| match (absent, made) {
        // Without a /run there is nothing that two programs could spoil.
        (Absent::Fine, Err(e)) if user.is_root() && e.kind() != io::ErrorKind::NotFound => {
            unlockable(&path, &e)
        }
        (absent, _) => absent,
    });
    let file = match opened {
        Ok(file) => file,
        Err(Absent::Fine) => return Ok(Lock { folder: None, path }),
        Err(Absent::Said(text)) => {
            say(text);
            return Ok(Lock { folder: None, path });
        }
        Err(Absent::Refused { found, remedy }) if purpose == Purpose::Change => {
            return Err(Error::not_ready(format!("`{command}`"), found, remedy));
        }
        Err(Absent::Refused { found, remedy }) => {
            say(format!(
                "warning: {found}; other programs are not kept out: {remedy}"
            ));
            return Ok(Lock { folder: None, path });
        }
    };
    correct(&file, &path, say);
    let started = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // A file system without locks.
            Err(TryLockError::Error(e)) => {
                if let Absent::Said(text) = unlockable(&path, &e) {
                    say(text);
                }
                return Ok(Lock { folder: None, path });
            }
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
    Error::system(
        format!("`{command}` waited {} for its turn", seconds(patience)),
        who(folder),
        remedy,
    )
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
        lock(root, command, (Purpose::Change, SHORT), &mut |_| {})
    }

    #[test]
    fn one_at_a_time_and_who_it_is() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        assert!(held.folder.is_some());
        let error = try_it(root.path(), "kexec -l").unwrap_err();
        let text = format!("{error}: {}", error.remedy());
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
        assert!(try_it(root.path(), "kexec -e").unwrap().folder.is_some());
    }

    #[test]
    fn who_cannot_write_down_its_name_has_it_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/kexec/holder.json")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        assert!(held.folder.is_some());
        let error = try_it(root.path(), "kexec -l").unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        assert!(error.remedy().contains("fuser"), "{}", error.remedy());
    }

    #[test]
    fn a_bare_initramfs_has_none_and_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let held = try_it(root.path(), "kexec -l").unwrap();
        assert!(held.folder.is_none());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(held_by(root.path()), None);
    }

    #[test]
    fn the_wait_is_told() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        let held = try_it(root.path(), "kexec preload").unwrap();
        let mut said = Vec::new();
        let waited = SAY_AFTER + SHORT;
        let wait = (Purpose::Change, waited);
        assert!(lock(root.path(), "kexec -u", wait, &mut |text| said.push(text)).is_err());
        drop(held);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("kexec preload"), "{said:?}");
    }

    /// What a lock says, and what it is.
    fn tried(root: &Path, purpose: Purpose) -> (Result<bool, String>, Vec<String>) {
        let mut said = Vec::new();
        let tried = lock(root, "kexec -l", (purpose, SHORT), &mut |t| said.push(t));
        let text = |e: Error| format!("{e}; {}", e.remedy());
        (tried.map(|lock| lock.folder.is_some()).map_err(text), said)
    }

    #[test]
    fn what_is_no_folder_is_refused_and_does_not_stop_a_jump() {
        for (link, found) in [(true, "is a symbolic link"), (false, "is no directory")] {
            let root = tempfile::tempdir().unwrap();
            let run = root.path().join("run");
            fs::create_dir(&run).unwrap();
            match link {
                true => std::os::unix::fs::symlink(root.path(), run.join("kexec")).unwrap(),
                false => fs::write(run.join("kexec"), "").unwrap(),
            }
            let (held, said) = tried(root.path(), Purpose::Change);
            let text = held.unwrap_err();
            assert!(said.is_empty(), "{said:?}");
            for words in ["run/kexec", found, "expected a directory", "ls -l; rm"] {
                assert!(text.contains(words), "{text}");
            }
            let (held, said) = tried(root.path(), Purpose::Jump);
            assert_eq!(held, Ok(false));
            assert!(said.len() == 1 && said[0].contains(found), "{said:?}");
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = folder(root.path());
        fs::create_dir_all(&path).unwrap();
        let own = fs::metadata(&path).unwrap().uid();
        // Whoever runs this test: the folder is another one's for the third user.
        if own == 0 {
            std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
        }
        let stranger = rustix::process::Uid::from_raw(own.saturating_add(77));
        let Err(Absent::Refused { found, remedy }) = open_own(&path, stranger) else {
            panic!("believed");
        };
        assert!(found.contains("run/kexec belongs to user"), "{found}");
        assert!(found.ends_with("expected root"), "{found}");
        assert!(remedy.contains("rm -r"), "{remedy}");
        if own == 0 {
            let (held, _) = tried(root.path(), Purpose::Change);
            assert!(held.unwrap_err().contains("belongs to user 1234"));
        }
    }

    #[test]
    fn a_folder_that_others_may_look_into_is_corrected() {
        for (mode, told) in [
            (0o755, false),
            (0o700, false),
            (0o777, true),
            (0o1777, true),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = folder(root.path());
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let (held, said) = tried(root.path(), Purpose::Change);
            assert_eq!(held, Ok(true));
            let now = fs::metadata(&path).unwrap().mode() & 0o7777;
            assert_eq!(now, MODE);
            assert_eq!(said.len(), usize::from(told), "{said:?}");
            assert!(
                !told || said[0].contains("load the kernel again"),
                "{said:?}"
            );
        }
    }

    /// As on a read-only /run: what cannot be made is not there, and that is no early
    /// initramfs.
    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        // Nobody makes a folder there (sysfs).
        std::os::unix::fs::symlink("/sys", root.path().join("run")).unwrap();
        let (held, said) = tried(root.path(), Purpose::Change);
        assert_eq!(held, Ok(false));
        assert!(
            said.len() == 1 && said[0].contains("cannot be locked"),
            "{said:?}"
        );
    }

    /// What no test can bring about everywhere: EACCES for root, ENOLCK.
    #[test]
    fn what_keeps_root_from_the_lock_is_said() {
        for errno in [rustix::io::Errno::ACCESS, rustix::io::Errno::NOLCK] {
            let Absent::Said(text) = unlockable(Path::new("/run/kexec"), &errno.into()) else {
                panic!("{errno}");
            };
            assert!(text.starts_with("warning: /run/kexec cannot be locked: "));
            assert!(text.ends_with("mount a tmpfs on /run"), "{text}");
        }
    }
}
