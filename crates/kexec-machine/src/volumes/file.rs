//! A file on a file system, as a boot loader and as people name it.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{VolumeId, Volumes};
use crate::{Fact, open};

/// A reason without the file that it begins with, for those who name that themselves.
pub fn without_file<'a>(file: &str, reason: &'a str) -> &'a str {
    let without = reason.strip_prefix(file);
    let without = without.and_then(|reason| reason.strip_prefix(": "));
    without.unwrap_or(reason)
}

/// A file that a boot loader would read: on a file system, whether that is
/// mounted or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootFile {
    /// The file system.
    pub volume: VolumeId,
    /// The path from the top of that file system, with a leading slash.
    pub path: String,
    /// The same as people see it: `/boot/vmlinuz` on the running machine, or
    /// `vda2 (not mounted): /vmlinuz`.
    pub shown: String,
}

impl fmt::Display for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A file of a load: by its path on the running system, or on a file system that need
/// not be mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileRef {
    /// As somebody named it. It may be a pipe.
    Path(PathBuf),
    /// As a boot loader would read it.
    Boot(BootFile),
}

impl FileRef {
    /// Opens it. `volumes` are the file systems that a [`FileRef::Boot`] is on.
    ///
    /// # Errors
    /// Why it cannot be opened, without its name.
    pub fn open(&self, volumes: Option<&Volumes>) -> Result<File, String> {
        match self {
            FileRef::Path(path) => open::named(path),
            FileRef::Boot(file) => open_on(file, volumes),
        }
    }

    /// The same, and a pipe is refused: looking at it must not take anything out of it.
    ///
    /// # Errors
    /// Why it cannot be opened, without its name.
    pub fn open_regular(&self, volumes: Option<&Volumes>) -> Result<File, String> {
        match self {
            FileRef::Path(path) => open::regular(path),
            FileRef::Boot(file) => open_on(file, volumes),
        }
    }

    /// The path that people see.
    pub fn shown(&self) -> PathBuf {
        match self {
            FileRef::Path(path) => path.clone(),
            FileRef::Boot(file) => PathBuf::from(&file.shown),
        }
    }

    /// What to do when it cannot be read.
    pub fn remedy(&self) -> &'static str {
        open::remedy(&self.shown())
    }
}

fn open_on(file: &BootFile, volumes: Option<&Volumes>) -> Result<File, String> {
    match volumes.map(|volumes| volumes.open(file)) {
        Some(Fact::Known(fd)) => Ok(File::from(fd)),
        Some(Fact::Absent) => Err("the boot entry names it, but there is no such file".to_owned()),
        // Whoever asks names the file.
        Some(Fact::Unreadable(why)) => Err(without_file(&file.shown, &why).to_owned()),
        None => Err(format!("the file system {} was not read", file.volume)),
    }
}

impl fmt::Display for FileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileRef::Path(path) => path.display().fmt(f),
            FileRef::Boot(file) => file.fmt(f),
        }
    }
}

impl<T: AsRef<Path> + ?Sized> From<&T> for FileRef {
    fn from(path: &T) -> FileRef {
        FileRef::Path(path.as_ref().to_owned())
    }
}

impl From<PathBuf> for FileRef {
    fn from(path: PathBuf) -> FileRef {
        FileRef::Path(path)
    }
}
