//! Volumes out of mounts and devices, one for each file system.

use std::collections::{BTreeMap, BTreeSet};

use super::btrfs::Btrfs;
use super::carriers::device_of;
use super::config::DeviceConfig;
use super::devices::{self, BlockDevice};
use super::index::Index;
use super::mountinfo::Mount;
use super::trust::{self, Because, Verdict};
use super::{Volume, VolumeId, paths, private};
use crate::Root;

/// What mounts are put together with.
pub(super) struct Known<'a> {
    root: &'a Root,
    index: &'a Index<'a>,
    verdicts: BTreeMap<&'a str, &'a Verdict>,
    /// Members of arrays, or paths to them, that show what the whole holds.
    parts: BTreeSet<&'a str>,
    btrfs: &'a Btrfs,
    config: &'a DeviceConfig,
}

impl<'a> Known<'a> {
    /// `judged` are the verdicts on the devices, in their order.
    pub(super) fn new(
        root: &'a Root,
        index: &'a Index<'a>,
        judged: &'a [Verdict],
        btrfs: &'a Btrfs,
        config: &'a DeviceConfig,
    ) -> Known<'a> {
        let names = index.all.iter().map(|device| device.name.as_str());
        Known {
            root,
            verdicts: names.zip(judged).collect(),
            parts: index.parts(),
            index,
            btrfs,
            config,
        }
    }

    fn verdict(&self, device: &BlockDevice) -> Verdict {
        let judged = |device: &BlockDevice| self.verdicts.get(device.name.as_str()).copied();
        // A btrfs of several devices is what all of them hold.
        let whole = self.btrfs.with(self.index, device);
        let mut judged_whole = whole.into_iter().filter_map(judged);
        let doubted = judged_whole.find(|verdict| !verdict.is_believed());
        let verdict = doubted.or_else(|| judged(device)).cloned();
        verdict.unwrap_or_else(|| trust::by_name(&device.name, &[]))
    }

    fn spot(&self, device: &BlockDevice) -> Option<Spot> {
        let disk = device.disk.as_deref();
        let disk = disk.map_or(Some(device), |disk| self.index.named(disk))?;
        let number = device.partition.as_ref().and_then(|p| p.number);
        Some((disk.wwid.clone()?, number, device.content.uuid.clone()?))
    }

    fn volume(&self, device: &BlockDevice) -> Volume {
        let below = device.below.iter().filter(|_| device.mirrors);
        let below = below.filter_map(|name| self.index.named(name));
        Volume {
            device: Some(device.node()),
            disks: devices::disks(self.index, device),
            kind: device.content.kind.clone(),
            uuid: device.content.uuid.clone(),
            label: device.content.label.clone(),
            partition: device.partition.clone(),
            members: below.filter_map(|d| d.partition.clone()).collect(),
            verdict: self.verdict(device),
            ..empty(id_of(device))
        }
    }
}

/// The volumes until now.
pub(super) struct Gathered<'a> {
    known: Known<'a>,
    pub(super) all: Vec<Volume>,
    /// The place of each.
    places: BTreeMap<VolumeId, usize>,
    /// The UUIDs, each with whether that one is believed.
    uuids: BTreeSet<(String, bool)>,
    /// The believed places on hardware, by whichever path.
    spots: BTreeSet<Spot>,
}

/// A file system by the disk's name in hardware, the number of its partition and its
/// UUID.
type Spot = (String, Option<u32>, String);

