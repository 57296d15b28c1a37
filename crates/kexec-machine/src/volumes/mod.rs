//! The file systems of a machine, and how the boot files on them are read,
//! whether they are mounted, automounted or not mounted at all.
//!
//! A boot loader sees file systems, not a tree: `/vmlinuz` on the second
//! partition. People see `/boot/vmlinuz`. A [`BootFile`] is both. Everything is
//! read below a root directory that a test can replace; there a folder may stand
//! for a device that is not mounted, and holds that file system's files.

mod attached;
mod automounts;
mod boot;
mod btrfs;
mod carriers;
pub mod config;
mod devices;
mod file;
mod gather;
mod index;
mod layout;
mod lookup;
pub mod mountinfo;
mod paths;
mod planned;
mod private;
mod reach;
pub mod superblock;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod trust;
mod twins;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use layout::{Devices, VolumeLayout};
use reach::OpenedRoot;

use crate::Fact;
use crate::Root;

pub(crate) use automounts::{leave_automounts, may_mislead};

pub use automounts::Automounts;
pub use boot::{BootPartitions, BootedFrom};
pub use devices::{Partition, udev};
pub use file::{BootFile, FileRef, without_file};
pub use layout::KERNEL_FILE_SYSTEMS;
pub use lookup::Lookup;
pub use mountinfo::Mount;
pub use trust::Verdict;

/// No text file of a boot loader is read beyond this many bytes; a grub.cfg of
/// a machine with a hundred kernels has less than one MB.
pub const MAX_TEXT: u64 = 4 << 20;

/// The name of a file system: that of its device (`vda2`, `luks-root`), or what
/// it calls its source where it has no device (`nfs server:/export`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VolumeId(pub String);

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The name by which it is looked up and shown.
    pub id: VolumeId,
    /// The node of its device, where it has one.
    pub device: Option<String>,
    /// The disks that its device is on, by the kernel's names; several below
    /// RAID and LVM.
    pub disks: Vec<String>,
    /// `ext4`, `vfat`, ... as mount(8) calls it.
    pub kind: Option<String>,
    /// The file system's own UUID, as udev writes it.
    pub uuid: Option<String>,
    /// The file system's own label.
    pub label: Option<String>,
    /// What the partition table says.
    pub partition: Option<Partition>,
    /// The partitions that each hold all of it: those of a RAID 1.
    pub members: Vec<Partition>,
    /// Where the system mounted it.
    pub mounts: Vec<Mount>,
    /// Where users mounted it. Nothing is read there.
    pub passed: Vec<Mount>,
    /// It is mounted, and may be written to, where another mount covers it.
    pub hidden: bool,
    /// Where /etc/fstab wants it.
    pub planned: Option<String>,
    /// Whether this machine boots from it, and why.
    pub verdict: Verdict,
}

/// Every file system of a machine.
#[derive(Debug)]
pub struct Volumes {
    root: Root,
    layout: VolumeLayout,
    notes: Vec<String>,
    /// Folders that were opened already, by the volume and the folder of it
    /// that is at their top.
    opened: RefCell<BTreeMap<(VolumeId, String), OpenedRoot>>,
    /// What else has a label that was looked for.
    asides: RefCell<BTreeSet<String>>,
    /// Where files were read since [`Volumes::forget_reads`].
    reads: RefCell<BTreeSet<VolumeId>>,
}

/// The largest program that is read to see what it needs, in bytes.
const LARGEST_PROGRAM: u64 = 64 << 20;

impl Volumes {
    /// Finds the file systems of the machine below `root`, which is `/` for the
    /// running one. Never fails: what could not be found out is in [`Volumes::notes`].
    pub fn read(root: &Path) -> Volumes {
        Volumes::read_with(root, Automounts::Wake)
    }

    /// The same, and says what becomes of automounts.
    pub fn read_with(root: &Path, automounts: Automounts) -> Volumes {
        Volumes::below(Root::new(root), automounts, Devices::All)
    }

    /// The file systems that are mounted below `root`, which is what a chroot or a
    /// container sees; what else the machine's devices hold is another system's. Where
    /// nothing tells what is mounted, one file system is assumed.
    pub fn read_inside(root: &Path) -> Volumes {
        let here = Root::new(root);
        let table = mountinfo::Table::read(&here);
        let table = table.known().map(mountinfo::Table::mounts);
        let known = table.is_some_and(|mounts| mounts.iter().any(|mount| mount.point == "/"));
        let root = match known && here.is_machine() {
            true => here,
            false => Root::files_alone(root),
        };
        Volumes::below(root, Automounts::Leave, Devices::Mounted)
    }

