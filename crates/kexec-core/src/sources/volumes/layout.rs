//! Mounts, devices and fstab(5) put together into volumes.

use super::devices::{self, Device};
use super::mountinfo::{self, Mount, Planned};
use super::{Automounts, Volume, VolumeId, paths, private};
use crate::host::Fact;
use crate::host::root::Root;

/// Where boot files are mounted by convention (UAPI.1 "The Partitions",
/// systemd-gpt-auto-generator(8), and /boot/firmware on boards). Only these
/// automounts are woken up: touching others may ask the network.
const BOOT_POINTS: &[&str] = &["/boot", "/efi", "/boot/efi", "/boot/firmware"];

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

/// Every file system that is mounted or that a device holds.
pub(super) fn read(
    root: &mut Root,
    automounts: Automounts,
    notes: &mut Vec<String>,
) -> Vec<Volume> {
    let mounts = match automounts {
        Automounts::Wake => mounts(root, notes),
        Automounts::Leave => quiet_mounts(root, notes),
    };
    let root = &*root;
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
    let mut all: Vec<Volume> = Vec::new();
    for mount in mounts {
        add_mount(root, &mut all, &devices, mount);
    }
    for device in &devices {
        add_device(&mut all, &devices, device);
    }
    if let Fact::Known(text) = root.text("/etc/fstab") {
        plan(root, &mut all, mountinfo::fstab(&text));
    }
    all
}

/// The mounts with files, without those of an automount that sleeps or ends: what
/// belongs there is found by its device.
fn quiet_mounts(root: &mut Root, notes: &mut Vec<String>) -> Vec<Mount> {
    let closed = leave_automounts(root);
    let mut found = match root.text("/proc/self/mountinfo") {
        Fact::Known(text) => mountinfo::parse(&text),
        Fact::Absent | Fact::Unreadable(_) => return mounts(root, notes),
    };
    for point in closed {
        let below = format!("{point}/");
        found.retain(|mount| mount.point != point && !mount.point.starts_with(&below));
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

/// The automount points of boot files, the upper ones first.
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
    }
}

fn add_mount(root: &Root, all: &mut Vec<Volume>, devices: &[Device], mount: Mount) {
    let device = device_of(root, devices, &mount);
    let mount = match pool(&mount) {
        Some((top, source)) => Mount {
            top,
            source,
            ..mount
        },
        None => mount,
    };
    let id = match device {
        Some(device) => id_of(device),
        None if mount.source.starts_with("/dev/") => {
            VolumeId(mount.source.trim_start_matches("/dev/").to_owned())
        }
        None if mount.source.contains('/') || mount.kind == "zfs" => {
            VolumeId(format!("{} {}", mount.kind, mount.source))
        }
        // tmpfs and overlay have no source that names one of them.
        None if mount.kind.is_empty() => VolumeId(mount.source.clone()),
        None => VolumeId(format!("{} {}", mount.kind, mount.number)),
    };
    if let Some(known) = all.iter_mut().find(|v| v.id == id) {
        known.mounts.push(mount);
        return;
    }
    let mut volume = match device {
        Some(device) => volume(devices, device),
        None => Volume {
            device: mount
                .source
                .starts_with("/dev/")
                .then(|| mount.source.clone()),
            ..empty(id)
        },
    };
    volume.kind = volume
        .kind
        .or_else(|| Some(mount.kind.clone()).filter(|kind| !kind.is_empty()));
    volume.mounts.push(mount);
    all.push(volume);
}

/// By number, or where the file system makes its number up, by name.
fn device_of<'a>(root: &Root, devices: &'a [Device], mount: &Mount) -> Option<&'a Device> {
    let by_number = devices.iter().find(|d| d.number == mount.number);
    by_number.or_else(|| {
        let source = mount.source.starts_with("/dev/").then_some(&mount.source)?;
        let node = paths::canonical(root, source).ok()?;
        let named = |d: &&Device| d.node() == *source || format!("/dev/{}", d.name) == node;
        devices.iter().find(named)
    })
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

fn add_device(all: &mut Vec<Volume>, devices: &[Device], device: &Device) {
    let kind = device.content.kind.as_deref();
    let id = id_of(device);
    let several =
        |v: &Volume| kind == Some("btrfs") && v.uuid.is_some() && v.uuid == device.content.uuid;
    let known = all.iter().any(|v| v.id == id || several(v));
    if !known && kind.is_some_and(private::knows) {
        all.push(volume(devices, device));
    }
}

fn id_of(device: &Device) -> VolumeId {
    VolumeId(device.mapped.as_ref().unwrap_or(&device.name).clone())
}

fn volume(devices: &[Device], device: &Device) -> Volume {
    Volume {
        device: Some(device.node()),
        disks: devices::disks(devices, device),
        kind: device.content.kind.clone(),
        uuid: device.content.uuid.clone(),
        label: device.content.label.clone(),
        partition: device.partition.clone(),
        ..empty(id_of(device))
    }
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
        mounts: Vec::new(),
        planned: None,
    }
}

/// Where fstab(5) wants what is not mounted.
fn plan(root: &Root, all: &mut [Volume], planned: Vec<Planned>) {
    for line in planned {
        let taken = all
            .iter()
            .any(|v| v.mounts.iter().any(|m| m.point == line.point));
        let id = paths::find(root, all, &line.source).map(|v| v.id.clone());
        let volume = all.iter_mut().find(|v| Some(&v.id) == id.as_ref());
        if let Some(volume) = volume.filter(|_| !taken) {
            volume.planned.get_or_insert(line.point);
        }
    }
}
