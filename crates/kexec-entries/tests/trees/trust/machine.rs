//! A machine out of few words, as the manifest of a tree: disks with their way in
//! sysfs, file systems with their identifiers, mounts.

use std::fmt::Write as _;

use kexec_entries::Survey;
use kexec_entries::entry::BootTarget;
use kexec_entries::facts::Facts;
use kexec_entries::survey;
use kexec_entries::{BootedMachine, Choice};
use kexec_machine::Snapshot;
use kexec_machine::volumes::Volumes;

use crate::tree;

pub const NVME: &str = "pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";
pub const SATA: &str = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block";
pub const SATA2: &str = "pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block";
pub const USB: &str = "pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block";
pub const VIRTIO: &str = "pci0000:00/0000:00:04.0/virtio1/block";
pub const MADE: &str = "virtual/block";
pub const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
pub const ROOT_UUID: &str = "11111111-2222-3333-4444-555555555555";

/// What is written on a file system's device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Content<'a> {
    pub kind: &'a str,
    pub uuid: &'a str,
    pub label: &'a str,
    pub partuuid: &'a str,
    pub parttype: &'a str,
}

/// A file system by its UUID.
pub fn fs<'a>(kind: &'a str, uuid: &'a str) -> Content<'a> {
    Content {
        kind,
        uuid,
        ..Content::default()
    }
}

/// A tree that is being written.
#[derive(Debug, Default, Clone)]
pub struct Machine {
    text: String,
    mounts: String,
    number: u32,
}

impl Machine {
    /// A machine that was started with this command line.
    pub fn new(cmdline: &str) -> Machine {
        let mut machine = Machine::default();
        machine.file("/proc/sys/kernel/arch", "x86_64");
        machine.file("/proc/sys/kernel/osrelease", "6.8.0-41-generic");
        machine.file("/proc/cmdline", cmdline);
        machine
    }

    pub fn file(&mut self, path: &str, text: &str) {
        let _ = writeln!(self.text, "=== {path}\n{text}");
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let _ = writeln!(self.text, "=== {path} -> {target}");
    }

    pub fn efi(&mut self, name: &str, vendor: &str, value: &str) {
        let path = format!("/sys/firmware/efi/efivars/{name}-{vendor}");
        let _ = writeln!(self.text, "=== {path} {value}");
    }

    fn device(&mut self, name: &str, way: &str, more: &str) -> String {
        self.number += 1;
        let number = format!("8:{}", self.number);
        let _ = writeln!(self.text, "=== /sys/devices/{way}/{name}/dev\n{number}");
        if !more.is_empty() {
            let _ = writeln!(self.text, "=== /sys/devices/{way}/{name}/partition\n{more}");
        }
        self.link(
            &format!("/sys/class/block/{name}"),
            &format!("../../devices/{way}/{name}"),
        );
        number
    }

    /// A whole disk; returns its device number.
    pub fn disk(&mut self, name: &str, way: &str) -> String {
        self.device(name, way, "")
    }

    /// A partition of a disk; returns its device number.
    pub fn part(&mut self, disk: &str, way: &str, name: &str, content: Content<'_>) -> String {
        let index = name.trim_start_matches(|c: char| !c.is_ascii_digit() || c == '0');
        let index = index.chars().last().unwrap_or('1').to_string();
        let number = self.device(name, &format!("{way}/{disk}"), &index);
        self.content(&number, content);
        number
    }

    /// Something that is made of other devices.
    pub fn stack(&mut self, name: &str, below: &[&str], content: Content<'_>) -> String {
        let number = self.device(name, MADE, "");
        for lower in below {
            let _ = writeln!(self.text, "=== /sys/devices/{MADE}/{name}/slaves/{lower}/");
        }
        self.content(&number, content);
        number
    }

    /// What udev found on a device.
    pub fn content(&mut self, number: &str, content: Content<'_>) {
        let mut text = format!("=== /run/udev/data/b{number}\n");
        for (name, value) in [
            ("ID_FS_TYPE", content.kind),
            ("ID_FS_UUID", content.uuid),
            ("ID_FS_LABEL", content.label),
            ("ID_PART_ENTRY_UUID", content.partuuid),
            ("ID_PART_ENTRY_TYPE", content.parttype),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "E:{name}={value}");
            }
        }
        self.text += &text;
    }

    /// A line of the mount table: the options are those of the mount.
    pub fn mount(&mut self, number: &str, point: &str, options: &str, kind: &str, source: &str) {
        self.mount_of(number, "/", point, options, kind, source);
    }

    /// The same of one folder of a file system.
    pub fn mount_of(
        &mut self,
        number: &str,
        top: &str,
        point: &str,
        options: &str,
        kind: &str,
        source: &str,
    ) {
        let id = 30 + self.mounts.lines().count();
        let parent = if point == "/" { 1 } else { 30 };
        let _ = writeln!(
            self.mounts,
            "{id} {parent} {number} {top} {point} {options} shared:1 - {kind} {source} rw"
        );
    }

    /// What the firmware and systemd-boot left behind.
    pub fn systemd_boot(&mut self, partuuid: &str) {
        let vendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
        self.efi("LoaderInfo", vendor, "efi\nsystemd-boot 257.13");
        self.efi("LoaderDevicePartUUID", vendor, &format!("efi\n{partuuid}"));
    }

    /// The firmware started this program from that partition.
    pub fn booted(&mut self, partuuid: &str, file: &str) {
        let vendor = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
        for name in ["BootCurrent", "BootOrder"] {
            self.efi(name, vendor, "efi hex\n00 00");
        }
        let bytes = option(partuuid, file);
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.efi("Boot0000", vendor, &format!("efi hex\n{}", hex.join(" ")));
    }

    /// The answer of every source.
    pub fn survey(&self) -> Survey {
        let mounts = format!("=== /proc/self/mountinfo\n{}", self.mounts);
        let dir = tree::unpack(&format!("{}{mounts}", self.text));
        let volumes = Volumes::read(dir.path());
        let facts = Facts::read(&Snapshot::read(dir.path()), &volumes);
        survey(&BootedMachine {
            volumes: &volumes,
            facts: &facts,
        })
    }
}

/// EFI_LOAD_OPTION (UEFI specification, 3.1.3) with a hard drive and a file.
fn option(partuuid: &str, file: &str) -> Vec<u8> {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    };
    let digits: Vec<u8> = partuuid
        .replace('-', "")
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    // The first three groups are little-endian.
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let guid: Vec<u8> = order.iter().map(|at| digits[*at]).collect();
    let name = utf16(file);
    let drive = [&[4, 1, 42, 0, 1, 0, 0, 0][..], &[0; 16][..], &guid, &[2, 2]].concat();
    let length = u16::try_from(name.len() + 4).unwrap().to_le_bytes();
    let file = [&[4, 4][..], &length, &name].concat();
    let path = [drive.as_slice(), &file, &[0x7f, 0xff, 4, 0]].concat();
    let length = u16::try_from(path.len()).unwrap().to_le_bytes();
    [&[1, 0, 0, 0][..], &length, &utf16("loader"), &path].concat()
}

/// The entry that a reboot would take, or why none.
pub fn default(survey: &Survey) -> Result<&BootTarget, String> {
    let answer = survey.answer.as_ref().ok_or("nothing was found")?;
    let listed = &survey.sources[answer.index];
    match &listed.found.choice {
        Choice::Entry { index, .. } => {
            let entry = &listed.found.entries[*index];
            entry.target().ok_or_else(|| format!("{:?}", entry.boots))
        }
        Choice::None { why } => Err(why.clone()),
        Choice::Refused(broken) => Err(broken.to_string()),
    }
}