    fn below(mut root: Root, automounts: Automounts, devices: Devices) -> Volumes {
        let mut notes = Vec::new();
        let layout = layout::read(&mut root, automounts, devices, &mut notes);
        Volumes {
            root,
            layout,
            notes,
            opened: RefCell::default(),
            asides: RefCell::default(),
            reads: RefCell::default(),
        }
    }

    /// Those that this machine can boot from: mounted ones in the order of their
    /// mounts, then the others.
    pub fn all(&self) -> &[Volume] {
        let all = self.layout.all.get(..self.layout.believed);
        all.unwrap_or_default()
    }

    /// All of them, also those that are no boot sources.
    pub fn every(&self) -> &[Volume] {
        &self.layout.all
    }

    /// Those on disks, which are what a boot loader searches.
    pub fn disks(&self) -> impl Iterator<Item = &Volume> {
        self.all().iter().filter(|volume| lookup::is_disk(volume))
    }

    /// What could not be found out, and which file systems could not be opened
    /// when a file of them was asked for.
    pub fn notes(&self) -> Vec<String> {
        let opened = self.opened.borrow();
        let failed = opened
            .values()
            .filter_map(|top| top.as_ref().as_ref().err());
        let asides = self.asides.borrow();
        let notes = self.notes.iter().chain(failed).chain(asides.iter());
        notes.cloned().collect()
    }

    /// The file system of that name.
    pub fn get(&self, id: &VolumeId) -> Option<&Volume> {
        self.every().iter().find(|volume| volume.id == *id)
    }

