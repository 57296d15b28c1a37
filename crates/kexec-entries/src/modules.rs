//! The newest kernel that has its modules and an initrd on this machine: no boot
//! loader is asked.

use super::entry::{BootEntry, BootTarget, Boots, Broken, Origin};
use super::kernels::{self, NextCmdline};
use super::version;
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;

/// Kernels by their module folders.
pub(super) const SOURCE: Source = Source {
    name: "modules",
    about: "kernels with a folder in /usr/lib/modules and a matching initrd, newest first",
    find,
    evidence: |_| Evidence::Silent,
    looked_for: None,
};

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let cmdline = kernels::next_cmdline(machine);
    let mut releases = kernels::releases(machine);
    // Newest first, as UAPI.10 compares versions.
    releases.sort_by(|(a, _), (b, _)| version::compare(b, a));
    let entries: Vec<BootEntry> = releases
        .iter()
        .filter_map(|(release, folder)| entry(machine, release, folder, &cmdline))
        .collect();
    if entries.is_empty() {
        return None;
    }
    let choice = match entries.iter().position(|e| e.target().is_some()) {
        Some(index) => Choice::Entry {
            index,
            why: "the newest kernel that has an initrd".to_owned(),
        },
        None => Choice::None {
            why: "no kernel has its initrd".to_owned(),
        },
    };
    Some(BootMenu {
        entries,
        choice,
        notes: Vec::new(),
    })
}

/// The entry of a release; `None` when only its modules are left.
fn entry(
    machine: &BootedMachine<'_>,
    release: &str,
    folder: &str,
    cmdline: &NextCmdline,
) -> Option<BootEntry> {
    let broken = |reason: String| {
        Boots::Broken(Broken {
            at: Origin::file(folder),
            reason,
        })
    };
    let boots = match (
        kernels::kernel(machine, release),
        kernels::initrd(machine, release),
    ) {
        (Fact::Absent, _) => return None,
        (Fact::Unreadable(reason), _) | (_, Fact::Unreadable(reason)) => broken(reason),
        (Fact::Known(_), Fact::Absent) => broken(format!(
            "it has no initrd: none of {} exists",
            kernels::initrd_paths(machine, release).join(", ")
        )),
        (Fact::Known(kernel), Fact::Known(initrd)) => cmdline.boots(|line| BootTarget {
            initrds: vec![initrd],
            ..BootTarget::linux(kernel, line)
        }),
    };
    let title = format!("Linux {release}");
    let mut entry = BootEntry::new(SOURCE.name, release, &title, Origin::file(folder), boots);
    entry.version = Some(release.to_owned());
    Some(entry)
}
