//! The machine's file systems as the evaluator sees them.

use std::cell::OnceCell;
use std::rc::Rc;

use rustix::fs::FileType;

use super::devices::{Answer, Devices, FilePath, Node, ProbeFor, SearchBy};
use super::inventory::DeviceInventory;
use super::text::Device;
use super::zfs;
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::trust::Doubt;
use kexec_machine::volumes::{Lookup, Partition, Volume, VolumeId, Volumes};

/// A device is called by the name of its volume.
#[derive(Debug)]
pub(super) struct Disks<'a> {
    pub(super) volumes: &'a Volumes,
    inventory: OnceCell<DeviceInventory>,
}

/// The device that stands for a volume.
pub(super) fn device_of(volume: &VolumeId) -> Device {
    Device(Rc::from(volume.0.as_str()))
}

impl<'a> Disks<'a> {
    /// The file systems of a machine.
    pub(super) fn new(volumes: &'a Volumes) -> Disks<'a> {
        Disks {
            volumes,
            inventory: OnceCell::new(),
        }
    }
}

impl Disks<'_> {
    /// The file of the frame behind a file of GRUB.
    pub(super) fn boot_file(&self, file: &FilePath) -> BootFile {
        let volume = VolumeId(file.device.0.to_string());
        self.volumes.file(&volume, &file.path)
    }

    fn volume(&self, device: &Device) -> Option<&Volume> {
        self.volumes.get(&VolumeId(device.0.to_string()))
    }

    fn inventory(&self) -> &DeviceInventory {
        self.inventory
            .get_or_init(|| DeviceInventory::read(self.volumes))
    }

    /// What a look-up by a name on the file systems comes to. That nothing has the
    /// name is only said where everything that could have it was seen.
    fn found(&self, what: &str, found: Lookup<'_>) -> Answer<Device> {
        match (found, &self.inventory().hides) {
            (Lookup::One(volume), _) => Answer::Is(device_of(&volume.id)),
            (Lookup::Refused(reason), _) => Answer::Unknown(reason),
            (Lookup::None, None) => Answer::No,
            (Lookup::None, Some(hides)) => Answer::Unknown(format!(
                "no file system of this machine has {what}; {hides}"
            )),
        }
    }

    /// The one volume for which something holds.
    fn only(&self, what: &str, fits: impl Fn(&Volume) -> bool) -> Answer<Device> {
        self.found(what, self.volumes.only(what, fits))
    }

    /// By something of its partition, which need not hold a file system.
    fn by_partition(&self, what: &str, fits: impl Fn(&Partition) -> bool) -> Answer<Device> {
        let on = |volume: &Volume| volume.partition.iter().any(&fits);
        match self.volumes.only(what, on) {
            Lookup::None if self.inventory().partitions.iter().any(&fits) => Answer::Unknown(
                format!("the content of the partition with {what} is unknown"),
            ),
            found => self.found(what, found),
        }
    }

    /// `hd0,gpt2`, `hd0,msdos2`, `hd0,2`: known only where the machine has one
    /// disk, because it is the firmware that counts them.
    fn partition(&self, name: &str, number: u32) -> Answer<Device> {
        // The firmware counts what is plugged in, but not what programs made up.
        let counts = |v: &&Volume| v.verdict.doubt().is_none_or(Doubt::is_hardware);
        let counted = self.volumes.every().iter().filter(counts);
        let mut disks: Vec<&String> = counted.flat_map(|v| &v.disks).collect();
        disks.sort_unstable();
        disks.dedup();
        let all = disks.len();
        let numbered = |partition: &Partition| partition.number == Some(number);
        match all {
            1 => self.by_partition(&format!("the name {name}"), numbered),
            _ => Answer::Unknown(format!(
                "which disk the firmware calls {name} is unknown: this machine has {all} disks"
            )),
        }
    }
}

/// The number in `hd0,gpt2`, for the first disk only.
fn first_disk(name: &str) -> Option<u32> {
    let partition = name.strip_prefix("hd0,")?;
    let number = partition.trim_start_matches(|c: char| c.is_ascii_lowercase());
    number.parse().ok()
}

