//! A file on a file system, as a boot loader and as people name it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::VolumeId;

/// A reason without the file that it begins with, for those who name that themselves.
pub fn bare<'a>(file: &str, reason: &'a str) -> &'a str {
    let bare = reason.strip_prefix(file);
    let bare = bare.and_then(|reason| reason.strip_prefix(": "));
    bare.unwrap_or(reason)
}

/// A file that a boot loader would read: on a file system, whether that is
/// mounted or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
