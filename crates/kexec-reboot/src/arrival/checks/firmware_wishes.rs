//! Does somebody wait for the firmware? A kexec must not swallow that.

use super::{ArrivalCheck, ArrivalContext};
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "firmware-wishes",
    group: CheckGroup::Reboot,
    about: "nothing waits for a boot through the firmware",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let wishes = &context.arrival.wishes;
    let what = "requests to the firmware";
    let texts = wishes.texts();
    if !texts.is_empty() {
        return vec![Observation::new(
            Severity::Refusal,
            what,
            format!("{}; a kexec bypasses the firmware", texts.join("; ")),
            "reboot through the firmware (systemctl reboot), or cancel the request",
        )];
    }
    match wishes.unknown() {
        Some(why) => vec![Observation::new(Severity::Unknown, what, why, "")],
        None if context.host.firmware.efi => vec![Observation::pass(what, "there are none")],
        None => Vec::new(),
    }
}
