//! Which devices carry the mounts that decide: what the running system runs from.

use super::btrfs::Btrfs;
use super::config::DeviceConfig;
use super::devices::{BlockDevice, FOLDER};
use super::index::Index;
use super::mountinfo::Mount;
use super::paths;
use super::trust::{self, Verdict};
use crate::Root;

/// An overlay on a loop device on a stick is three floors.
const MAX_FLOORS: usize = 8;

/// Devices and the mounts on them.
pub(super) struct Carriers<'a> {
    root: &'a Root,
    index: &'a Index<'a>,
    btrfs: &'a Btrfs,
    mounts: &'a [Mount],
    /// What is at / is not what the machine runs from.
    foreign: bool,
}

impl<'a> Carriers<'a> {
    pub(super) fn new(
        root: &'a Root,
        index: &'a Index<'a>,
        btrfs: &'a Btrfs,
        mounts: &'a [Mount],
        foreign: bool,
    ) -> Carriers<'a> {
        Carriers {
            root,
            index,
            btrfs,
            mounts,
            foreign,
        }
    }

    /// The verdict on every device.
    pub(super) fn verdicts(&self, config: &DeviceConfig) -> Vec<Verdict> {
        let decides = |mount: &&Mount| !self.foreign && trust::decides(&mount.point);
        let decide = self.mounts.iter().filter(decides);
        let own = decide.filter(|mount| trust::user_mount(mount, config).is_none());
        let carries: Vec<(&BlockDevice, &str)> = own
            .flat_map(|mount| {
                let mut found = Vec::new();
                self.below(mount, 0, &mut found);
                let point = mount.point.as_str();
                found.into_iter().map(move |device| (device, point))
            })
            .collect();
        trust::verdicts(self.index.all, &carries, config)
    }

    /// The devices that a mount is on. Those of an overlay that the system runs from are
    /// what it only reads, and a loop device's is what its file is on; both were set up
    /// before any user was there.
    fn below(&self, mount: &Mount, floor: usize, found: &mut Vec<&'a BlockDevice>) {
        if floor > MAX_FLOORS {
            return;
        }
        let deeper = floor.saturating_add(1);
        let device = device_of(self.root, self.index, self.btrfs, mount);
        found.extend(
            device
                .into_iter()
                .flat_map(|d| self.btrfs.with(self.index, d)),
        );
        if floor == 0 && !trust::runs_at(&mount.point) {
            return;
        }
        let backing = device.and_then(|device| self.backing(device));
        for path in mount.lower.iter().chain(&backing) {
            if let Some(under) = self.holder(path).filter(|under| under.id != mount.id) {
                self.below(under, deeper, found);
            }
        }
    }

    /// The file that a loop device shows.
    fn backing(&self, device: &BlockDevice) -> Option<String> {
        let disk = device.disk.as_deref().unwrap_or(&device.name);
        let path = format!("{FOLDER}/{disk}/loop/backing_file");
        let path = self.root.text(&path).known()?.clone();
        path.starts_with('/').then_some(path)
    }

    /// The mount that a path leads to, by its name alone.
    fn holder(&self, path: &str) -> Option<&'a Mount> {
        let path = paths::normal(path);
        let holds = |mount: &&Mount| paths::below(&path, &mount.point).is_some();
        let deepest = self
            .mounts
            .iter()
            .filter(holds)
            .max_by_key(|m| m.point.len())?;
        (!trust::is_fuse(&deepest.kind)).then_some(deepest)
    }
}

/// The device of a mount, by its number. Only btrfs makes up a number for what is on
/// devices that are named beside it; they have to be those of a btrfs in sysfs.
pub(super) fn device_of<'a>(
    root: &Root,
    index: &Index<'a>,
    btrfs: &Btrfs,
    mount: &Mount,
) -> Option<&'a BlockDevice> {
    index.numbered(&mount.number).or_else(|| {
        let source = mount.source.as_str();
        if mount.kind != "btrfs" || !source.starts_with("/dev/") {
            return None;
        }
        let canonical = || index.at(&paths::canonical(root, source).ok()?);
        let device = index.at(source).or_else(canonical)?;
        btrfs.has(device).then_some(device)
    })
}
