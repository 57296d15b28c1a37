//! What decides about a dump and is no part of a [`kexec_machine::Snapshot`]: read below a
//! root, with the reason where something could not be read.

mod disks;
mod mounts;
mod notifiers;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use kexec_machine::{Fact, open};
use kexec_sys::{Errno, in_words};
use serde::Serialize;

use disks::Disks;
use mounts::{Mounts, Place};
pub use notifiers::{POST_NOTIFIERS, kernel_bool};

use crate::settings::LineSettings;
use crate::target::{DEFAULT, Service, Target, parse};

/// No configuration of a service is larger than this many bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// No file of /proc and /sys that is read here is larger than this many bytes.
const MAX_VALUE: u64 = 1 << 16;
/// No more entries of a folder are looked at.
const MANY: usize = 256;

/// A sysctl that decides whether a panic comes about, or is followed by a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sysctl {
    /// Its name: `kernel.panic_on_oops`.
    pub name: &'static str,
    /// Its value; null where the running kernel does not have it.
    pub value: Option<i64>,
    /// What its values do: a legend, the same whatever the value is.
    pub means: &'static str,
}

/// A hardware watchdog (Documentation/ABI/testing/sysfs-class-watchdog).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Watchdog {
    /// `watchdog0`.
    pub name: String,
    /// What it says that it is.
    pub identity: Option<String>,
    /// Whether it counts; null where the running kernel does not show it.
    pub active: Option<bool>,
    /// Seconds after which it resets the machine.
    pub timeout: Option<u64>,
    /// The module of its driver.
    pub driver: Option<String>,
}

/// The target of the dump, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// The service whose configuration names it; `None` where none is installed.
    pub service: Option<Service>,
    /// Where the dump goes.
    pub target: Fact<Target>,
    /// Whether the folder exists.
    pub exists: Fact<bool>,
    /// Bytes that are free on its file system.
    pub free: Fact<u64>,
    /// The type of its file system, as /proc/self/mountinfo has it: `ext4`.
    pub file_system: Fact<String>,
    /// Modules that its file system and its disks need: those that the running kernel has
    /// loaded for them.
    pub modules: Fact<BTreeSet<String>>,
    /// Bytes that the crash kernel takes to open its encrypted disks with a passphrase; 0
    /// where there is none, or where the running kernel hands their keys over.
    pub keys: Fact<u64>,
}

/// Whether a file system of this type is lost at a reboot
/// (Documentation/filesystems/tmpfs.rst, ramfs-rootfs-initramfs.rst).
pub fn in_memory(file_system: &str) -> bool {
    matches!(file_system, "tmpfs" | "ramfs" | "rootfs")
}

/// Everything that is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashFacts {
    /// The sysctls of [`SYSCTLS`], in its order.
    pub sysctls: Vec<Sysctl>,
    /// Watchdogs.
    pub watchdogs: Fact<Vec<Watchdog>>,
    /// IOMMUs that are in use, by their names: `dmar0`.
    pub iommus: Fact<Vec<String>>,
    /// Where the dump goes.
    pub target: TargetFacts,
    /// Whether other code of the kernel runs before the crash kernel
    /// (`crash_kexec_post_notifiers`).
    pub post_notifiers: Fact<bool>,
    /// Whether the unit exists that saves a dump from the system on the disk.
    pub dump_unit: bool,
    /// What each service of [`Service::ALL`] sets for the command line, in its order.
    pub lines: Vec<LineSettings>,
}

/// The sysctls that are shown (Documentation/admin-guide/sysctl/kernel.rst).
pub const SYSCTLS: &[(&str, &str)] = &[
    (
        "kernel.kexec_load_disabled",
        "1: nothing can be loaded until the next boot",
    ),
    (
        "kernel.panic",
        "seconds until a panic reboots when no crash kernel is loaded; 0: never",
    ),
    (
        "kernel.panic_on_oops",
        "1: an oops is a panic, and is dumped",
    ),
    ("kernel.panic_on_warn", "1: a warning is a panic"),
    ("kernel.hung_task_panic", "1: a task that hangs is a panic"),
    (
        "kernel.softlockup_panic",
        "1: a processor that does not schedule is a panic",
    ),
    (
        "kernel.hardlockup_panic",
        "1: a processor that takes no interrupt is a panic",
    ),
    (
        "kernel.unknown_nmi_panic",
        "1: the NMI of a management controller is a panic",
    ),
    (
        "kernel.panic_on_io_nmi",
        "1: the NMI of an I/O error is a panic",
    ),
    (
        "kernel.panic_on_unrecovered_nmi",
        "1: an NMI that the kernel cannot handle is a panic",
    ),
];

