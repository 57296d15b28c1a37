//! Does lockdown decide which crash kernels are taken?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;
use kexec_machine::snapshot::Lockdown;

use super::{CrashCheck, CrashContext};

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "crash-lockdown",
    group: CheckGroup::SystemCall,
    about: "lockdown: only a signed crash kernel is accepted, by kexec_file_load(2)",
    run,
};

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "lockdown of the running kernel";
    vec![match &context.host.security.lockdown {
        Fact::Known(Lockdown::None) => Observation::pass(what, "off"),
        Fact::Absent => Observation::pass(what, "the running kernel does not have it"),
        Fact::Known(mode) => Observation::new(
            Severity::Note,
            what,
            format!(
                "{}: a crash kernel must be signed, and a new kernel needs its own signature",
                mode.name()
            ),
            "",
        ),
        Fact::Unreadable(why) => Observation::new(
            Severity::Unknown,
            what,
            why,
            match context.host.security.cap_sys_boot.is_true() {
                true => "mount securityfs",
                false => "mount securityfs, and run it as root",
            },
        ),
    }]
}
