//! The choice: pure, over what was read. Whatever is unknown keeps its driver.

use std::collections::BTreeMap;

use kexec_machine::Fact;
use kexec_machine::volumes::KERNEL_FILE_SYSTEMS;

use super::kinds::{self, Kind};
use super::uses::disk;
use super::{Bus, Choice, Device, Devices, Disk, Kept, MountUse, UnbindStep, Unbinding, is_plain};

/// File systems that are on no device beside those of the kernel: what they show is in
/// memory, or of another mount.
const ON_NO_DEVICE: &[&str] = &[
    "nfsd", "overlay", "ramfs", "resctrl", "rootfs", "smackfs", "tmpfs",
];

/// File systems that are on the network, or need it besides their device.
const OF_THE_NETWORK: &[&str] = &[
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "gpfs", "lustre", "nfs", "nfs4",
    "ocfs2", "orangefs", "smb3",
];

/// File systems whose further devices the mount table does not have (f2fs), or whose device
/// is not the number that it shows.
const SPANNING: &[&str] = &["f2fs", "zfs"];

/// Block devices that are made of others, which then have them as holders, or of memory.
const MADE_OF_OTHERS: &[&str] = &["dm-", "md", "bcache", "loop", "zram", "ram"];

/// What is in use.
#[derive(Debug, Default)]
struct InUse {
    /// Block devices by name, and what uses each.
    disks: BTreeMap<String, String>,
    /// Why every disk counts as in use.
    every_disk: Option<String>,
    /// Why the network counts as in use.
    network: Option<String>,
}

impl InUse {
    fn of(devices: &Devices) -> InUse {
        let mut found = InUse::default();
        match &devices.uses.mounts {
            Fact::Known(mounts) => mounts.iter().for_each(|mount| found.mount(devices, mount)),
            Fact::Absent => found.everything("there is no mount table"),
            Fact::Unreadable(why) => found.everything(&format!("the mounts are unknown: {why}")),
        }
        match &devices.uses.swaps {
            Fact::Known(swaps) => swaps.iter().for_each(|swap| found.swap(devices, swap)),
            Fact::Absent => {}
            Fact::Unreadable(why) => found.every_disk(&format!("swap is unknown: {why}")),
        }
        for one in &devices.disks {
            if let Some(file) = &one.backing {
                found.every_disk(&format!("{} is connected to {file}", one.name));
            }
            if let Some(holder) = one.holders.first() {
                found.disk(one, &format!("{holder} is built on it"));
            }
        }
        if let Some(one) = devices.uses.connections.first() {
            found.network(one);
        }
        let mut consoles = devices.uses.consoles.iter();
        if let Some(console) = consoles.find(|name| name.starts_with("netcon")) {
            found.network(&format!("{console} is a console of the kernel"));
        }
        found
    }

    fn mount(&mut self, devices: &Devices, mount: &MountUse) {
        let MountUse { kind, point, .. } = mount;
        let mounted = format!("{kind} is mounted on {point}");
        if OF_THE_NETWORK.contains(&kind.as_str()) {
            self.network(&mounted);
        }
        for name in mount.named_disks() {
            if let Some(one) = devices.disks.iter().find(|disk| disk.name == name) {
                self.disk_of(devices, one, &mounted);
            }
        }
        if mount.is_on_a_device() {
            match devices
                .disks
                .iter()
                .find(|disk| disk.number == mount.number)
            {
                Some(one) => self.disk_of(devices, one, &mounted),
                None => self.everything(&format!("{mounted}, on an unknown device")),
            }
        }
        let anonymous = !mount.is_on_a_device();
        match kind.as_str() {
            "btrfs" => {
                let spanned = &devices.uses.spanned;
                for name in spanned {
                    match devices.disks.iter().find(|disk| disk.name == *name) {
                        Some(one) => self.disk_of(devices, one, &mounted),
                        None => self.everything(&format!("{mounted}, on an unknown device")),
                    }
                }
                if spanned.is_empty() {
                    self.everything(&format!("{mounted}, on unknown devices"));
                }
            }
            kind if SPANNING.contains(&kind) => {
                self.everything(&format!("{mounted}, which may span devices"));
            }
            kind if anonymous && !is_on_no_device(kind) && !is_network(kind) => {
                let known = !mount.named_disks().is_empty()
                    && mount
                        .named_disks()
                        .iter()
                        .all(|name| self.disks.contains_key(name));
                if !known {
                    self.everything(&format!("{mounted}: what that uses is unknown"));
                }
            }
            _ => {}
        }
    }

    fn swap(&mut self, devices: &Devices, swap: &str) {
        let used = format!("{swap} is swapped to");
        let name = swap.strip_prefix("/dev/").map(disk);
        let known = name.and_then(|name| devices.disks.iter().find(|disk| disk.name == name));
        match known {
            Some(one) => self.disk_of(devices, one, &used),
            // A file, or another name of a device.
            None => self.everything(&used),
        }
    }

    /// A block device that is used itself; where it is reached by the network, so is that.
    fn disk_of(&mut self, devices: &Devices, one: &Disk, why: &str) {
        self.disk(one, why);
        let is_below = |device: &Device| one.paths.iter().any(|path| is_below(path, &device.path));
        let made = MADE_OF_OTHERS
            .iter()
            .any(|start| one.name.starts_with(start));
        if !made && !devices.devices.iter().any(is_below) {
            self.network(&format!("{why}, on {}", one.name));
        }
    }