impl CrashFacts {
    /// Reads them below `root`. Never fails: what could not be read has its reason.
    pub fn read(root: &Path) -> CrashFacts {
        CrashFacts {
            sysctls: sysctls(root),
            watchdogs: watchdogs(root),
            iommus: names(&root.join("sys/class/iommu")),
            target: target(root),
            post_notifiers: notifiers::read(root),
            dump_unit: DUMP_UNITS.iter().any(|unit| root.join(unit).exists()),
            lines: Service::ALL.iter().map(|one| line(root, *one)).collect(),
        }
    }

    /// The value of a sysctl.
    pub fn sysctl(&self, name: &str) -> Option<i64> {
        self.sysctls
            .iter()
            .find(|sysctl| sysctl.name == name)?
            .value
    }
}

/// The unit of Debian's kdump-tools that saves a dump, and in which folders it may be.
const DUMP_UNITS: &[&str] = &[
    "usr/lib/systemd/system/kdump-tools-dump.service",
    "lib/systemd/system/kdump-tools-dump.service",
    "etc/systemd/system/kdump-tools-dump.service",
];

fn sysctls(root: &Path) -> Vec<Sysctl> {
    let read = |(name, means): &(&'static str, &'static str)| Sysctl {
        name,
        value: value(&root.join("proc/sys").join(name.replacen('.', "/", 1)))
            .known()
            .and_then(|text| text.parse().ok()),
        means,
    };
    SYSCTLS.iter().map(read).collect()
}

/// A small file without the white space at its ends.
fn value(path: &Path) -> Fact<String> {
    text(path, MAX_VALUE).map(|text| text.trim().to_owned())
}

