//! The disks below a folder: which drivers they need, and whether they are encrypted.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use kexec_machine::{Fact, open};
use kexec_sys::in_words;

use super::mounts::Mount;
use super::{driver, in_memory, names, value};
use crate::luks;

/// No more devices are looked at below one file system.
const MANY: usize = 256;
/// Where the keys of encrypted targets are handed to the crash kernel: a folder for each
/// (Documentation/admin-guide/kdump/kdump.rst, "Write the dump file to encrypted disk
/// volume").
const HANDED_OVER: &str = "sys/kernel/config/crash_dm_crypt_keys";

/// Drivers of device mapper by what its UUIDs begin with: those of cryptsetup, multipath-tools
/// and LVM, which has others than the linear ones of dm_mod by what they end in
/// (libdevmapper's "UUID" of a subsystem; lvmthin(7)).
const MAPPERS: &[(&str, Option<&str>)] = &[
    ("CRYPT-", Some("dm_crypt")),
    ("mpath-", Some("dm_multipath")),
    ("LVM-", None),
];
/// What LVM appends to the UUID of a pool of thin volumes.
const THIN_POOL: &str = "-tpool";

/// What the file system of a folder is on.
#[derive(Debug, Clone, Default)]
pub(super) struct Disks {
    /// The modules that it needs, of those that are loaded now: what is built in needs none.
    modules: BTreeSet<String>,
    /// Something of which the modules are unknown.
    unknown: Option<String>,
    /// Block devices that hold something encrypted, by their names below /dev.
    encrypted: Vec<String>,
    /// What was looked at.
    seen: BTreeSet<PathBuf>,
}

/// The device of a mount in sysfs. btrfs and others have a number that is no device's; their
/// source is one of their disks.
fn device(root: &Path, mount: &Mount) -> Option<PathBuf> {
    let by_number = root.join("sys/dev/block").join(&mount.device);
    if by_number.exists() {
        return Some(by_number);
    }
    let node = mount.source.strip_prefix("/dev/")?;
    let node = fs::canonicalize(root.join("dev").join(node)).ok()?;
    let by_name = root.join("sys/class/block").join(node.file_name()?);
    by_name.exists().then_some(by_name)
}

/// All disks of a btrfs of which one is known (Documentation/ABI/testing/sysfs-fs-btrfs:
/// `/sys/fs/btrfs/UUID/devices`).
fn disks_of_btrfs(root: &Path, one: &Path) -> Option<Vec<PathBuf>> {
    let one = fs::canonicalize(one).ok()?;
    let one = one.file_name()?.to_string_lossy().into_owned();
    let all = root.join("sys/fs/btrfs");
    let systems = names(&all);
    let mut devices = systems.known()?.iter().filter_map(|uuid| {
        let folder = all.join(uuid).join("devices");
        let devices = names(&folder).known()?.clone();
        devices
            .contains(&one)
            .then(|| devices.iter().map(|name| folder.join(name)).collect())
    });
    devices.next()
}

impl Disks {
    /// Those of a mount of the machine below `root`.
    pub(super) fn of(root: &Path, mount: &Mount) -> Fact<Disks> {
        if in_memory(&mount.kind) {
            return Fact::Known(Disks::default());
        }
        let Some(device) = device(root, mount) else {
            return Fact::Unreadable(format!(
                "/sys/dev/block/{} does not exist: the disks of {} ({}) are unknown",
                mount.device, mount.point, mount.kind
            ));
        };
        let mut disks = Disks::default();
        disks.driver(root, &mount.kind);
        match mount.kind.as_str() {
            "btrfs" => match disks_of_btrfs(root, &device) {
                Some(devices) => devices.iter().for_each(|device| disks.look(root, device)),
                None => {
                    disks.look(root, &device);
                    disks.unknown(format!("which other disks {} has", mount.point));
                }
            },
            _ => disks.look(root, &device),
        }
        Fact::Known(disks)
    }

    /// The modules that they need.
    pub(super) fn modules(self) -> Fact<BTreeSet<String>> {
        match self.unknown {
            Some(unknown) => Fact::Unreadable(format!("unknown: {unknown}")),
            None => Fact::Known(self.modules),
        }
    }

