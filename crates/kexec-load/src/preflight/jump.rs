//! Can the running kernel be jumped back to?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::explain::no_jump::{WITH_JUMP, without_jump};

pub(super) const CHECK: Check = Check {
    name: "kexec-jump",
    group: CheckGroup::SystemCall,
    about: "with --load-preserve-context, the running kernel can be kept",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    if !context.classic.options.preserve_context {
        return Vec::new();
    }
    let host = context.host;
    let what = "--load-preserve-context";
    if let Some(missing) = without_jump(host) {
        return vec![Observation::new(
            Severity::Refusal,
            what,
            missing,
            WITH_JUMP,
        )];
    }
    let outcome = match host.built_with("CONFIG_KEXEC_JUMP") {
        Some(_) => Observation::pass(what, "the running kernel has CONFIG_KEXEC_JUMP"),
        None => Observation::new(
            Severity::Unknown,
            what,
            "whether the running kernel has CONFIG_KEXEC_JUMP is unknown: its configuration was \
             not found",
            "",
        ),
    };
    vec![outcome]
}
