//! Whose word counts: which file systems the boot loader of this machine can have
//! read. One rule, a pure function over what sysfs, the mount table and root's own
//! configuration say; every source and every look-up goes by its verdicts.
//!
//! A boot source is on a device that only root or the builder of the machine can
//! have attached. Who sits at the machine may set up loop devices (udisks lets
//! them), plug things in and mount file systems of their own; none of that decides
//! what boots next, whatever UUID or label it carries.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::config::DeviceConfig;
use super::devices::BlockDevice;
use super::mountinfo::Mount;
use super::{paths, twins};

/// Whether a file system is one that this machine boots from, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may be read, and why.
    Believed(Because),
    /// It is no boot source, and why not.
    Doubted(Doubt),
}

/// Why a file system is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Its disk is one that the builder of the machine or root attached.
    Attached(Attachment),
    /// The running system has its own file system there, at this mount point.
    RunsFrom(String),
    /// A file of root's names the very device.
    Configured {
        /// The file of root's that names it.
        file: String,
        /// What it says.
        word: String,
    },
    /// RAID, LVM, encryption: every device that it is made of is believed.
    MadeOf(Vec<String>),
    /// It has no block device, and the system mounted it: NFS, ZFS, overlay.
    Mounted,
}

/// How a disk that is believed is attached, as far as sysfs says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Attachment {
    /// To a bus inside the machine.
    Internal,
    /// By the hypervisor.
    Virtio,
    /// Over a network, by root: iSCSI, NVMe over fabrics.
    Network,
    /// Nothing says how, and nothing speaks against it.
    Unknown,
}

/// Why a file system is no boot source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// A device that a program made up, and not only root's programs can: loop
    /// devices and the like.
    Software(String),
    /// A medium or a disk that anybody can plug in.
    Plugged(Bus),
    /// A device below it is doubted.
    Below {
        /// The kernel's name of the device below.
        device: String,
        /// Why it is doubted.
        why: Box<Doubt>,
    },
    /// A snapshot of LVM, which no boot loader reads.
    Snapshot,
    /// A file system of a user.
    User(String),
}

/// Where what can be plugged in hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bus {
    /// USB, where anything can be plugged in.
    Usb,
    /// FireWire, where anything can be plugged in.
    Firewire,
    /// A port to the outside of the machine that carries PCI: Thunderbolt, USB4.
    Thunderbolt,
    /// A reader of memory cards.
    CardReader,
    /// An optical or floppy drive.
    Drive,
}

impl Verdict {
    /// Whether it may be read.
    pub(crate) fn is_believed(&self) -> bool {
        matches!(self, Verdict::Believed(_))
    }

    /// Why not, where it is no boot source.
    pub fn doubt(&self) -> Option<&Doubt> {
        match self {
            Verdict::Believed(_) => None,
            Verdict::Doubted(doubt) => Some(doubt),
        }
    }
}

/// Where the running system has what it runs from. "/" and /usr are mounted before
/// any user is there.
const FIRST: &[&str] = &["/", "/usr"];

/// Where boot files are mounted by convention (UAPI.1 "The Partitions",
/// systemd-gpt-auto-generator(8), and /boot/firmware on boards).
pub(super) const BOOT_POINTS: &[&str] = &["/boot", "/efi", "/boot/efi", "/boot/firmware"];

/// Where file systems of users are mounted (udisks(8); file-hierarchy(7)).
const USER_POINTS: &[&str] = &["/media", "/run/media", "/run/user"];

/// Devices that programs make up, by the kernel's names
/// (Documentation/admin-guide/devices.txt; Documentation/block/ublk.rst), and what
/// they are. A zvol is a volume inside a ZFS pool.
const SOFTWARE: &[(&str, &str)] = &[
    ("loop", "loop device"),
    ("nbd", "network block device of nbd"),
    ("zram", "zram device"),
    ("ram", "RAM disk"),
    ("rbd", "Ceph RBD device"),
    ("rnbd", "network block device of rnbd"),
    ("ublkb", "block device of a user program (ublk)"),
    ("nullb", "null device"),
    ("zd", "zvol"),
];

/// The same for drives whose media anybody can change.
const DRIVES: &[&str] = &["sr", "fd"];

