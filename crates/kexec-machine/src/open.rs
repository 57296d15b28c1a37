//! The one way in which files from outside are opened.
//!
//! A name may lead anywhere: a configuration file may be a named pipe (whose
//! opening waits for a writer), a device (whose opening may do something: a
//! watchdog begins to count) or a socket. So a file is looked at before it is
//! opened, is opened without waiting, and is looked at again.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kexec_sys::Errno;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};

/// What may be behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Configuration and what it names: regular files, those of /proc and /sys among
    /// them.
    Regular,
    /// What somebody names on the command line: the same, or a pipe
    /// (`kexec -l <(zcat vmlinuz.gz)`).
    Pipe,
    /// What holds a header: a regular file, or a block device.
    Blocks,
    /// The character device /dev/mem.
    Memory,
}

/// Why a file was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The kernel says so.
    Errno(Errno),
    /// It is something else than expected, for people.
    Other(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Errno(errno) => errno.fmt(f),
            OpenError::Other(what) => f.write_str(what),
        }
    }
}

/// A way to open one name: flags in, descriptor out.
pub(super) type Opener<'a> = &'a dyn Fn(OFlags) -> Result<OwnedFd, Errno>;

/// A regular file, or nothing.
pub(super) fn regular_by(open: Opener<'_>) -> Result<OwnedFd, OpenError> {
    by(open, Allowed::Regular)
}

/// A regular file or a block device, or nothing.
pub(super) fn blocks_by(open: Opener<'_>) -> Result<OwnedFd, OpenError> {
    by(open, Allowed::Blocks)
}

/// /dev/mem, or nothing.
pub(super) fn memory_by(open: Opener<'_>) -> Result<OwnedFd, OpenError> {
    by(open, Allowed::Memory)
}

fn by(open: Opener<'_>, allowed: Allowed) -> Result<OwnedFd, OpenError> {
    // O_PATH: nobody's `open` is called, so that nothing waits and nothing happens.
    let kind = check(&open(OFlags::PATH).map_err(OpenError::Errno)?, allowed)?;
    // Whoever names a pipe waits for its writer.
    let waits = kind == FileType::Fifo;
    let flags = OFlags::RDONLY | OFlags::NOCTTY;
    let flags = if waits {
        flags
    } else {
        flags | OFlags::NONBLOCK
    };
    let opened = open(flags).map_err(OpenError::Errno)?;
    // The name may lead elsewhere by now.
    check(&opened, allowed)?;
    if !waits {
        let errno = |errno| OpenError::Errno(Errno::from(errno));
        let set = rustix::fs::fcntl_getfl(&opened).map_err(errno)?;
        rustix::fs::fcntl_setfl(&opened, set - OFlags::NONBLOCK).map_err(errno)?;
    }
    Ok(opened)
}

/// What is wrong with a file that should be a regular one, for people.
pub fn not_regular(stat: &Stat) -> Option<String> {
    fits(stat, Allowed::Regular).err()
}

fn check(opened: &OwnedFd, allowed: Allowed) -> Result<FileType, OpenError> {
    let stat = rustix::fs::fstat(opened).map_err(|e| OpenError::Errno(e.into()))?;
    fits(&stat, allowed).map_err(OpenError::Other)
}

fn fits(stat: &Stat, allowed: Allowed) -> Result<FileType, String> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let fits = match kind {
        FileType::RegularFile => true,
        FileType::Fifo => allowed == Allowed::Pipe,
        FileType::BlockDevice => allowed == Allowed::Blocks,
        FileType::CharacterDevice => allowed == Allowed::Memory,
        _ => false,
    };
    let expected = match allowed {
        Allowed::Regular => "a regular file",
        Allowed::Pipe => "a regular file or a pipe",
        Allowed::Blocks => "a block device or a regular file",
        Allowed::Memory => "a character device or a regular file",
    };
    match fits {
        true => Ok(kind),
        false => Err(format!("it is {}, expected {expected}", name(kind))),
    }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "of no known kind",
    }
}

/// Opens a block device, or a regular file with what is on one.
///
/// # Errors
/// Why not, for people.
pub fn blocks(path: &Path) -> Result<File, String> {
    at(path, Allowed::Blocks).map_err(|refused| refused.to_string())
}

