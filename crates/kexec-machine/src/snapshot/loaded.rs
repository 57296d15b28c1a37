//! Is a kernel loaded in a slot? Asked alone, of a machine on which
//! perhaps nothing else is left.

use std::path::Path;

use kexec_sys::Slot;

use super::security;
use super::sysfs::KexecFile;
use crate::Root;
use crate::{Fact, pseudo};

/// Whether a kernel is loaded in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// A kernel is loaded.
    Yes,
    /// No kernel is loaded.
    No,
    /// The kernel shows its other files and not this one: it has no kexec.
    NoKexec,
    /// The kernel does not say.
    Unknown,
}

/// The paths of the slot's file.
fn files(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Normal => KexecFile::Loaded.places(),
        Slot::Crash => KexecFile::CrashLoaded.places(),
    }
}

/// Asks /sys, and where that does not tell (it is not mounted, or something is
/// mounted over it) the kernel's own sysfs through a mount that nobody sees.
pub fn ask(root: &Path, slot: Slot) -> SlotState {
    let root = Root::new(root);
    match below(&root, SYS, slot) {
        Some(loaded) => loaded,
        None => match pseudo::look(&root, "sysfs") {
            Some(top) => below(&top, "", slot).unwrap_or_else(|| missing(&top, "", slot)),
            None => SlotState::Unknown,
        },
    }
}

/// Where sysfs is mounted; the paths of its files begin with it.
const SYS: &str = "/sys";

/// The path of a file where sysfs is at `sysfs`.
fn path(sysfs: &str, file: &str) -> String {
    format!("{sysfs}{}", file.strip_prefix(SYS).unwrap_or(file))
}

fn below(root: &Root, sysfs: &str, slot: Slot) -> Option<SlotState> {
    files(slot)
        .iter()
        .find_map(|file| match root.text(&path(sysfs, file)) {
            Fact::Known(text) if text == "0" => Some(SlotState::No),
            Fact::Known(text) if text == "1" => Some(SlotState::Yes),
            _ => None,
        })
}

/// Only a sysfs that shows its folder `kernel`, and in it none of these files, is that
/// of a kernel without kexec.
fn missing(root: &Root, sysfs: &str, slot: Slot) -> SlotState {
    let absent = |file: &&str| root.text(&path(sysfs, file)) == Fact::Absent;
    if root.exists(&format!("{sysfs}/kernel")) && files(slot).iter().all(absent) {
        return SlotState::NoKexec;
    }
    SlotState::Unknown
}

/// Whether this process is known to be in a PID namespace of its own, where
/// reboot(2) has another meaning (pid_namespaces(7)).
pub fn in_pid_namespace(root: &Path) -> bool {
    security::pid_namespace(&Root::new(root)).is_true()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_has_no_kexec_only_where_its_sysfs_shows_that() {
        let top = tempfile::tempdir().unwrap();
        let of = || missing(&Root::new(top.path()), "", Slot::Normal);
        // Nothing is mounted there.
        assert_eq!(of(), SlotState::Unknown);
        std::fs::create_dir(top.path().join("kernel")).unwrap();
        assert_eq!(of(), SlotState::NoKexec);
        // There, and not to be read.
        std::fs::create_dir(top.path().join("kernel/kexec_loaded")).unwrap();
        assert_eq!(of(), SlotState::Unknown);
    }
}
