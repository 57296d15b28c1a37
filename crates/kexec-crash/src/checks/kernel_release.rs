//! Is the crash kernel the one that runs?

use kexec_load::preflight::{CheckGroup, Observation, Severity};

use super::{CrashCheck, CrashContext};
use crate::estimate::version;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "crash-kernel-release",
    group: CheckGroup::Kernel,
    about: "the crash kernel is not older than the running kernel, whose drivers it replaces",
    run,
};

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "release of the crash kernel";
    let running = &context.host.release;
    let Some(release) = &context.plan.release else {
        return vec![Observation::new(
            Severity::Unknown,
            what,
            "its header has none",
            "name a bzImage",
        )];
    };
    if release == running {
        return vec![Observation::pass(what, format!("{release}, as it runs"))];
    }
    let older = version(release) < version(running);
    vec![match older {
        true => Observation::new(
            Severity::Warning,
            what,
            format!(
                "it is {release}, older than the running {running}: it may lack drivers of this \
                 machine, and makedumpfile may not know the newer kernel's memory"
            ),
            "load the running kernel: kexec crash load",
        ),
        false => Observation::new(
            Severity::Note,
            what,
            format!("it is {release}, and {running} runs"),
            "",
        ),
    }]
}
