//! Is memory reserved for a crash kernel, and does it fit?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::demand::demand;
use crate::explain::say;
use kexec_machine::snapshot::KexecFile;
use kexec_plan::crash::{RESERVE, RESERVE_MORE};
use kexec_plan::size::Memory;

pub(super) const CHECK: Check = Check {
    name: "crash-region",
    group: CheckGroup::Machine,
    about: "memory is reserved for a crash kernel (crashkernel=), and the kernel and initrd fit \
            into it",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    if !context.plan.crash {
        return Vec::new();
    }
    let what = "memory reserved for a crash kernel";
    let host = context.host;
    let Some(size) = say::crash_size(host) else {
        let reasons = [host.kexec.crash_size.reason(), host.memory.iomem.reason()];
        let reasons: Vec<&str> = reasons.into_iter().flatten().collect();
        let why = if reasons.is_empty() {
            format!("{} does not exist", host.kexec_file(KexecFile::CrashSize))
        } else {
            reasons.join("; ")
        };
        return vec![Observation::new(
            Severity::Unknown,
            what,
            why,
            match host.security.cap_sys_boot.is_true() {
                true => "mount /sys",
                false => "mount /sys, and run kexec as root",
            },
        )];
    };
    if size == 0 {
        return vec![Observation::new(
            Severity::Refusal,
            what,
            "there is none",
            RESERVE,
        )];
    }
    let demand = demand(context.image, context.plan);
    let window = say::crash_window(host);
    let room = window.map_or(size, |window| window.min(size));
    let why = if room < size {
        format!(
            "{} in all, and {} in the part that takes an image, the highest; the image takes {demand}",
            Memory(size),
            Memory(room)
        )
    } else {
        format!("{}; the image takes {demand}", Memory(size))
    };
    let outcome = if demand.total() > room {
        Observation::new(Severity::Refusal, what, why, RESERVE_MORE)
    } else if window.is_none() {
        // It may be two parts, of which only one takes an image.
        let reason = host.memory.iomem.reason();
        let reason = reason.unwrap_or("/proc/iomem does not show it");
        Observation::new(
            Severity::Unknown,
            what,
            format!("{why}; whether it is one part is unknown: {reason}"),
            "run kexec as root",
        )
    } else {
        Observation::pass(what, why)
    };
    vec![outcome]
}
