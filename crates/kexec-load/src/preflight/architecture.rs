//! Does this machine run such a kernel?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "architecture",
    group: CheckGroup::Kernel,
    about: "the kernel was built for this machine's architecture",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let what = format!("kernel {}", context.plan.kernel.origin);
    let outcome = match (context.image.arch(), context.host.arch) {
        (Some(image), Some(host)) if image.boots_on(host) => {
            Observation::pass(what, format!("built for {image}, the machine is {host}"))
        }
        (Some(image), Some(host)) => Observation::new(
            Severity::Refusal,
            what,
            format!("built for {image}, but this machine is {host}"),
            "use the kernel package for this machine's architecture",
        ),
        (None, _) => Observation::new(
            Severity::Unknown,
            what,
            "its header names an unknown architecture",
            "make sure that the kernel was built for this machine",
        ),
        (_, None) => Observation::new(
            Severity::Unknown,
            what,
            format!("this machine calls itself {:?}", context.host.machine),
            "make sure that the kernel was built for this machine",
        ),
    };
    vec![outcome]
}
