//! Does what goes wrong become a panic at all?

use kexec_load::preflight::{CheckGroup, Observation, Severity};

use super::{CrashCheck, CrashContext};
use crate::facts::Sysctl;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-triggers",
    group: CheckGroup::Dump,
    about: "an oops is a panic (kernel.panic_on_oops), and nothing runs between panic and dump",
    run,
};

/// Sysctls that turn other events into a panic; shown, whatever they are.
const OTHERS: &[&str] = &[
    "kernel.hung_task_panic",
    "kernel.softlockup_panic",
    "kernel.hardlockup_panic",
    "kernel.unknown_nmi_panic",
    "kernel.panic_on_io_nmi",
    "kernel.panic_on_unrecovered_nmi",
];

/// Whether an oops is a panic.
const OOPS: &str = "kernel.panic_on_oops";

/// Whether a sysctl keeps a panic from coming about: the others are the machine's choice.
pub(super) fn keeps_from_panic(sysctl: &Sysctl) -> bool {
    sysctl.name == OOPS && sysctl.value == Some(0)
}

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let oops = context.facts.sysctls.iter().find(|one| one.name == OOPS);
    let known = oops.filter(|oops| oops.value.is_some());
    let mut found = vec![match known {
        Some(oops) if keeps_from_panic(oops) => Observation::new(
            Severity::Warning,
            OOPS,
            "it is 0: after an oops the kernel kills the task and goes on, and there is no dump",
            "sysctl kernel.panic_on_oops=1, and write it into /etc/sysctl.d",
        ),
        Some(_) => Observation::pass(OOPS, "an oops is a panic"),
        None => Observation::new(Severity::Unknown, OOPS, "it cannot be read", "mount /proc"),
    }];
    let off: Vec<&str> = OTHERS
        .iter()
        .copied()
        .filter(|name| context.facts.sysctl(name) == Some(0))
        .collect();
    if !off.is_empty() {
        found.push(Observation::new(
            Severity::Note,
            "other causes of a panic",
            format!("off: {}", off.join(", ")),
            "",
        ));
    }
    let running = context.host.cmdline.known();
    let notifiers = running.is_some_and(|line| {
        let mut words = line.words();
        words.any(|word| word.starts_with(b"crash_kexec_post_notifiers"))
    });
    if notifiers {
        found.push(Observation::new(
            Severity::Warning,
            "crash_kexec_post_notifiers",
            "other code runs between the panic and the jump into the crash kernel, and may hang",
            "boot without crash_kexec_post_notifiers, unless your hypervisor needs it",
        ));
    }
    found
}
