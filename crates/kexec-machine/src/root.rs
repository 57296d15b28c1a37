//! Reading below a root directory: bounded, never following a link out of it,
//! and always saying why something could not be read.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kexec_sys::Errno;
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, Stat};

use super::open::{self, OpenError};
use super::{Fact, walk};

/// No file that is read for a snapshot is larger than this many bytes; the
/// largest in practice are a kernel configuration (300 KB) and /proc/iomem of
/// machines with thousands of devices (1 MB).
pub(crate) const MAX_FILE: u64 = 4 << 20;

/// No directory that is read for a snapshot has more entries than this; the
/// largest in practice is /proc with its processes.
pub(crate) const MAX_ENTRIES: usize = 1 << 17;

/// How often a look into the kernel's caches is tried.
const CACHED_TRIES: usize = 5;

/// The directory that stands for `/`. Paths are given as they are on the
/// machine, with their leading slash, and appear so in reasons.
#[derive(Debug)]
pub(crate) struct Root {
    dir: Result<OwnedFd, String>,
    /// How paths are followed; `None` is the machine's own way.
    resolve: Option<ResolveFlags>,
    /// Folders that nobody may walk into.
    closed: Vec<String>,
    /// Folders that are kept open, so that what is mounted there stays.
    held: Vec<OwnedFd>,
    /// Whether openat2(2) is asked. Kernels before Linux 5.6 do not have it, and
    /// `RestrictSUIDSGID=` of a unit takes it away.
    has_openat2: bool,
    /// Whether what the running kernel shows is left out.
    files_alone: bool,
}

/// How often a walk is tried while others rename or mount.
const MOVED_TRIES: usize = 16;

