//! Was the crash kernel built to show the memory of the crashed one?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext, unread};

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "vmcore-support",
    group: CheckGroup::Kernel,
    about: "the crash kernel was built with CONFIG_CRASH_DUMP and CONFIG_PROC_VMCORE",
    run,
};

/// Documentation/admin-guide/kdump/kdump.rst, "Dump-capture kernel config options".
const NEEDED: &[&str] = &["CONFIG_CRASH_DUMP", "CONFIG_PROC_VMCORE"];

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "configuration of the crash kernel";
    let config = match context.config {
        Fact::Known(config) => config,
        Fact::Absent => {
            return vec![Observation::new(
                Severity::Unknown,
                what,
                "it is neither beside the kernel file nor in it",
                "install the configuration as /boot/config-RELEASE",
            )];
        }
        Fact::Unreadable(why) => {
            return vec![Observation::new(
                Severity::Unknown,
                what,
                why,
                unread(context, "install the configuration as /boot/config-RELEASE"),
            )];
        }
    };
    let lacks = |option: &&&str| !matches!(config.get(**option).map(String::as_str), Some("y"));
    let lacking: Vec<&str> = NEEDED.iter().filter(lacks).copied().collect();
    vec![match lacking.is_empty() {
        true => Observation::pass(what, NEEDED.join(" and ")),
        false => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "it lacks {}: there would be no /proc/vmcore",
                lacking.join(" and ")
            ),
            "name a kernel that was built with it",
        ),
    }]
}
