//! The few things that are done with files here, so that a test can have each of them
//! fail. All of them stay below a root directory, wherever links in it lead.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use kexec_machine::Tree;
use kexec_machine::tree;
use rustix::fs::{AtFlags, Mode, OFlags};

/// Paths are those of the machine, with their leading slash. The last component is never
/// followed; those before it are, below the root.
pub(super) trait FileSteps {
    fn is_folder(&self, path: &str) -> io::Result<bool>;
    fn exists(&self, path: &str) -> io::Result<bool>;
    fn make_folder(&self, path: &str) -> io::Result<()>;
    /// An empty file that was not there.
    fn create(&self, path: &str, mode: u32) -> io::Result<()>;
    fn fill(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    fn sync_file(&self, path: &str) -> io::Result<()>;
    fn link(&self, to: &str, path: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, path: &str) -> io::Result<()>;
    fn remove_folder(&self, path: &str) -> io::Result<()>;
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// The files below a root directory.
#[derive(Debug)]
pub(super) struct Disk {
    tree: Tree,
}

impl Disk {
    pub(super) fn new(root: &Path) -> Disk {
        Disk {
            tree: Tree::new(root),
        }
    }

    /// The folder that a path is in, opened, and the name in it.
    fn at<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.tree.folder(folder)?, name))
    }

    /// A file of ours, opened; nothing that a link leads to.
    fn open(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let (folder, name) = self.at(path)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(folder, name, flags, Mode::empty())?;
        Ok(File::from(opened))
    }
}

fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl FileSteps for Disk {
    /// Of a folder links are followed: /etc/systemd may be one.
    fn is_folder(&self, path: &str) -> io::Result<bool> {
        match there(self.tree.stat(path))? {
            Some(found) if tree::is_folder(&found) => Ok(true),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => match there(self.tree.link(path))? {
                None => Ok(false),
                Some(to) => Err(io::Error::other(format!(
                    "it is a link to {}, which does not exist",
                    to.display()
                ))),
            },
        }
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(there(self.tree.stat_itself(path))?.is_some())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.at(path)?;
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdirat(&folder, name, mode)?;
        // Whatever the umask is: systemd and package managers of all kinds read it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&folder, name, flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(made, mode)?)
    }

    fn create(&self, path: &str, mode: u32) -> io::Result<()> {
        let (folder, name) = self.at(path)?;
        let mode = Mode::from_raw_mode(mode);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = rustix::fs::openat(folder, name, flags, mode)?;
        Ok(rustix::fs::fchmod(made, mode)?)
    }

    fn fill(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.open(path, OFlags::WRONLY)?.write_all(bytes)
    }

    fn sync_file(&self, path: &str) -> io::Result<()> {
        self.open(path, OFlags::RDONLY)?.sync_all()
    }

    fn link(&self, to: &str, path: &str) -> io::Result<()> {
        let (folder, name) = self.at(path)?;
        Ok(rustix::fs::symlinkat(to, folder, name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((old, from), (new, to)) = (self.at(from)?, self.at(to)?);
        Ok(rustix::fs::renameat(old, from, new, to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.at(path)?;
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.at(path)?;
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.tree.folder(path)?)?)
    }
}
