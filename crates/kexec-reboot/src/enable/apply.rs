//! Carrying changes out so that all of them are there, or none: everything new is
//! written beside its place and to the disk first, then moved there; what is replaced
//! or removed is moved aside until all the rest is done. Taking back is moving alone,
//! which needs no room.

use std::io;
use std::path::Path;

use kexec_machine::Problem;
use kexec_sys::{Errno, in_words};

use super::files::{Disk, FileSteps};
use super::{Feature, FileChange};

/// What is written for `path` until it is moved there: hidden, and with an ending that
/// no reader of these folders knows.
pub(super) fn new_name(path: &str) -> String {
    beside(path, "kexec-new")
}

/// What was at `path`, until everything is done.
pub(super) fn old_name(path: &str) -> String {
    beside(path, "kexec-old")
}

fn beside(path: &str, ending: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/.{name}.{ending}")
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Why changes were not carried out.
#[derive(Debug)]
pub(super) struct Failed {
    /// The change that failed.
    pub(super) change: FileChange,
    /// What was tried of it, for people.
    step: String,
    /// What the system said.
    pub(super) error: io::Error,
    /// What could not be taken back; empty when nothing is changed.
    pub(super) left: Vec<String>,
}

impl Failed {
    /// The same, as it is told of a feature.
    fn problem(self, feature: &Feature) -> Problem {
        let what = format!(
            "switching {}: kexec {} ({})",
            feature.name,
            self.change.text(),
            self.step
        );
        let remedy = self.remedy();
        Problem::caused(what, self.error, remedy)
    }

    /// What there is to do, and what is changed now.
    pub(super) fn remedy(&self) -> String {
        let remedy = match self
            .error
            .raw_os_error()
            .map(|_| Errno::from_io(&self.error))
        {
            Some(Errno::ENOSPC) => "make room there and try again",
            Some(Errno::EROFS) => {
                "it is mounted read-only: make it writable (mount -o remount,rw), or put this into \
                 the image that it comes from"
            }
            Some(Errno::EIO) => "the disk reports errors: look at the kernel's log (dmesg)",
            Some(Errno::EACCES | Errno::EPERM) => "run it as root",
            _ => "check that path, and try again",
        };
        if self.left.is_empty() {
            return format!("{remedy}; nothing was changed");
        }
        format!(
            "{remedy}; not everything could be undone: {}; run the same command again to repair it",
            self.left.join("; ")
        )
    }
}

/// Carries the changes of a feature out below `root`, or takes them back. Returns what
/// is left over of them and does no harm, for people.
///
/// # Errors
/// The change that failed, and what could not be taken back.
pub fn apply(
    root: &Path,
    feature: &Feature,
    changes: &[FileChange],
) -> Result<Vec<String>, Problem> {
    carry_out(&Disk::new(root), changes).map_err(|failed| failed.problem(feature))
}

/// How something is taken back.
#[derive(Debug)]
enum Undo {
    /// A folder that was made.
    Folder(String),
    /// A file that was made.
    File(String),
    /// A file that was moved from one of these to the other.
    Move { from: String, to: String },
}

pub(super) fn carry_out(
    files: &dyn FileSteps,
    changes: &[FileChange],
) -> Result<Vec<String>, Failed> {
    let mut done = Done {
        files,
        undo: Vec::new(),
        step: String::new(),
    };
    for change in changes {
        let result = done.prepare(change);
        done.or_back(change, changes, result)?;
    }
    for change in changes {
        let result = done.commit(change);
        done.or_back(change, changes, result)?;
    }
    for change in changes {
        done.step = format!("writing {} out", folder(change.path()));
        let result = files.sync_folder(folder(change.path()));
        done.or_back(change, changes, result)?;
    }
    Ok(clean_up(files, changes))
}

/// From here on nothing is taken back.
fn clean_up(files: &dyn FileSteps, changes: &[FileChange]) -> Vec<String> {
    let mut left = Vec::new();
    for change in changes {
        let old = old_name(change.path());
        if let Err(e) = remove(files, &old) {
            left.push(format!("{old} cannot be removed: {}", in_words(e)));
        }
    }
    for change in changes {
        let folder = folder(change.path());
        // One that is empty now was made for this.
        let made = [".service.d", ".wants", "/50kexec"];
        if matches!(change, FileChange::Remove { .. }) && made.iter().any(|m| folder.ends_with(m)) {
            let _ = files.remove_folder(folder);
        }
    }
    left
}

/// Removes a file, if it is there.
fn remove(files: &dyn FileSteps, path: &str) -> io::Result<()> {
    match files.remove(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

struct Done<'a> {
    files: &'a dyn FileSteps,
    undo: Vec<Undo>,
    step: String,
}

impl Done<'_> {
    /// Everything new beside its place, on the disk.
    fn prepare(&mut self, change: &FileChange) -> io::Result<()> {
        let files = self.files;
        if matches!(change, FileChange::Remove { .. }) {
            return Ok(());
        }
        self.folders(folder(change.path()))?;
        let new = new_name(change.path());
        self.step = format!("making {new}");
        // From one that was killed.
        remove(files, &new)?;
        match change {
            FileChange::Write { text, mode, .. } => {
                self.undo.push(Undo::File(new.clone()));
                files.create(&new, *mode)?;
                self.step = format!("writing {new}");
                files.fill(&new, text.as_bytes())?;
                self.step = format!("writing {new} out");
                files.sync_file(&new)
            }
            FileChange::Link { to, .. } => {
                files.link(to, &new)?;
                self.undo.push(Undo::File(new));
                Ok(())
            }
            FileChange::Remove { .. } => Ok(()),
        }
    }

    /// Makes the folders that are not there yet, and writes them out.
    fn folders(&mut self, path: &str) -> io::Result<()> {
        self.step = format!("looking for {path}");
        if path.is_empty() || self.files.is_folder(path)? {
            return Ok(());
        }
        self.folders(folder(path))?;
        self.step = format!("making {path}");
        self.files.make_folder(path)?;
        self.undo.push(Undo::Folder(path.to_owned()));
        self.files.sync_folder(folder(path))
    }

    /// Moves it there, and what was there aside.
    fn commit(&mut self, change: &FileChange) -> io::Result<()> {
        let path = change.path();
        self.step = format!("looking at {path}");
        if self.files.exists(path)? {
            let old = old_name(path);
            self.step = format!("moving {path} aside");
            self.rename(path, &old)?;
        }
        if matches!(change, FileChange::Remove { .. }) {
            return Ok(());
        }
        let new = new_name(path);
        self.step = format!("moving {new} to its place");
        self.rename(&new, path)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)?;
        self.undo.push(Undo::Move {
            from: to.to_owned(),
            to: from.to_owned(),
        });
        Ok(())
    }

    /// A failure, with everything taken back as far as that goes.
    fn or_back(
        &mut self,
        change: &FileChange,
        all: &[FileChange],
        result: io::Result<()>,
    ) -> Result<(), Failed> {
        let Err(error) = result else {
            return Ok(());
        };
        let mut left = Vec::new();
        let moved = self.undo.iter().any(|u| matches!(u, Undo::Move { .. }));
        for undo in self.undo.drain(..).rev() {
            left.extend(take_back(self.files, &undo));
        }
        // Only what was moved could be on the disk already.
        let mut folders: Vec<&str> = all.iter().map(|c| folder(c.path())).collect();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders.into_iter().filter(|_| moved) {
            match self.files.sync_folder(folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => left.push(format!(
                    "{folder} could not be synced to the disk: {}; a crash may undo the changes",
                    in_words(e)
                )),
                _ => {}
            }
        }
        Err(Failed {
            change: change.clone(),
            step: self.step.clone(),
            error,
            left,
        })
    }
}

/// What stays when it cannot be taken back.
fn take_back(files: &dyn FileSteps, undo: &Undo) -> Option<String> {
    let (result, stays) = match undo {
        Undo::Folder(path) => (files.remove_folder(path), format!("the folder {path}")),
        Undo::File(path) => (remove(files, path), path.clone()),
        Undo::Move { from, to } => (files.rename(from, to), format!("{from}, which was {to}")),
    };
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => Some(format!("{stays}, stays: {}", in_words(e))),
        Ok(()) => None,
    }
}
