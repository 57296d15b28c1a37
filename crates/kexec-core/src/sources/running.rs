//! The last resort: the running kernel again, with the command line it has.

use super::entry::{BootEntry, BootTarget, Boots, Broken, Origin};
use super::kernels;
use super::{Choice, Evidence, Found, Machine, Source};
use crate::host::Fact;

/// The running kernel.
pub(super) const SOURCE: Source = Source {
    name: "running",
    about: "the running kernel again, with its own command line",
    find,
    evidence: |_| Evidence::Silent,
};

fn find(machine: &Machine<'_>) -> Option<Found> {
    let release = &machine.facts.release;
    if release.is_empty() {
        return None;
    }
    let boots = boots(machine, release);
    let choice = match &boots {
        Boots::Target(_) => Choice::Entry {
            index: 0,
            why: "it is the only one".to_owned(),
        },
        Boots::Broken(broken) => Choice::None {
            why: broken.reason.clone(),
        },
    };
    let title = format!("Linux {release}, as it is running");
    let origin = Origin::file("/proc/cmdline");
    let mut entry = BootEntry::new(SOURCE.name, "running", &title, origin, boots);
    entry.version = Some(release.clone());
    Some(Found {
        entries: vec![entry],
        choice,
        notes: Vec::new(),
    })
}

fn boots(machine: &Machine<'_>, release: &str) -> Boots {
    let broken = |file: &str, reason: String| {
        Boots::Broken(Broken {
            at: Origin::file(file),
            reason,
        })
    };
    let line = match kernels::running_cmdline(machine.facts) {
        Fact::Known(line) => line,
        Fact::Absent => return broken("/proc/cmdline", "it is not there".to_owned()),
        Fact::Unreadable(reason) => return broken("/proc/cmdline", reason),
    };
    let kernel = match kernels::kernel(machine, release) {
        Fact::Known(kernel) => kernel,
        Fact::Absent => {
            let reason = format!("the file of kernel {release} is not there any more");
            return broken("/boot", reason);
        }
        Fact::Unreadable(reason) => return broken("/boot", reason),
    };
    let mut target = BootTarget::linux(kernel, line);
    match kernels::initrd(machine, release) {
        Fact::Known(initrd) => target.initrds.push(initrd),
        Fact::Absent => target
            .notes
            .push(format!("no initrd of {release} was found")),
        Fact::Unreadable(reason) => return broken("/boot", reason),
    }
    Boots::Target(Box::new(target))
}
