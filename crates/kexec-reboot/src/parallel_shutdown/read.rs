//! Reads sysfs and the kernel's tables below a root directory.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use kexec_machine::{Fact, Tree};
use kexec_sys::in_words;

use super::kinds::{NEEDED, NETWORK};
use super::uses::{self, Uses};
use super::{Bus, Device, Devices, Disk, Part};

/// No attribute of sysfs is longer than a page (Documentation/filesystems/sysfs.rst).
const PAGE: u64 = 4096;

/// No mount table is longer than this many bytes: 100,000 mounts at most
/// (Documentation/admin-guide/sysctl/fs.rst, `mount-max`).
const TABLE: u64 = 64 << 20;

impl Devices {
    /// Reads everything that the choice follows from.
    pub fn read(root: &Path) -> Devices {
        let tree = &Tree::new(root);
        Devices {
            devices: Bus::ALL
                .into_iter()
                .flat_map(|bus| of_bus(tree, bus))
                .collect(),
            disks: disks(tree),
            parts: parts(tree),
            uses: Uses {
                mounts: mounts(tree),
                swaps: swaps(tree),
                spanned: spanned(tree),
                connections: connections(tree),
                consoles: uses::consoles(
                    &text(tree, "/proc/consoles").unwrap_or_default(),
                    &text(tree, "/sys/class/tty/console/active").unwrap_or_default(),
                ),
            },
        }
    }
}

fn text(tree: &Tree, path: &str) -> Option<String> {
    let bytes = tree.read(path, PAGE).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The last component of where a link leads.
fn link_name(tree: &Tree, path: &str) -> Option<String> {
    let target = tree.link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

fn of_bus(tree: &Tree, bus: Bus) -> Vec<Device> {
    let folder = format!("/sys/bus/{}/devices", bus.name());
    let device = |name: String| {
        let path = tree.canonical(&format!("{folder}/{name}"));
        let attribute = match bus {
            Bus::Pci => "class",
            Bus::Virtio => "device",
        };
        let kind = text(tree, &format!("{path}/{attribute}"));
        let kind = kind.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        let functions = text(tree, &format!("{path}/sriov_numvfs"));
        Device {
            bus,
            driver: link_name(tree, &format!("{path}/driver")),
            kind,
            virtual_functions: functions.is_some_and(|number| number != "0")
                || tree.has(&format!("{path}/physfn")),
            name,
            path,
        }
    };
    tree.names(&folder).into_iter().map(device).collect()
}

fn disks(tree: &Tree) -> Vec<Disk> {
    const FOLDER: &str = "/sys/class/block";
    let disk = |name: String| {
        let path = tree.canonical(&format!("{FOLDER}/{name}"));
        let mut paths = controllers(tree, &path);
        let loop_file = text(tree, &format!("{path}/loop/backing_file"));
        let disk = Disk {
            number: text(tree, &format!("{path}/dev")).unwrap_or_default(),
            holders: tree.names(&format!("{path}/holders")),
            backing: loop_file.filter(|file| !file.is_empty()),
            hidden: text(tree, &format!("{path}/hidden")).as_deref() == Some("1"),
            paths: Vec::new(),
            name,
        };
        paths.push(path);
        Disk { paths, ..disk }
    };
    tree.names(FOLDER).into_iter().map(disk).collect()
}

/// The controllers of an NVMe disk with several paths, which itself is below
/// `/sys/devices/virtual/nvme-subsystem/nvme-subsysN` (drivers/nvme/host/multipath.c): the
/// subsystem has a link to each.
fn controllers(tree: &Tree, path: &str) -> Vec<String> {
    const SUBSYSTEMS: &str = "/sys/devices/virtual/nvme-subsystem/";
    let Some(below) = path.strip_prefix(SUBSYSTEMS) else {
        return Vec::new();
    };
    let subsystem = below.split('/').next().unwrap_or_default();
    let folder = format!("{SUBSYSTEMS}{subsystem}");
    let names = tree.names(&folder).into_iter();
    let paths = names.map(|name| tree.canonical(&format!("{folder}/{name}")));
    paths.filter(|path| !path.starts_with(&folder)).collect()
}

fn parts(tree: &Tree) -> Vec<Part> {
    let classes = NEEDED
        .iter()
        .map(|(class, _)| *class)
        .chain(NETWORK.iter().copied());
    let of_class = |class: &str| {
        let folder = format!("/sys/class/{class}");
        let names = tree.names(&folder).into_iter();
        let parts: Vec<Part> = names
            .map(|name| Part {
                class: class.to_owned(),
                path: tree.canonical(&format!("{folder}/{name}")),
                name,
            })
            .collect();
        parts
    };
    classes.flat_map(of_class).collect()
}

/// The mounts of every mount namespace that a process is in.
fn mounts(tree: &Tree) -> Fact<Vec<uses::MountUse>> {
    let mut all = match table(tree, "/proc/self/mountinfo") {
        Ok(own) => own,
        Err(e) => return Fact::Unreadable(format!("/proc/self/mountinfo: {}", in_words(e))),
    };
    let mut seen: BTreeSet<_> = tree.link("/proc/self/ns/mnt").into_iter().collect();
    for name in tree.names("/proc") {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(namespace) = tree.link(&format!("/proc/{name}/ns/mnt")) else {
            // It ended.
            continue;
        };
        if !seen.insert(namespace) {
            continue;
        }
        match table(tree, &format!("/proc/{name}/mountinfo")) {
            Ok(more) => all.extend(more),
            Err(e) if tree.link(&format!("/proc/{name}/ns/mnt")).is_ok() => {
                return Fact::Unreadable(format!("/proc/{name}/mountinfo: {}", in_words(e)));
            }
            // It ended meanwhile.
            Err(_) => {}
        }
    }
    Fact::Known(all)
}

fn table(tree: &Tree, path: &str) -> io::Result<Vec<uses::MountUse>> {
    let bytes = tree.read(path, TABLE)?;
    uses::mounts(&String::from_utf8_lossy(&bytes)).map_err(io::Error::other)
}

fn swaps(tree: &Tree) -> Fact<Vec<String>> {
    match tree.read("/proc/swaps", TABLE) {
        Ok(bytes) => Fact::Known(uses::swaps(&String::from_utf8_lossy(&bytes))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Fact::Absent,
        Err(e) => Fact::Unreadable(format!("/proc/swaps: {}", in_words(e))),
    }
}

/// The block devices of every btrfs that is mounted, by name (fs/btrfs/sysfs.c:
/// `/sys/fs/btrfs/UUID/devices`).
fn spanned(tree: &Tree) -> Vec<String> {
    let systems = tree.names("/sys/fs/btrfs").into_iter();
    let devices = systems.flat_map(|uuid| tree.names(&format!("/sys/fs/btrfs/{uuid}/devices")));
    devices.collect()
}

/// What is connected over the network, in words.
fn connections(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for session in tree.names("/sys/class/iscsi_session") {
        found.push(format!("the iSCSI session {session} is open"));
    }
    for controller in tree.names("/sys/class/nvme") {
        let transport = text(tree, &format!("/sys/class/nvme/{controller}/transport"));
        if let Some(other) = transport.filter(|transport| transport != "pcie") {
            found.push(format!("{controller} is connected by {other}"));
        }
    }
    for disk in tree.names("/sys/class/block") {
        // drivers/block/nbd.c: `pid` exists while it is connected.
        if disk.starts_with("nbd") && tree.has(&format!("/sys/class/block/{disk}/pid"))
            || disk.starts_with("rbd")
            || disk.starts_with("drbd")
        {
            found.push(format!("{disk} is connected"));
        }
    }
    found
}
