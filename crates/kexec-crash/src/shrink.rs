//! The region of the crash kernel, made smaller while the machine runs
//! (Documentation/ABI/testing/sysfs-kernel-kexec-kdump: `crash_size` is writable, and only
//! downwards).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kexec_machine::snapshot::sysfs::KexecFile;

use crate::size::MIB;

/// What would be, or was, returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrink {
    /// Bytes before.
    pub before: u64,
    /// Bytes afterwards.
    pub after: u64,
}

/// Why the region is not made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShrunk {
    /// There is none.
    NoRegion,
    /// It is as small already.
    SmallEnough,
}

/// How much is returned when `wanted` bytes are kept of `before`: whole MiB.
///
/// # Errors
/// When there is nothing to return.
pub fn plan(before: u64, wanted: u64) -> Result<Shrink, NotShrunk> {
    if before == 0 {
        return Err(NotShrunk::NoRegion);
    }
    let after = wanted.checked_next_multiple_of(MIB).unwrap_or(u64::MAX);
    match after < before {
        true => Ok(Shrink { before, after }),
        false => Err(NotShrunk::SmallEnough),
    }
}

/// The file that holds the size.
fn file(root: &Path) -> Option<PathBuf> {
    let path = KexecFile::CrashSize.found(root)?;
    Some(root.join(path.trim_start_matches('/')))
}

/// The size of the region now.
///
/// # Errors
/// When the running kernel does not show it.
pub fn size(root: &Path) -> io::Result<u64> {
    let file = file(root).ok_or(io::ErrorKind::NotFound)?;
    let text = kexec_machine::open::contents(&file, 64)?;
    let text = String::from_utf8_lossy(&text);
    text.trim()
        .parse()
        .map_err(|_| io::Error::other(format!("{:?}, expected a number of bytes", text.trim())))
}

/// Makes the region smaller. Returns its size afterwards, as the kernel says.
///
/// # Errors
/// As the running kernel answers; the region is as large as before then.
pub fn apply(root: &Path, shrink: Shrink) -> io::Result<u64> {
    let file = file(root).ok_or(io::ErrorKind::NotFound)?;
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(shrink.after.to_string().as_bytes())?;
    size(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_downwards() {
        let of = |before, wanted| plan(before * MIB, wanted);
        assert_eq!(of(256, 128 * MIB - 1).unwrap().after, 128 * MIB);
        assert_eq!(of(256, 256 * MIB), Err(NotShrunk::SmallEnough));
        assert_eq!(of(256, u64::MAX), Err(NotShrunk::SmallEnough));
        assert_eq!(of(0, 0), Err(NotShrunk::NoRegion));
    }

    #[test]
    fn the_new_place_and_the_old_one() {
        let root = tempfile::tempdir().unwrap();
        assert!(size(root.path()).is_err());
        let kernel = root.path().join("sys/kernel");
        std::fs::create_dir_all(kernel.join("kexec")).unwrap();
        std::fs::write(kernel.join("kexec_crash_size"), "268435456\n").unwrap();
        assert_eq!(size(root.path()).unwrap(), 256 * MIB);
        std::fs::write(kernel.join("kexec/crash_size"), "1048576\n").unwrap();
        assert_eq!(size(root.path()).unwrap(), MIB);
        let shrink = Shrink {
            before: MIB,
            after: 4096,
        };
        std::fs::write(kernel.join("kexec/crash_size"), "").unwrap();
        assert_eq!(apply(root.path(), shrink).unwrap(), 4096);
        std::fs::write(kernel.join("kexec/crash_size"), "many").unwrap();
        assert!(size(root.path()).is_err());
    }
}
