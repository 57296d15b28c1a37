//! Mounts, devices and fstab(5) put together into volumes.

use super::btrfs::Btrfs;
use super::config::Config;
use super::devices::{self, Device};
use super::lookup::Lookup;
use super::mountinfo::{self, Mount};
use super::trust::{self, BOOT_POINTS, Because, Verdict};
use super::twins;
use super::{Automounts, Volume, VolumeId, paths, private};
use crate::host::Fact;
use crate::host::root::Root;

/// File systems of the kernel itself, which hold nothing that boots.
const NO_FILES: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// What was found of a machine's file systems.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Those that may be read first, in the order of their mounts, then those that may
    /// not.
    pub(super) all: Vec<Volume>,
    /// How many may be read.
    pub(super) believed: usize,
    /// Mount points of /etc/fstab at which nothing believed can be: each with why.
    pub(super) blocked: Vec<(String, String)>,
    /// Automounts of boot files that are left asleep.
    pub(super) asleep: Vec<String>,
}

/// Every file system that is mounted or that a device holds, with the verdict on it.
pub(super) fn read(root: &mut Root, automounts: Automounts, notes: &mut Vec<String>) -> Layout {
    let config = Config::read(root);
    let devices = match devices::read(root, notes) {
        Fact::Known(devices) => devices,
        Fact::Absent => Vec::new(),
        Fact::Unreadable(reason) => {
            notes.push(format!(
                "file systems that are not mounted are not found: {reason}"
            ));
            Vec::new()
        }
    };
    let table = root.text("/proc/self/mountinfo");
    let table = table.known().map_or("", String::as_str);
    let before = mountinfo::parse(table);
    // Whoever answers for a file system of a user answers what and when he likes.
    for mount in before.iter().filter(|m| trust::is_fuse(&m.kind)) {
        root.close(&mount.point);
        if BOOT_POINTS.contains(&mount.point.as_str()) {
            notes.push(format!(
                "{} is a file system of the kind {}, for which a program answers: it is not entered, \
                 and nothing in it is a boot entry; unmount it to see what is below",
                mount.point, mount.kind
            ));
        }
    }
    let btrfs = Btrfs::read(root);
    let judged = verdicts(root, &devices, &btrfs, &before, &config);
    let forged = twins::forged(&devices, &judged, &config, notes);
    let mut asleep = Vec::new();
    let mounts = match automounts {
        // What systemd would mount may be the wrong one of two.
        Automounts::Wake if !forged => mounts(root, notes),
        Automounts::Wake | Automounts::Leave => quiet_mounts(root, &mut asleep, notes),
    };
    let root = &*root;
    let known = Known {
        root,
        verdicts: verdicts(root, &devices, &btrfs, &mounts, &config),
        devices: &devices,
        btrfs: &btrfs,
        config: &config,
    };
    let mut all: Vec<Volume> = Vec::new();
    for mount in mounts {
        known.add_mount(&mut all, mount);
    }
    for device in &devices {
        known.add_device(&mut all, device);
    }
    for mount in mountinfo::covered(table).iter().filter(|m| m.writable) {
        let device = device_of(root, &devices, &btrfs, mount).map(id_of);
        let volume = all.iter_mut().find(|v| Some(&v.id) == device.as_ref());
        if let Some(volume) = volume {
            volume.hidden = true;
        }
    }
    all.sort_by_key(|volume| !volume.verdict.is_believed());
    let mut layout = Layout {
        asleep,
        believed: all.iter().filter(|v| v.verdict.is_believed()).count(),
        all,
        blocked: Vec::new(),
    };
    plan(root, &mut layout, &config);
    layout
}

/// The verdict on every device.
fn verdicts(
    root: &Root,
    devices: &[Device],
    btrfs: &Btrfs,
    mounts: &[Mount],
    config: &Config,
) -> Vec<Verdict> {
    let own = mounts
        .iter()
        .filter(|m| trust::user_mount(m, config).is_none());
    let carries: Vec<(&Device, &str)> = own
        .flat_map(|mount| {
            let device = device_of(root, devices, btrfs, mount);
            let all = device.into_iter().flat_map(|d| btrfs.with(devices, d));
            all.map(|device| (device, mount.point.as_str()))
        })
        .collect();
    trust::judge(devices, &carries, config)
}

