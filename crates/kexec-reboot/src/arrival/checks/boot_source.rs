//! Where are the files of the boot entry read from, and why is that place believed?

use super::{ArrivalCheck, ArrivalContext};
use kexec_load::preflight::{CheckGroup, Observation};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "boot-source",
    group: CheckGroup::BootEntry,
    about: "the entry's files are on file systems that only root or the machine's builder attached",
    run,
};

/// What is no boot source was not even read: whatever comes here is believed.
fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let sources = context.arrival.boot_sources.iter();
    sources
        .map(|source| Observation::pass(source.name(), source.why()))
        .collect()
}
