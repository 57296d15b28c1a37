//! Where a feature is switched: in the running system, or in the files of one that does
//! not run, as `systemctl --root=` does it. There nobody is asked and nothing is loaded.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kexec_load::Error;
use kexec_machine::{Inside, Problem, Tree, open};
use kexec_sys::in_words;

use super::beside::crash_loader;
use super::{Feature, FeatureUnit, MARK, packaged_unit};
use crate::handover::init::{Init, in_files};

/// Where a feature is switched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the running system.
    Running,
    /// In the files of a system that does not run.
    Image(Image),
}

/// The files of a system that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The folder that stands for its `/`.
    pub root: PathBuf,
    /// Why it is taken for one, where nobody has said so: `this is a chroot`.
    pub why: Option<String>,
}

/// Where programs of this name are (hier(7)).
const PROGRAMS: &[&str] = &[
    "/usr/sbin/kexec",
    "/usr/bin/kexec",
    "/usr/local/sbin/kexec",
    "/usr/local/bin/kexec",
    "/sbin/kexec",
];

/// No program is larger than this many bytes.
const LARGEST_PROGRAM: u64 = 64 << 20;

/// `st_mode`: writable by the group or by everybody (inode(7)).
const OTHERS_WRITE: u32 = 0o022;

impl Place {
    /// The place that `root` names, or the one where this program runs, whose init is
    /// `init`.
    ///
    /// # Errors
    /// When `root` is no folder that can be read.
    pub fn of(root: Option<&Path>, init: Init) -> Result<Place, Error> {
        if let Some(root) = root {
            return match fs::metadata(root).and_then(|_| fs::read_dir(root)) {
                Ok(_) => Ok(Place::Image(Image {
                    root: root.to_owned(),
                    why: None,
                })),
                Err(e) => Err(Error::NotRead(Problem::caused(
                    format!("cannot read the folder of --root {}", root.display()),
                    e,
                    "name the folder below which the other system is mounted",
                ))),
            };
        }
        let inside = Inside::of(Path::new("/"));
        Ok(match inside.filter(|inside| no_init(*inside, init)) {
            Some(inside) => Place::Image(Image {
                root: PathBuf::from("/"),
                why: Some(inside.to_string()),
            }),
            None => Place::Running,
        })
    }
}

/// How long one switch waits for another in the same system. Starting units can take
/// longer, but then this one says who is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps other switches of the system below `root` waiting for as long as it lives: what
/// two of them write and undo is each other's. A lock on the folder itself works where
/// nothing can be written. `None` where there is no such lock.
///
/// # Errors
/// When another one has it for [`PATIENCE`].
pub fn one_at_a_time(root: &Path) -> Result<Option<File>, Error> {
    wait_for(root, PATIENCE)
}