/// Devices of /sys/devices/virtual/block that only root's programs make.
const MADE_BY_ROOT: &[&str] = &["md", "dm-", "bcache", "drbd", "ubiblock", AOE];

/// Disks of ATA over Ethernet: sysfs writes a slash of a name as `!`
/// (Documentation/admin-guide/aoe/aoe.rst).
const AOE: &str = "etherd!";

/// Devices are stacked no deeper than this; real stacks have five floors.
const MAX_DEPTH: usize = 64;

/// What was mounted by users, and why it is taken for theirs; `None` is a mount of
/// the system.
pub(super) fn user_mount(mount: &Mount, config: &DeviceConfig) -> Option<Doubt> {
    let user = |how: &str| Some(Doubt::User(how.to_owned()));
    let point = mount.point.as_str();
    if is_fuse(&mount.kind) {
        return user(&format!(
            "the content of {} is decided by a user's program",
            mount.kind
        ));
    }
    if let Some(folder) = USER_POINTS
        .iter()
        .find(|folder| paths::below(point, folder).is_some())
    {
        return user(&format!("it is mounted below {folder}"));
    }
    if let Some(name) = config.user_of(point) {
        return user(&format!("{name} mounted it"));
    }
    // Root's own mounts may have it, too: a /boot that was made safe.
    if mount.nosuid && !decides(point) && !config.mounts(point) {
        return user("it is mounted with nosuid at a place that /etc/fstab does not have");
    }
    None
}

/// Whether a program answers for what is in it. A file system on a block device is
/// among them (`fuseblk`).
pub fn is_fuse(kind: &str) -> bool {
    kind == "fuse" || kind == "fuseblk" || kind.starts_with("fuse.")
}

/// Whether what is mounted there tells what the running system runs from, or boots from.
pub(super) fn decides(point: &str) -> bool {
    runs_at(point) || BOOT_POINTS.contains(&point)
}

/// Whether the running system runs from what is mounted there.
pub(super) fn runs_at(point: &str) -> bool {
    FIRST.contains(&point)
}

