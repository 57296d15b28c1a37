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

/// The region now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Bytes as the running kernel counts them, and as it takes them: those of all parts, or of
    /// the highest one alone in an older kernel (seen: 6.1; 6.12 counts all).
    pub size: u64,
    /// Bytes of the part that images go into: the highest one.
    pub window: u64,
}

/// What has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of the region.
    pub total: u64,
    /// Bytes that the image takes in the part it goes into; `None` where that is unknown.
    pub image: Option<u64>,
    /// Whether `total` is an estimate, and grows where the image would not fit; a size that
    /// somebody typed does not.
    pub estimated: bool,
}

/// Why the region is not made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShrunk {
    /// There is none.
    NoRegion,
    /// It has so many bytes at most already.
    SmallEnough {
        /// Bytes that have to stay.
        wanted: u64,
    },
    /// An image would not fit into what is left of its part.
    NoRoom {
        /// Bytes that would be left of that part.
        window: u64,
        /// Bytes that the image takes.
        image: u64,
        /// The smallest size in which it fits.
        least: u64,
    },
}

/// What an image takes besides its kernel and initrd: it begins at a multiple of 2 MiB or of
/// what its header asks for, 16 MiB at most in use (Documentation/arch/x86/boot.rst,
/// `kernel_alignment`), and has its parameters, purgatory and ELF core header beside it.
const AROUND_IMAGE: u64 = 18 * MIB;

/// How much is returned when `kept` stays: whole MiB. The running kernel takes the part that
/// images go into apart first, and the other part only when nothing of it is left.
///
/// # Errors
/// When there is nothing to return, or an image would not fit any more. Nothing at all may
/// stay.
pub fn plan(region: Region, kept: Kept) -> Result<Shrink, NotShrunk> {
    let before = region.size;
    if before == 0 {
        return Err(NotShrunk::NoRegion);
    }
    let outside = before.saturating_sub(region.window);
    let image = kept
        .image
        .map(|image| image.saturating_add(AROUND_IMAGE))
        // Without a look at the image: some of its part has to be left.
        .unwrap_or(MIB);
    let least = whole(outside.saturating_add(image));
    let after = match kept.estimated {
        true => whole(kept.total).max(least),
        false => whole(kept.total),
    };
    if after >= before {
        return Err(NotShrunk::SmallEnough { wanted: after });
    }
    if after > 0 && after < least {
        return Err(NotShrunk::NoRoom {
            window: after.saturating_sub(outside),
            image,
            least,
        });
    }
    Ok(Shrink { before, after })
}

/// Whole MiB, rounded up.
fn whole(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(MIB).unwrap_or(u64::MAX)
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

    fn typed(total: u64) -> Kept {
        Kept {
            total,
            image: Some(0),
            estimated: false,
        }
    }

    #[test]
    fn only_downwards() {
        let of = |size, wanted| {
            let region = Region {
                size: size * MIB,
                window: size * MIB,
            };
            plan(region, typed(wanted))
        };
        assert_eq!(of(256, 128 * MIB - 1).unwrap().after, 128 * MIB);
        assert_eq!(of(256, 0).unwrap().after, 0);
        for same in [256 * MIB, u64::MAX] {
            let wanted = whole(same);
            assert_eq!(of(256, same), Err(NotShrunk::SmallEnough { wanted }));
        }
        assert_eq!(of(0, 0), Err(NotShrunk::NoRegion));
    }

    /// 512 MiB above 4 GiB, 256 MiB below: images go above only, and only that part becomes
    /// smaller.
    #[test]
    fn of_two_parts_the_one_of_the_image_stays_large_enough() {
        let high = Region {
            size: 768 * MIB,
            window: 512 * MIB,
        };
        let of = |total: u64, image: u64, estimated| {
            let kept = Kept {
                total: total * MIB,
                image: Some(image * MIB),
                estimated,
            };
            plan(high, kept)
        };
        // 64 MiB of the estimate would be left above.
        assert_eq!(of(320, 100, true).unwrap().after, (256 + 118) * MIB);
        assert_eq!(of(500, 100, true).unwrap().after, 500 * MIB);
        let refused = NotShrunk::NoRoom {
            window: 64 * MIB,
            image: 118 * MIB,
            least: 374 * MIB,
        };
        assert_eq!(of(320, 100, false), Err(refused));
        assert_eq!(of(374, 100, false).unwrap().after, 374 * MIB);
        // All of the part above would be gone.
        assert!(matches!(
            of(128, 100, false),
            Err(NotShrunk::NoRoom { window: 0, .. })
        ));
        let unseen = Kept {
            image: None,
            ..typed(256 * MIB)
        };
        assert!(plan(high, unseen).is_err());
        assert_eq!(of(0, 100, false).unwrap().after, 0);
        // An older kernel counts the part above alone.
        let old = Region {
            size: 512 * MIB,
            window: 512 * MIB,
        };
        assert_eq!(plan(old, typed(320 * MIB)).unwrap().after, 320 * MIB);
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
