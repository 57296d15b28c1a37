//! How a file of a file system is reached: through a mount of the system, below what
//! covers it, or through a mount of our own.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::{Mount, Volume, VolumeId, Volumes, paths, private, superblock};
use crate::Root;
use crate::volumes::BootFile;
use crate::{Fact, walk};

pub(super) type OpenedRoot = Rc<Result<Root, String>>;

/// A folder of a file system, and the path from there.
pub(super) struct View {
    pub(super) top: OpenedRoot,
    pub(super) path: String,
}

impl Volumes {
    /// The mount through which a file is reached.
    pub(super) fn view(&self, file: &BootFile) -> Result<View, String> {
        let volume = self
            .get(&file.volume)
            .ok_or_else(|| format!("{}: there is no such file system", file.shown))?;
        if let Some(doubt) = volume.verdict.doubt() {
            return Err(format!("{}: it is not read: {doubt}", file.shown));
        }
        let Some((mount, path)) = paths::through(volume, &file.path) else {
            let top = self.opened(&volume.id, "/", || self.unmounted(volume));
            return Ok(View {
                top,
                path: file.path.clone(),
            });
        };
        let cover = paths::cover(&self.layout, mount, &path);
        // A tree has the files of a folder that is mounted on itself where they are.
        let cover =
            cover.filter(|_| self.root.is_machine() || !paths::seen(&self.layout, mount, &path));
        if let (Some(cover), false) = (cover, self.root.is_machine()) {
            return Err(format!("{}: hidden below the mount at {cover}", file.shown));
        }
        let top = match cover {
            None => self.opened(&volume.id, &mount.top, || self.mounted(mount)),
            Some(cover) => self.opened(&volume.id, &format!("{} bare", mount.top), || {
                self.uncovered(mount, cover)
            }),
        };
        Ok(View { top, path })
    }

    fn mounted(&self, mount: &Mount) -> Result<Root, String> {
        self.mount_point(mount).map(Root::file_system)
    }

    fn mount_point(&self, mount: &Mount) -> Result<OwnedFd, String> {
        match self.root.opened(&mount.point) {
            Fact::Known(fd) if !self.root.is_machine() || is_mount(&fd, mount.id) => Ok(fd),
            Fact::Known(_) => Err(format!(
                "{}: another file system is mounted there now; try again",
                mount.point
            )),
            Fact::Absent => Err(format!("{}: the mount point is gone", mount.point)),
            Fact::Unreadable(reason) => Err(reason),
        }
    }

    /// What is hidden below `cover`, which is mounted on it.
    fn uncovered(&self, mount: &Mount, cover: &str) -> Result<Root, String> {
        let folder = self.mount_point(mount)?;
        let bare = private::uncovered(&folder).map_err(|errno| {
            format!("looking below the mount at {cover}: {errno}; only root can do that")
        })?;
        Ok(Root::file_system(bare))
    }

    fn opened(
        &self,
        id: &VolumeId,
        top: &str,
        open: impl FnOnce() -> Result<Root, String>,
    ) -> OpenedRoot {
        let key = (id.clone(), top.to_owned());
        let mut opened = self.opened.borrow_mut();
        Rc::clone(opened.entry(key).or_insert_with(|| Rc::new(open())))
    }

    /// A file system that is not mounted, or of which only other folders are.
    /// Below a test's root a folder may stand for the device.
    fn unmounted(&self, volume: &Volume) -> Result<Root, String> {
        let failed = |reason: &str| format!("{} (not mounted): {reason}", volume.id);
        let device = volume.device.as_deref();
        let device = device.ok_or_else(|| failed("it has no device"))?;
        self.no_mixture(volume).map_err(|reason| failed(&reason))?;
        if !self.root.is_machine() {
            return match self.root.opened(device) {
                Fact::Known(fd) => Ok(Root::file_system(fd)),
                Fact::Absent => Err(failed("the device does not exist")),
                Fact::Unreadable(reason) => Err(failed(&reason)),
            };
        }
        let dir = self.private(volume, device).map_err(|r| failed(&r))?;
        Ok(Root::file_system(dir))
    }

    /// A mount of our own of a whole file system.
    fn private(&self, volume: &Volume, device: &str) -> Result<OwnedFd, String> {
        let kind = volume.kind.as_deref();
        let kind = kind.ok_or("the type of its file system is unknown")?;
        let mut mounts = volume.mounts.iter().chain(&volume.passed);
        let in_use = volume.hidden || mounts.any(|mount| mount.writable);
        let head = self.root.bytes_at(device, 0, superblock::LEN);
        let orphans = head
            .known()
            .is_some_and(|head| superblock::has_orphans(head));
        if orphans && !in_use {
            return Err(
                "it was not cleanly unmounted, and the kernel would write to it even when it is \
                 mounted read-only; mount it and try again"
                    .to_owned(),
            );
        }
        private::mount(private::MountRequest {
            device,
            kind,
            in_use,
        })
    }

    /// The kernel puts a btrfs together from every device that has its UUID, also from
    /// those that are no boot sources.
    fn no_mixture(&self, volume: &Volume) -> Result<(), String> {
        let mounted = !volume.mounts.is_empty() || !volume.passed.is_empty();
        let twin = self.every().iter().find(|other| {
            let doubted = !other.verdict.is_believed();
            doubted && volume.uuid.is_some() && other.uuid == volume.uuid
        });
        let btrfs = volume.kind.as_deref() == Some("btrfs");
        match twin.filter(|_| btrfs && !mounted) {
            Some(twin) => Err(format!(
                "{} has its UUID as well, and the kernel could mount a mixture of both: {}",
                twin.id, twin.verdict
            )),
            None => Ok(()),
        }
    }
}

/// Whether a folder is on the mount with this number.
fn is_mount(folder: &OwnedFd, id: u64) -> bool {
    walk::mount_id(folder.as_fd()).is_none_or(|own| own == id)
}
