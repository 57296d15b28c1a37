//! Building the initramfs of a guest.

use crate::cpio::{ArchiveMember, CpioError, newc};
use std::collections::BTreeMap;

/// What becomes the root file system of a guest. Directories on the way to a
/// member are added by themselves; a later member replaces an earlier one of
/// the same name. Names have no leading slash.
#[derive(Debug, Clone, Default)]
pub struct Initramfs {
    members: BTreeMap<String, ArchiveMember>,
}

impl Initramfs {
    /// An empty root.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member of any kind.
    pub(crate) fn put(&mut self, name: &str, entry: ArchiveMember) {
        let name = name.trim_start_matches('/');
        for (at, _) in name.match_indices('/') {
            if let Some(parent) = name.get(..at) {
                self.members
                    .entry(parent.to_owned())
                    .or_insert(ArchiveMember::Directory);
            }
        }
        self.members.insert(name.to_owned(), entry);
    }

    /// Adds a directory.
    pub fn directory(&mut self, name: &str) {
        self.put(name, ArchiveMember::Directory);
    }

    /// Adds a regular file with mode 0644.
    pub fn file(&mut self, name: &str, data: impl Into<Vec<u8>>) {
        self.put(
            name,
            ArchiveMember::File {
                mode: 0o644,
                data: data.into(),
            },
        );
    }

    /// Adds a regular file with mode 0755.
    pub fn program(&mut self, name: &str, data: impl Into<Vec<u8>>) {
        self.put(
            name,
            ArchiveMember::File {
                mode: 0o755,
                data: data.into(),
            },
        );
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, name: &str, target: &str) {
        self.put(name, ArchiveMember::Symlink(target.to_owned()));
    }

    /// Adds a character device, mode 0600.
    pub fn char_device(&mut self, name: &str, major: u32, minor: u32) {
        self.put(name, ArchiveMember::CharDevice { major, minor });
    }

    /// Adds every member of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, entry) in &other.members {
            self.put(name, entry.clone());
        }
    }

    /// Every member with its name, folders before what is in them.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &ArchiveMember)> {
        self.members
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// The uncompressed newc archive.
    ///
    /// # Errors
    /// As [`newc`].
    pub fn build(&self) -> Result<Vec<u8>, CpioError> {
        newc(&self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_once() {
        let mut root = Initramfs::new();
        root.file("/a/b/c", "x");
        root.file("a/b/d", "y");
        let names: Vec<_> = root.members.keys().cloned().collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d"]);
    }
}