impl Root {
    /// Opens the directory; when that fails, every read says so.
    pub(crate) fn new(path: &Path) -> Root {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty());
        Root {
            dir: dir.map_err(|e| format!("{}: {}", path.display(), Errno::from(e))),
            resolve: (path != Path::new("/"))
                .then_some(ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS),
            closed: Vec::new(),
            held: Vec::new(),
            has_openat2: true,
            files_alone: false,
        }
    }

    /// The files alone, as of an image: nothing that the running kernel shows below it
    /// is looked at.
    pub(crate) fn files_alone(path: &Path) -> Root {
        Root {
            resolve: Some(ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS),
            files_alone: true,
            ..Root::new(path)
        }
    }

    /// Stands for a system that does not have openat2(2).
    #[cfg(test)]
    pub(crate) fn without_openat2(self) -> Root {
        Root {
            has_openat2: false,
            ..self
        }
    }

    fn openat2(
        &self,
        dir: &OwnedFd,
        path: &str,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> Result<OwnedFd, Errno> {
        if !self.has_openat2 {
            return Err(Errno::ENOSYS);
        }
        rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve).map_err(Errno::from)
    }

    /// Keeps what is mounted on an automount point, when that can be done without
    /// asking anybody; else nobody walks there any more. Returns whether it is kept.
    ///
    /// While an automount sleeps or its idle time ends, every walk over it waits for
    /// the one who mounts, and who may wait for us. What the kernel has in its caches
    /// is found without (openat2(2), `RESOLVE_CACHED`, from Linux 5.12).
    pub(crate) fn keep_or_close(&mut self, point: &str) -> bool {
        let Ok(dir) = &self.dir else {
            return false;
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = self.resolve.unwrap_or(ResolveFlags::empty()) | ResolveFlags::CACHED;
        let below = point.trim_start_matches('/');
        // Others that change the tree at that moment make it fail, too.
        let kept = (0..CACHED_TRIES).find_map(|_| self.openat2(dir, below, flags, resolve).ok());
        match kept {
            Some(fd) => {
                self.held.push(fd);
                true
            }
            None => {
                self.closed.push(point.to_owned());
                false
            }
        }
    }

    /// From now on nobody walks there: it is not even looked whether it exists.
    pub(crate) fn close(&mut self, point: &str) {
        // Without the top there is nothing left.
        if point != "/" {
            self.closed.push(point.to_owned());
        }
    }

    fn is_closed(&self, path: &str) -> bool {
        self.closed.iter().any(|point| {
            let below = path.strip_prefix(point.as_str());
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }

    /// One file system, from its top: links are followed as a boot loader
    /// follows them, and what is mounted somewhere on it does not belong to it.
    pub(crate) fn file_system(dir: OwnedFd) -> Root {
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Root {
            dir: Ok(dir),
            resolve: Some(inside | ResolveFlags::NO_XDEV),
            closed: Vec::new(),
            held: Vec::new(),
            has_openat2: true,
            files_alone: false,
        }
    }

    /// Whether this is the running machine itself.
    pub(crate) fn is_machine(&self) -> bool {
        self.resolve.is_none()
    }

    /// Opens `path`. The outer error is one that no path below this root
    /// escapes; the inner one is about this path.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> Result<Result<OwnedFd, Errno>, String> {
        let dir = self.dir.as_ref().map_err(Clone::clone)?;
        if self.files_alone && walk::is_kernels(path) {
            return Ok(Err(Errno::ENOENT));
        }
        if self.is_closed(path) {
            // What systemd answers while it stops an automount.
            return Ok(Err(Errno::EHOSTDOWN));
        }
        let below = match path.trim_start_matches('/') {
            "" => ".",
            below => below,
        };
        let mut flags = flags | OFlags::CLOEXEC;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
        }
        let Some(resolve) = self.resolve else {
            let opened = rustix::fs::openat(dir, below, flags, Mode::empty());
            return Ok(opened.map_err(Errno::from));
        };
        // Whatever is renamed or mounted anywhere at that moment makes a walk over `..`
        // fail with EAGAIN (openat2(2)); a package manager renames all the time.
        let tries = (0..MOVED_TRIES).map(|_| self.openat2(dir, below, flags, resolve));
        let mut tries = tries.skip_while(|opened| matches!(opened, Err(Errno::EAGAIN)));
        Ok(match tries.next().unwrap_or(Err(Errno::EAGAIN)) {
            // No such call, a filter that does not know it, or no quiet moment.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => {
                let stays = resolve.contains(ResolveFlags::NO_XDEV);
                walk::open(dir.as_fd(), below, flags, stays)
            }
            opened => opened,
        })
    }

    fn fact<T>(
        &self,
        path: &str,
        flags: OFlags,
        read: impl FnOnce(OwnedFd) -> Result<T, String>,
    ) -> Fact<T> {
        match self.open(path, flags) {
            Err(reason) => Fact::Unreadable(reason),
            Ok(Err(Errno::ENOENT | Errno::ENOTDIR)) => Fact::Absent,
            Ok(Err(errno)) => Fact::Unreadable(format!("{path}: {errno}")),
            Ok(Ok(fd)) => match read(fd) {
                Ok(value) => Fact::Known(value),
                Err(reason) => Fact::Unreadable(format!("{path}: {reason}")),
            },
        }
    }

    /// A regular file, opened for reading.
    pub(crate) fn regular(&self, path: &str) -> Fact<OwnedFd> {
        self.file(path, open::regular_by, Ok)
    }

    /// A mount point, opened.
    pub(crate) fn opened(&self, path: &str) -> Fact<OwnedFd> {
        self.fact(path, OFlags::RDONLY, Ok)
    }

    /// What is at a path, without opening it.
    pub(crate) fn stat(&self, path: &str) -> Fact<Stat> {
        self.fact(path, OFlags::PATH, |fd| {
            rustix::fs::fstat(&fd).map_err(|e| Errno::from(e).to_string())
        })
    }

    /// A file, opened as `by` does it, and what `read` makes of it.
    fn file<T>(
        &self,
        path: &str,
        by: fn(open::Opener<'_>) -> Result<OwnedFd, OpenError>,
        read: impl FnOnce(OwnedFd) -> Result<T, String>,
    ) -> Fact<T> {
        if let Err(reason) = &self.dir {
            return Fact::Unreadable(reason.clone());
        }
        let opened = by(&|flags| self.open(path, flags).unwrap_or(Err(Errno::EBADF)));
        match opened {
            Err(OpenError::Errno(Errno::ENOENT | Errno::ENOTDIR)) => Fact::Absent,
            Err(refused) => Fact::Unreadable(format!("{path}: {refused}")),
            Ok(fd) => match read(fd) {
                Ok(value) => Fact::Known(value),
                Err(reason) => Fact::Unreadable(format!("{path}: {reason}")),
            },
        }
    }

    /// Whether something is at `path`, readable or not.
    pub(crate) fn exists(&self, path: &str) -> bool {
        matches!(self.open(path, OFlags::PATH), Ok(Ok(_)))
    }

    /// The same with the reason why it is not known.
    pub(crate) fn found(&self, path: &str) -> Fact<()> {
        self.fact(path, OFlags::PATH, |_| Ok(()))
    }

    /// The first `limit` bytes of a file.
    pub(crate) fn head(&self, path: &str, limit: u64) -> Fact<Vec<u8>> {
        self.file(path, open::regular_by, |fd| read(fd, limit))
    }

    /// Up to `len` bytes from `offset` on, of a file or a block device.
    pub(crate) fn bytes_at(&self, path: &str, offset: u64, len: usize) -> Fact<Vec<u8>> {
        self.file(path, open::blocks_by, |fd| read_at(fd, offset, len))
    }

    /// The same of a device that shows memory.
    pub(crate) fn memory_at(&self, path: &str, offset: u64, len: usize) -> Fact<Vec<u8>> {
        self.file(path, open::memory_by, |fd| read_at(fd, offset, len))
    }

    /// All of a file, unless it is larger than [`MAX_FILE`].
    pub(crate) fn bytes(&self, path: &str) -> Fact<Vec<u8>> {
        self.bytes_up_to(path, MAX_FILE)
    }

    /// All of a file, unless it is larger than `limit` bytes.
    pub(crate) fn bytes_up_to(&self, path: &str, limit: u64) -> Fact<Vec<u8>> {
        self.file(path, open::regular_by, |fd| {
            let bytes = read(fd, limit.saturating_add(1))?;
            match u64::try_from(bytes.len()) {
                Ok(len) if len <= limit => Ok(bytes),
                _ => Err(format!("larger than {limit} bytes")),
            }
        })
    }

    /// All of a text file, without white space around it.
    pub(crate) fn text(&self, path: &str) -> Fact<String> {
        self.bytes(path)
            .map(|b| String::from_utf8_lossy(&b).trim().to_owned())
    }

    /// A value out of a text file; `expected` says what it should look like.
    pub(crate) fn parse<T>(
        &self,
        path: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Fact<T> {
        self.text(path).and_then(|text| match parse(&text) {
            Some(value) => Fact::Known(value),
            None => Fact::Unreadable(format!(
                "{path}: holds {:?}, expected {expected}",
                text.chars().take(80).collect::<String>()
            )),
        })
    }

    /// A file with `0` or something else.
    pub(crate) fn flag(&self, path: &str) -> Fact<bool> {
        self.parse(path, "0 or 1", |text| {
            text.parse::<i64>().ok().map(|number| number != 0)
        })
    }

    /// Where a symbolic link points, as it is written.
    pub(crate) fn link(&self, path: &str) -> Fact<String> {
        // readlink(2) of the link itself: opened without following it.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        self.fact(path, flags, |fd| {
            let target = rustix::fs::readlinkat(&fd, "", Vec::new());
            let target = target.map_err(|e| Errno::from(e).to_string())?;
            Ok(String::from_utf8_lossy(target.as_bytes()).into_owned())
        })
    }

    /// The names in a directory, without `.` and `..`.
    pub(crate) fn entries(&self, path: &str) -> Fact<Vec<String>> {
        self.fact(path, OFlags::RDONLY | OFlags::DIRECTORY, |fd| {
            let dir = Dir::read_from(&fd).map_err(|e| Errno::from(e).to_string())?;
            let mut names = Vec::new();
            for entry in dir {
                let entry = entry.map_err(|e| Errno::from(e).to_string())?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name == "." || name == ".." {
                    continue;
                }
                if names.len() == MAX_ENTRIES {
                    return Err(format!("more than {MAX_ENTRIES} entries"));
                }
                names.push(name);
            }
            names.sort_unstable();
            Ok(names)
        })
    }
}

