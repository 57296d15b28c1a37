//! Is this a machine that is known to hang in a kexec?

use super::{Check, Context};
use crate::preflight::{Outcome, Severity};

pub(super) const CHECK: Check = Check {
    name: "hardware",
    about: "the machine is none that is known to hang, and no guest that cannot do it",
    run,
};

/// A machine that others have given up on.
struct Known {
    /// The beginning of its model in the device tree.
    model: &'static str,
    /// What happens, and who says so.
    why: &'static str,
}

/// Reports of projects that reboot many machines with kexec.
const KNOWN: &[Known] = &[
    Known {
        model: "Raspberry Pi 4",
        why: "the next kernel does not come up (reported by Talos Linux, issue 5670)",
    },
    Known {
        model: "Radxa ROCK Pi 4",
        why: "the next kernel does not come up (reported by Talos Linux, issue 5670)",
    },
];

fn run(context: &Context<'_>) -> Vec<Outcome> {
    let hardware = &context.arrival.hardware;
    let known = KNOWN
        .iter()
        .filter(|known| hardware.model.starts_with(known.model));
    let mut outcomes: Vec<Outcome> = known
        .map(|known| {
            Outcome::new(
                Severity::Warning,
                format!("machine {}", hardware.model),
                known.why,
                "try it with a console at hand first, or reboot through the firmware",
            )
        })
        .collect();
    outcomes.extend(guest(context));
    outcomes
}

/// What a guest of this kind can do.
fn guest(context: &Context<'_>) -> Option<Outcome> {
    let kind = context.host.firmware.hypervisor.known()?;
    let what = format!("virtual machine ({kind})");
    match kind.as_str() {
        "xen-pv" => Some(Outcome::new(
            Severity::Refusal,
            what,
            "a paravirtualised Xen guest has no way to jump into another kernel",
            "reboot through the hypervisor",
        )),
        "xen-dom0" => Some(Outcome::new(
            Severity::Refusal,
            what,
            "the hypervisor runs below this kernel, and only a load through the hypervisor would \
             replace it; this program does not do that",
            "reboot through the firmware",
        )),
        "tdx" => Some(Outcome::new(
            Severity::Warning,
            what,
            "private memory has to be given back before the jump, which kernels can since 6.13",
            "make sure that both kernels are 6.13 or newer",
        )),
        "sev-snp" => Some(Outcome::new(
            Severity::Warning,
            what,
            "private memory has to be given back before the jump, which kernels can since 6.16",
            "make sure that both kernels are 6.16 or newer",
        )),
        _ => None,
    }
}
