//! What would make a dump fail, found today: one file per check, one list. They come on top
//! of the checks of a load.

mod dump_iommu;
mod dump_modules;
mod dump_processors;
mod dump_program;
mod dump_region;
mod dump_target;
mod dump_triggers;
mod dump_watchdog;
mod kernel_release;
mod lockdown;
mod vmcore_support;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kexec_load::preflight::{self, Check, Finding, Observation, Severity};
use kexec_machine::{Fact, Problem, Snapshot};
use kexec_plan::FilePlan;

use crate::estimate::Estimate;
use crate::facts::{CrashFacts, Sysctl};
use crate::initrd::Contents;

/// What a check looks at.
#[derive(Debug, Clone, Copy)]
pub struct CrashContext<'a> {
    /// The machine.
    pub host: &'a Snapshot,
    /// What else decides about a dump.
    pub facts: &'a CrashFacts,
    /// What will be handed to the kernel.
    pub plan: &'a FilePlan,
    /// What is in the initrd.
    pub contents: &'a Contents,
    /// How large the region has to be.
    pub estimate: &'a Estimate,
    /// How the crash kernel was built, with the options that matter here.
    pub config: &'a Fact<BTreeMap<String, String>>,
}

/// A check of a crash kernel.
pub type CrashCheck = Check<fn(&CrashContext<'_>) -> Vec<Observation>>;

/// Every check, in the order in which people read them.
pub const CHECKS: &[CrashCheck] = &[
    vmcore_support::CHECK,
    kernel_release::CHECK,
    dump_modules::CHECK,
    dump_program::CHECK,
    lockdown::CHECK,
    dump_region::CHECK,
    dump_processors::CHECK,
    dump_iommu::CHECK,
    dump_watchdog::CHECK,
    dump_target::CHECK,
    dump_triggers::CHECK,
];

/// Runs every check of [`CHECKS`].
pub fn run(context: &CrashContext<'_>) -> Vec<Finding> {
    preflight::findings(CHECKS, |look| look(context))
}

/// What is said in place of them where the machine is a snapshot, which has none of the facts.
pub fn unseen() -> Finding {
    Finding {
        check: dump_target::CHECK.name,
        group: dump_target::CHECK.group,
        severity: Severity::Unknown,
        problem: Problem::new(
            "what saves the dump",
            "a snapshot has nothing of its target, its modules and programs, and the watchdogs",
            "run `kexec check -p` on that machine",
        ),
    }
}

/// The same memory is looked at by the check crash-region of a load, and by dump-region,
/// which knows how much is needed: of two problems, the one that weighs less is left out,
/// and crash-region's where both weigh the same.
pub fn once(findings: &mut Vec<Finding>) {
    let weight = |name: &str| {
        let of_name = findings.iter().filter(|finding| finding.check == name);
        of_name.map(|finding| finding.severity).max()
    };
    let (load, dump) = (weight(CRASH_REGION), weight(dump_region::CHECK.name));
    if let (Some(load), Some(dump)) = (load, dump)
        && load.min(dump) >= Severity::Unknown
    {
        let left_out = match load > dump {
            true => dump_region::CHECK.name,
            false => CRASH_REGION,
        };
        findings.retain(|finding| finding.check != left_out);
    }
}

/// What to do where nothing or too little is reserved; `parameter` is `crashkernel=192M`,
/// where it is known.
pub(crate) fn reserve(parameter: Option<&str>) -> String {
    dump_region::reserve(parameter)
}

/// The check of every load of a crash kernel (`kexec_load::preflight::CHECKS`).
const CRASH_REGION: &str = "crash-region";

/// What to do about something that could not be read: root can read all of it, so another
/// remedy is for root.
fn unread(context: &CrashContext<'_>, as_root: &'static str) -> &'static str {
    match context.host.security.cap_sys_boot.is_true() {
        true => as_root,
        false => "run it as root",
    }
}

/// Bytes of memory that the crash kernel gets besides its region (`crashkernel=SIZE,cma`).
pub(crate) fn lent(host: &Snapshot) -> u64 {
    dump_region::lent(host)
}

/// Whether a sysctl keeps a panic from coming about.
pub(crate) fn keeps_from_panic(sysctl: &Sysctl) -> bool {
    dump_triggers::keeps_from_panic(sysctl)
}

/// The unit of Debian's kdump-tools that saves the dump from the system on the disk.
pub const DUMP_UNIT: &str = dump_program::UNIT;
