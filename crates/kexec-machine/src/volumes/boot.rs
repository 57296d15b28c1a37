//! Which partitions the firmware and a boot loader of the Boot Loader
//! Specification read.

use super::lookup;
use super::{Volume, Volumes};

/// EFI system partition: GPT (UEFI specification, 5.3.3) and MBR (5.2.2).
const ESP: &[&str] = &["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"];
/// Extended boot loader partition: GPT and MBR (UAPI.1 "The Partitions").
const XBOOTLDR: &[&str] = &["bc13c2ff-59e6-4262-a352-b275fd6f7172", "0xea"];
/// Where an ESP is mounted, in the order in which bootctl(1) looks.
const ESP_POINTS: &[&str] = &["/efi", "/boot", "/boot/efi"];

/// The partitions of the boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootPartitions<'a> {
    /// The EFI system partition.
    pub esp: Option<&'a Volume>,
    /// The extended boot loader partition on the same disk.
    pub xbootldr: Option<&'a Volume>,
    /// Why this ESP, or why none.
    pub why: String,
    /// Where this boot came from is known, and may not be read.
    pub refused: bool,
}

/// A partition that the firmware or the boot loader says this boot came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootedFrom {
    /// The UUID of the partition.
    pub partuuid: String,
    /// Who says so: `LoaderDevicePartUUID`.
    pub said: String,
}

pub(super) fn find<'a>(volumes: &'a Volumes, loader: Option<&BootedFrom>) -> BootPartitions<'a> {
    let refused = loader.and_then(|word| {
        let found = volumes.by_partuuid(&word.partuuid).refused();
        found.map(|reason| format!("where the boot loader came from ({}): {reason}", word.said))
    });
    if let Some(why) = refused {
        return BootPartitions {
            esp: None,
            xbootldr: None,
            why,
            refused: true,
        };
    }
    let (esp, why) = esp(volumes, loader);
    let beside = |v: &&Volume| esp.is_some_and(|esp| is(v, XBOOTLDR) && shares(esp, v));
    let mut beside: Vec<&Volume> = volumes.all().iter().filter(beside).collect();
    beside.sort_by_key(|v| v.partition.as_ref().and_then(|p| p.number));
    BootPartitions {
        esp,
        xbootldr: beside.first().copied(),
        why,
        refused: false,
    }
}

/// The ESP that the boot loader came from; else one that is mounted where they
/// are; else one on the disk of the root file system; else the only one.
fn esp<'a>(volumes: &'a Volumes, loader: Option<&BootedFrom>) -> (Option<&'a Volume>, String) {
    if let Some(BootedFrom { partuuid, said }) = loader
        && let Some(own) = volumes.by_partuuid(partuuid).one()
    {
        let why = format!("the boot loader came from {} ({said})", own.id);
        return (Some(own), why);
    }
    for point in ESP_POINTS {
        if let Some(esp) = mounted(volumes, point) {
            return (Some(esp), format!("{} is at {point}", esp.id));
        }
    }
    let all: Vec<&Volume> = volumes.all().iter().filter(|v| is(v, ESP)).collect();
    let root = volumes.all().iter().find(|v| at(v, "/"));
    let near = all
        .iter()
        .find(|v| root.is_some_and(|root| shares(root, v)));
    match (near, all.as_slice()) {
        (Some(esp), _) => (
            Some(esp),
            format!("{} is the ESP on the disk of the root file system", esp.id),
        ),
        (None, [only]) => (Some(only), format!("{} is the only ESP", only.id)),
        (None, []) => (None, "this machine has no ESP".to_owned()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|v| v.id.0.as_str()).collect();
            let why = format!(
                "{} are ESPs, and which one the machine boots from is unknown: none is mounted or \
                 on the disk of the root file system",
                names.join(", ")
            );
            (None, why)
        }
    }
}

/// The ESP at a mount point, where it is mounted or fstab(5) wants it. Without a
/// known partition type, vfat at /efi or /boot/efi is taken for one.
fn mounted<'a>(volumes: &'a Volumes, point: &str) -> Option<&'a Volume> {
    let known = |v: &Volume| match lookup::on(v, |p| p.kind.is_some()) {
        true => is(v, ESP),
        false => v.kind.as_deref() == Some("vfat") && point != "/boot",
    };
    volumes.all().iter().find(|v| at(v, point) && known(v))
}

