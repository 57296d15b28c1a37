//! GRUB's configuration where no path of the running system leads to it: on the file
//! systems of proxmox-boot-tool, or on a boot partition that is not mounted.

use crate::entry::{Broken, Origin};
use crate::source::BootedMachine;
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{Lookup, Volume};

/// The file systems on which proxmox-boot-tool keeps kernels and GRUB's configuration,
/// one UUID on a line (Proxmox VE Administration Guide, "Host Bootloader").
const PROXMOX: &str = "/etc/kernel/proxmox-boot-uuids";

/// Where it has GRUB's configuration on each of them.
const ON_ESP: &str = "/grub/grub.cfg";

/// Where the configuration is on the file system that holds the kernels: that file
/// system is /boot, or has a folder of that name.
const BESIDE: [&str; 4] = [
    "/grub/grub.cfg",
    "/grub2/grub.cfg",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
];

/// The configuration that proxmox-boot-tool made; `None` on a machine without it. The one
/// in /boot/grub is then read by nobody.
///
/// # Errors
/// When it is on none of the file systems, or they differ and nothing says which of them
/// was booted.
pub(super) fn proxmox(machine: &BootedMachine<'_>) -> Option<Result<BootFile, Broken>> {
    let listed = machine.volumes.machine_bytes(PROXMOX);
    let listed = String::from_utf8_lossy(listed.known()?).into_owned();
    let uuids: Vec<&str> = listed
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if uuids.is_empty() {
        return None;
    }
    let broken = |reason: String| Broken {
        at: Origin::file(PROXMOX),
        reason,
    };
    let mut found: Vec<(BootFile, String)> = Vec::new();
    let mut missed = Vec::new();
    for uuid in &uuids {
        match on(machine, uuid) {
            Ok((volume, text)) if came_from(machine, volume) => {
                let file = machine.volumes.file(&volume.id, ON_ESP);
                found = vec![(file, text)];
                break;
            }
            Ok((volume, text)) => {
                // GRUB looks for the file system that it is on by its UUID.
                let file = machine.volumes.file(&volume.id, ON_ESP);
                found.push((file, text.replace(uuid, "")));
            }
            Err(reason) => missed.push(reason),
        }
    }
    Some(match found.as_slice() {
        [] => Err(broken(format!(
            "proxmox-boot-tool keeps GRUB's configuration on the file systems listed there, and \
             none was found: {}",
            missed.join("; ")
        ))),
        [(first, text), others @ ..] => match others.iter().find(|(_, other)| other != text) {
            None => Ok(first.clone()),
            Some((other, _)) => Err(broken(format!(
                "{first} and {other} differ, and which of them GRUB reads is unknown; \
                 proxmox-boot-tool refresh rewrites both"
            ))),
        },
    })
}

/// Whether the firmware or the boot loader says that this boot came from it.
fn came_from(machine: &BootedMachine<'_>, volume: &Volume) -> bool {
    let word = machine.facts.booted_from();
    let found = word.map(|word| machine.volumes.by_partuuid(&word.partuuid));
    found.and_then(Lookup::one).map(|found| &found.id) == Some(&volume.id)
}

/// A file system of proxmox-boot-tool and the configuration on it.
fn on<'a>(machine: &BootedMachine<'a>, uuid: &str) -> Result<(&'a Volume, String), String> {
    let volume = match machine.volumes.find(&format!("UUID={uuid}")) {
        Lookup::One(volume) => volume,
        Lookup::None => return Err(format!("no file system has the UUID {uuid}")),
        Lookup::Refused(reason) => return Err(reason),
    };
    let file = machine.volumes.file(&volume.id, ON_ESP);
    match machine.volumes.text(&file) {
        Fact::Known(text) => Ok((volume, text)),
        Fact::Absent => Err(format!("{file} does not exist")),
        Fact::Unreadable(reason) => Err(reason),
    }
}

/// What is known of the kernel that GRUB says it booted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BootedKernel {
    /// It is where the running system has it, or nothing names it.
    InSight,
    /// It is on file systems that nothing leads to, together with a configuration.
    Beside(Vec<BootFile>),
    /// It is nowhere; its path.
    Gone(String),
}

/// Looks for the kernel that `BOOT_IMAGE=` names, and for a configuration on the same file
/// system: a /boot that is mounted only when kernels are installed.
pub(super) fn kernel(machine: &BootedMachine<'_>) -> BootedKernel {
    let line = machine.facts.cmdline.known();
    let Some(image) = line.and_then(|line| line.value("BOOT_IMAGE")) else {
        return BootedKernel::InSight;
    };
    let path = image
        .split_once(')')
        .map_or(image.as_str(), |(_, path)| path);
    // A data set of ZFS is a device of its own to GRUB, and mounted or not to be read.
    if !path.starts_with('/') || path.contains("@/") {
        return BootedKernel::InSight;
    }
    let volumes = machine.volumes;
    let there = |file: &BootFile| volumes.exists(file) == Fact::Known(());
    let shown = [format!("/boot{path}"), path.to_owned()];
    let mut located = shown.iter().filter_map(|path| volumes.locate(path).ok());
    if located.any(|file| there(&file)) {
        return BootedKernel::InSight;
    }
    // What is mounted comes first: nothing has to be opened for it.
    let known = volumes.disks().filter(|volume| volume.device.is_some());
    let (mounted, others): (Vec<&Volume>, Vec<&Volume>) =
        known.partition(|volume| !volume.mounts.is_empty());
    for group in [mounted, others] {
        let mut seen = false;
        let mut found = Vec::new();
        for volume in group {
            if there(&volumes.file(&volume.id, path)) {
                seen = true;
                let files = BESIDE.iter().map(|path| volumes.file(&volume.id, path));
                found.extend(files.filter(there));
            }
        }
        match (found.is_empty(), seen) {
            (false, _) => return BootedKernel::Beside(found),
            (true, true) => return BootedKernel::InSight,
            (true, false) => {}
        }
    }
    BootedKernel::Gone(path.to_owned())
}