fn wait_for(root: &Path, patience: Duration) -> Result<Option<File>, Error> {
    let Ok(folder) = File::open(root) else {
        return Ok(None);
    };
    let started = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if started.elapsed() >= patience => {
                return Err(Error::not_ready(
                    format!("switching a feature in {}", root.display()),
                    "another `kexec enable` or `kexec disable` is at work there",
                    "wait until it is done, then try again",
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Whether no init is there that could be asked.
fn no_init(inside: Inside, init: Init) -> bool {
    match inside {
        Inside::Chroot | Inside::NoProc | Inside::OtherRoot => true,
        // Many run an init of their own.
        Inside::Container => init == Init::Other,
    }
}

impl Image {
    /// Whether a feature can be switched on in it, as far as its files tell.
    ///
    /// # Errors
    /// When it has no systemd, whose units would do nothing.
    pub fn possible(&self, feature: &Feature) -> Result<(), Error> {
        if let Some(unit) = crash_loader(&self.root).filter(|_| feature.name == "crash") {
            let why = format!("{unit} is enabled there, which loads a crash kernel at boot");
            let remedy = format!("`systemctl --root={} disable {unit}`", self.root.display());
            return Err(self.refused(feature, why, &remedy));
        }
        let Some(what) = feature.for_systemd() else {
            return Ok(());
        };
        let why = match in_files(&Tree::new(&self.root)) {
            Some(Init::Systemd) => return Ok(()),
            Some(Init::Other) => "has an unknown /sbin/init".to_owned(),
            Some(other) => format!("has {}", other.name()),
            None => "has neither /sbin/init nor /usr/lib/systemd/systemd".to_owned(),
        };
        Err(self.refused(
            feature,
            format!("{what}, and {} {why}", self.root.display()),
            "name the root of a system with systemd; for other inits see docs/reboot.md, \
             \"Other inits\"",
        ))
    }

    fn refused(&self, feature: &Feature, why: String, remedy: &str) -> Error {
        let what = format!("switching {} on in {}", feature.name, self.root.display());
        Error::refused(what, why, remedy)
    }

    /// The path of the program in the image, and a note where it is not surely the same as
    /// this one, which is `own`.
    ///
    /// # Errors
    /// When there is none, somebody else could change it, or it is another program.
    pub fn program(
        &self,
        feature: &Feature,
        own: Option<&Path>,
    ) -> Result<(String, Option<String>), Error> {
        let tree = Tree::new(&self.root);
        let mut paths: Vec<String> = own
            .and_then(|own| self.inside(own))
            .into_iter()
            .chain(PROGRAMS.iter().map(|path| (*path).to_owned()))
            .collect();
        paths.retain(|path| tree.has(path));
        let Some(path) = paths.first().map(|path| tree.canonical(path)) else {
            return Err(self.refused(
                feature,
                format!("there is no kexec program in it ({})", PROGRAMS.join(", ")),
                "install the package there, or copy this program to usr/sbin/kexec below it",
            ));
        };
        if let Err(found) = self.trusted(&tree, &path) {
            let why = format!("units would run {path} as root, and {found}");
            return Err(self.refused(feature, why, &found.remedy));
        }
        let theirs = tree.read(&path, LARGEST_PROGRAM);
        let theirs = theirs.map_err(|e| {
            self.refused(
                feature,
                format!("{path} cannot be read: {}", in_words(e)),
                "check that file",
            )
        })?;
        let same = own.is_some_and(|own| fs::read(own).is_ok_and(|bytes| bytes == theirs));
        let is_packaged = |unit: &FeatureUnit| packaged_unit(&tree, unit.name).is_some();
        let mark = MARK.trim_end().as_bytes();
        if same {
            Ok((path, None))
        } else if theirs.windows(mark.len()).any(|bytes| bytes == mark) {
            let note = format!("{path} there is another version of this program; it was not run");
            Ok((path, Some(note)))
        } else if feature.units.iter().any(is_packaged) {
            let note = format!("{path} there may be another program; it was not run");
            Ok((path, Some(note)))
        } else {
            Err(self.refused(
                feature,
                format!("{path} there is another program, without `preload`"),
                "replace it by this one, or by its package",
            ))
        }
    }

    /// The path of a program of this system in the image, where it is in it.
    fn inside(&self, own: &Path) -> Option<String> {
        let root = fs::canonicalize(&self.root).ok()?;
        let inside = fs::canonicalize(own).ok()?;
        let inside = inside.strip_prefix(root).ok()?.to_str()?;
        Some(format!("/{inside}"))
    }

    /// That nobody but the owner of the image may change the program: images are made by
    /// users, too, whose files will be root's.
    fn trusted(&self, tree: &Tree, path: &str) -> Result<(), Problem> {
        let owner = fs::metadata(&self.root).map_or(0, |found| found.uid());
        let mut above = path;
        loop {
            let at = if above.is_empty() { "/" } else { above };
            let found = tree.stat(at);
            let remedy = "let only root write to it and to every folder above it";
            let found = found.map_err(|e| Problem::caused(at, e, remedy))?;
            let why = if at == path && open::not_regular(&found).is_some() {
                Some("it is not a regular file".to_owned())
            } else if at == path && found.st_mode & 0o111 == 0 {
                Some("it is no program".to_owned())
            } else if found.st_uid != 0 && found.st_uid != owner {
                Some(format!("it belongs to user {}, not to root", found.st_uid))
            } else if found.st_mode & OTHERS_WRITE != 0 {
                let mode = found.st_mode & 0o7777;
                Some(format!(
                    "users other than root can write to it (mode {mode:04o})"
                ))
            } else {
                None
            };
            if let Some(why) = why {
                return Err(Problem::new(at, why, remedy));
            }
            match above.rsplit_once('/') {
                Some((folder, _)) => above = folder,
                None => return Ok(()),
            }
        }
    }

    /// What could not be checked of a feature, because it shows only where the system
    /// runs.
    pub fn unchecked(&self, feature: &Feature) -> Vec<&'static str> {
        let mut all = Vec::new();
        if feature.name == "preload" {
            all.push(
                "whether the kernel of this system can load another one, which entry it would \
                 be, and how much memory that takes: kexec-preload.service reports it at the \
                 first boot (journalctl -u kexec-preload)",
            );
        }
        if feature.name == "crash" {
            all.push(
                "whether memory is reserved for a crash kernel, and which kernel it would be: \
                 kexec-crash.service reports it at the first boot (journalctl -u kexec-crash)",
            );
        }
        if feature.name == "exitrd" {
            all.push(
                "whether the shutdown images of this system need it: kexec check shows it there",
            );
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two at once removed each other's unfinished files, and then undid each other.
    #[test]
    fn the_same_system_is_switched_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = one_at_a_time(root.path()).unwrap();
        let waited = wait_for(root.path(), Duration::from_millis(120)).unwrap_err();
        assert!(waited.to_string().contains("is at work there"), "{waited}");
        drop(first);
        assert!(one_at_a_time(root.path()).unwrap().is_some());
        assert!(one_at_a_time(&root.path().join("none")).unwrap().is_none());
    }
}