/// The mounts with files, without those of an automount that sleeps or ends: what
/// belongs there is found by its device.
fn quiet_mounts(root: &mut Root, asleep: &mut Vec<String>, notes: &mut Vec<String>) -> Vec<Mount> {
    *asleep = leave_automounts(root);
    let mut found = match root.text("/proc/self/mountinfo") {
        Fact::Known(text) => mountinfo::parse(&text),
        Fact::Absent | Fact::Unreadable(_) => return mounts(root, notes),
    };
    for point in asleep.iter() {
        let below = format!("{point}/");
        found.retain(|mount| mount.point != *point && !mount.point.starts_with(&below));
    }
    found.retain(has_files);
    found
}

/// From now on nobody walks over an automount of boot files that sleeps or ends:
/// these are returned. One that is awake is kept so.
pub(crate) fn leave_automounts(root: &mut Root) -> Vec<String> {
    let Fact::Known(text) = root.text("/proc/self/mountinfo") else {
        return Vec::new();
    };
    // Also those that something is mounted on: a walk goes over both.
    let mut points = boot_points(&mountinfo::automounts(&text));
    points.retain(|point| !root.keep_or_close(point));
    points
}

/// Whether an automount of boot files is there, and systemd could mount the wrong one of
/// two when it is woken up.
pub(crate) fn may_mislead(root: &Root) -> bool {
    let table = root.text("/proc/self/mountinfo");
    let table = table.known().map_or("", String::as_str);
    if boot_points(&mountinfo::automounts(table)).is_empty() {
        return false;
    }
    let mut unsaid = Vec::new();
    let Fact::Known(devices) = devices::read(root, &mut unsaid) else {
        return false;
    };
    let config = Config::read(root);
    let mounts = mountinfo::parse(table);
    let judged = verdicts(root, &devices, &Btrfs::read(root), &mounts, &config);
    twins::forged(&devices, &judged, &config, &mut unsaid)
}

/// The automount points of boot files, the upper ones first. Only these are woken up:
/// touching others may ask the network.
fn boot_points(automounts: &[Mount]) -> Vec<String> {
    let points = automounts.iter().map(|mount| mount.point.clone());
    let mut points: Vec<String> = points
        .filter(|point| BOOT_POINTS.contains(&point.as_str()))
        .collect();
    points.sort_unstable();
    points.dedup();
    points
}

fn has_files(mount: &Mount) -> bool {
    !NO_FILES.contains(&mount.kind.as_str())
}

/// The mounts with files. An automount point of boot files is touched, so that
/// what belongs there is mounted now.
fn mounts(root: &Root, notes: &mut Vec<String>) -> Vec<Mount> {
    let table = || match root.text("/proc/self/mountinfo") {
        Fact::Known(text) => Ok(mountinfo::parse(&text)),
        Fact::Absent => Err("/proc/self/mountinfo is not there".to_owned()),
        Fact::Unreadable(reason) => Err(reason),
    };
    let mut found = table();
    if let Ok(mounts) = &found {
        let autofs = mounts.iter().filter(|mount| mount.kind == "autofs");
        let sleeping = boot_points(&autofs.cloned().collect::<Vec<_>>());
        for point in &sleeping {
            if let Fact::Unreadable(reason) = root.entries(point) {
                notes.push(format!(
                    "the automount at {point} does not wake up: {reason}"
                ));
            }
        }
        if !sleeping.is_empty() {
            found = table();
        }
    }
    let found = found.unwrap_or_else(|reason| {
        notes.push(format!(
            "one file system is assumed for everything: {reason}"
        ));
        vec![everything()]
    });
    found.into_iter().filter(has_files).collect()
}

/// What stands for the mounts of a tree that says nothing about them.
fn everything() -> Mount {
    Mount {
        id: 1,
        parent: 1,
        number: String::from("0:0"),
        top: String::from("/"),
        point: String::from("/"),
        kind: String::new(),
        source: String::from("root"),
        writable: false,
        nosuid: false,
    }
}

/// What mounts are put together with.
struct Known<'a> {
    root: &'a Root,
    devices: &'a [Device],
    verdicts: Vec<Verdict>,
    btrfs: &'a Btrfs,
    config: &'a Config,
}

