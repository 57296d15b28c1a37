//! Are there loads left?

use kexec_sys::Slot;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::explain::say;
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "load-limit",
    group: CheckGroup::SystemCall,
    about: "sysctl kernel.kexec_load_limit_* allows another load",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let kexec = &context.host.kexec;
    let (slot, limit) = if context.plan.crash {
        (Slot::Crash, &kexec.load_limit_panic)
    } else {
        (Slot::Normal, &kexec.load_limit_reboot)
    };
    let name = say::limit_name(slot);
    let what = format!("sysctl {name}");
    // Documentation/admin-guide/sysctl/kernel.rst: it can only be lowered; -1 is
    // no limit. Unloads and failed loads were seen to count too.
    let outcome = match limit {
        Fact::Known(left) if *left < 0 => Observation::pass(what, "no limit"),
        Fact::Known(0) => Observation::new(
            Severity::Refusal,
            what,
            "it is 0: no loads are left for this slot (unloads and failed loads count too)",
            format!(
                "reboot through the firmware: the limit cannot be raised again; find what sets \
                 it: grep -r {name} /etc/sysctl* /usr/lib/sysctl.d"
            ),
        ),
        Fact::Known(1) => Observation::new(
            Severity::Warning,
            what,
            "this is the last load: if it fails or is unloaded, no other is possible until a cold \
             reboot",
            "check the kernel, the initrd and the command line first",
        ),
        Fact::Known(left) => Observation::new(
            Severity::Note,
            what,
            format!("{left} loads are left (unloads and failed loads count too)"),
            "",
        ),
        Fact::Absent if context.host.release_at_least(6, 3) == Some(false) => {
            Observation::pass(what, "kernels before 6.3 have no such limit")
        }
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
            "mount /proc",
        ),
        Fact::Unreadable(reason) => {
            Observation::new(Severity::Unknown, what, reason, "run it as root")
        }
    };
    vec![outcome]
}
