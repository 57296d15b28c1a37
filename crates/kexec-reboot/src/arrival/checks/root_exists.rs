//! Is the root file system that the command line names there?

use super::{ArrivalCheck, ArrivalContext};
use crate::arrival::RootDevice;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "root-exists",
    group: CheckGroup::CommandLine,
    about: "the root= of the next command line is a device of this machine",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let outcome = match &context.arrival.root {
        RootDevice::Here { wanted, device } => {
            Observation::pass(format!("root={wanted}"), format!("it is {device}"))
        }
        RootDevice::Missing { wanted } => Observation::new(
            Severity::Refusal,
            format!("root={wanted}"),
            "this machine has no such device: the next kernel would wait for it and give up",
            "correct the boot entry, or give another command line with --cmdline",
        ),
        RootDevice::Unclear { wanted, why } => Observation::new(
            Severity::Refusal,
            format!("root={wanted}"),
            why,
            "detach the wrong device, or name the root by the path of its device",
        ),
        RootDevice::Elsewhere { wanted } => Observation::new(
            Severity::Note,
            format!("root={wanted}"),
            "the initrd finds it; it is not checked here",
            "",
        ),
        RootDevice::NotNamed if !context.plan.has_initrd() => Observation::new(
            Severity::Warning,
            "command line",
            "it has no root=, and there is no initrd that could find one",
            "give the root file system with --append root=...",
        ),
        RootDevice::NotNamed => Observation::new(
            Severity::Note,
            "command line",
            "it has no root=: the initrd must know the root file system",
            "",
        ),
    };
    vec![outcome]
}
