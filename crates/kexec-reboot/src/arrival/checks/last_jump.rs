//! Did the last kexec of this machine arrive?

use super::{ArrivalCheck, ArrivalContext};
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "last-kexec",
    group: CheckGroup::Reboot,
    about: "the last kexec of this machine arrived",
    run,
};

/// No refusal: a power cut during the jump looks the same.
fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let last = context.arrival.not_arrived.iter();
    last.map(|last| {
        Observation::new(
            Severity::Warning,
            "the last kexec of this machine",
            last.text(),
            "kexec status shows the possible causes; have a console at hand. Nothing is loaded \
             ahead until a kexec arrives again, or until kexec preload --yes-this-machine",
        )
    })
    .collect()
}
