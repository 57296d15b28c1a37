//! The files of a system below a folder that stands for its `/`: a mounted image, a
//! test's, or the running system. Links lead where they would lead on that system, and
//! never out of the folder.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, Stat};

use crate::{Root, open};

/// A system's files. Paths are those of that system, with their leading slash.
#[derive(Debug)]
pub struct Tree {
    root: Root,
}

/// How often links are followed for one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

impl Tree {
    /// The files below `root`. When that cannot be opened, every call says so.
    pub fn new(root: &Path) -> Tree {
        Tree {
            root: Root::new(root),
        }
    }

    fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let opened = self.root.open(path, flags).map_err(io::Error::other)?;
        opened.map_err(io::Error::from)
    }

    /// Whether something is at `path`, links followed. What cannot be looked at does not
    /// count.
    pub fn has(&self, path: &str) -> bool {
        self.root.exists(path)
    }

    /// What is at `path`, links followed.
    ///
    /// # Errors
    /// As the system says; a link that leads nowhere is not there.
    pub fn stat(&self, path: &str) -> io::Result<Stat> {
        let found = self.open(path, OFlags::PATH)?;
        Ok(rustix::fs::fstat(found)?)
    }

    /// What is at `path` itself, be it a link.
    ///
    /// # Errors
    /// As the system says.
    pub fn stat_itself(&self, path: &str) -> io::Result<Stat> {
        let found = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        Ok(rustix::fs::fstat(found)?)
    }

    /// A folder, links followed, opened so that something in it can be made, moved or
    /// removed.
    ///
    /// # Errors
    /// As the system says.
    pub fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Where the link at `path` leads, as it is written.
    ///
    /// # Errors
    /// As the system says, or when it is no link.
    pub fn link(&self, path: &str) -> io::Result<PathBuf> {
        let found = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let target = rustix::fs::readlinkat(found, "", Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// At most `limit` bytes of a regular file, links followed. Nothing else is opened.
    ///
    /// # Errors
    /// As the system says, or what it is instead of a regular file.
    pub fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        if let Some(other) = open::not_regular(&self.stat(path)?) {
            return Err(io::Error::other(other));
        }
        let file = File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The names in a folder, sorted; none where it cannot be read.
    pub fn names(&self, path: &str) -> Vec<String> {
        self.root.entries(path).known().cloned().unwrap_or_default()
    }

    /// The path without links of what is at `path`, which need not exist as a whole.
    /// Followed by their words, as in `/sbin/init`, which names `systemd`.
    pub fn canonical(&self, path: &str) -> String {
        let mut todo = parts(path);
        let mut real: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                real.pop();
                continue;
            }
            real.push(part);
            let Ok(target) = self.link(&joined(&real)) else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                break;
            }
            real.pop();
            let target = target.to_string_lossy();
            if target.starts_with('/') {
                real.clear();
            }
            todo.extend(parts(&target));
        }
        joined(&real)
    }
}

fn joined(parts: &[String]) -> String {
    format!("/{}", parts.join("/"))
}

/// The components, last one first.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').rev();
    let parts = parts.filter(|part| !part.is_empty() && *part != ".");
    parts.map(str::to_owned).collect()
}

/// Whether that is a folder.
pub fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_nowhere_outside() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "outside").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("usr/lib/systemd")).unwrap();
        std::fs::write(at("usr/lib/systemd/systemd"), "inside").unwrap();
        std::fs::create_dir(at("sbin")).unwrap();
        symlink("/usr/lib", at("lib")).unwrap();
        symlink("../../../lib/systemd/systemd", at("sbin/init")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let tree = Tree::new(dir.path());
        assert_eq!(tree.read("/sbin/init", 6).unwrap(), b"inside");
        assert_eq!(tree.canonical("/sbin/init"), "/usr/lib/systemd/systemd");
        assert_eq!(tree.canonical("/sbin/none"), "/sbin/none");
        assert!(tree.has("/lib/systemd") && !tree.has("/out/secret"));
        let errors = [tree.read("/out/secret", 9).err(), tree.folder("/out").err()];
        for error in errors {
            assert_eq!(error.unwrap().kind(), io::ErrorKind::NotFound);
        }
        assert!(tree.stat("/out").is_err() && tree.stat_itself("/out").is_ok());
        assert_eq!(tree.link("/out").unwrap(), outside.path());
        assert!(tree.link("/usr").is_err());
        // It ends.
        assert_eq!(tree.canonical("/loop"), "/loop");
        assert_eq!(tree.names("/lib/systemd"), ["systemd"]);
        assert!(tree.read("/usr", 9).is_err());
    }
}