fn text(path: &Path, limit: u64) -> Fact<String> {
    match open::contents(path, limit) {
        Ok(bytes) => Fact::Known(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == ErrorKind::NotFound => Fact::Absent,
        Err(e) => Fact::Unreadable(format!("{}: {}", path.display(), in_words(e))),
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Fact<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let entries = entries.flatten().take(MANY);
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            Fact::Known(names)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Fact::Absent,
        Err(e) => Fact::Unreadable(format!("{}: {}", folder.display(), in_words(e))),
    }
}

fn watchdogs(root: &Path) -> Fact<Vec<Watchdog>> {
    let folder = root.join("sys/class/watchdog");
    names(&folder).map(|names| {
        let read = |name: String| {
            let of = |file: &str| value(&folder.join(&name).join(file)).known().cloned();
            Watchdog {
                identity: of("identity"),
                active: of("state").map(|state| state == "active"),
                timeout: of("timeout").and_then(|seconds| seconds.parse().ok()),
                driver: driver(&folder.join(&name).join("device")),
                name,
            }
        };
        names.into_iter().map(read).collect()
    })
}

/// The module of the driver of a device.
fn driver(device: &Path) -> Option<String> {
    let module = fs::canonicalize(device.join("driver/module")).ok()?;
    Some(module.file_name()?.to_string_lossy().into_owned())
}

/// What a service sets for the command line.
fn line(root: &Path, service: Service) -> LineSettings {
    let file = service.line_variables().file;
    match text(&root.join(file.trim_start_matches('/')), MAX_CONFIG) {
        Fact::Known(text) => LineSettings::parse(service, &text),
        Fact::Absent => LineSettings::none(service),
        Fact::Unreadable(why) => LineSettings::unread(service, why),
    }
}

fn target(root: &Path) -> TargetFacts {
    let mut service = None;
    let mut target = Fact::Known(Target::Folder(DEFAULT.to_owned()));
    for one in Service::ALL {
        let read = text(&root.join(one.file().trim_start_matches('/')), MAX_CONFIG);
        match read {
            Fact::Absent => continue,
            Fact::Known(text) => target = parse(*one, &text),
            Fact::Unreadable(reason) => target = Fact::Unreadable(reason),
        }
        service = Some(*one);
        break;
    }
    let looked = match &target {
        Fact::Known(Target::Folder(folder)) => looked_at(root, folder),
        // Which disk it is, is not looked at: it may be an encrypted one.
        Fact::Known(Target::Device(device)) => Looked {
            keys: Fact::Unreadable(format!("the disks of {device} are not looked at")),
            ..Looked::default()
        },
        Fact::Unreadable(reason) => Looked {
            keys: Fact::Unreadable(reason.clone()),
            ..Looked::default()
        },
        Fact::Known(Target::Remote(_)) | Fact::Absent => Looked::default(),
    };
    TargetFacts {
        service,
        target,
        exists: looked.exists,
        free: looked.free,
        file_system: looked.file_system,
        modules: looked.modules,
        keys: looked.keys,
    }
}

/// What is known of the folder of a dump.
struct Looked {
    exists: Fact<bool>,
    free: Fact<u64>,
    file_system: Fact<String>,
    modules: Fact<BTreeSet<String>>,
    keys: Fact<u64>,
}

impl Default for Looked {
    fn default() -> Looked {
        Looked {
            exists: Fact::Absent,
            free: Fact::Absent,
            file_system: Fact::Absent,
            modules: Fact::Absent,
            keys: Fact::Absent,
        }
    }
}

/// Looks at a folder, unless it is where an answer may never come.
fn looked_at(root: &Path, folder: &str) -> Looked {
    let unread = |why: &str| Looked {
        exists: Fact::Unreadable(why.to_owned()),
        free: Fact::Unreadable(why.to_owned()),
        file_system: Fact::Unreadable(why.to_owned()),
        modules: Fact::Unreadable(why.to_owned()),
        keys: Fact::Unreadable(why.to_owned()),
    };
    let place = match Mounts::read(root) {
        Fact::Known(mounts) => match mounts.place(root, folder) {
            Some(place) => place,
            None => {
                return unread(&format!(
                    "no mount in /proc/self/mountinfo holds {folder}, or its links are too many"
                ));
            }
        },
        Fact::Absent => {
            return Looked {
                modules: Fact::Absent,
                keys: Fact::Absent,
                ..unread("/proc/self/mountinfo does not exist, so what holds it is unknown")
            };
        }
        Fact::Unreadable(why) => return unread(&why),
    };
    let Place { folder, mount } = place;
    if mount.is_far() {
        let far = Looked {
            file_system: Fact::Known(mount.kind.clone()),
            ..unread(&format!(
                "{} is {} ({}), which is not looked at: its answer may never come",
                mount.point, mount.kind, mount.source
            ))
        };
        return match mount.is_automatic() {
            true => far,
            // Another machine opens its disks itself.
            false => Looked {
                keys: Fact::Absent,
                ..far
            },
        };
    }
    let below = root.join(folder.strip_prefix("/").unwrap_or(&folder));
    let exists = match fs::metadata(&below) {
        Ok(metadata) => Fact::Known(metadata.is_dir()),
        Err(e) if e.kind() == ErrorKind::NotFound => Fact::Known(false),
        Err(e) => Fact::Unreadable(format!("{}: {}", folder.display(), in_words(e))),
    };
    // A folder that does not exist yet is made on the file system above it.
    let on = below.ancestors().find(|path| path.exists());
    let disks = Disks::of(root, &mount);
    Looked {
        exists,
        free: on.map_or(Fact::Absent, free_bytes),
        keys: disks.clone().and_then(|disks| disks.keys(root)),
        file_system: Fact::Known(mount.kind),
        modules: disks.and_then(Disks::modules),
    }
}

fn free_bytes(path: &Path) -> Fact<u64> {
    match rustix::fs::statvfs(path) {
        Ok(stat) => Fact::Known(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(e) => Fact::Unreadable(format!("{}: {}", path.display(), Errno::from(e))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Writes a file of a described machine.
    pub(super) fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_machine_with_a_target_on_a_virtio_disk() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "proc/sys/kernel/panic_on_oops", "1\n");
        write(root, "proc/sys/kernel/panic", "-1\n");
        write(root, "etc/kdump.conf", "path /srv/dumps\n");
        write(
            root,
            "proc/self/mountinfo",
            "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n2 1 254:2 / /srv rw - xfs /dev/vda2 rw\n",
        );
        let disk = "sys/devices/pci0/virtio1/block/vda";
        write(root, &format!("{disk}/vda2/partition"), "2");
        write(root, "sys/module/xfs/initstate", "live");
        write(root, "sys/module/virtio_blk/initstate", "live");
        // Built in.
        write(root, "sys/module/virtio_pci/version", "1");
        fs::create_dir_all(root.join("sys/dev/block")).unwrap();
        fs::create_dir_all(root.join("sys/bus/drivers/virtio_blk")).unwrap();
        fs::create_dir_all(root.join("sys/bus/drivers/virtio_pci")).unwrap();
        for (to, from) in [
            (
                "../../devices/pci0/virtio1/block/vda/vda2",
                "sys/dev/block/254:2",
            ),
            (
                "../../../bus/drivers/virtio_blk",
                "sys/devices/pci0/virtio1/driver",
            ),
            ("../../bus/drivers/virtio_pci", "sys/devices/pci0/driver"),
            (
                "../../../module/virtio_blk",
                "sys/bus/drivers/virtio_blk/module",
            ),
            (
                "../../../module/virtio_pci",
                "sys/bus/drivers/virtio_pci/module",
            ),
        ] {
            symlink(to, root.join(from)).unwrap();
        }
        write(root, "sys/class/watchdog/watchdog0/state", "active\n");
        write(root, "sys/class/watchdog/watchdog0/timeout", "30\n");
        let facts = CrashFacts::read(root);
        assert_eq!(facts.sysctl("kernel.panic_on_oops"), Some(1));
        assert_eq!(facts.sysctl("kernel.panic"), Some(-1));
        assert_eq!(facts.sysctl("kernel.hung_task_panic"), None);
        assert_eq!(facts.target.service, Some(Service::KdumpUtils));
        let folder = Target::Folder("/srv/dumps".to_owned());
        assert_eq!(facts.target.target, Fact::Known(folder));
        assert_eq!(facts.target.exists, Fact::Known(false));
        assert!(facts.target.free.known().is_some_and(|free| *free > 0));
        assert_eq!(facts.target.file_system, Fact::Known("xfs".to_owned()));
        let modules: Vec<&String> = facts.target.modules.known().unwrap().iter().collect();
        assert_eq!(modules, ["virtio_blk", "xfs"]);
        let watchdogs = facts.watchdogs.known().unwrap();
        assert_eq!(
            (watchdogs[0].active, watchdogs[0].timeout),
            (Some(true), Some(30))
        );
        assert_eq!(facts.iommus, Fact::Absent);
        assert!(!facts.dump_unit);
    }

    /// statvfs of a server that is gone would hang, and looking at autofs mounts it.
    #[test]
    fn a_target_on_another_machine_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("var/crash")).unwrap();
        for (kind, keys) in [("nfs4", true), ("autofs", false)] {
            let mounts = format!(
                "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /var/crash rw - {kind} host:/x rw\n"
            );
            write(root, "proc/self/mountinfo", &mounts);
            let target = CrashFacts::read(root).target;
            assert!(target.exists.reason().is_some_and(|why| why.contains(kind)));
            assert!(target.free.reason().is_some() && target.modules.reason().is_some());
            assert_eq!(target.keys == Fact::Absent, keys, "{kind}");
        }
        let mounts = "1 0 0:2 / / rw - rootfs rootfs rw\n";
        write(root, "proc/self/mountinfo", mounts);
        let target = CrashFacts::read(root).target;
        assert_eq!(
            (target.exists, target.keys),
            (Fact::Known(true), Fact::Known(0))
        );
    }

    #[test]
    fn the_keys_of_a_device_are_unknown() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "etc/kdump.conf", "ext4 UUID=ab\n");
        let target = CrashFacts::read(dir.path()).target;
        assert!(
            target
                .keys
                .reason()
                .is_some_and(|why| why.contains("UUID=ab"))
        );
    }

    #[test]
    fn nothing_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let facts = CrashFacts::read(dir.path());
        assert_eq!(facts.watchdogs, Fact::Absent);
        assert_eq!(facts.target.modules, Fact::Absent);
        assert!(facts.target.exists.reason().is_some());
        assert!(facts.sysctls.iter().all(|sysctl| sysctl.value.is_none()));
    }
}