impl<'a> Gathered<'a> {
    pub(super) fn new(known: Known<'a>) -> Gathered<'a> {
        Gathered {
            known,
            all: Vec::new(),
            places: BTreeMap::new(),
            uuids: BTreeSet::new(),
            spots: BTreeSet::new(),
        }
    }

    fn push(&mut self, volume: Volume, spot: Option<Spot>) -> usize {
        let at = self.all.len();
        let spot = spot.filter(|_| volume.verdict.is_believed());
        self.spots.extend(spot);
        self.places.entry(volume.id.clone()).or_insert(at);
        if let Some(uuid) = &volume.uuid {
            let believed = volume.verdict.is_believed();
            self.uuids.insert((uuid.clone(), believed));
        }
        self.all.push(volume);
        at
    }

    /// Adds a mount to the volume that it is of.
    pub(super) fn add_mount(&mut self, mount: Mount) {
        let known = &self.known;
        let user = trust::user_mount(&mount, known.config);
        let device = device_of(known.root, known.index, known.btrfs, &mount);
        let mount = match pool(&mount) {
            Some((top, source)) => Mount {
                top,
                source,
                ..mount
            },
            None => mount,
        };
        let unseen = unseen(known.index, &mount);
        let id = match (device, &unseen) {
            (Some(device), _) => id_of(device),
            (None, Some(name)) => VolumeId(name.clone()),
            (None, None) if !trust::is_fuse(&mount.kind) && names_itself(&mount) => {
                VolumeId(format!("{} {}", mount.kind, mount.source))
            }
            // tmpfs and overlay have no source that names one of them.
            (None, None) if mount.kind.is_empty() => VolumeId(mount.source.clone()),
            (None, None) => VolumeId(format!("{} {}", mount.kind, mount.number)),
        };
        let at = self.places.get(&id).copied().unwrap_or_else(|| {
            let mut volume = match device {
                Some(device) => self.known.volume(device),
                None => Volume {
                    device: unseen.as_ref().map(|_| mount.source.clone()),
                    verdict: match (&user, &unseen) {
                        (Some(doubt), _) => Verdict::Doubted(doubt.clone()),
                        (None, Some(name)) => trust::by_name(name, &[&mount.point]),
                        (None, None) => Verdict::Believed(Because::Mounted),
                    },
                    ..empty(id)
                },
            };
            if user.is_none() || device.is_none() {
                let kind = Some(mount.kind.clone()).filter(|kind| !kind.is_empty());
                volume.kind = volume.kind.or(kind);
            }
            let spot = device.and_then(|device| self.known.spot(device));
            self.push(volume, spot)
        });
        let Some(volume) = self.all.get_mut(at) else {
            return;
        };
        match user {
            Some(_) => volume.passed.push(mount),
            None => volume.mounts.push(mount),
        }
    }

    /// Adds what is on a device, unless it is known already.
    pub(super) fn add_device(&mut self, device: &BlockDevice) {
        let kind = device.content.kind.as_deref();
        if !kind.is_some_and(private::knows) || self.known.parts.contains(device.name.as_str()) {
            return;
        }
        let volume = self.known.volume(device);
        let believed = volume.verdict.is_believed();
        let uuid = volume.uuid.clone().filter(|_| kind == Some("btrfs"));
        // A btrfs of several devices is one file system.
        let several = uuid.is_some_and(|uuid| self.uuids.contains(&(uuid, believed)));
        // Two paths to one disk, which nobody has put together.
        let spot = self.known.spot(device);
        let again = spot.as_ref().filter(|_| believed);
        let again = again.is_some_and(|spot| self.spots.contains(spot));
        if !several && !again && !self.places.contains_key(&volume.id) {
            self.push(volume, spot);
        }
    }

    /// Notes that a file system is in use at a mount point that another one covers.
    pub(super) fn hide(&mut self, mount: &Mount) {
        let known = &self.known;
        let device = device_of(known.root, known.index, known.btrfs, mount);
        let at = device.and_then(|device| self.places.get(&id_of(device)));
        if let Some(volume) = at.and_then(|at| self.all.get_mut(*at)) {
            volume.hidden = true;
        }
    }
}

/// The name of a mounted device that sysfs does not show, as in a container: the mount
/// has the number of a block device, or is a btrfs, and no device has that name.
fn unseen(index: &Index<'_>, mount: &Mount) -> Option<String> {
    let on_device = !mount.number.starts_with("0:") || mount.kind == "btrfs";
    let name = mount.source.strip_prefix("/dev/")?;
    let taken = index.at(&mount.source).is_some();
    (on_device && !taken && !trust::is_fuse(&mount.kind)).then(|| name.to_owned())
}

/// NFS, 9p and ZFS have a source that nothing else has.
fn names_itself(mount: &Mount) -> bool {
    let path = mount.source.contains('/') && !mount.source.starts_with("/dev/");
    path || mount.kind == "zfs"
}

/// A ZFS data set as a folder of its pool, which is how GRUB names it:
/// `bpool/BOOT/debian` is `/BOOT/debian@` on `bpool`.
fn pool(mount: &Mount) -> Option<(String, String)> {
    if mount.kind != "zfs" {
        return None;
    }
    let (pool, top) = match mount.source.split_once('/') {
        Some((pool, set)) => (pool, format!("/{set}@")),
        None => (mount.source.as_str(), "/@".to_owned()),
    };
    let top = paths::normal(&format!("{top}/{}", mount.top));
    Some((top, pool.to_owned()))
}

pub(super) fn id_of(device: &BlockDevice) -> VolumeId {
    VolumeId(device.mapped.as_ref().unwrap_or(&device.name).clone())
}

fn empty(id: VolumeId) -> Volume {
    Volume {
        id,
        device: None,
        disks: Vec::new(),
        kind: None,
        uuid: None,
        label: None,
        partition: None,
        members: Vec::new(),
        mounts: Vec::new(),
        passed: Vec::new(),
        hidden: false,
        planned: None,
        verdict: Verdict::Believed(Because::Mounted),
    }
}
