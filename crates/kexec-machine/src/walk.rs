//! What `openat2(2)` with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS does, one
//! component at a time, for kernels before Linux 5.6 (RHEL 8) and for system call
//! filters that do not know the call.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use kexec_sys::Errno;
use rustix::fs::{Mode, OFlags};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Opens `path` below `root`, which is `/` to every link on the way. With `stays`, what
/// is mounted somewhere below is not entered (RESOLVE_NO_XDEV).
///
/// # Errors
/// What openat2(2) would say.
pub(super) fn open(
    root: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    stays: bool,
) -> Result<OwnedFd, Errno> {
    let own = stays.then(|| mount_id(root)).flatten();
    let stay = |fd: OwnedFd| match mount_id(fd.as_fd()).filter(|_| own.is_some()) {
        Some(other) if own != Some(other) => Err(Errno::EXDEV),
        _ => Ok(fd),
    };
    let mut todo = parts(path.as_bytes());
    // The folders from the root down to where we are.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == b".." {
            way.pop();
            continue;
        }
        let here = way.last().map_or(root, AsFd::as_fd);
        let name = OsStr::from_bytes(&part);
        match rustix::fs::readlinkat(here, name, Vec::new()) {
            Ok(target) if !(todo.is_empty() && flags.contains(OFlags::NOFOLLOW)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                if target.as_bytes().starts_with(b"/") {
                    way.clear();
                }
                todo.extend(parts(target.as_bytes()));
            }
            _ if todo.is_empty() => {
                let opened =
                    rustix::fs::openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty());
                return opened.map_err(Errno::from).and_then(stay);
            }
            _ => {
                let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let next = rustix::fs::openat(here, name, folder, Mode::empty());
                way.push(next.map_err(Errno::from).and_then(stay)?);
            }
        }
    }
    let here = way.last().map_or(root, AsFd::as_fd);
    rustix::fs::openat(here, ".", flags, Mode::empty()).map_err(Errno::from)
}

/// The number of the mount that a file is on: statx(2), `STATX_MNT_ID` from Linux 5.8,
/// or proc_pid_fdinfo(5). `None` where the kernel does not tell.
pub(crate) fn mount_id(file: BorrowedFd<'_>) -> Option<u64> {
    use rustix::fs::{AtFlags, StatxFlags};
    let wanted = StatxFlags::MNT_ID;
    match rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted) {
        Ok(stat) if stat.stx_mask & wanted.bits() != 0 => Some(stat.stx_mnt_id),
        _ => {
            let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
            let text = std::fs::read_to_string(path).ok()?;
            let mut lines = text.lines();
            let id = lines.find_map(|line| line.strip_prefix("mnt_id:"))?;
            id.trim().parse().ok()
        }
    }
}

/// Where the running kernel shows itself.
const KERNELS: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// Whether that is what the running kernel and its system show, and no file of an image.
pub(crate) fn is_kernels(path: &str) -> bool {
    KERNELS.iter().any(|folder| {
        let below = path.strip_prefix(folder);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// The components, last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
    let mut parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::ResolveFlags;
    use std::os::unix::fs::symlink;

    /// Both ways give the same answer on every path of a tree full of links.
    #[test]
    fn it_answers_as_openat2_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("usr/lib/x")).unwrap();
        std::fs::write(at("usr/lib/file"), "here").unwrap();
        for (target, name) in [
            ("usr/lib", "lib"),
            ("/lib/file", "absolute"),
            ("../../../../lib/file", "usr/lib/up"),
            ("loop-b", "loop-a"),
            ("loop-a", "loop-b"),
            ("gone", "dangling"),
            ("/etc/passwd", "out"),
            ("file", "usr/lib/chain-1"),
            ("chain-1", "usr/lib/chain-2"),
            ("/", "top"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        let root = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for path in [
            ".",
            "lib",
            "lib/file",
            "absolute",
            "usr/lib/up",
            "loop-a",
            "loop-a/x",
            "dangling",
            "out",
            "lib/chain-2",
            "top/lib/file",
            "lib/../lib/file",
            "../../lib/file",
            "lib/file/x",
            "lib/file/..",
            "nothing",
            "nothing/x",
            "top/top/top",
            "usr/lib/x/../../..",
            "dangling/x",
        ] {
            for flags in [
                OFlags::RDONLY,
                OFlags::RDONLY | OFlags::DIRECTORY,
                OFlags::PATH,
                OFlags::PATH | OFlags::NOFOLLOW,
            ] {
                let ours = open(root.as_fd(), path, flags, false).map(|fd| identity(&fd));
                let theirs = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve);
                let theirs = theirs.map(|fd| identity(&fd)).map_err(Errno::from);
                assert_eq!(ours, theirs, "{path} {flags:?}");
            }
        }
    }

    fn identity(fd: &OwnedFd) -> (u64, u64) {
        let stat = rustix::fs::fstat(fd).unwrap();
        (stat.st_dev, stat.st_ino)
    }
}