fn read_at(fd: OwnedFd, offset: u64, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; len];
    let got = File::from(fd).read_at(&mut bytes, offset);
    bytes.truncate(got.map_err(|e| Errno::from_io(&e).to_string())?);
    Ok(bytes)
}

fn read(fd: OwnedFd, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut file = File::from(fd).take(limit);
    match file.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(e) => Err(Errno::from_io(&e).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("one"), " 1\n").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        dir
    }

    #[test]
    fn tells_absent_from_unreadable() {
        let dir = tree();
        let root = Root::new(dir.path());
        assert_eq!(root.flag("/one"), Fact::Known(true));
        assert_eq!(root.text("/two"), Fact::Absent);
        assert_eq!(root.text("/one/two"), Fact::Absent);
        assert_eq!(
            root.text("/d"),
            Fact::Unreadable("/d: it is a directory, expected a regular file".to_owned())
        );
        std::fs::write(dir.path().join("odd"), "maybe").unwrap();
        assert_eq!(
            root.flag("/odd"),
            Fact::Unreadable("/odd: holds \"maybe\", expected 0 or 1".to_owned())
        );
    }

    #[test]
    fn a_root_that_is_not_there_makes_everything_unreadable() {
        let root = Root::new(Path::new("/nonexistent/root"));
        let Fact::Unreadable(reason) = root.text("/proc/cmdline") else {
            panic!("not unreadable");
        };
        assert!(reason.contains("/nonexistent/root"), "{reason}");
    }

    #[test]
    fn links_stay_below_the_root_and_fifos_do_not_block() {
        let dir = tree();
        symlink("/one", dir.path().join("absolute")).unwrap();
        symlink("../../../../one", dir.path().join("d/up")).unwrap();
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let root = Root::new(dir.path());
        assert_eq!(root.text("/absolute"), Fact::Known("1".to_owned()));
        assert_eq!(root.text("/d/up"), Fact::Known("1".to_owned()));
        assert_eq!(root.text("/out"), Fact::Absent);
        assert_eq!(root.link("/out"), Fact::Known("/etc/passwd".to_owned()));
        assert_eq!(root.link("/gone"), Fact::Absent);
        assert!(root.exists("/absolute") && !root.exists("/out") && root.exists("/d"));
        let fifo = "/fifo: it is a pipe, expected a regular file";
        assert_eq!(root.text("/fifo"), Fact::Unreadable(fifo.to_owned()));
    }

    /// A walk over `..` is no failure because something is renamed elsewhere.
    #[test]
    fn what_others_rename_is_not_in_the_way() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/file"), "1").unwrap();
        symlink("../file", dir.path().join("a/b/link")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (one, two) = (elsewhere.path().join("1"), elsewhere.path().join("2"));
        std::fs::write(&one, "").unwrap();
        let root = Root::new(dir.path());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::fs::rename(&one, &two).unwrap();
                    std::fs::rename(&two, &one).unwrap();
                }
            });
            let missed = (0..20_000).find_map(|_| match root.text("/a/b/link") {
                Fact::Known(_) => None,
                other => Some(other),
            });
            done.store(true, Ordering::Relaxed);
            assert_eq!(missed, None);
        });
    }

    /// With and without openat2(2), a file system ends where another one is mounted.
    #[test]
    fn a_file_system_ends_at_a_mount() {
        let top = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open("/", flags, Mode::empty()).unwrap()
        };
        let own = std::fs::metadata("/proc/self/status").is_ok();
        assert!(own, "/proc is not mounted");
        for root in [
            Root::file_system(top()),
            Root::file_system(top()).without_openat2(),
        ] {
            let said = root.text("/proc/version");
            assert_eq!(
                said.reason(),
                Some("/proc/version: invalid cross-device link (EXDEV)")
            );
            assert!(root.entries("/proc").reason().is_some());
            assert!(root.exists("/"));
        }
    }

    #[test]
    fn large_files_are_refused() {
        let dir = tree();
        let file = File::create(dir.path().join("big")).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        let root = Root::new(dir.path());
        assert_eq!(
            root.text("/big"),
            Fact::Unreadable("/big: larger than 4194304 bytes".to_owned())
        );
        assert_eq!(root.head("/big", 16), Fact::Known(vec![0; 16]));
    }
}
