//! Mounts, devices and fstab(5) put together into volumes.

use super::automounts::{boot_points, leave_automounts};
use super::btrfs::Btrfs;
use super::carriers::Carriers;
use super::config::DeviceConfig;
use super::devices;
use super::gather::{Gathered, Known};
use super::index::Index;
use super::mountinfo::{Mount, Table};
use super::trust::{self, BOOT_POINTS};
use super::{Automounts, Volume, planned, twins};
use crate::Fact;
use crate::Root;

/// File systems of the kernel itself, which hold nothing that boots.
pub const KERNEL_FILE_SYSTEMS: &[&str] = &[
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

/// What somebody in a chroot has to know.
const FOREIGN: &str = "/ is not the file system that the machine runs from, as in a chroot or a \
                       container: it and its /boot are read like any other, and may not be what a \
                       reboot boots";

/// Which devices count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Devices {
    /// All that the kernel has.
    All,
    /// Those that are mounted.
    Mounted,
}

/// What was found of a machine's file systems.
#[derive(Debug, Default)]
pub(super) struct VolumeLayout {
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
pub(super) fn read(
    root: &mut Root,
    automounts: Automounts,
    which: Devices,
    notes: &mut Vec<String>,
) -> VolumeLayout {
    let config = DeviceConfig::read(root);
    // What is not mounted does not matter then, and neither what could not be read of it.
    let mut unused = Vec::new();
    let notes_of_devices = match which {
        Devices::All => &mut *notes,
        Devices::Mounted => &mut unused,
    };
    let devices = match devices::read(root, notes_of_devices) {
        Fact::Known(devices) => devices,
        Fact::Absent => Vec::new(),
        Fact::Unreadable(reason) => {
            notes.push(format!(
                "file systems that are not mounted are not found: {reason}"
            ));
            Vec::new()
        }
    };
    let table = Table::read(root).known().cloned();
    let before = table.as_ref().map(Table::mounts).unwrap_or_default();
    // Whoever answers for a file system of a user answers what and when he likes.
    for mount in before.iter().filter(|m| trust::is_fuse(&m.kind)) {
        root.close(&mount.point);
        if BOOT_POINTS.contains(&mount.point.as_str()) {
            notes.push(format!(
                "{} is a {} file system, which a user's program serves: it is not read, and has \
                 no boot entries; unmount it to see what is below",
                mount.point, mount.kind
            ));
        }
    }
    let index = Index::new(&devices);
    let btrfs = Btrfs::read(root);
    let foreign = table.as_ref().is_some_and(Table::is_foreign);
    if foreign {
        notes.push(FOREIGN.to_owned());
    }
    let judged = Carriers::new(root, &index, &btrfs, &before, foreign).verdicts(&config);
    let forged = twins::forged(&index, &judged, &config, notes);
    let mut asleep = Vec::new();
    let mounts = match automounts {
        // What systemd would mount may be the wrong one of two.
        Automounts::Wake if !forged => mounts(root, notes),
        Automounts::Wake | Automounts::Leave => quiet_mounts(root, &mut asleep, notes),
    };
    let root = &*root;
    let judged = Carriers::new(root, &index, &btrfs, &mounts, foreign).verdicts(&config);
    let mut gathered = Gathered::new(Known::new(root, &index, &judged, &btrfs, &config));
    for mount in mounts {
        gathered.add_mount(mount);
    }
    for device in devices.iter().filter(|_| which == Devices::All) {
        gathered.add_device(device);
    }
    let covered = table.as_ref().map(Table::covered).unwrap_or_default();
    for mount in covered.iter().filter(|mount| mount.writable) {
        gathered.hide(mount);
    }
    let mut all = gathered.all;
    all.sort_by_key(|volume| !volume.verdict.is_believed());
    let mut layout = VolumeLayout {
        asleep,
        believed: all.iter().filter(|v| v.verdict.is_believed()).count(),
        all,
        blocked: Vec::new(),
    };
    // Where nothing is known of mounts, what belongs at a place may well be there.
    planned::place(root, &mut layout, &config, table.is_some(), notes);
    notes.extend(nothing_believed(&layout));

    layout
}

/// Why no file system of a device is read, where there are some.
fn nothing_believed(layout: &VolumeLayout) -> Option<String> {
    let on_disk = |volume: &&Volume| volume.device.is_some();
    let (believed, doubted) = layout.all.split_at_checked(layout.believed)?;
    if believed.iter().any(|volume| on_disk(&volume)) {
        return None;
    }
    let mut why = doubted.iter().filter(on_disk).filter_map(|volume| {
        let hardware = volume.verdict.doubt()?.is_hardware();
        hardware.then(|| format!("{}: {}", volume.id, volume.verdict))
    });
    let first = why.next()?;
    let more = match why.count() {
        0 => String::new(),
        more => format!(" ({more} more like it)"),
    };
    Some(format!(
        "no file system on a disk is read, because none is known to belong to this machine: \
         {first}{more}; if it does, name the device in /etc/fstab by its path below \
         /dev/disk/by-id"
    ))
}

/// The mounts with files, without those of an automount that sleeps or ends: what
/// belongs there is found by its device.
fn quiet_mounts(root: &mut Root, asleep: &mut Vec<String>, notes: &mut Vec<String>) -> Vec<Mount> {
    *asleep = leave_automounts(root);
    let mut found = match Table::read(root) {
        Fact::Known(table) => table.mounts(),
        Fact::Absent | Fact::Unreadable(_) => return mounts(root, notes),
    };
    for point in asleep.iter() {
        let below = format!("{point}/");
        found.retain(|mount| mount.point != *point && !mount.point.starts_with(&below));
    }
    found.retain(has_files);
    found
}

fn has_files(mount: &Mount) -> bool {
    !KERNEL_FILE_SYSTEMS.contains(&mount.kind.as_str())
}

/// The mounts with files. An automount point of boot files is touched, so that
/// what belongs there is mounted now.
fn mounts(root: &Root, notes: &mut Vec<String>) -> Vec<Mount> {
    let table = || match Table::read(root) {
        Fact::Known(table) => Ok(table.mounts()),
        Fact::Absent => Err("/proc/self/mountinfo does not exist".to_owned()),
        Fact::Unreadable(reason) => Err(reason),
    };
    let mut found = table();
    if let Ok(mounts) = &found {
        let autofs = mounts.iter().filter(|mount| mount.kind == "autofs");
        let sleeping = boot_points(&autofs.cloned().collect::<Vec<_>>());
        for point in &sleeping {
            if let Fact::Unreadable(reason) = root.entries(point) {
                notes.push(format!(
                    "the automount at {point} was not mounted: {reason}"
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
        again: false,
        lower: Vec::new(),
    }
}