    /// The file system that `UUID=`, `LABEL=`, `PARTUUID=`, `PARTLABEL=` or a
    /// device node name, as in root= and in fstab(5).
    pub fn find(&self, wanted: &str) -> Lookup<'_> {
        let found = paths::find(&self.root, self.every(), wanted);
        if let (Lookup::One(_), Some(("LABEL" | "PARTLABEL", _))) = (&found, wanted.split_once('='))
        {
            self.aside(wanted, |v| paths::is_called(v, wanted));
        }
        found
    }

    /// The one file system on a disk with this label.
    pub fn by_label(&self, label: &str) -> Lookup<'_> {
        let what = format!("the label {label}");
        let found = self.only(&what, |v| v.label.as_deref() == Some(label));
        if let Lookup::One(_) = found {
            self.aside(&what, |v| v.label.as_deref() == Some(label));
        }
        found
    }

    /// Notes what is no boot source and fits as well. What shares a UUID was noted when
    /// the devices were read.
    fn aside(&self, what: &str, fits: impl Fn(&Volume) -> bool) {
        let others = self.every().iter().filter(|v| fits(v));
        let mut doubted = others.filter_map(|v| Some((&v.id, v.verdict.doubt()?)));
        let mut asides = self.asides.borrow_mut();
        for (id, doubt) in doubted.by_ref().take(twins::MAX_NOTES) {
            asides.insert(format!("{id} has {what} as well, and is not read: {doubt}"));
        }
        let more = doubted.count();
        if more > 0 {
            asides.insert(format!("{more} more devices have {what}, and are not read"));
        }
    }

    /// The one file system on a disk of which something holds; `what` says what, as in
    /// `the UUID 1-2`.
    pub fn only(&self, what: &str, fits: impl Fn(&Volume) -> bool) -> Lookup<'_> {
        lookup::only(self.every(), what, |volume| {
            (lookup::is_disk(volume) || !volume.verdict.is_believed()) && fits(volume)
        })
    }

    /// The file system on the partition with this UUID.
    pub fn by_partuuid(&self, uuid: &str) -> Lookup<'_> {
        lookup::by_partuuid(self.every(), uuid)
    }

    /// The EFI system partition that the machine boots from, and the extended
    /// boot loader partition beside it. `loader` is the partition that the boot
    /// loader says it came from.
    pub fn boot_partitions(&self, loader: Option<&BootedFrom>) -> BootPartitions<'_> {
        boot::find(self, loader)
    }

    /// A file by its path from the top of a file system, as a boot loader names
    /// it. Nothing is opened.
    pub fn file(&self, volume: &VolumeId, path: &str) -> BootFile {
        let path = paths::normal(path);
        let shown = match self.get(volume) {
            Some(volume) => paths::shown(&self.layout, volume, &path),
            None => format!("{volume} (not found): {path}"),
        };
        BootFile {
            volume: volume.clone(),
            path,
            shown,
        }
    }

    /// A file by its path on the running machine, which need not exist. Links
    /// are followed. What /etc/fstab wants at a place where nothing is mounted
    /// counts as if it were mounted.
    ///
    /// # Errors
    /// When links lead in circles, no file system is known there, or it is no boot
    /// source.
    pub fn locate(&self, path: &str) -> Result<BootFile, String> {
        let real = paths::canonical(&self.root, path)?;
        let (volume, inside) = paths::owner(&self.layout, &real)?;
        Ok(self.file(&volume.id, &inside))
    }

    /// A regular file, opened for reading.
    pub fn open(&self, file: &BootFile) -> Fact<OwnedFd> {
        self.look(file, Root::regular)
    }

    /// What is there, without opening it.
    pub fn stat(&self, file: &BootFile) -> Fact<Stat> {
        self.look(file, Root::stat)
    }

    /// All of a file, unless it is larger than `limit` bytes.
    pub fn bytes(&self, file: &BootFile, limit: u64) -> Fact<Vec<u8>> {
        self.noted(
            file,
            self.look(file, |top, path| top.bytes_up_to(path, limit)),
        )
    }

    /// The first `limit` bytes of a file.
    pub fn head(&self, file: &BootFile, limit: u64) -> Fact<Vec<u8>> {
        self.noted(file, self.look(file, |top, path| top.head(path, limit)))
    }

    /// Notes that something was read from a file system.
    fn noted<T>(&self, file: &BootFile, read: Fact<T>) -> Fact<T> {
        if let Fact::Known(_) = read {
            self.reads.borrow_mut().insert(file.volume.clone());
        }
        read
    }

    /// The file systems of which the content of a file was read since
    /// [`Volumes::forget_reads`].
    pub fn reads(&self) -> Vec<VolumeId> {
        self.reads.borrow().iter().cloned().collect()
    }

    /// What is read from now on is noted anew.
    pub fn forget_reads(&self) {
        self.reads.borrow_mut().clear();
    }

    /// A text file of at most [`MAX_TEXT`] bytes. Bytes that are no UTF-8 are
    /// replaced.
    pub fn text(&self, file: &BootFile) -> Fact<String> {
        self.bytes(file, MAX_TEXT)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder, sorted, without `.` and `..`.
    pub fn entries(&self, folder: &BootFile) -> Fact<Vec<String>> {
        self.look(folder, Root::entries)
    }

    /// Where a symbolic link points, as it is written.
    pub fn link(&self, file: &BootFile) -> Fact<String> {
        self.look(file, Root::link)
    }

    /// Whether something is there: known to be, absent, or not to be found out.
    pub fn exists(&self, file: &BootFile) -> Fact<()> {
        self.look(file, Root::found)
    }

    /// Bytes of the device itself, such as the blocks in front of a btrfs in
    /// which GRUB keeps its environment.
    pub fn device_bytes(&self, volume: &VolumeId, offset: u64, len: u64) -> Fact<Vec<u8>> {
        let believed = self.get(volume).filter(|v| v.verdict.is_believed());
        let device = believed.and_then(|volume| volume.device.as_deref());
        let (Some(device), Ok(len)) = (device, usize::try_from(len)) else {
            return Fact::Unreadable(format!("{volume} has no device that may be read"));
        };
        self.root.bytes_at(device, offset, len)
    }

    /// A text file of the running machine that is on no boot volume, such as
    /// /proc/cmdline or an EFI variable.
    pub fn machine_bytes(&self, path: &str) -> Fact<Vec<u8>> {
        self.root.bytes(path)
    }

    /// The content of a program of the running machine.
    pub fn machine_program(&self, path: &str) -> Fact<Vec<u8>> {
        self.root.bytes_up_to(path, LARGEST_PROGRAM)
    }

    /// What is at a path of the running machine, without opening it.
    pub fn machine_stat(&self, path: &str) -> Fact<Stat> {
        self.root.stat(path)
    }

    /// The names in such a folder.
    pub fn machine_entries(&self, path: &str) -> Fact<Vec<String>> {
        self.root.entries(path)
    }

    /// Where a symbolic link of the running machine points, as it is written.
    pub fn machine_link(&self, path: &str) -> Fact<String> {
        self.root.link(path)
    }

    /// Whether something, and be it a link to nothing, is at a path of the
    /// running machine.
    pub fn machine_has(&self, path: &str) -> bool {
        self.root.link(path) != Fact::Absent
    }

    fn look<T>(&self, file: &BootFile, read: impl FnOnce(&Root, &str) -> Fact<T>) -> Fact<T> {
        let view = match self.view(file) {
            Ok(view) => view,
            Err(reason) => return Fact::Unreadable(reason),
        };
        match &*view.top {
            Ok(top) => match read(top, &view.path) {
                Fact::Unreadable(reason) => {
                    // Reasons name the path from the top; people know another.
                    let reason = reason.strip_prefix(&view.path).unwrap_or(&reason);
                    let reason = reason.trim_start_matches([':', ' ']);
                    Fact::Unreadable(format!("{}: {reason}", file.shown))
                }
                fact => fact,
            },
            Err(reason) => Fact::Unreadable(reason.clone()),
        }
    }
}