impl Devices for Disks<'_> {
    fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        if let Some((at, count)) = file.path.split_once('+')
            && let (Ok(at), Ok(count)) = (at.parse::<u64>(), count.parse::<u64>())
        {
            let length = count.saturating_mul(SECTOR);
            if length > limit {
                return Answer::Unknown(format!("{file} is larger than {limit} bytes"));
            }
            let volume = VolumeId(file.device.0.to_string());
            let at = at.saturating_mul(SECTOR);
            return answer(self.volumes.device_bytes(&volume, at, length));
        }
        answer(self.volumes.bytes(&self.boot_file(file), limit))
    }

    fn node(&self, file: &FilePath) -> Answer<Node> {
        if !file.path.starts_with('/') {
            return Answer::Unknown(format!("{file} is a list of blocks"));
        }
        let shown = self.boot_file(file);
        answer(self.volumes.stat(&shown)).map(|stat| Node {
            directory: FileType::from_raw_mode(stat.st_mode).is_dir(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
        })
    }

    fn is_link(&self, file: &FilePath) -> bool {
        matches!(self.volumes.link(&self.boot_file(file)), Fact::Known(_))
    }

    fn list(&self, directory: &FilePath) -> Answer<Vec<String>> {
        answer(self.volumes.entries(&self.boot_file(directory)))
    }

    fn search(&self, by: SearchBy, value: &str) -> Answer<Device> {
        let same = |text: &Option<String>| {
            let text = text.as_deref();
            text.is_some_and(|text| text.eq_ignore_ascii_case(value))
        };
        match by {
            SearchBy::FsUuid => match zfs::search(self.volumes, value) {
                Some(pool) => pool,
                None => self.only(&format!("the UUID {value}"), |v| same(&v.uuid)),
            },
            SearchBy::Label => {
                let what = format!("the label {value}");
                self.found(&what, self.volumes.by_label(value))
            }
            SearchBy::PartLabel => self.by_partition(&format!("the name {value}"), |partition| {
                partition.label.as_deref() == Some(value)
            }),
            SearchBy::PartUuid => self
                .by_partition(&format!("the PARTUUID {value}"), |partition| {
                    same(&partition.uuid)
                }),
            SearchBy::DiskUuid => Answer::Unknown(format!(
                "which disk has a partition table with the UUID {value} is unknown"
            )),
            SearchBy::File => {
                // What is no boot source is not looked into.
                let mut unread = None;
                let answer = self.only(&format!("a file {value}"), |volume| {
                    let file = self.volumes.file(&volume.id, value);
                    matches!(self.volumes.exists(&file), Fact::Known(()))
                });
                for volume in self.volumes.disks() {
                    let file = self.volumes.file(&volume.id, value);
                    if let Fact::Unreadable(why) = self.volumes.exists(&file) {
                        unread.get_or_insert(why);
                    }
                }
                let all = self.volumes.every().len() == self.volumes.disks().count();
                match (unread, answer) {
                    (Some(why), _) => Answer::Unknown(why),
                    (None, Answer::No) if !all => {
                        Answer::Unknown(format!("which file system has a file {value} is unknown"))
                    }
                    (None, answer) => answer,
                }
            }
        }
    }

    fn device(&self, name: &str) -> Answer<Device> {
        if let Some(number) = first_disk(name) {
            return self.partition(name, number);
        }
        if let Some(mapped) = name.strip_prefix("lvm/") {
            // The manual's "Device syntax"; the name is that of device mapper.
            let node = format!("/dev/mapper/{mapped}");
            match self.volumes.find(&node) {
                Lookup::One(volume) => return Answer::Is(device_of(&volume.id)),
                Lookup::Refused(reason) => return Answer::Unknown(reason),
                Lookup::None => {}
            }
        }
        match self.inventory().why_not(name) {
            // `loopback loop0 FILE` (the manual's "loopback"), as on Kairos and live media.
            Some(_) if name.starts_with("loop") => Answer::Unknown(format!(
                "{name} is an image file that GRUB opens itself (loopback), which kexec does not \
                 read; name a kernel, or an entry without it"
            )),
            None => Answer::No,
            Some(why) => Answer::Unknown(format!("which device GRUB calls {name} is unknown{why}")),
        }
    }

    fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String> {
        let Some(volume) = self.volume(device) else {
            return Answer::Unknown(format!("{} is not known", device.0));
        };
        let value = match what {
            ProbeFor::FsUuid => volume.uuid.clone(),
            ProbeFor::Label => volume.label.clone(),
            ProbeFor::PartUuid => volume.partition.as_ref().and_then(|p| p.uuid.clone()),
            ProbeFor::FileSystem => volume.kind.as_deref().and_then(grub_name),
            ProbeFor::Driver | ProbeFor::PartitionMap => None,
        };
        let unknown = || Answer::Unknown(format!("what probe says of {} ({what:?})", device.0));
        value.map_or_else(unknown, Answer::Is)
    }

    fn has_subvolumes(&self, device: &Device) -> bool {
        let volume = self.volume(device);
        volume.is_some_and(|volume| volume.kind.as_deref() == Some("btrfs"))
    }

    fn in_subvolume(&self, file: FilePath, subvolume: &str) -> Answer<FilePath> {
        let Some(volume) = self.volume(&file.device) else {
            return Answer::Unknown(format!("{} is not known", file.device.0));
        };
        let root = volume.mounts.iter().find(|mount| mount.point == "/");
        let top = match (subvolume, root) {
            ("", Some(root)) => root.top.as_str(),
            ("", None) => {
                return Answer::Unknown(format!(
                    "the default subvolume of {} is unknown: it is not the root file system",
                    volume.id
                ));
            }
            (named, _) => named,
        };
        let top = top.trim_matches('/');
        let path = match top {
            "" => file.path,
            top => format!("/{top}{}", file.path),
        };
        Answer::Is(FilePath { path, ..file })
    }

    fn shown(&self, file: &FilePath) -> String {
        self.boot_file(file).shown
    }
}

/// Bytes of a sector in GRUB's lists of blocks (the manual's "Block list syntax").
const SECTOR: u64 = 512;

/// What `probe --fs` calls a file system: the names of GRUB's modules.
fn grub_name(kind: &str) -> Option<String> {
    let name = match kind {
        "ext2" | "ext3" | "ext4" => "ext2",
        "vfat" => "fat",
        "btrfs" | "xfs" | "f2fs" | "jfs" | "iso9660" => kind,
        _ => return None,
    };
    Some(name.to_owned())
}

fn answer<T>(fact: Fact<T>) -> Answer<T> {
    match fact {
        Fact::Known(value) => Answer::Is(value),
        Fact::Absent => Answer::No,
        Fact::Unreadable(why) => Answer::Unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::first_disk;

    #[test]
    fn names_of_partitions() {
        assert_eq!(first_disk("hd0,gpt2"), Some(2));
        assert_eq!(first_disk("hd0,msdos5"), Some(5));
        assert_eq!(first_disk("hd0,3"), Some(3));
        for name in ["hd1,gpt2", "hd0", "lvm/a-b", "hd0,msdos1,bsd2"] {
            assert_eq!(first_disk(name), None, "{name}");
        }
    }
}