    /// Notes what is unknown, once.
    fn unknown(&mut self, what: String) {
        self.unknown.get_or_insert(what);
    }

    /// Notes a driver, unless it is built in: then it has no state.
    fn driver(&mut self, root: &Path, name: &str) {
        let name = name.replace('-', "_");
        let module = root.join("sys/module").join(&name);
        if module.join("initstate").exists() {
            self.modules.insert(name);
        }
    }

    /// Looks at a block device, and at those that it is built on.
    fn look(&mut self, root: &Path, device: &Path) {
        let (Ok(sysfs), Ok(device)) =
            (fs::canonicalize(root.join("sys")), fs::canonicalize(device))
        else {
            return;
        };
        if self.seen.len() >= MANY || !self.seen.insert(device.clone()) {
            return;
        }
        for folder in device.ancestors().take_while(|path| **path != *sysfs) {
            if let Some(module) = driver(folder) {
                self.driver(root, &module);
            }
        }
        let encrypted = self.mapper(root, &device);
        self.array(root, &device);
        // A partition's own folder has none; its disk's has.
        for folder in [Some(device.as_path()), device.parent()]
            .into_iter()
            .flatten()
        {
            let slaves = folder.join("slaves");
            for name in names(&slaves).known().into_iter().flatten() {
                if encrypted {
                    self.encrypted.push(name.clone());
                }
                self.look(root, &slaves.join(name));
            }
        }
    }

    /// A device of device mapper: notes its drivers. Whether it is encrypted.
    fn mapper(&mut self, root: &Path, device: &Path) -> bool {
        if !device.join("dm").exists() {
            return false;
        }
        self.driver(root, "dm_mod");
        let uuid_of = |device: &Path| value(&device.join("dm/uuid")).known().cloned();
        let uuid = uuid_of(device).unwrap_or_default();
        let shown = value(&device.join("dm/name"));
        let shown = shown.known().cloned().unwrap_or_else(|| uuid.clone());
        // A partition of one: `part1-mpath-...`.
        let whole = match uuid
            .strip_prefix("part")
            .and_then(|rest| rest.split_once('-'))
        {
            Some((number, rest)) if number.parse::<u32>().is_ok() => rest,
            _ => uuid.as_str(),
        };
        let row = MAPPERS.iter().find(|(prefix, _)| whole.starts_with(prefix));
        match row {
            Some((_, Some(driver))) => self.driver(root, driver),
            Some((_, None)) if uuid.ends_with(THIN_POOL) => self.driver(root, "dm_thin_pool"),
            Some((_, None)) => {
                // A volume on volumes is a snapshot, a mirror, a cache and more.
                let slaves = device.join("slaves");
                let below = names(&slaves).known().cloned().unwrap_or_default();
                let below = below.iter().filter_map(|name| uuid_of(&slaves.join(name)));
                let of_lvm: Vec<String> = below.filter(|uuid| uuid.starts_with("LVM-")).collect();
                if of_lvm.iter().any(|uuid| !uuid.ends_with(THIN_POOL)) {
                    self.unknown(format!("of what kind the volume {shown} is"));
                }
            }
            None => self.unknown(format!(
                "of what kind the device {shown} of device mapper is"
            )),
        }
        whole.starts_with("CRYPT-")
    }

    /// An array of disks: notes the driver of its level (Documentation/admin-guide/md.rst,
    /// "level").
    fn array(&mut self, root: &Path, device: &Path) {
        let folders = [Some(device), device.parent()];
        let level = folders
            .into_iter()
            .flatten()
            .find_map(|folder| value(&folder.join("md/level")).known().cloned());
        let Some(level) = level else {
            return;
        };
        self.driver(root, "md_mod");
        match level.as_str() {
            "raid4" | "raid5" | "raid6" => self.driver(root, "raid456"),
            "raid0" | "raid1" | "raid10" | "linear" => self.driver(root, &level),
            other => self.unknown(format!("of what kind the array of level {other:?} is")),
        }
    }