fn at(path: &Path, allowed: Allowed) -> Result<File, OpenError> {
    let open = |flags| {
        let opened = rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty());
        opened.map_err(Errno::from)
    };
    by(&open, allowed).map(File::from)
}

/// Opens a regular file by its path.
///
/// # Errors
/// Why not, for people.
pub fn regular(path: &Path) -> Result<File, String> {
    at(path, Allowed::Regular).map_err(|refused| refused.to_string())
}

/// All of a regular file, which has at most `limit` bytes.
///
/// # Errors
/// As the system says, or that it is something else, or larger.
pub fn contents(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = at(path, Allowed::Regular).map_err(|refused| match refused {
        OpenError::Errno(errno) => errno.into(),
        OpenError::Other(what) => io::Error::other(what),
    })?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(len) if len <= limit => Ok(bytes),
        _ => Err(io::Error::other(format!("it is larger than {limit} bytes"))),
    }
}

/// Opens a file that somebody named on the command line, which may be a pipe.
///
/// # Errors
/// Why not, for people.
pub fn named(path: &Path) -> Result<File, String> {
    at(path, Allowed::Pipe).map_err(|refused| refused.to_string())
}

/// What to do about a file that somebody named and that could not be read: looks at
/// what is there.
pub fn remedy(path: &Path) -> &'static str {
    const RIGHT: &str = "run it as root, or as a user who may read the file";
    let denied = |e: &io::Error| e.kind() == io::ErrorKind::PermissionDenied;
    match std::fs::metadata(path) {
        Ok(found) => match FileType::from_raw_mode(found.mode()) {
            FileType::RegularFile | FileType::Fifo => {
                match rustix::fs::access(path, rustix::fs::Access::READ_OK) {
                    Err(_) => RIGHT,
                    Ok(()) => "check the file, and the disk that it is on",
                }
            }
            _ => "name a regular file or a pipe",
        },
        Err(e) if denied(&e) => RIGHT,
        Err(_) => "check the path, and that its file system is mounted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    fn fifo(path: &Path) {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }

    #[test]
    fn what_to_do_follows_from_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _socket = UnixListener::bind(&socket).unwrap();
        for path in [dir.path(), &socket, Path::new("/dev/null")] {
            assert_eq!(remedy(path), "name a regular file or a pipe", "{path:?}");
        }
        let said = remedy(&dir.path().join("absent"));
        assert!(said.starts_with("check the path"), "{said}");
    }

    /// Whatever waits here would hang the test.
    #[test]
    fn only_regular_files_are_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        fifo(&at("fifo"));
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        for (path, said) in [
            (at("fifo"), "it is a pipe, expected a regular file"),
            (at("link"), "it is a pipe, expected a regular file"),
            (at("socket"), "it is a socket, expected a regular file"),
            (at("loop"), "ELOOP"),
            (at("."), "it is a directory, expected a regular file"),
            (
                "/dev/null".into(),
                "it is a character device, expected a regular file",
            ),
            (at("gone"), "ENOENT"),
        ] {
            let error = regular(&path).unwrap_err();
            assert!(error.contains(said), "{}: {error}", path.display());
        }
        assert_eq!(contents(&at("file"), 1).unwrap(), b"x");
        assert!(contents(&at("file"), 0).is_err());
        assert!(contents(&at("fifo"), 9).is_err());
        let gone = contents(&at("gone"), 9).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        let file = regular(&at("file")).unwrap();
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
        assert!(regular(Path::new("/proc/self/stat")).is_ok());
    }

    #[test]
    fn what_is_named_may_be_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        fifo(&path);
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "kernel").unwrap()
        });
        let mut text = String::new();
        named(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "kernel");
        writer.join().unwrap();

        // As a shell's <(...) names it, and whose writer is gone.
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"kernel").unwrap();
        drop(write);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&read);
        let mut text = String::new();
        let mut file = named(Path::new(&format!("/proc/self/fd/{fd}"))).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kernel");

        let socket = dir.path().join("socket");
        let _socket = UnixListener::bind(&socket).unwrap();
        for (path, said) in [
            (
                socket.as_path(),
                "it is a socket, expected a regular file or a pipe",
            ),
            (
                Path::new("/dev/zero"),
                "it is a character device, expected a regular file or a pipe",
            ),
            (
                dir.path(),
                "it is a directory, expected a regular file or a pipe",
            ),
        ] {
            assert_eq!(named(path).unwrap_err(), said);
        }
    }
}
