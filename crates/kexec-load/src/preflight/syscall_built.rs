//! Has the running kernel the system call?

use kexec_plan::Method;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::snapshot::{KexecFile, Lockdown};
use kexec_machine::{Fact, Snapshot};

pub(super) const CHECK: Check = Check {
    name: "syscall-built",
    group: CheckGroup::SystemCall,
    about: "the running kernel was built with the system call that the plan uses",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let host = context.host;
    let what = format!("running kernel {}", host.release);
    let (option, other, spelling) = match context.decision.method {
        Method::FileLoad => ("CONFIG_KEXEC_FILE", "CONFIG_KEXEC", "-c"),
        Method::ClassicLoad => ("CONFIG_KEXEC", "CONFIG_KEXEC_FILE", "-s"),
    };
    let outcome = match (host.built_with(option), &host.kexec.loaded) {
        (Some(true), _) => Observation::pass(what, format!("it has {option}")),
        (Some(false), _) => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "it was built without {option}, so it has no {}(2)",
                context.decision.method.name()
            ),
            match host.built_with(other) {
                // kernel_lockdown(7): kexec_load(2) is not allowed there.
                Some(true) if other == "CONFIG_KEXEC" && locked_down(host) => {
                    "boot a kernel with CONFIG_KEXEC_FILE: lockdown does not allow kexec_load(2), \
                     which this kernel has"
                        .to_owned()
                }
                Some(true) => {
                    format!("use the other system call, which this kernel has: {spelling}")
                }
                _ => "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE".to_owned(),
            },
        ),
        // The sysfs file is there with either of the calls, so that without it
        // there is neither. Where sysfs is not mounted, that is unreadable, not absent.
        (None, Fact::Absent) => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "it was built without kexec ({} does not exist)",
                host.kexec_file(KexecFile::Loaded)
            ),
            "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
        ),
        (None, _) => Observation::new(
            Severity::Unknown,
            what,
            format!(
                "whether it has {option} is unknown: its configuration was not found ({})",
                host.config.reason().unwrap_or(
                    "no /proc/config.gz, no /boot/config-RELEASE, none beside the modules"
                )
            ),
            "",
        ),
    };
    vec![outcome]
}

fn locked_down(host: &Snapshot) -> bool {
    let lockdown = host.security.lockdown.known();
    lockdown.is_some_and(|lockdown| *lockdown != Lockdown::None)
}
