//! Block devices: what udev knows of them, and how they hang together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attached::{self, Attached};
use super::index::Index;
use super::superblock::{self, FileSystemIdentity};
use super::{tables, trust};
use crate::Fact;
use crate::Root;

pub(super) const FOLDER: &str = "/sys/class/block";

/// A machine with more block devices than this is not searched further; large
/// storage servers have some thousands.
const MAX_DEVICES: usize = 1 << 14;

/// Devices without partitions that may hold a file system. Others, such as
/// floppy drives, are not woken up.
const WHOLE: &[&str] = &["dm-", "md", "mmcblk", "nvme", "sd", "vd", "xvd"];

/// Names that are given once in the world (SPC-6, designation descriptors; NVM Express
/// Base Specification, namespace identifiers). What a vendor makes up, two may have.
const UNIQUE: &[&str] = &["naa.", "eui.", "uuid."];

/// A partition, as its table describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Partition {
    /// Its number in the table.
    pub number: Option<u32>,
    /// Its UUID (GPT), or disk signature and number (MBR).
    pub uuid: Option<String>,
    /// Its name (GPT).
    pub label: Option<String>,
    /// Its type: a GUID in lower case (GPT), or `0xef` (MBR).
    pub kind: Option<String>,
}

/// One block device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BlockDevice {
    /// The kernel's name: `vda2`, `dm-0`.
    pub(super) name: String,
    /// The device number, `major:minor`.
    pub(super) number: String,
    /// The name that device mapper has for it.
    pub(super) mapped: Option<String>,
    /// What the hardware of a disk calls itself, the same on every path to it.
    pub(super) wwid: Option<String>,
    /// The disk that a partition is on.
    pub(super) disk: Option<String>,
    pub(super) partition: Option<Partition>,
    /// The devices below this one: what LUKS, LVM, RAID are made of.
    pub(super) below: Vec<String>,
    /// Each device below holds the same as this one: RAID 1, multipath.
    pub(super) mirrors: bool,
    pub(super) attached: Attached,
    pub(super) content: FileSystemIdentity,
}

impl BlockDevice {
    /// The path of its node.
    pub(super) fn node(&self) -> String {
        match &self.mapped {
            Some(name) => format!("/dev/mapper/{name}"),
            // A slash in a name, which sysfs cannot have in it.
            None => format!("/dev/{}", self.name.replace('!', "/")),
        }
    }
}

/// Every block device of /sys/class/block. What udev does not know is looked for
/// on the devices themselves; what cannot be read there is left out, with a note.
pub(super) fn read(root: &Root, notes: &mut Vec<String>) -> Fact<Vec<BlockDevice>> {
    root.entries(FOLDER).map(|mut names| {
        if names.len() > MAX_DEVICES {
            // Users can set up loop devices by the thousand; they come last.
            names.sort_by_key(|name| trust::is_software(name));
        }
        let names = names.into_iter().take(MAX_DEVICES);
        let found = names.filter_map(|name| device(root, name));
        let (mut devices, known): (Vec<BlockDevice>, Vec<bool>) = found.unzip();
        let numbers = devices.iter().map(|d| (d.number.clone(), d.name.clone()));
        let numbers: BTreeMap<String, String> = numbers.collect();
        for (device, known) in devices.iter_mut().zip(known) {
            // udev names the disk by its number.
            if let Some(disk) = &mut device.disk
                && let Some(name) = numbers.get(disk.as_str())
            {
                disk.clone_from(name);
            }
            if !known {
                probe(root, device, notes);
            }
        }
        devices
    })
}

/// A device, and whether udev knows it.
fn device(root: &Root, name: String) -> Option<(BlockDevice, bool)> {
    let folder = format!("{FOLDER}/{name}");
    let text = |file: &str| match root.text(&format!("{folder}/{file}")) {
        Fact::Known(text) => Some(text),
        _ => None,
    };
    let number = text("dev")?;
    let data = root.text(&format!("/run/udev/data/b{number}"));
    let known = data.known().is_some();
    let udev = data
        .known()
        .map(|text| properties(text))
        .unwrap_or_default();
    let is_partition = text("partition");
    let disk =
        || disk(root, &folder).or_else(|| udev.get("ID_PART_ENTRY_DISK").map(|d| (*d).to_owned()));
    let mapping = text("dm/uuid").unwrap_or_default();
    let number_of = is_partition.clone().or_else(|| mapped_partition(&mapping));
    let device = BlockDevice {
        disk: is_partition.as_ref().and_then(|_| disk()),
        partition: number_of.map(|number| partition(&udev, number.parse().ok())),
        mapped: text("dm/name"),
        wwid: text("device/wwid")
            .or_else(|| text("wwid"))
            .filter(|id| UNIQUE.iter().any(|kind| id.starts_with(kind))),
        below: names(root, &format!("{folder}/slaves")),
        mirrors: mapping.starts_with("mpath-") || text("md/level").as_deref() == Some("raid1"),
        attached: attached::read(root, &name),
        content: content(&udev),
        number,
        name,
    };
    Some((device, known))
}