impl Known<'_> {
    fn verdict(&self, device: &Device) -> Verdict {
        let judged = self.devices.iter().zip(&self.verdicts);
        let own = judged.into_iter().find(|(d, _)| d.name == device.name);
        // A btrfs of several devices is what all of them hold.
        let whole = self.btrfs.with(self.devices, device);
        let doubted = whole.into_iter().find_map(|part| {
            let mut judged = self.devices.iter().zip(&self.verdicts);
            let (_, verdict) = judged.find(|(d, _)| d.name == part.name)?;
            verdict.doubt().map(|_| verdict.clone())
        });
        doubted
            .or_else(|| own.map(|(_, verdict)| verdict.clone()))
            .unwrap_or_else(|| trust::by_name(&device.name, &[]))
    }

    fn add_mount(&self, all: &mut Vec<Volume>, mount: Mount) {
        let user = trust::user_mount(&mount, self.config);
        let device = device_of(self.root, self.devices, self.btrfs, &mount);
        let mount = match pool(&mount) {
            Some((top, source)) => Mount {
                top,
                source,
                ..mount
            },
            None => mount,
        };
        let unseen = unseen(self.devices, &mount);
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
        let known = all.iter().position(|v| v.id == id);
        let at = known.unwrap_or_else(|| {
            let mut volume = match device {
                Some(device) => self.volume(device),
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
            all.push(volume);
            all.len().saturating_sub(1)
        });
        let Some(volume) = all.get_mut(at) else {
            return;
        };
        match user {
            Some(_) => volume.passed.push(mount),
            None => volume.mounts.push(mount),
        }
    }

    fn add_device(&self, all: &mut Vec<Volume>, device: &Device) {
        let kind = device.content.kind.as_deref();
        let id = id_of(device);
        if !kind.is_some_and(private::knows) {
            return;
        }
        let volume = self.volume(device);
        let several = |v: &Volume| {
            kind == Some("btrfs")
                && v.uuid.is_some()
                && v.uuid == device.content.uuid
                && v.verdict.is_believed() == volume.verdict.is_believed()
        };
        // A member of an array, or a path to it, that shows what the whole holds.
        let part = self.devices.iter().any(|upper| {
            trust::shared(upper, device).is_some() && twins::lies_below(self.devices, upper, device)
        });
        let known = part || all.iter().any(|v| v.id == id || several(v));
        if !known {
            all.push(volume);
        }
    }

    fn volume(&self, device: &Device) -> Volume {
        let below = |d: &&Device| device.mirrors && device.below.contains(&d.name);
        let below = self.devices.iter().filter(below);
        Volume {
            device: Some(device.node()),
            disks: devices::disks(self.devices, device),
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

/// The device of a mount, by its number. Only btrfs makes up a number for what is on
/// devices that are named beside it; they have to be those of a btrfs in sysfs.
fn device_of<'a>(
    root: &Root,
    devices: &'a [Device],
    btrfs: &Btrfs,
    mount: &Mount,
) -> Option<&'a Device> {
    let by_number = devices.iter().find(|d| d.number == mount.number);
    by_number.or_else(|| {
        let source = mount.source.as_str();
        let named = mount.kind == "btrfs" && source.starts_with("/dev/");
        let node = named
            .then(|| paths::canonical(root, source).ok())
            .flatten()?;
        let is = |d: &&Device| d.node() == source || format!("/dev/{}", d.name) == node;
        let device = devices.iter().find(is)?;
        btrfs.has(device).then_some(device)
    })
}

/// The name of a mounted device that sysfs does not show, as in a container: the mount
/// has the number of a block device, or is a btrfs, and no device has that name.
fn unseen(devices: &[Device], mount: &Mount) -> Option<String> {
    let on_device = !mount.number.starts_with("0:") || mount.kind == "btrfs";
    let name = mount.source.strip_prefix("/dev/")?;
    let taken = devices
        .iter()
        .any(|d| d.name == name || d.node() == mount.source);
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

pub(super) fn id_of(device: &Device) -> VolumeId {
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

/// Where fstab(5) wants what is not mounted. What is mounted there by somebody else, or
/// is the wrong one of two, is not what belongs there.
fn plan(root: &Root, layout: &mut Layout, config: &Config) {
    for line in &config.planned {
        let taken = layout.all.iter().take(layout.believed).any(|v| {
            let mut points = v.mounts.iter().map(|m| &m.point);
            points.any(|point| *point == line.point)
        });
        if taken {
            continue;
        }
        let found = paths::find(root, &layout.all, &line.source);
        let id = match found {
            Lookup::One(volume) => volume.id.clone(),
            Lookup::None => continue,
            Lookup::Refused(reason) => {
                layout.blocked.push((line.point.clone(), reason));
                continue;
            }
        };
        if let Some(volume) = layout.all.iter_mut().find(|v| v.id == id) {
            volume.planned.get_or_insert_with(|| line.point.clone());
        }
    }
}