fn at(volume: &Volume, point: &str) -> bool {
    volume.planned.as_deref() == Some(point) || volume.mounts.iter().any(|m| m.point == point)
}

fn is(volume: &Volume, kinds: &[&str]) -> bool {
    lookup::on(volume, |partition| {
        let kind = partition.kind.as_deref();
        kind.is_some_and(|kind| kinds.contains(&kind))
    })
}

/// Whether two file systems share a disk.
fn shares(a: &Volume, b: &Volume) -> bool {
    a.disks.iter().any(|disk| b.disks.contains(disk))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Disks sda and sdb, each with an ESP (1) and an XBOOTLDR (2); root on LVM
    /// on sdb3.
    fn machine(mounts: &str) -> Volumes {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let class = root.join("sys/class/block");
        std::fs::create_dir_all(&class).unwrap();
        for (disk, minor) in [("sda", 0), ("sdb", 16)] {
            for (number, kind) in [(1, ESP[0]), (2, XBOOTLDR[0]), (3, "0x8e")] {
                let (name, dev) = (format!("{disk}{number}"), format!("8:{}", minor + number));
                let sys = format!("sys/devices/block/{disk}/{name}");
                put(root, &format!("{sys}/dev"), &dev);
                put(root, &format!("{sys}/partition"), &number.to_string());
                let target = format!("../../devices/block/{disk}/{name}");
                std::os::unix::fs::symlink(target, class.join(&name)).unwrap();
                let fs = if number == 3 { "LVM2_member" } else { "vfat" };
                let udev = format!(
                    "E:ID_FS_TYPE={fs}\nE:ID_PART_ENTRY_TYPE={kind}\nE:ID_PART_ENTRY_UUID={name}-uuid\n"
                );
                put(root, &format!("run/udev/data/b{dev}"), &udev);
            }
        }
        put(root, "sys/class/block/dm-0/dev", "253:0");
        put(root, "sys/class/block/dm-0/dm/name", "vg-root");
        put(root, "sys/class/block/dm-0/slaves/sdb3/dev", "8:19");
        put(root, "run/udev/data/b253:0", "E:ID_FS_TYPE=ext4\n");
        put(root, "proc/self/mountinfo", mounts);
        Volumes::read(root)
    }

    fn chosen(volumes: &Volumes, loader: Option<&str>) -> (Option<String>, Option<String>, String) {
        let word = loader.map(|partuuid| BootedFrom {
            partuuid: partuuid.to_owned(),
            said: "LoaderDevicePartUUID".to_owned(),
        });
        let found = volumes.boot_partitions(word.as_ref());
        let name = |v: Option<&Volume>| v.map(|v| v.id.0.clone());
        (name(found.esp), name(found.xbootldr), found.why)
    }

    #[test]
    fn the_esp_that_the_boot_loader_names_wins() {
        let root = "1 0 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n";
        let (esp, xbootldr, why) = chosen(&machine(root), Some("SDA1-UUID"));
        assert_eq!(esp.as_deref(), Some("sda1"));
        assert_eq!(xbootldr.as_deref(), Some("sda2"));
        assert!(why.contains("LoaderDevicePartUUID"), "{why}");
    }

    #[test]
    fn then_a_mounted_one_then_the_disk_of_the_root() {
        let root = "1 0 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n";
        let (esp, xbootldr, _) = chosen(&machine(root), None);
        assert_eq!(
            (esp.as_deref(), xbootldr.as_deref()),
            (Some("sdb1"), Some("sdb2"))
        );
        let both = format!("{root}2 1 8:1 / /efi rw - vfat /dev/sda1 rw\n");
        let (esp, _, why) = chosen(&machine(&both), None);
        assert_eq!(
            (esp.as_deref(), why.as_str()),
            (Some("sda1"), "sda1 is at /efi")
        );
        // What is mounted at /boot need not be an ESP.
        let boot = format!("{root}2 1 8:2 / /boot rw - vfat /dev/sda2 rw\n");
        assert_eq!(chosen(&machine(&boot), None).0.as_deref(), Some("sdb1"));
    }

    #[test]
    fn of_several_none_is_guessed() {
        let (esp, _, why) = chosen(&machine("1 0 0:5 / / rw - tmpfs none rw\n"), None);
        assert_eq!(esp, None);
        assert!(why.contains("sda1, sdb1"), "{why}");
    }
}
