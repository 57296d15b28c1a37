//! Has loading been switched off?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "load-disabled",
    group: CheckGroup::SystemCall,
    about: "loading has not been switched off by sysctl kernel.kexec_load_disabled",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let what = "sysctl kernel.kexec_load_disabled";
    // Documentation/admin-guide/sysctl/kernel.rst: once 1, it stays 1.
    let outcome = match &context.host.kexec.load_disabled {
        Fact::Known(false) => Observation::pass(what, "it is 0"),
        Fact::Known(true) => Observation::new(
            Severity::Refusal,
            what,
            "it is 1: loading is switched off for as long as this kernel runs",
            "reboot through the firmware; find what sets it: grep -r kexec_load_disabled \
             /etc/sysctl* /usr/lib/sysctl.d",
        ),
        Fact::Absent if context.host.cmdline == Fact::Absent => Observation::new(
            Severity::Unknown,
            what,
            "/proc is not mounted",
            "mount -t proc proc /proc",
        ),
        Fact::Absent => Observation::new(
            Severity::Unknown,
            what,
            "no such file: the running kernel was built without kexec, or /proc is not mounted",
            "mount /proc; boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
        ),
        Fact::Unreadable(reason) => {
            Observation::new(Severity::Unknown, what, reason, "run it as root")
        }
    };
    vec![outcome]
}
