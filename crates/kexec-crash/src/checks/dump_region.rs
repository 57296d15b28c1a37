//! Is the region large enough for what the crash kernel needs once it runs?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::{Fact, Snapshot};

use super::{CrashCheck, CrashContext};
use crate::size::Bytes;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-region",
    group: CheckGroup::Machine,
    about: "the reserved memory is as large as the estimate of what the crash kernel needs",
    run,
};

/// Bytes of `crashkernel=SIZE,cma`: lent to programs until the crash, and then memory of
/// the crash kernel (Documentation/admin-guide/kernel-parameters.txt, "crashkernel=").
pub(super) fn lent(host: &Snapshot) -> u64 {
    let ranges = host.kexec.crash_cma_ranges.known();
    let ranges = ranges.into_iter().flatten();
    ranges.fold(0, |sum, range| sum.saturating_add(range.len()))
}

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "memory reserved for a crash kernel";
    let estimate = context.estimate;
    let need = format!("the estimate is {}", Bytes(estimate.bytes));
    let reserve = format!(
        "boot once with {} (`kexec crash estimate` shows its parts)",
        estimate.parameter.as_deref().unwrap_or("crashkernel=SIZE")
    );
    let lent = lent(context.host);
    let more = match lent {
        0 => String::new(),
        lent => format!(" and {} of crashkernel=,cma", Bytes(lent)),
    };
    vec![match &context.host.kexec.crash_size {
        Fact::Known(0) => Observation::new(
            Severity::Refusal,
            what,
            format!("there is none; {need}"),
            reserve,
        ),
        Fact::Known(size) if size.saturating_add(lent) < estimate.bytes => Observation::new(
            Severity::Warning,
            what,
            format!(
                "{}{more}, but {need}: the crash kernel may run out of memory before the dump is \
                 saved",
                Bytes(*size)
            ),
            reserve,
        ),
        Fact::Known(size) => Observation::pass(what, format!("{}{more}; {need}", Bytes(*size))),
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
