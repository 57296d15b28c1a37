//! Would state of a live update be lost?

use kexec_plan::Method;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "live-update",
    group: CheckGroup::SystemCall,
    about: "kexec_load(2) does not discard what a live update carries over",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    // A crash ends the running kernel without a handover, whichever call loaded.
    if context.decision.method != Method::ClassicLoad || context.plan.crash {
        return Vec::new();
    }
    let kexec = &context.host.kexec;
    let what = "live-update state of the running kernel";
    // Only the running kernel's own loader hands the tree of preserved memory on
    // (Documentation/core-api/kho/index.rst: "kexec -s").
    let active = match (&kexec.kho, &kexec.liveupdate_sessions) {
        (Fact::Known(true), _) => "kexec handover (KHO) is on",
        (_, Fact::Known(true)) => "live-update sessions exist",
        (Fact::Unreadable(why), _) | (_, Fact::Unreadable(why)) => {
            return vec![Observation::new(
                Severity::Unknown,
                what,
                format!("whether there is any is unknown: {why}"),
                "",
            )];
        }
        _ => return vec![Observation::pass(what, "there is none")],
    };
    if context.classic.discard_liveupdate {
        return vec![Observation::new(
            Severity::Warning,
            what,
            format!("{active}; it will be lost (--discard-liveupdate)"),
            "",
        )];
    }
    vec![Observation::new(
        Severity::Refusal,
        what,
        format!("{active}, and kexec_load(2) would lose what it preserves"),
        "load with -s, or add --discard-liveupdate",
    )]
}