/// The number of a partition that device mapper makes, as kpartx(8) does on top of
/// multipath: it writes `part1-` in front of the name of the whole.
fn mapped_partition(uuid: &str) -> Option<String> {
    let (number, _) = uuid.strip_prefix("part")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    Some(number.to_owned())
}

fn names(root: &Root, folder: &str) -> Vec<String> {
    match root.entries(folder) {
        Fact::Known(names) => names,
        _ => Vec::new(),
    }
}

/// Looks at a device that may hold a file system, and at the partition table
/// that it is in.
fn probe(root: &Root, device: &mut BlockDevice, notes: &mut Vec<String>) {
    let prefix = |names: &[&str]| names.iter().any(|name| device.name.starts_with(name));
    if device.partition.is_none() && !prefix(WHOLE) {
        return;
    }
    // What something else is made of is no file system, whatever it begins with.
    if names(root, &format!("{FOLDER}/{}/holders", device.name)).is_empty() {
        match root.bytes_at(&device.node(), 0, superblock::LEN) {
            Fact::Known(head) => device.content = superblock::content(&head).unwrap_or_default(),
            Fact::Absent => {}
            Fact::Unreadable(reason) => {
                notes.push(format!(
                    "the content of {} is unknown: {reason}",
                    device.name
                ));
            }
        }
    }
    if let (Some(partition), Some(disk)) = (&mut device.partition, &device.disk)
        && let Some(number) = partition.number
        && let Some(found) = table(root, disk).remove(&number)
    {
        *partition = found;
    }
}

/// The partition table of a disk; empty when it cannot be read.
fn table(root: &Root, disk: &str) -> BTreeMap<u32, Partition> {
    let size = root.parse(
        &format!("{FOLDER}/{disk}/queue/logical_block_size"),
        "a number",
        |text| text.parse::<u16>().ok(),
    );
    let size = size.known().copied().unwrap_or(512);
    let node = format!("/dev/{disk}");
    let blocks = root.bytes_at(&node, 0, usize::from(size).saturating_mul(2));
    let Fact::Known(blocks) = blocks else {
        return BTreeMap::new();
    };
    let second = blocks.get(usize::from(size)..).unwrap_or_default();
    let Some(place) = tables::gpt_header(second, size.into()) else {
        return tables::mbr(&blocks);
    };
    match root.bytes_at(&node, place.at, place.len) {
        Fact::Known(entries) => tables::gpt_entries(&entries, place.size),
        _ => BTreeMap::new(),
    }
}

