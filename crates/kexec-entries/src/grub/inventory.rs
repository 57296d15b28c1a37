//! What a machine has of the kinds of devices that GRUB names, so that "there is no
//! such device" is said only where it is sure.

use kexec_machine::Fact;
use kexec_machine::volumes::{Partition, Volumes, udev};

/// Where the kernel lists its block devices (sysfs, "class/block").
const FOLDER: &str = "/sys/class/block";
/// Devices that programs made, and that no firmware shows to GRUB.
const MADE: [&str; 9] = [
    "dm-", "drbd", "loop", "md", "nbd", "ram", "rbd", "zd", "zram",
];

/// The block devices of a machine.
#[derive(Debug, Default)]
pub(super) struct DeviceInventory {
    /// How many disks the firmware may show.
    disks: usize,
    /// Every partition that udev describes.
    pub(super) partitions: Vec<Partition>,
    /// Why there may be a file system that was not seen, if there may.
    pub(super) hides: Option<String>,
    /// The kinds that are there: `linux_raid_member` ...
    kinds: Vec<String>,
    /// The kernel's names.
    names: Vec<String>,
}

impl DeviceInventory {
    pub(super) fn read(volumes: &Volumes) -> DeviceInventory {
        let mut inventory = DeviceInventory::default();
        match volumes.machine_entries(FOLDER) {
            Fact::Known(names) if !names.is_empty() => inventory.names = names,
            _ => inventory.hides = Some(format!("{FOLDER} lists no devices")),
        }
        for name in inventory.names.clone() {
            inventory.device(volumes, &name);
        }
        inventory
    }

    fn device(&mut self, volumes: &Volumes, name: &str) {
        let text = |path: String| {
            let bytes = volumes.machine_bytes(&path);
            let bytes = bytes.known().map(|bytes| bytes.as_slice());
            bytes.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        };
        let partition = text(format!("{FOLDER}/{name}/partition"));
        let made = MADE.iter().any(|made| name.starts_with(made));
        if partition.is_none() && !made {
            self.disks = self.disks.saturating_add(1);
        }
        let number = text(format!("{FOLDER}/{name}/dev")).unwrap_or_default();
        let Some(data) = text(format!("/run/udev/data/b{number}")) else {
            let known = |volume: &kexec_machine::volumes::Volume| {
                let node = volume.device.as_deref();
                volume.kind.is_some() && node == Some(format!("/dev/{name}").as_str())
            };
            // A disk with partitions is none of the places.
            let parts = self.names.iter().any(|other| {
                let rest = other.strip_prefix(name).unwrap_or_default();
                !rest.is_empty() && rest.ends_with(|c: char| c.is_ascii_digit())
            });
            if !made && !parts && !volumes.every().iter().any(known) {
                self.hide(format!("the content of {name} is unknown"));
            }
            return;
        };
        let (content, described) = udev(&data);
        if partition.is_some() {
            let number = partition.and_then(|number| number.parse().ok());
            self.partitions.push(Partition {
                number: described.number.or(number),
                ..described
            });
        }
        if let Some(kind) = content.kind {
            if kind.ends_with("_member") || kind == "crypto_LUKS" || kind == "bcache" {
                let named = match kind.as_str() {
                    "zfs_member" => "ZFS".to_owned(),
                    other => other.to_owned(),
                };
                self.hide(format!(
                    "it may be on the array or volume that {name} belongs to \
                                   ({named})"
                ));
            }
            self.kinds.push(kind);
        }
    }

    fn hide(&mut self, why: String) {
        self.hides.get_or_insert(why);
    }

    fn has(&self, kinds: &[&str]) -> bool {
        self.kinds.iter().any(|kind| kinds.contains(&kind.as_str()))
    }

    fn begins(&self, names: &[&str]) -> bool {
        let begins = |name: &String| names.iter().any(|begin| name.starts_with(begin));
        self.names.iter().any(begins)
    }

    /// Why there may be a device that GRUB calls so (the manual's "Device syntax"),
    /// in words that go on a sentence; `None` where the machine has nothing of the
    /// kind.
    pub(super) fn why_not(&self, name: &str) -> Option<String> {
        let disk = name.split(',').next().unwrap_or_default();
        let number = |start: &str| disk.strip_prefix(start)?.parse::<usize>().ok();
        if self.names.is_empty() {
            return Some(String::new());
        }
        if let Some(number) = number("hd") {
            let all = self.disks;
            return (number < all).then(|| format!(": this machine has {all} disks"));
        }
        let there = if disk.is_empty() {
            false
        } else if name.starts_with("md/") || name.starts_with("mduuid/") || number("md").is_some() {
            self.begins(&["md"])
                || self.has(&["linux_raid_member", "isw_raid_member", "ddf_raid_member"])
        } else if name.starts_with("lvm/") || name.starts_with("lvmid/") {
            self.has(&["LVM2_member", "LVM1_member"]) || self.begins(&["dm-"])
        } else if name.starts_with("cryptouuid/") || number("crypto").is_some() {
            self.has(&["crypto_LUKS", "BitLocker"]) || self.begins(&["dm-"])
        } else if name == "cd" || number("cd").is_some() {
            self.begins(&["sr"])
        } else if number("fd").is_some() {
            self.begins(&["fd"])
        } else {
            true
        };
        there.then(String::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_cannot_have() {
        let inventory = DeviceInventory {
            disks: 1,
            names: ["sda", "sda1", "loop0"].map(str::to_owned).into(),
            ..DeviceInventory::default()
        };
        for name in [
            "md/md-boot",
            "mduuid/1",
            "md0",
            "md0,gpt1",
            "lvm/vg-lv",
            "lvmid/a/b",
            "cryptouuid/1",
            "crypto0",
            "cd",
            "cd0",
            "fd0",
            "hd1",
            "hd1,gpt1",
            "",
        ] {
            assert_eq!(inventory.why_not(name), None, "{name}");
        }
        for name in ["hd0", "hd0,gpt9", "memdisk", "ldm/x", "ahci0,gpt1", "mdx"] {
            assert!(inventory.why_not(name).is_some(), "{name}");
        }
        let more = DeviceInventory {
            names: ["sda", "md127", "sr0", "dm-0"].map(str::to_owned).into(),
            ..DeviceInventory::default()
        };
        for name in ["md/x", "lvm/vg-lv", "cd0", "crypto0"] {
            assert!(more.why_not(name).is_some(), "{name}");
        }
        assert!(DeviceInventory::default().why_not("md/x").is_some());
    }
}
