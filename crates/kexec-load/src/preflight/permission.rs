//! May this process load a kernel at all?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "permission",
    group: CheckGroup::SystemCall,
    about: "this process has CAP_SYS_BOOT in the first user namespace, and no filter blocks the \
            system call",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let security = &context.host.security;
    let what = "permission of this process";
    let mut outcomes = Vec::new();
    // capabilities(7), user_namespaces(7): kexec asks in the first user namespace.
    match (&security.user_namespace, &security.cap_sys_boot) {
        (Fact::Known(true), _) => outcomes.push(Observation::new(
            Severity::Refusal,
            what,
            "it runs in its own user namespace (a container), where no capability counts for kexec",
            "run it on the host, outside the container",
        )),
        (_, Fact::Known(false)) => outcomes.push(Observation::new(
            Severity::Refusal,
            what,
            "it does not have the capability CAP_SYS_BOOT",
            "run it as root (sudo); in a service or container, grant CAP_SYS_BOOT",
        )),
        (Fact::Known(false), Fact::Known(true)) => {
            outcomes.push(Observation::pass(what, "it has CAP_SYS_BOOT"));
        }
        (namespace, capability) => outcomes.push(Observation::new(
            Severity::Unknown,
            what,
            unseen(&[
                ("the user namespace", namespace),
                ("the capabilities", capability),
            ]),
            "make sure that /proc is mounted, and run it as root",
        )),
    }
    if security.seccomp.is_true() {
        // On the host it is a service's own, ours among them, and the load itself tells
        // at once what it refuses; in a container it is what usually refuses.
        let severity = match security.user_namespace {
            Fact::Known(false) => Severity::Note,
            _ => Severity::Warning,
        };
        outcomes.push(Observation::new(
            severity,
            what,
            "a seccomp filter is on it (a container, or SystemCallFilter= of a service) and may refuse the system call",
            "run it outside the container, or allow kexec_load and kexec_file_load in the filter",
        ));
    }
    outcomes
}

/// Which facts could not be seen, and why.
pub(super) fn unseen<T>(facts: &[(&str, &Fact<T>)]) -> String {
    let reasons = facts.iter().filter_map(|(name, fact)| match fact {
        Fact::Known(_) => None,
        Fact::Absent => Some(format!("{name}: not there")),
        Fact::Unreadable(reason) => Some(format!("{name}: {reason}")),
    });
    let reasons: Vec<String> = reasons.collect();
    format!("could not be seen: {}", reasons.join("; "))
}
