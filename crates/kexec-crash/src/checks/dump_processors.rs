//! Does the crash kernel start processors that it must leave alone?

use kexec_image::Arch;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

use super::{CrashCheck, CrashContext};
use crate::estimate::version;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-processors",
    group: CheckGroup::Machine,
    about: "a crash kernel with several processors does not start the one that the machine was \
            booted with",
    run,
};

/// Linux 6.9 finds the first processor itself (commit 5c5682b9f87a, "x86/cpu: Detect real BSP on
/// crash kernels").
const FINDS_THE_FIRST: (u32, u32) = (6, 9);

/// On x86 the crash kernel runs on the processor that crashed. When it starts the first one
/// (BSP), that one resets the machine or hangs it (Documentation/admin-guide/
/// kernel-parameters.txt of Linux 6.8, "disable_cpu_apicid=").
fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "processors of the crash kernel";
    if !matches!(context.host.arch, Some(Arch::X86 | Arch::X86_64)) {
        return vec![Observation::pass(what, "any can be started")];
    }
    let line = &context.plan.cmdline;
    let number = |name: &str| line.value(name).and_then(|value| value.parse::<u64>().ok());
    let limits = ["nr_cpus", "maxcpus"].into_iter().filter_map(number);
    let mut words = line.words().take_while(|word| *word != b"--");
    let most = match words.any(|word| word == b"nosmp") {
        true => Some(1),
        false => limits.min(),
    };
    let there = context.host.crash.cpu_notes.known().map(Vec::len);
    if most.is_some_and(|most| most <= 1) || there.is_some_and(|there| there <= 1) {
        return vec![Observation::pass(what, "one is used")];
    }
    let release = context.plan.release.as_deref().and_then(version);
    if release.is_none_or(|release| release >= FINDS_THE_FIRST) {
        return vec![Observation::pass(what, "it finds the first one itself")];
    }
    if line.value("disable_cpu_apicid").is_some() {
        return vec![Observation::pass(
            what,
            "disable_cpu_apicid= leaves one out",
        )];
    }
    let several = match most {
        Some(most) => format!("up to {most} are started"),
        None => "all are started (no nr_cpus=)".to_owned(),
    };
    vec![Observation::new(
        Severity::Warning,
        what,
        format!(
            "{several}: where another processor crashes than the one that the machine was booted \
             with, that one resets or hangs the machine when a kernel before 6.9 starts it"
        ),
        "add nr_cpus=1, or disable_cpu_apicid=NUMBER, with the \"initial apicid\" of processor 0 \
         in /proc/cpuinfo (--append)",
    )]
}
