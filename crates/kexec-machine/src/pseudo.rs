//! The kernel's own file systems, where nobody has mounted them: looked at through
//! a mount of our own, in no mount namespace, gone when it is closed.

use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::Root;

/// The top of the kernel's file system of this kind (`securityfs`, `efivarfs`);
/// none below a root directory that is not the machine's, without CAP_SYS_ADMIN,
/// and before Linux 5.2 (fsopen(2)).
pub(crate) fn look(root: &Root, kind: &str) -> Option<Root> {
    use std::os::fd::AsFd;
    if !root.is_machine() {
        return None;
    }
    let context = mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
    mount::fsconfig_create(context.as_fd()).ok()?;
    let safe = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let top = mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, safe).ok()?;
    Some(Root::file_system(top))
}