    /// Bytes that it takes to open the encrypted ones with a passphrase.
    pub(super) fn keys(&self, root: &Path) -> Fact<u64> {
        let is_key = |name: &String| root.join(HANDED_OVER).join(name).is_dir();
        let handed_over = names(&root.join(HANDED_OVER));
        let handed_over = handed_over.known();
        if handed_over.is_some_and(|names| names.iter().any(is_key)) {
            return Fact::Known(0);
        }
        let mut most = 0;
        for name in &self.encrypted {
            let unread = |why: String| Fact::Unreadable(format!("/dev/{name}: {why}"));
            let device = match open::blocks(&root.join("dev").join(name)) {
                Ok(device) => device,
                Err(why) => return unread(why),
            };
            let mut header = Vec::new();
            if let Err(e) = device.take(luks::LARGEST).read_to_end(&mut header) {
                return unread(in_words(e));
            }
            // LUKS1 has PBKDF2, which takes no memory.
            most = most.max(luks::memory(&header).unwrap_or(0));
        }
        Fact::Known(most)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::write;
    use super::*;

    #[test]
    fn a_target_on_an_encrypted_disk() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mount = Mount::parse("1 0 253:0 / / rw - ext4 /dev/dm-0 rw").unwrap();
        write(
            root,
            "sys/devices/virtual/block/dm-0/dm/uuid",
            "CRYPT-LUKS2-ab-root\n",
        );
        write(root, "sys/devices/ahci/block/sda/size", "1");
        for module in ["dm_crypt", "dm_mod", "ahci"] {
            write(root, &format!("sys/module/{module}/initstate"), "live");
        }
        for folder in [
            "sys/dev/block",
            "sys/devices/virtual/block/dm-0/slaves",
            "sys/bus/drivers/ahci",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (to, from) in [
            ("../../devices/virtual/block/dm-0", "sys/dev/block/253:0"),
            (
                "../../../../ahci/block/sda",
                "sys/devices/virtual/block/dm-0/slaves/sda",
            ),
            ("../../bus/drivers/ahci", "sys/devices/ahci/driver"),
            ("../../../module/ahci", "sys/bus/drivers/ahci/module"),
        ] {
            symlink(to, root.join(from)).unwrap();
        }
        // It is built on itself.
        symlink(
            "../../dm-0",
            root.join("sys/devices/virtual/block/dm-0/slaves/dm-0"),
        )
        .unwrap();
        let found = || Disks::of(root, &mount).known().cloned().unwrap();
        assert_eq!(listed(found()), ["ahci", "dm_crypt", "dm_mod"]);
        assert!(found().keys(root).reason().is_some(), "no /dev/sda yet");
        let header = luks::tests::header(r#"{"keyslots":{"0":{"kdf":{"memory":1024}}}}"#);
        write(root, "dev/dm-0", "plain");
        fs::write(root.join("dev/sda"), header).unwrap();
        assert_eq!(found().keys(root), Fact::Known(1 << 20));
        fs::create_dir_all(root.join(HANDED_OVER).join("root")).unwrap();
        assert_eq!(found().keys(root), Fact::Known(0));
    }

    /// A machine with modules that are loaded, devices with their files, and what is below
    /// which.
    fn machine(
        modules: &[&str],
        files: &[(&str, &str)],
        below: &[(&str, &str)],
    ) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for module in modules {
            write(root, &format!("sys/module/{module}/initstate"), "live");
        }
        fs::create_dir_all(root.join("sys/class/block")).unwrap();
        let block = |name: &str| format!("sys/devices/virtual/block/{name}");
        for (file, text) in files {
            write(root, &block(file), text);
            write(
                root,
                &format!("dev/{}", file.split('/').next().unwrap()),
                "",
            );
        }
        for (name, slave) in below {
            let slaves = root.join(block(name)).join("slaves");
            fs::create_dir_all(&slaves).unwrap();
            symlink(format!("../../{slave}"), slaves.join(slave)).unwrap();
        }
        for name in names(&root.join("sys/devices/virtual/block"))
            .known()
            .unwrap()
        {
            let to = format!("../../devices/virtual/block/{name}");
            symlink(to, root.join("sys/class/block").join(name)).unwrap();
        }
        dir
    }

    fn disks(root: &Path, kind: &str, source: &str) -> Disks {
        let line = format!("1 0 0:40 / / rw - {kind} /dev/{source} rw");
        Disks::of(root, &Mount::parse(&line).unwrap())
            .known()
            .cloned()
            .unwrap()
    }

    fn listed(disks: Disks) -> Vec<String> {
        match disks.modules() {
            Fact::Known(modules) => modules.into_iter().collect(),
            other => vec![other.reason().unwrap_or("absent").to_owned()],
        }
    }

    #[test]
    fn arrays_multipath_and_thin_volumes_want_their_drivers() {
        let modules = [
            "md_mod",
            "raid1",
            "raid456",
            "dm_mod",
            "dm_multipath",
            "dm_thin_pool",
            "ext4",
        ];
        let dir = machine(
            &modules,
            &[
                ("md0/md/level", "raid1\n"),
                ("md1/md/level", "raid6\n"),
                ("md2/md/level", "container\n"),
                ("dm-1/dm/uuid", "mpath-36001\n"),
                ("dm-2/dm/uuid", "part2-mpath-36001\n"),
                ("dm-3/dm/uuid", "LVM-abroot\n"),
                ("dm-4/dm/uuid", "LVM-abpool-tpool\n"),
                ("dm-5/dm/uuid", "LVM-abthin\n"),
                ("dm-6/dm/uuid", "LVM-abimage\n"),
                ("dm-7/dm/uuid", "LVM-abmirror\n"),
                ("dm-7/dm/name", "v-mirror\n"),
                ("dm-8/dm/uuid", "VDO-ab\n"),
                ("sda/size", "1"),
            ],
            &[
                ("md0", "sda"),
                ("dm-1", "sda"),
                ("dm-2", "dm-1"),
                ("dm-3", "sda"),
                ("dm-5", "dm-4"),
                ("dm-4", "sda"),
                ("dm-7", "dm-6"),
            ],
        );
        let of = |source: &str| listed(disks(dir.path(), "ext4", source)).join(" ");
        assert_eq!(of("md0"), "ext4 md_mod raid1");
        assert_eq!(of("md1"), "ext4 md_mod raid456");
        assert!(of("md2").contains("container"));
        assert_eq!(of("dm-1"), "dm_mod dm_multipath ext4");
        assert_eq!(of("dm-2"), "dm_mod dm_multipath ext4");
        assert_eq!(of("dm-3"), "dm_mod ext4");
        assert_eq!(of("dm-5"), "dm_mod dm_thin_pool ext4");
        assert_eq!(of("dm-7"), "unknown: of what kind the volume v-mirror is");
        assert!(of("dm-8").contains("VDO-ab"));
    }

    #[test]
    fn every_disk_of_a_btrfs_is_looked_at() {
        let dir = machine(
            &["btrfs", "md_mod", "raid1"],
            &[("md0/md/level", "raid1\n"), ("sda2/size", "1")],
            &[],
        );
        let root = dir.path();
        let alone = listed(disks(root, "btrfs", "sda2"));
        assert_eq!(alone, ["unknown: which other disks / has"]);
        let devices = root.join("sys/fs/btrfs/ab/devices");
        fs::create_dir_all(&devices).unwrap();
        for name in ["sda2", "md0"] {
            let to = format!("../../../../devices/virtual/block/{name}");
            symlink(to, devices.join(name)).unwrap();
        }
        let found = listed(disks(root, "btrfs", "sda2"));
        assert_eq!(found, ["btrfs", "md_mod", "raid1"]);
        let of = |line: &str| Disks::of(root, &Mount::parse(line).unwrap());
        assert!(of("1 0 0:2 / / rw - zfs pool/root rw").reason().is_some());
        let none = of("1 0 0:2 / / rw - rootfs rootfs rw")
            .known()
            .cloned()
            .unwrap();
        assert_eq!(none.modules(), Fact::Known(BTreeSet::new()));
    }
}
