//! The disks below a folder: which drivers they need, and whether they are encrypted.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use kexec_machine::{Fact, open};

use super::{driver, names, text, value};
use crate::luks;

/// /proc/self/mountinfo of a machine with many containers has less than this many bytes.
const MAX_MOUNTS: u64 = 16 << 20;
/// No more devices are looked at below one file system.
const MANY: usize = 256;
/// Where the keys of encrypted targets are handed to the crash kernel: a folder for each
/// (Documentation/admin-guide/kdump/kdump.rst, "Write the dump file to encrypted disk
/// volume").
const HANDED_OVER: &str = "sys/kernel/config/crash_dm_crypt_keys";

/// What the file system of a folder is on.
#[derive(Debug, Clone, Default)]
pub(super) struct Disks {
    /// The modules that it needs, of those that are loaded now: what is built in needs none.
    pub(super) modules: BTreeSet<String>,
    /// Block devices that hold something encrypted, by their names below /dev.
    encrypted: Vec<String>,
    /// What was looked at.
    seen: BTreeSet<PathBuf>,
}

/// A mount: where, which file system, on which device.
struct Mount {
    point: String,
    kind: String,
    device: String,
    source: String,
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
fn mount(line: &str) -> Option<Mount> {
    let (before, behind) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let device = fields.nth(2)?.to_owned();
    let point = fields.nth(1)?.to_owned();
    let mut behind = behind.split(' ');
    Some(Mount {
        point,
        device,
        kind: behind.next()?.to_owned(),
        source: behind.next()?.to_owned(),
    })
}

impl Mount {
    /// Its device in sysfs. btrfs and others have a number that is no device's; their
    /// source is one of their disks.
    fn device(&self, root: &Path) -> Option<PathBuf> {
        let by_number = root.join("sys/dev/block").join(&self.device);
        if by_number.exists() {
            return Some(by_number);
        }
        let node = self.source.strip_prefix("/dev/")?;
        let node = fs::canonicalize(root.join("dev").join(node)).ok()?;
        let by_name = root.join("sys/class/block").join(node.file_name()?);
        by_name.exists().then_some(by_name)
    }
}

/// The mount that a folder is on.
fn holding(root: &Path, folder: &str) -> Fact<Mount> {
    text(&root.join("proc/self/mountinfo"), MAX_MOUNTS).and_then(|mounts| {
        let holds = |mount: &Mount| Path::new(folder).starts_with(&mount.point);
        let mounts = mounts.lines().filter_map(mount).filter(holds);
        // The last one of the longest path is the one that is seen.
        match mounts.max_by_key(|mount| mount.point.len()) {
            Some(mount) => Fact::Known(mount),
            None => Fact::Unreadable(format!("no mount in /proc/self/mountinfo holds {folder}")),
        }
    })
}

/// The type of the file system that a folder is on.
pub(super) fn file_system(root: &Path, folder: &str) -> Fact<String> {
    holding(root, folder).map(|mount| mount.kind)
}

impl Disks {
    /// Those of a folder of the machine below `root`.
    pub(super) fn of(root: &Path, folder: &str) -> Fact<Disks> {
        holding(root, folder).and_then(|mount| {
            if super::in_memory(&mount.kind) {
                return Fact::Known(Disks::default());
            }
            let Some(device) = mount.device(root) else {
                return Fact::Unreadable(format!(
                    "/sys/dev/block/{} does not exist: the disks of {} ({}) are unknown",
                    mount.device, mount.point, mount.kind
                ));
            };
            let mut disks = Disks::default();
            disks.driver(root, &mount.kind);
            disks.look(root, &device);
            Fact::Known(disks)
        })
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
        if device.join("dm").exists() {
            self.driver(root, "dm_mod");
        }
        // dm-crypt names what it opens so (cryptsetup's UUIDs).
        let uuid = value(&device.join("dm/uuid"));
        let encrypted = uuid.known().is_some_and(|uuid| uuid.starts_with("CRYPT-"));
        if encrypted {
            self.driver(root, "dm_crypt");
        }
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
                return unread(e.to_string());
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

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_target_on_an_encrypted_disk() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(
            root,
            "proc/self/mountinfo",
            "1 0 253:0 / / rw - ext4 /dev/dm-0 rw\n",
        );
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
        let found = || Disks::of(root, "/var/crash").known().cloned().unwrap();
        let modules: Vec<String> = found().modules.into_iter().collect();
        assert_eq!(modules, ["ahci", "dm_crypt", "dm_mod"]);
        assert!(found().keys(root).reason().is_some(), "no /dev/sda yet");
        let header = luks::tests::header(r#"{"keyslots":{"0":{"kdf":{"memory":1024}}}}"#);
        write(root, "dev/dm-0", "plain");
        fs::write(root.join("dev/sda"), header).unwrap();
        assert_eq!(found().keys(root), Fact::Known(1 << 20));
        fs::create_dir_all(root.join(HANDED_OVER).join("root")).unwrap();
        assert_eq!(found().keys(root), Fact::Known(0));
    }

    #[test]
    fn a_file_system_over_several_disks_is_found_by_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mounts = "1 0 0:25 / / rw - btrfs /dev/sda2 rw\n";
        write(root, "proc/self/mountinfo", mounts);
        write(root, "dev/sda2", "");
        write(root, "sys/class/block/sda2/size", "1");
        write(root, "sys/module/btrfs/initstate", "live");
        let found = Disks::of(root, "/var/crash");
        let modules: Vec<&String> = found.known().unwrap().modules.iter().collect();
        assert_eq!(modules, ["btrfs"]);
        write(
            root,
            "proc/self/mountinfo",
            "1 0 0:2 / / rw - nfs4 host:/ rw\n",
        );
        assert!(Disks::of(root, "/var/crash").reason().is_some());
        let mounts = "1 0 0:2 / / rw - rootfs rootfs rw\n";
        write(root, "proc/self/mountinfo", mounts);
        let found = Disks::of(root, "/var/crash");
        assert!(found.known().is_some_and(|disks| disks.modules.is_empty()));
        let kind = file_system(root, "/var/crash");
        assert_eq!(kind, Fact::Known("rootfs".to_owned()));
        assert!(mount("").is_none() && mount("1 2 - ").is_none());
    }
}