/// The disks that a device is on: those of its partition, or of everything that
/// it is made of.
pub(super) fn disks(index: &Index<'_>, device: &BlockDevice) -> Vec<String> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut todo = vec![device];
    while let Some(device) = todo.pop() {
        if seen.insert(&device.name) {
            found.extend(device.disk.as_deref());
            todo.extend(device.below.iter().filter_map(|name| index.named(name)));
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

/// /sys/class/block/vda2 is a link to .../block/vda/vda2.
fn disk(root: &Root, folder: &str) -> Option<String> {
    let link = root.link(folder);
    let (above, _) = link.known()?.rsplit_once('/')?;
    let (_, disk) = above.rsplit_once('/')?;
    Some(disk.to_owned())
}

/// The `E:` lines of a file of /run/udev/data: the properties that udev found.
/// systemd calls the format private, but every program that asks udev reads it;
/// what is not there is looked for on the device itself.
fn properties(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("E:"));
    lines.filter_map(|line| line.split_once('=')).collect()
}

/// What udev's file of a block device says of its content, and of the partition that
/// it is.
pub fn udev(text: &str) -> (FileSystemIdentity, Partition) {
    let udev = properties(text);
    (content(&udev), partition(&udev, None))
}

fn partition(udev: &BTreeMap<&str, &str>, number: Option<u32>) -> Partition {
    let value = |name: &str| udev.get(name).map(|value| unescaped(value));
    Partition {
        number,
        uuid: value("ID_PART_ENTRY_UUID"),
        label: value("ID_PART_ENTRY_NAME"),
        kind: value("ID_PART_ENTRY_TYPE").map(|kind| kind.to_ascii_lowercase()),
    }
}

fn content(udev: &BTreeMap<&str, &str>) -> FileSystemIdentity {
    let value = |name: &str| udev.get(name).map(|value| unescaped(value));
    FileSystemIdentity {
        kind: value("ID_FS_TYPE"),
        uuid: value("ID_FS_UUID_ENC").or_else(|| value("ID_FS_UUID")),
        label: value("ID_FS_LABEL_ENC").or_else(|| value("ID_FS_LABEL")),
    }
}

/// udev writes bytes that are not safe in a file name as `\x20`.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\x").and_then(|r| r.get(..2));
        let code = digits.and_then(hexadecimal);
        bytes.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => rest.get(4..).unwrap_or_default(),
            None => more,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
    u8::from_str_radix(text, 16).ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn what_udev_and_sysfs_say_of_a_partition() {
        let dir = tempfile::tempdir().unwrap();
        let sys = "sys/devices/pci0000:00/virtio0/block/vda";
        put(dir.path(), &format!("{sys}/dev"), "254:0\n");
        put(dir.path(), &format!("{sys}/vda1/dev"), "254:1\n");
        put(dir.path(), &format!("{sys}/vda1/partition"), "1\n");
        let class = dir.path().join("sys/class/block");
        std::fs::create_dir_all(&class).unwrap();
        for (name, target) in [("vda", "vda"), ("vda1", "vda/vda1")] {
            let target = format!("../../devices/pci0000:00/virtio0/block/{target}");
            std::os::unix::fs::symlink(target, class.join(name)).unwrap();
        }
        put(
            dir.path(),
            "run/udev/data/b254:1",
            "S:disk/by-uuid/AB\nI:3\nE:ID_FS_TYPE=vfat\nE:ID_FS_UUID=ABCD-1234\n\
             E:ID_FS_LABEL=EFI_A\nE:ID_FS_LABEL_ENC=EFI\\x20A\n\
             E:ID_PART_ENTRY_TYPE=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nG:systemd\n",
        );
        let devices = read(&Root::new(dir.path()), &mut Vec::new());
        let [disk, part] = devices.known().unwrap().as_slice() else {
            panic!("{devices:?}");
        };
        assert_eq!((disk.name.as_str(), &disk.partition), ("vda", &None));
        assert_eq!(part.disk.as_deref(), Some("vda"));
        assert_eq!(part.content.label.as_deref(), Some("EFI A"));
        assert_eq!(part.content.uuid.as_deref(), Some("ABCD-1234"));
        let partition = part.partition.as_ref().unwrap();
        assert_eq!(partition.number, Some(1));
        assert_eq!(
            partition.kind.as_deref(),
            Some("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
        );
    }

    /// A machine without udev, and disk images in place of its devices.
    #[test]
    fn without_udev_the_devices_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "sys/devices/block/vda/vda1/dev", "254:1");
        put(root, "sys/devices/block/vda/vda1/partition", "1");
        put(root, "sys/devices/block/vda/vda2/dev", "254:2");
        put(root, "sys/devices/block/vda/vda2/partition", "2");
        put(root, "sys/devices/block/vda/vda2/holders/md0/dev", "9:0");
        put(root, "sys/devices/block/vda/vda3/dev", "254:3");
        put(root, "sys/devices/block/vda/vda3/partition", "3");
        std::fs::create_dir_all(root.join("dev/vda3")).unwrap();
        std::fs::create_dir_all(root.join("sys/class/block")).unwrap();
        for name in ["vda1", "vda2", "vda3"] {
            let link = root.join("sys/class/block").join(name);
            std::os::unix::fs::symlink(format!("../../devices/block/vda/{name}"), link).unwrap();
        }
        let mut fat = vec![0; 512];
        fat[0] = 0xeb;
        fat[67..71].copy_from_slice(&0xabcd_1234_u32.to_le_bytes());
        fat[71..90].copy_from_slice(b"ESP        FAT32   ");
        fat[510..].copy_from_slice(&[0x55, 0xaa]);
        for name in ["vda1", "vda2"] {
            std::fs::write(root.join("dev").join(name), &fat).unwrap();
        }
        let mut disk = vec![0; 512];
        disk[446 + 4] = 0xef;
        disk[510..].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(root.join("dev/vda"), &disk).unwrap();
        let mut notes = Vec::new();
        let devices = read(&Root::new(root), &mut notes);
        let [one, two, three] = devices.known().unwrap().as_slice() else {
            panic!("{devices:?}");
        };
        assert_eq!(one.content.uuid.as_deref(), Some("ABCD-1234"));
        let kind = |d: &BlockDevice| d.partition.as_ref().unwrap().kind.clone();
        assert_eq!(kind(one).as_deref(), Some("0xef"));
        // Part of a RAID array: its superblock is not its own.
        assert_eq!(
            (&two.content, kind(two)),
            (&FileSystemIdentity::default(), None)
        );
        assert_eq!(three.content, FileSystemIdentity::default());
        assert_eq!(
            notes,
            [
                "the content of vda3 is unknown: /dev/vda3: it is a directory, expected a block \
                 device or a regular file"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(E:)?([A-Z_]{0,8}=?\\\\?x?[0-9a-f]{0,3}\n?){0,6}\\PC{0,40}") {
            let found = properties(&text);
            let _ = (partition(&found, None), content(&found), unescaped(&text));
        }
    }
}
