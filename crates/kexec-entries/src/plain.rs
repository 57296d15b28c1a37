//! Kernels and initrds under the names that distributions link to the newest
//! ones: no boot loader is asked.

use super::entry::{BootEntry, BootTarget, Boots, Broken, Origin};
use super::kernels::{self, NextCmdline};
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

/// Well-known names without a boot loader.
pub(super) const SOURCE: Source = Source {
    name: "plain",
    about: "links and fixed names such as /vmlinuz and /boot/vmlinuz-linux",
    find,
    evidence: |_| Evidence::Silent,
    looked_for: None,
};

/// A kernel's name and its initrd's.
struct Pair(&'static str, &'static str);

/// The first one that is there is the default. /vmlinuz: Debian and Ubuntu
/// (linux-update-symlinks(1), kernel-img.conf(5)); /boot/vmlinuz with
/// /boot/initrd: openSUSE; vmlinuz-linux: Arch (mkinitcpio presets); vmlinuz-lts
/// and -virt: Alpine (mkinitfs).
const PAIRS: &[Pair] = &[
    Pair("/vmlinuz", "/initrd.img"),
    Pair("/boot/vmlinuz", "/boot/initrd.img"),
    Pair("/boot/vmlinuz", "/boot/initrd"),
    Pair("/boot/vmlinuz-linux", "/boot/initramfs-linux.img"),
    Pair("/boot/vmlinuz-linux-lts", "/boot/initramfs-linux-lts.img"),
    Pair("/boot/vmlinuz-linux-zen", "/boot/initramfs-linux-zen.img"),
    Pair(
        "/boot/vmlinuz-linux-hardened",
        "/boot/initramfs-linux-hardened.img",
    ),
    Pair("/boot/vmlinuz-lts", "/boot/initramfs-lts"),
    Pair("/boot/vmlinuz-virt", "/boot/initramfs-virt"),
    Pair("/vmlinuz.old", "/initrd.img.old"),
    Pair("/boot/vmlinuz.old", "/boot/initrd.img.old"),
];

/// Microcode that Arch's boot loaders put in front of the initrd, where
/// mkinitcpio does not build it in.
const MICROCODE: &[&str] = &["/boot/intel-ucode.img", "/boot/amd-ucode.img"];

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let cmdline = kernels::next_cmdline(machine);
    let mut entries: Vec<BootEntry> = Vec::new();
    let closed: Vec<(&str, String)> = FOLDERS
        .iter()
        .filter_map(|folder| Some((*folder, closed(machine, folder)?)))
        .collect();
    for Pair(kernel, initrd) in PAIRS {
        // Names that nobody can look for are not found, and not broken.
        if closed
            .iter()
            .any(|(folder, _)| folder_of(kernel) == *folder)
        {
            continue;
        }
        // Two pairs of one kernel: the second is a second chance.
        let known = entries.iter().position(|e| e.id == *kernel);
        if known.is_some_and(|at| entries.get(at).is_some_and(|e| e.target().is_some())) {
            continue;
        }
        let Some(entry) = entry(machine, kernel, initrd, &cmdline) else {
            continue;
        };
        match known.and_then(|at| entries.get_mut(at)) {
            Some(before) if entry.target().is_some() => *before = entry,
            Some(_) => {}
            None => entries.push(entry),
        }
    }
    if entries.is_empty() && closed.is_empty() {
        return None;
    }
    Some(BootMenu {
        choice: choice(&entries),
        entries,
        notes: closed.into_iter().map(|(_, why)| why).collect(),
    })
}

/// Where the names are.
const FOLDERS: [&str; 2] = ["/", "/boot"];

fn folder_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

/// Why nothing can be looked for in a folder: one sentence for all its names.
fn closed(machine: &BootedMachine<'_>, folder: &str) -> Option<String> {
    let volumes = machine.volumes;
    let sentence = |reason: String, then: &str| {
        let reason = kernels::without(folder, reason);
        format!("the well-known kernel names in {folder} cannot be read: {reason}{then}")
    };
    let within = match volumes.locate(folder) {
        Ok(within) => within,
        Err(reason) => return Some(sentence(reason, "")),
    };
    let name = volumes.file(&within.volume, &format!("{}/vmlinuz", within.path));
    // Names may be found in a folder that cannot be listed.
    match (volumes.exists(&name), volumes.entries(&within)) {
        (Fact::Unreadable(_), Fact::Unreadable(reason)) => {
            Some(sentence(reason, "; only root may look there"))
        }
        _ => None,
    }
}

/// The kernel of that release under a well-known name, if its own header says
/// that it is.
pub(super) fn kernel(machine: &BootedMachine<'_>, release: &str) -> Option<BootFile> {
    let files = PAIRS
        .iter()
        .filter_map(|pair| kernels::at(machine, pair.0).known().cloned());
    let own = |file: &BootFile| kernels::release(machine, file).as_deref() == Some(release);
    files.into_iter().find(own)
}

fn choice(entries: &[BootEntry]) -> Choice {
    match entries.iter().position(|e| e.target().is_some()) {
        Some(index) => Choice::Entry {
            index,
            why: "the first of the well-known names that exists with its initrd".to_owned(),
        },
        None => Choice::None {
            why: "no kernel under a well-known name can be booted".to_owned(),
        },
    }
}

/// The entry of a kernel name; `None` when there is nothing of that name.
fn entry(
    machine: &BootedMachine<'_>,
    kernel: &str,
    initrd: &str,
    cmdline: &NextCmdline,
) -> Option<BootEntry> {
    let boots = match (kernels::at(machine, kernel), kernels::at(machine, initrd)) {
        (Fact::Absent, _) => return None,
        (Fact::Unreadable(reason), _) => broken(kernel, reason),
        (Fact::Known(_), Fact::Unreadable(reason)) => broken(initrd, reason),
        (Fact::Known(_), Fact::Absent) => {
            broken(kernel, format!("its initrd {initrd} does not exist"))
        }
        (Fact::Known(kernel), Fact::Known(initrd)) => target(machine, kernel, initrd, cmdline),
    };
    Some(BootEntry::new(
        SOURCE.name,
        kernel,
        kernel,
        Origin::file(kernel),
        boots,
    ))
}

fn broken(at: &str, reason: String) -> Boots {
    Boots::Broken(Broken {
        at: Origin::file(at),
        reason,
    })
}

fn target(
    machine: &BootedMachine<'_>,
    kernel: BootFile,
    initrd: BootFile,
    cmdline: &NextCmdline,
) -> Boots {
    let arch = kernel.path.contains("/vmlinuz-linux");
    let microcode = MICROCODE.iter().filter(|_| arch);
    let microcode = microcode.filter_map(|path| kernels::at(machine, path).known().cloned());
    cmdline.boots(|line| BootTarget {
        initrds: microcode.chain([initrd]).collect(),
        ..BootTarget::linux(kernel, line)
    })
}
