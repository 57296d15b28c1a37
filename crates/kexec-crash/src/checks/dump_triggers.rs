//! Does what goes wrong become a panic at all?

use kexec_load::preflight::{CheckGroup, Observation, Severity};

use super::{CrashCheck, CrashContext};
use crate::facts::{POST_NOTIFIERS, Sysctl, kernel_bool};

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
    found.extend(notifiers(context));
    found
}

/// Whether other code runs before the crash kernel. What the running kernel says counts more
/// than its command line: it changes the setting itself, and lets root change it.
fn notifiers(context: &CrashContext<'_>) -> Option<Observation> {
    let asked = || {
        let line = context.host.cmdline.known()?;
        let mut words = line.words().take_while(|word| *word != b"--");
        let is_there = words.any(|word| word == POST_NOTIFIERS.as_bytes());
        Some(match line.value(POST_NOTIFIERS) {
            Some(value) => kernel_bool(&value) == Some(true),
            None => is_there,
        })
    };
    let shown = context.facts.post_notifiers.known().copied();
    if !shown.or_else(asked)? {
        return None;
    }
    let why = "other code runs between the panic and the jump into the crash kernel, and may hang";
    let is_hyper_v = context.host.firmware.hypervisor.known();
    Some(match is_hyper_v.is_some_and(|name| name == "hyperv") {
        // Linux switches it on where Hyper-V takes reports of crashes (`hv_common_init` of
        // drivers/hv/hv_common.c).
        true => Observation::new(
            Severity::Note,
            POST_NOTIFIERS,
            format!("{why}; on Hyper-V the kernel does this to report the crash to the host"),
            "",
        ),
        false => Observation::new(
            Severity::Warning,
            POST_NOTIFIERS,
            why,
            "boot without crash_kexec_post_notifiers, unless your hypervisor needs it",
        ),
    })
}