/// The verdict on every device, in their order. `carries` are the mounts of the
/// system, each with the device that it is on.
pub(super) fn verdicts<'a>(
    devices: &'a [BlockDevice],
    carries: &[(&'a BlockDevice, &str)],
    config: &'a DeviceConfig,
) -> Vec<Verdict> {
    let mut bench = Bench {
        devices,
        names: devices.iter().map(|d| (d.name.as_str(), d)).collect(),
        runs: Vec::new(),
        own: Vec::new(),
        config,
        known: RefCell::default(),
    };
    let at = |points: &'static [&'static str]| {
        let carries = carries.iter().copied();
        carries.filter(move |(_, point)| points.contains(point))
    };
    for (device, point) in at(FIRST) {
        bench.runs_from(device, point);
    }
    // The kernel mounts at /boot whatever udev's link leads to at that moment: what
    // has a twin among the believed, or is no hardware at all, is not believed for
    // being mounted there.
    let boot: Vec<(&'a BlockDevice, &str)> = at(BOOT_POINTS)
        .filter(|(device, point)| match bench.verdict(device, 0) {
            Verdict::Believed(_) => false,
            Verdict::Doubted(doubt) => {
                doubt.is_hardware() && bench.twin(device).is_none() && !bench.meant(device, point)
            }
        })
        .collect();
    for (device, point) in boot {
        bench.runs_from(device, point);
    }
    devices.iter().map(|d| bench.verdict(d, 0)).collect()
}

impl Doubt {
    /// Whether it is a real disk, only at a place where anybody can put another.
    pub fn is_hardware(&self) -> bool {
        match self {
            Doubt::Plugged(_) => true,
            Doubt::Below { why, .. } => why.is_hardware(),
            Doubt::Software(_) | Doubt::Snapshot | Doubt::User(_) => false,
        }
    }
}

/// The verdict on a mount whose device /sys does not show.
pub(super) fn by_name(name: &str, points: &[&str]) -> Verdict {
    if let Some(point) = points.iter().find(|point| FIRST.contains(point)) {
        return Verdict::Believed(Because::RunsFrom((*point).to_owned()));
    }
    match doubt_of_name(name) {
        Some(doubt) => Verdict::Doubted(doubt),
        None => Verdict::Believed(Because::Attached(Attachment::Unknown)),
    }
}

struct Bench<'a> {
    devices: &'a [BlockDevice],
    names: BTreeMap<&'a str, &'a BlockDevice>,
    /// The disks that the running system runs from, each with a mount point.
    runs: Vec<(&'a str, String)>,
    /// The devices that it has mounted itself.
    own: Vec<(&'a str, String)>,
    config: &'a DeviceConfig,
    /// The verdicts until now: what is on several stacks is judged once.
    known: RefCell<BTreeMap<&'a str, Verdict>>,
}

impl<'a> Bench<'a> {
    fn get(&self, name: &str) -> Option<&'a BlockDevice> {
        self.names.get(name).copied()
    }

    fn runs_from(&mut self, device: &'a BlockDevice, point: &str) {
        self.own.push((&device.name, point.to_owned()));
        for disk in self.disks(device) {
            self.runs.push((disk, point.to_owned()));
        }
        self.known.borrow_mut().clear();
    }

    /// The devices at the very bottom of one.
    fn disks(&self, device: &'a BlockDevice) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![device];
        while let Some(device) = todo.pop() {
            if !seen.insert(device.name.as_str()) {
                continue;
            }
            let below = device.disk.iter().chain(&device.below);
            let below: Vec<&BlockDevice> = below.filter_map(|name| self.get(name)).collect();
            if below.is_empty() {
                found.push(device.name.as_str());
            }
            todo.extend(below);
        }
        found
    }

    /// A believed device with the same identifiers.
    fn twin(&self, device: &BlockDevice) -> Option<&'a BlockDevice> {
        self.devices.iter().find(|other| {
            other.name != device.name
                && twins::shared(device, other).is_some()
                && self.verdict(other, 0).is_believed()
        })
    }

    /// Whether it is another device, and a believed one, that /etc/fstab means at a mount
    /// point: a label can be copied as a UUID can.
    fn meant(&self, device: &BlockDevice, point: &str) -> bool {
        let lines = self.config.planned.iter();
        let mut words = lines.filter(|line| line.point == point).map(|l| &l.source);
        words.any(|word| {
            self.devices.iter().any(|other| {
                other.name != device.name
                    && twins::answers(other, word)
                    && self.verdict(other, 0).is_believed()
            })
        })
    }

    /// Whether a name of it that root wrote down can only mean this very device: what a
    /// program made up or put together has its name from what it was made of.
    fn is_solid(&self, device: &BlockDevice) -> bool {
        let disk = device.disk.as_deref().and_then(|disk| self.get(disk));
        [Some(device), disk]
            .into_iter()
            .flatten()
            .all(|one| one.below.is_empty() && !is_software(&one.name))
    }

    fn verdict(&self, device: &'a BlockDevice, depth: usize) -> Verdict {
        let known = self.known.borrow().get(device.name.as_str()).cloned();
        known.unwrap_or_else(|| {
            let verdict = self.look(device, depth);
            let mut known = self.known.borrow_mut();
            known.insert(&device.name, verdict.clone());
            verdict
        })
    }

    fn look(&self, device: &'a BlockDevice, depth: usize) -> Verdict {
        if let Some((file, word)) = self.config.names(&device.name)
            && self.is_solid(device)
        {
            return Verdict::Believed(Because::Configured {
                file: file.to_owned(),
                word: word.to_owned(),
            });
        }
        if depth > MAX_DEPTH {
            return Verdict::Doubted(Doubt::Software("stack of devices without end".to_owned()));
        }
        let deeper = depth.saturating_add(1);
        let disk = device.disk.as_deref().filter(|disk| *disk != device.name);
        if let Some(disk) = disk.and_then(|disk| self.get(disk)) {
            return self.verdict(disk, deeper);
        }
        if let Some(gone) = device.below.iter().find(|name| self.get(name).is_none()) {
            let why = Box::new(Doubt::Software("unknown device".to_owned()));
            let device = gone.clone();
            return Verdict::Doubted(Doubt::Below { device, why });
        }
        let below: Vec<&BlockDevice> = device.below.iter().filter_map(|n| self.get(n)).collect();
        for lower in &below {
            if let Verdict::Doubted(why) = self.verdict(lower, deeper) {
                let why = match why {
                    Doubt::Below { .. } => return Verdict::Doubted(why),
                    why => Box::new(why),
                };
                let device = lower.name.clone();
                return Verdict::Doubted(Doubt::Below { device, why });
            }
        }
        let own = self.own.iter().find(|(name, _)| *name == device.name);
        let snapshot =
            |d: &&BlockDevice| d.mapped.as_ref().is_some_and(|name| name.ends_with("-cow"));
        if below.iter().any(snapshot) && own.is_none() {
            return Verdict::Doubted(Doubt::Snapshot);
        }
        if !below.is_empty() {
            let names = below.iter().map(|d| d.name.clone()).collect();
            return Verdict::Believed(Because::MadeOf(names));
        }
        let runs = self.runs.iter().find(|(name, _)| *name == device.name);
        if let Some((_, point)) = runs.filter(|_| alone(device).doubt().is_some()) {
            return Verdict::Believed(Because::RunsFrom(point.clone()));
        }
        alone(device)
    }
}

