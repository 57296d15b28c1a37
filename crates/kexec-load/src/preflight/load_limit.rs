//! Are there loads left?

use kexec_sys::Slot;

use super::{Check, LoadContext, Observation, Severity};
use crate::explain::say;
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "load-limit",
    about: "sysctl kernel.kexec_load_limit_* leaves a load for the slot",
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
            "it is 0: no load is left for this slot (unloading and failed loads count too)",
            format!(
                "reboot through the firmware: the limit cannot be raised again; find who sets it: grep -r {name} /etc/sysctl* /usr/lib/sysctl.d"
            ),
        ),
        Fact::Known(1) => Observation::new(
            Severity::Warning,
            what,
            "this is the last load: if it fails, or when it is unloaded, there is no other until a cold reboot",
            "make sure of the kernel, the initrd and the command line first",
        ),
        Fact::Known(left) => Observation::new(
            Severity::Note,
            what,
            format!("{left} loads are left, unloading and failed loads among them"),
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
            "it is not there: the running kernel was built without kexec, or /proc is not mounted",
            "mount /proc",
        ),
        Fact::Unreadable(reason) => {
            Observation::new(Severity::Unknown, what, reason, "run it as root")
        }
    };
    vec![outcome]
}
