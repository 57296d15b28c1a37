//! Is the region large enough for what the crash kernel needs once it runs?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext};
use crate::size::Bytes;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-region",
    group: CheckGroup::Machine,
    about: "the reserved memory is as large as the estimate of what the crash kernel needs",
    run,
};

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "memory reserved for a crash kernel";
    let estimate = context.estimate;
    let need = format!("the estimate is {}", Bytes(estimate.bytes));
    let reserve = format!(
        "boot once with {} (`kexec crash estimate` shows its parts)",
        estimate.parameter
    );
    vec![match &context.host.kexec.crash_size {
        Fact::Known(0) => Observation::new(
            Severity::Refusal,
            what,
            format!("there is none; {need}"),
            reserve,
        ),
        Fact::Known(size) if *size < estimate.bytes => Observation::new(
            Severity::Warning,
            what,
            format!(
                "{}, but {need}: the crash kernel may run out of memory before the dump is saved",
                Bytes(*size)
            ),
            reserve,
        ),
        Fact::Known(size) => Observation::pass(what, format!("{}; {need}", Bytes(*size))),
        Fact::Absent => Observation::new(
            Severity::Unknown,
            what,
            "the running kernel does not show its size",
            "mount /sys, and run kexec as root",
        ),
        Fact::Unreadable(why) => Observation::new(
            Severity::Unknown,
            what,
            why,
            "mount /sys, and run kexec as root",
        ),
    }]
}