/// The verdict on a disk by itself.
fn alone(device: &BlockDevice) -> Verdict {
    let doubt = doubt_of_name(&device.name).or_else(|| {
        let mut ways = device
            .attached
            .ways
            .iter()
            .map(|way| doubt_of_way(device, way));
        ways.find_map(|doubt| doubt)
    });
    match doubt {
        Some(doubt) => Verdict::Doubted(doubt),
        None => Verdict::Believed(Because::Attached(attachment(&device.attached.ways))),
    }
}

/// Whether a device is one of those that programs make up, by its name.
pub(super) fn is_software(name: &str) -> bool {
    matches!(doubt_of_name(name), Some(Doubt::Software(_)))
}

fn doubt_of_name(name: &str) -> Option<Doubt> {
    let numbered = |prefix: &str| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if DRIVES.iter().any(|prefix| numbered(prefix)) {
        return Some(Doubt::Plugged(Bus::Drive));
    }
    let kind = SOFTWARE.iter().find(|(prefix, _)| numbered(prefix));
    kind.map(|(_, kind)| Doubt::Software((*kind).to_owned()))
}

/// What a path below /sys/devices says: each part of it is a device, the outer ones
/// first (Documentation/admin-guide/sysfs-rules.rst).
fn doubt_of_way(device: &BlockDevice, way: &str) -> Option<Doubt> {
    let made_up = way.starts_with("/sys/devices/virtual/block/");
    let by_root = |name: &str| MADE_BY_ROOT.iter().any(|prefix| name.starts_with(prefix));
    if made_up && !by_root(&device.name) {
        return Some(Doubt::Software("device made by software".to_owned()));
    }
    let numbered = |part: &str, prefix: &str| {
        let rest = part.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut parts = way.split('/');
    let bus = parts.find_map(|part| {
        if numbered(part, "usb") {
            return Some(Bus::Usb);
        }
        if numbered(part, "fw") {
            return Some(Bus::Firewire);
        }
        // Realtek's readers on PCI have a slot, whatever is in it.
        let cards = ["memstick_host", "pcmcia_socket", "rtsx_pci_"];
        let card = part == "mmc_host" && !device.attached.soldered;
        (card || cards.iter().any(|prefix| part.starts_with(prefix))).then_some(Bus::CardReader)
    });
    let bus = bus.or(device.attached.external.then_some(Bus::Thunderbolt));
    bus.map(Doubt::Plugged)
}

fn attachment(ways: &[String]) -> Attachment {
    let any = |fits: fn(&str) -> bool| ways.iter().any(|way| way.split('/').any(fits));
    let network = |part: &str| {
        let session = part.strip_prefix("session");
        let iscsi = session.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
        iscsi || part == "nvme-fabrics" || part.starts_with(AOE)
    };
    match ways {
        [] => Attachment::Unknown,
        _ if any(network) => Attachment::Network,
        _ if any(|part| part.starts_with("virtio")) => Attachment::Virtio,
        _ => Attachment::Internal,
    }
}

#[cfg(test)]
mod tests;
mod words;
