//! The few things that records need of a file system, as a trait, so that a test can
//! have each of them fail; and [`Store`], which writes a file whole or not at all.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// No record is larger than this many bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// The most names that a folder of ours is looked through for.
const MAX_NAMES: usize = 10_000;

/// What records need of a file system. Each call is one step, between which a
/// program can be killed and each of which can fail.
pub trait RecordFiles: fmt::Debug {
    /// Makes a folder with mode 0700; that it is there is fine. `parents`: and those
    /// above it.
    ///
    /// # Errors
    /// As mkdir(2).
    fn make_folder(&self, path: &Path, parents: bool) -> io::Result<()>;

    /// Writes a new file with mode 0600. One of that name that a killed program left
    /// behind is removed first.
    ///
    /// # Errors
    /// As open(2) and write(2); part of the file may be there then.
    fn write_new(&self, path: &Path, text: &[u8]) -> io::Result<File>;

    /// Waits until a file is on the disk.
    ///
    /// # Errors
    /// As fsync(2).
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Waits until the names in a folder are on the disk.
    ///
    /// # Errors
    /// As fsync(2).
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, in place of what has it.
    ///
    /// # Errors
    /// As rename(2).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; that there is none is fine.
    ///
    /// # Errors
    /// As unlink(2).
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Reads a regular file of at most [`MAX_FILE`] bytes; `None` when there is none.
    /// Never waits: not for the other end of a pipe, not for a device.
    ///
    /// # Errors
    /// As open(2) and read(2); and for what is no such file.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// The names in a folder; none when it is not there.
    ///
    /// # Errors
    /// As readdir(3).
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The file system of the running system.
#[derive(Debug, Clone, Copy)]
pub struct OnDisk;

impl RecordFiles for OnDisk {
    fn make_folder(&self, path: &Path, parents: bool) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        match builder.recursive(parents).mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn write_new(&self, path: &Path, text: &[u8]) -> io::Result<File> {
        self.remove(path)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text)?;
        Ok(file)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // Where nothing can be written, that comes first, also of what is not there.
        if absent_is_fine(fs::symlink_metadata(path))?.is_none() {
            return Ok(());
        }
        absent_is_fine(fs::remove_file(path)).map(drop)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        // A pipe is opened without waiting for its other end, and a link is not
        // followed out of the folder that only root can write to.
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let flags = flags.bits().try_into().map_err(io::Error::other)?;
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path);
        let Some(file) = absent_is_fine(opened)? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        let mut all = file.take(MAX_FILE.saturating_add(1));
        all.read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(io::Error::other(format!(
                "it has more than {MAX_FILE} bytes"
            )));
        }
        Ok(Some(bytes))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let Some(entries) = absent_is_fine(fs::read_dir(folder))? else {
            return Ok(Vec::new());
        };
        let names = entries.take(MAX_NAMES);
        names
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
}

fn absent_is_fine<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Where records are kept: below a root, through a file system.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    root: &'a Path,
    files: &'a dyn RecordFiles,
}

/// Behind the name of a file that is not complete yet.
const UNFINISHED: &str = ".tmp";

impl<'a> Store<'a> {
    /// Of the machine below `root`.
    pub fn new(root: &'a Path) -> Store<'a> {
        Store::with(root, &OnDisk)
    }

    /// Through another file system.
    pub fn with(root: &'a Path, files: &'a dyn RecordFiles) -> Store<'a> {
        Store { root, files }
    }

    /// The folder that stands for / of the machine.
    pub fn root(&self) -> &'a Path {
        self.root
    }

    pub(super) fn files(&self) -> &'a dyn RecordFiles {
        self.files
    }

    /// Puts `text` at `path`, on the disk when it returns; what was there before stays
    /// until the new file is complete. `path` is a whole one: [`Store::root`] and what is
    /// below it.
    pub(super) fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let files = self.files;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let written = files.write_new(&unfinished, text);
        let written = written
            .and_then(|file| files.sync(&file))
            .and_then(|()| files.rename(&unfinished, path));
        if let Err(e) = written {
            // The error that counts is the first one.
            let _ = files.remove(&unfinished);
            return Err(e);
        }
        // A new name in the folder has to be on the disk as well.
        path.parent()
            .map_or(Ok(()), |folder| files.sync_folder(folder))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn whole_private_and_over_what_a_killed_program_left() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        fs::write(root.path().join("a.json.tmp"), "half").unwrap();
        let store = Store::new(root.path());
        store.write(&path, b"one").unwrap();
        store.write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(store.write(&root.path().join("no/a"), b"").is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_not_read_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        assert!(OnDisk.read(&at("absent")).unwrap().is_none());
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
        fs::write(at("file"), "x").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        let large = File::create(at("large")).unwrap();
        large.set_len(MAX_FILE + 1).unwrap();
        for name in ["fifo", "link", "device", "large", "."] {
            assert!(OnDisk.read(&at(name)).is_err(), "{name}");
        }
        assert!(OnDisk.read(Path::new("/dev/zero")).is_err());
        assert_eq!(OnDisk.read(&at("file")).unwrap().unwrap(), b"x");
    }
}
