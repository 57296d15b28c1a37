//! Is this a machine that is known to hang in a kexec?

use super::{ArrivalCheck, ArrivalContext};
use crate::arrival::machines::{Reported, ReportedMachine, known};
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "hardware",
    group: CheckGroup::Machine,
    about: "the machine is not known to hang, and not a virtual machine that cannot kexec",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let hardware = &context.arrival.hardware;
    let mut outcomes: Vec<Observation> = known(hardware)
        .map(|machine| reported(machine, &hardware.name(), context.this_machine))
        .collect();
    outcomes.extend(guest(context));
    outcomes
}

/// What is made of a row of the table.
fn reported(machine: &ReportedMachine, name: &str, yes: bool) -> Observation {
    let what = match name {
        "" => format!("this machine ({})", machine.name),
        name => format!("this machine, {name} ({})", machine.name),
    };
    let why = format!(
        "{} (reported until {}: {})",
        machine.what,
        machine.date,
        machine.sources.join(", ")
    );
    let (severity, remedy) = match (machine.reported, yes) {
        (Reported::Never, false) => (
            Severity::Refusal,
            "reboot through the firmware; to try it anyway, with a console at hand, add \
             --yes-this-machine",
        ),
        (Reported::Never, true) | (Reported::Sometimes, _) => (
            Severity::Warning,
            "try it with a console at hand first, or reboot through the firmware",
        ),
    };
    let remedy = match machine.helps {
        Some(helps) => format!("{helps}; {remedy}"),
        None => remedy.to_owned(),
    };
    Observation::new(severity, what, why, remedy)
}

/// What a guest of this kind can do.
fn guest(context: &ArrivalContext<'_>) -> Option<Observation> {
    let kind = context.host.firmware.hypervisor.known()?;
    let what = format!("virtual machine ({kind})");
    match kind.as_str() {
        "xen-pv" => Some(Observation::new(
            Severity::Refusal,
            what,
            "a paravirtualised Xen guest cannot jump into another kernel",
            "reboot through the hypervisor",
        )),
        "xen-dom0" => Some(Observation::new(
            Severity::Refusal,
            what,
            "the hypervisor runs below this kernel, and only a load through the hypervisor would \
             replace it; this program does not do that",
            "reboot through the firmware",
        )),
        "tdx" => Some(Observation::new(
            Severity::Warning,
            what,
            "private memory must be returned before the jump, which kernels do since 6.13",
            "make sure that both kernels are 6.13 or newer",
        )),
        "sev-snp" => Some(Observation::new(
            Severity::Warning,
            what,
            "private memory must be returned before the jump, which kernels do since 6.16",
            "make sure that both kernels are 6.16 or newer",
        )),
        _ => None,
    }
}