    fn disk(&mut self, one: &Disk, why: &str) {
        self.disks
            .entry(one.name.clone())
            .or_insert_with(|| why.to_owned());
    }

    fn every_disk(&mut self, why: &str) {
        self.every_disk.get_or_insert_with(|| why.to_owned());
    }

    fn network(&mut self, why: &str) {
        self.network.get_or_insert_with(|| why.to_owned());
    }

    fn everything(&mut self, why: &str) {
        self.every_disk(why);
        self.network(why);
    }
}

fn is_on_no_device(kind: &str) -> bool {
    KERNEL_FILE_SYSTEMS.contains(&kind) || ON_NO_DEVICE.contains(&kind)
}

fn is_network(kind: &str) -> bool {
    OF_THE_NETWORK.contains(&kind)
}

/// Whether a folder is below another one.
fn is_below(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Decides for each device whether it is unbound.
pub fn choose(devices: &Devices) -> Choice {
    let in_use = InUse::of(devices);
    let mut choice = Choice::default();
    for device in &devices.devices {
        if device.bus == Bus::Virtio && has_pci_device(devices, device) {
            // Decided with its PCI device.
            continue;
        }
        match unbinding(devices, &in_use, device) {
            Ok(unbinding) => choice.unbind.push(unbinding),
            Err(why) => choice.kept.push(Kept {
                device: device.name.clone(),
                why,
            }),
        }
    }
    choice
}

fn has_pci_device(devices: &Devices, device: &Device) -> bool {
    let mut pci = devices.devices.iter().filter(|one| one.bus == Bus::Pci);
    pci.any(|one| is_below(&device.path, &one.path))
}

/// How a device is unbound, or why it is not.
fn unbinding(devices: &Devices, in_use: &InUse, device: &Device) -> Result<Unbinding, String> {
    let Some(driver) = &device.driver else {
        return Err("it has no driver".to_owned());
    };
    let behind: Vec<&Device> = devices
        .devices
        .iter()
        .filter(|one| is_below(&one.path, &device.path))
        .collect();
    if behind.iter().any(|one| one.bus == Bus::Pci) {
        return Err("other devices are behind it".to_owned());
    }
    if device.virtual_functions {
        return Err("it has virtual functions, or is one".to_owned());
    }
    let mut group = behind;
    group.push(device);
    if let Some(wrong) = group.iter().find(|one| !is_plain(&one.name)) {
        return Err(format!("its name {:?} is unusual", wrong.name));
    }
    // A virtio device behind PCI is what its type is, whatever class the other one has.
    let kinds: Result<Vec<Kind>, String> = match group.as_slice() {
        [only] if driver != "virtio-pci" => kinds::kind(only).map(|kind| vec![kind]),
        [_] => Err("no virtio device is behind it".to_owned()),
        [virtio @ .., _] => virtio.iter().map(|one| kinds::kind(one)).collect(),
        [] => Ok(Vec::new()),
    };
    let kinds = kinds?;
    let parts = devices
        .parts
        .iter()
        .filter(|part| is_below(&part.path, &device.path));
    let mut network = kinds.contains(&Kind::Network);
    for part in parts {
        let needed = kinds::NEEDED.iter().find(|(class, _)| *class == part.class);
        if let Some((_, what)) = needed {
            return Err(format!("it is the device of {what} {}", part.name));
        }
        network |= kinds::NETWORK.contains(&part.class.as_str());
    }
    if network {
        return Err(match &in_use.network {
            Some(why) => format!("the network is in use: {why}"),
            // It holds the device's lock meanwhile, which the kernel's own shutdown needs.
            None => "a network device stays: its removal waits for ever for whatever still has \
                     a reference to it"
                .to_owned(),
        });
    }
    let of_it = |disk: &&Disk| disk.paths.iter().any(|path| is_below(path, &device.path));
    let disks: Vec<&Disk> = devices.disks.iter().filter(of_it).collect();
    for disk in &disks {
        if let Some(why) = in_use.disks.get(&disk.name) {
            return Err(format!("{} is in use: {why}", disk.name));
        }
        if !is_plain(&disk.name) {
            return Err(format!("the name {:?} of its disk is unusual", disk.name));
        }
    }
    let is_storage = kinds.contains(&Kind::Storage) || !disks.is_empty();
    if let Some(why) = in_use.every_disk.as_ref().filter(|_| is_storage) {
        return Err(format!("its disks may be in use: {why}"));
    }
    let named: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    let why = match named.is_empty() {
        false => format!("nothing uses {}", named.join(", ")),
        true => "nothing uses it".to_owned(),
    };
    let bound = group.iter().filter(|one| one.driver.is_some());
    Ok(Unbinding {
        device: device.name.clone(),
        driver: driver.clone(),
        why,
        steps: bound
            .map(|one| UnbindStep {
                bus: one.bus,
                device: one.name.clone(),
            })
            .collect(),
        disks: disks
            .iter()
            .filter(|disk| !disk.hidden)
            .map(|disk| disk.name.clone())
            .collect(),
    })
}
