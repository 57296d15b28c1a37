//! What root's own configuration says about block devices: /etc/fstab (fstab(5)),
//! /etc/crypttab (crypttab(5)), mdadm.conf (mdadm.conf(5)), and which mounts libmount
//! noted as a user's.

use super::mountinfo::{self, Planned};
use super::paths;
use crate::Root;

/// No file is followed further than this many lines.
const MAX_LINES: usize = 1 << 14;

/// Options with which fstab(5) leaves a mount to users (mount(8)).
const FOR_USERS: &[&str] = &["user", "users", "owner", "group"];

/// Names that a piece of hardware has from its maker (udev's links by serial number).
const OF_HARDWARE: &str = "/dev/disk/by-id/";

/// Links of udev that are named by what is written on the medium, and lead to whichever
/// device carries it.
const COPIED: &[&str] = &[
    "/dev/disk/by-id/lvm-pv-uuid-",
    "/dev/disk/by-id/md-",
    "/dev/disk/by-id/dm-",
    "/dev/disk/by-uuid/",
    "/dev/disk/by-label/",
    "/dev/disk/by-partuuid/",
    "/dev/disk/by-partlabel/",
    "/dev/disk/by-designator/",
];

/// A device that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedDevice {
    /// The kernel's name of it.
    device: String,
    file: String,
    word: String,
}

/// What root's files say about block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DeviceConfig {
    /// The lines of /etc/fstab.
    pub(super) planned: Vec<Planned>,
    /// Mount points of users, each with the user.
    users: Vec<(String, String)>,
    named: Vec<NamedDevice>,
}

impl DeviceConfig {
    /// Reads it below a root.
    pub(super) fn read(root: &Root) -> DeviceConfig {
        let text = |path: &str| root.text(path).known().cloned().unwrap_or_default();
        let planned = mountinfo::fstab(&text("/etc/fstab"));
        let mut config = DeviceConfig {
            users: users(&text("/run/mount/utab")),
            ..DeviceConfig::default()
        };
        let own = planned.iter().filter(|line| !for_users(line));
        for line in own {
            config.add(root, "/etc/fstab", &line.source);
        }
        for source in crypttab(&text("/etc/crypttab")) {
            config.add(root, "/etc/crypttab", &source);
        }
        // mdadm.conf(5), "FILES": Debian has it in a folder of its own.
        for file in ["/etc/mdadm.conf", "/etc/mdadm/mdadm.conf"] {
            for device in mdadm(&text(file)) {
                config.add(root, file, &device);
            }
        }
        config.planned = planned;
        config
    }

    /// A device is named by what its maker calls it. A UUID or a label names whatever
    /// carries it, and that can be copied: it tells what belongs where, and not who attached
    /// it. `/dev/sdb1` and a port of USB are whatever is plugged in.
    fn add(&mut self, root: &Root, file: &str, word: &str) {
        if !word.starts_with(OF_HARDWARE) || is_copied(word) {
            return;
        }
        let Ok(node) = paths::canonical(root, word) else {
            return;
        };
        if let Some(device) = node.strip_prefix("/dev/") {
            self.named.push(NamedDevice {
                device: device.to_owned(),
                file: file.to_owned(),
                word: word.to_owned(),
            });
        }
    }

    /// The file that names a device, and as what.
    pub(super) fn names(&self, device: &str) -> Option<(&str, &str)> {
        let named = self.named.iter().find(|named| named.device == device)?;
        Some((&named.file, &named.word))
    }

    /// Whether /etc/fstab has root mount something there.
    pub(super) fn mounts(&self, point: &str) -> bool {
        let own = |line: &&Planned| line.point == point && !for_users(line);
        self.planned.iter().any(|line| own(&line))
    }

    /// The user who mounted what is at a mount point.
    pub(super) fn user_of(&self, point: &str) -> Option<&str> {
        let own = self.users.iter().find(|(known, _)| known == point);
        own.map(|(_, user)| user.as_str())
    }

    #[cfg(test)]
    pub(super) fn naming(device: &str, file: &str, word: &str) -> DeviceConfig {
        DeviceConfig {
            named: vec![NamedDevice {
                device: device.to_owned(),
                file: file.to_owned(),
                word: word.to_owned(),
            }],
            ..DeviceConfig::default()
        }
    }
}

/// Whether a path is one of udev's links by what is written on a medium.
pub fn is_copied(path: &str) -> bool {
    COPIED.iter().any(|folder| path.starts_with(folder))
}

/// Whether users may mount it: then the line does not speak for what is plugged in
/// there. Installers write such lines for the stick that they came from.
pub(super) fn for_users(line: &Planned) -> bool {
    line.options
        .iter()
        .any(|option| FOR_USERS.contains(&option.as_str()))
}

