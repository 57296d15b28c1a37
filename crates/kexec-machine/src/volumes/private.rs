//! A mount of our own: read-only, in no mount namespace, gone when it is closed,
//! and without a single write to the device.

use std::os::fd::{AsFd, OwnedFd};

use kexec_sys::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

/// A file system that can be looked at without a write.
struct MountableKind {
    /// What mount(8) and udev call it.
    names: &'static [&'static str],
    /// The driver that mounts it.
    driver: &'static str,
    /// Options that keep its journal from being replayed, each a name and perhaps
    /// a value; the first set that the kernel knows is taken.
    options: &'static [MountOptions],
    /// Options that show all of the file system.
    top: MountOptions,
}

/// Names, each perhaps with a value.
type MountOptions = &'static [(&'static str, &'static str)];

/// What is to be mounted.
#[derive(Debug, Clone, Copy)]
pub(super) struct MountRequest<'a> {
    /// The node of the device.
    pub(super) device: &'a str,
    /// The kind of file system.
    pub(super) kind: &'a str,
    /// It is mounted elsewhere already, and may be written to there. Then its
    /// journal is in use, and this mount alone is read-only.
    pub(super) in_use: bool,
}

/// ext4: Documentation/admin-guide/ext4.rst, `noload`. xfs:
/// Documentation/admin-guide/xfs.rst, `norecovery`. btrfs: btrfs(5),
/// `rescue=nologreplay` since Linux 5.9 and `nologreplay` before; the top-level
/// subvolume has the number 5. FAT has no journal.
const KINDS: &[MountableKind] = &[
    MountableKind {
        names: &["ext2", "ext3", "ext4"],
        driver: "ext4",
        options: &[&[("noload", "")]],
        top: &[],
    },
    MountableKind {
        names: &["vfat", "msdos"],
        driver: "vfat",
        options: &[&[]],
        top: &[],
    },
    MountableKind {
        names: &["xfs"],
        driver: "xfs",
        options: &[&[("norecovery", "")]],
        top: &[],
    },
    MountableKind {
        names: &["btrfs"],
        driver: "btrfs",
        options: &[&[("rescue", "nologreplay")], &[("nologreplay", "")]],
        top: &[("subvolid", "5")],
    },
];

/// Whether a file system of this kind can be looked at without a write.
pub(super) fn knows(kind: &str) -> bool {
    find(kind).is_some()
}

fn find(kind: &str) -> Option<&'static MountableKind> {
    KINDS.iter().find(|known| known.names.contains(&kind))
}

/// Mounts a device where nobody else sees it, and returns its top folder.
///
/// # Errors
/// Why it cannot be done, and what to do.
pub(super) fn mount(request: MountRequest<'_>) -> Result<OwnedFd, String> {
    let kind = request.kind;
    let known = find(kind).ok_or_else(|| {
        format!("it is {kind}, which cannot be read without writing to it; mount it and try again")
    })?;
    let mut refused = None;
    for options in known.options {
        match attempt(request, known, options) {
            Ok(dir) => return Ok(dir),
            Err((errno, said)) => {
                let first = refused.get_or_insert((errno, said));
                if first.0 != Errno::EINVAL {
                    break;
                }
            }
        }
    }
    Err(refused.map_or_else(String::new, |(errno, said)| {
        explain(request.device, kind, errno, &said)
    }))
}

/// One try; the text is what the file system said beside the error number.
fn attempt(
    request: MountRequest<'_>,
    known: &MountableKind,
    careful: MountOptions,
) -> Result<OwnedFd, (Errno, String)> {
    let plain = |errno: rustix::io::Errno| (Errno::from(errno), String::new());
    let context = mount::fsopen(known.driver, FsOpenFlags::FSOPEN_CLOEXEC).map_err(plain)?;
    let told = |errno: rustix::io::Errno| (Errno::from(errno), message(&context));
    mount::fsconfig_set_string(context.as_fd(), "source", request.device).map_err(told)?;
    let read_only: MountOptions = &[("ro", "")];
    let sets = [
        if request.in_use { &[] } else { read_only },
        if request.in_use { &[] } else { careful },
        known.top,
    ];
    for (name, value) in sets.into_iter().flatten() {
        match *value {
            "" => mount::fsconfig_set_flag(context.as_fd(), *name),
            value => mount::fsconfig_set_string(context.as_fd(), *name, value),
        }
        .map_err(told)?;
    }
    mount::fsconfig_create(context.as_fd()).map_err(told)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(told)
}

/// The file system of an open folder without what is mounted on it, in no mount
/// namespace either.
///
/// # Errors
/// Why it cannot be done.
pub(super) fn uncovered(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    mount::open_tree(folder.as_fd(), "", flags).map_err(Errno::from)
}

/// The last thing that the file system said (fsopen(2) "Message retrieval").
fn message(context: &OwnedFd) -> String {
    let mut buffer = [0; 256];
    let mut last = String::new();
    // As many as the kernel keeps.
    for _ in 0..8 {
        match rustix::io::read(context, &mut buffer) {
            Ok(len) if len > 0 => {
                let text = buffer.get(..len).unwrap_or_default();
                last = String::from_utf8_lossy(text).trim().to_owned();
            }
            _ => break,
        }
    }
    last
}

fn explain(device: &str, kind: &str, errno: Errno, said: &str) -> String {
    let mut text = format!("looking into it, {errno}");
    if !said.is_empty() {
        text = format!("{text}, {said:?}");
    }
    let why = match errno {
        Errno::EPERM | Errno::EACCES => "only root can do that".to_owned(),
        Errno::ENOSYS => "this kernel cannot mount privately (that needs Linux 5.2); mount \
                          it"
        .to_owned(),
        Errno::ENODEV => format!("the running kernel has no driver for {kind}; mount it"),
        Errno::EBUSY => format!("{device} is in use elsewhere; mount it"),
        _ => "mount it and try again".to_owned(),
    };
    format!("{text}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null(kind: &str) -> MountRequest<'_> {
        MountRequest {
            device: "/dev/null",
            kind,
            in_use: false,
        }
    }

    #[test]
    fn a_file_system_that_would_be_written_to_is_refused() {
        let error = mount(null("f2fs")).unwrap_err();
        assert!(
            error.contains("it is f2fs") && error.contains("mount it"),
            "{error}"
        );
        assert!(knows("ext4") && knows("vfat") && !knows("f2fs"));
    }

    #[test]
    fn what_is_no_block_device_is_refused_with_a_reason() {
        let error = mount(null("ext4")).unwrap_err();
        assert!(
            error.starts_with("looking into it, ") && error.contains(" (E"),
            "{error}"
        );
        assert!(
            error.contains("mount it") || error.contains("root"),
            "{error}"
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        let said = explain("/dev/vda1", "vfat", Errno::EBUSY, "e Can't");
        assert_eq!(
            said,
            "looking into it, it is in use (EBUSY), \"e Can't\": /dev/vda1 is in use \
             elsewhere; mount it"
        );
        assert!(explain("/dev/vda1", "vfat", Errno::ENODEV, "").contains("no driver for vfat"));
    }
}
