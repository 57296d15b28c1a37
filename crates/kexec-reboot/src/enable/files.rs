//! The few things that are done with files here, so that a test can have each of them
//! fail.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::below;

/// Paths are those of the machine, with their leading slash. Links are not followed.
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
    root: PathBuf,
}

impl Disk {
    pub(super) fn new(root: &Path) -> Disk {
        Disk {
            root: root.to_owned(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        below(&self.root, path)
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
        match there(fs::metadata(self.at(path)))? {
            None => Ok(false),
            Some(found) if found.is_dir() => Ok(true),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(there(fs::symlink_metadata(self.at(path)))?.is_some())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        fs::create_dir(&path)?;
        // Whatever the umask is: systemd and package managers of all kinds read it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
    }

    fn create(&self, path: &str, mode: u32) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode);
        let file = file.open(self.at(path))?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn fill(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).open(self.at(path))?.write_all(bytes)
    }

    fn sync_file(&self, path: &str) -> io::Result<()> {
        fs::File::open(self.at(path))?.sync_all()
    }

    fn link(&self, to: &str, path: &str) -> io::Result<()> {
        symlink(to, self.at(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        fs::remove_dir(self.at(path))
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        fs::File::open(self.at(path))?.sync_all()
    }
}