/// The sources of /etc/crypttab.
pub fn crypttab(text: &str) -> Vec<String> {
    lines(text)
        .filter_map(|line| line.split_ascii_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

/// The devices that mdadm.conf names one by one, in `DEVICE` lines and in `devices=` of
/// `ARRAY` lines. Patterns name whatever fits them. A line that begins with a blank
/// goes on with the one before.
pub fn mdadm(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut keyword = String::new();
    for line in text.lines().take(MAX_LINES) {
        if line.starts_with('#') {
            continue;
        }
        let goes_on = line.starts_with([' ', '\t']);
        let mut words = line.split_ascii_whitespace();
        if !goes_on {
            keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        }
        // Keywords can be cut to three letters.
        let is = |whole: &str| keyword.len() >= 3 && whole.starts_with(&keyword);
        for word in words.take_while(|word| !word.starts_with('#')) {
            let lists = match word.split_once('=') {
                None if is("device") => word,
                Some((name, value)) if is("array") && name.eq_ignore_ascii_case("devices") => value,
                _ => continue,
            };
            let devices = lists.split(',').filter(|name| name.starts_with("/dev/"));
            let whole = devices.filter(|name| !name.contains(['*', '?', '[']));
            found.extend(whole.map(str::to_owned));
        }
    }
    found
}

/// The mount points of users in libmount's own table, which is written by mount(8)
/// alone: `SRC=/dev/sdb1 TARGET=/mnt OPTS=user=joe`, blanks and the like in octal.
pub fn users(text: &str) -> Vec<(String, String)> {
    let user = |line: &str| {
        let value = |name: &str| {
            let mut words = line.split_ascii_whitespace();
            let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.map(mountinfo::unescaped)
        };
        let options = value("OPTS")?;
        let user = options
            .split(',')
            .find_map(|option| option.strip_prefix("user="))?;
        Some((value("TARGET")?, user.to_owned()))
    };
    lines(text).filter_map(user).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take(MAX_LINES).map(str::trim);
    lines.filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn crypttab_and_mdadm_name_devices() {
        assert_eq!(
            crypttab("# name source\nusb /dev/disk/by-id/usb-x none luks\nroot UUID=1-2\n\nlone\n"),
            ["/dev/disk/by-id/usb-x", "UUID=1-2"]
        );
        assert_eq!(
            mdadm(
                "DEVICE partitions /dev/sd* /dev/sdb1 # /dev/sdz\nARRAY /dev/md0 UUID=a:b\n\
                 \tdevices=/dev/sdc1,/dev/sdd?\n# ARRAY /dev/md1 devices=/dev/sde1\nDEV /dev/sdf\n\
                 MAILADDR /dev/sdg\n"
            ),
            ["/dev/sdb1", "/dev/sdc1", "/dev/sdf"]
        );
    }

    #[test]
    fn mounts_of_users() {
        let table = "SRC=/dev/sdb1 TARGET=/mnt/my\\040stick ROOT=/ OPTS=user=joe\n\
                     SRC=/dev/sdc1 TARGET=/srv ROOT=/ OPTS=_netdev\nTARGET=/x\n";
        assert_eq!(
            users(table),
            [("/mnt/my stick".to_owned(), "joe".to_owned())]
        );
    }

    #[test]
    fn only_what_cannot_be_copied_names_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let link = |target: &str, path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        };
        put("dev/sdb1", "");
        link("../../sdb1", "dev/disk/by-id/usb-Stick-part1");
        link("../../sdc1", "dev/disk/by-uuid/AB");
        put("dev/sde1", "");
        link("../../md127", "dev/disk/by-id/md-uuid-1");
        put("dev/md127", "");
        put(
            "etc/fstab",
            "/dev/disk/by-id/usb-Stick-part1 /boot vfat noauto\nUUID=AB /a vfat\n\
             /dev/disk/by-uuid/AB /b vfat\n/dev/sdd1 /media/usb0 auto rw,user,noauto\n\
             /dev/sde1 /backup ext4\n/dev/disk/by-id/md-uuid-1 /c ext4\n",
        );
        let config = DeviceConfig::read(&Root::new(dir.path()));
        let word = "/dev/disk/by-id/usb-Stick-part1";
        assert_eq!(config.names("sdb1"), Some(("/etc/fstab", word)));
        for copied in ["sdc1", "sdd1", "sde1", "md127"] {
            assert_eq!(config.names(copied), None, "{copied}");
        }
        assert!(config.mounts("/boot") && !config.mounts("/media/usb0"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "([A-Za-z=/,# \\\\\t0-9]{0,40}\n?){0,6}\\PC{0,40}") {
            let _ = (crypttab(&text), mdadm(&text), users(&text));
        }
    }
}
