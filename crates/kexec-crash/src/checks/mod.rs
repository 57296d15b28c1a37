//! What would make a dump fail, found today: one file per check, one list. They come on top
//! of the checks of a load.

mod dump_iommu;
mod dump_modules;
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

use kexec_load::preflight::{self, Check, Finding, Observation};
use kexec_machine::{Fact, Snapshot};
use kexec_plan::FilePlan;

use crate::estimate::Estimate;
use crate::facts::CrashFacts;
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
    dump_iommu::CHECK,
    dump_watchdog::CHECK,
    dump_target::CHECK,
    dump_triggers::CHECK,
];

/// Runs every check of [`CHECKS`].
pub fn run(context: &CrashContext<'_>) -> Vec<Finding> {
    preflight::findings(CHECKS, |look| look(context))
}

/// Seconds from a panic until the dump is saved, of a machine with so many bytes of memory.
pub(crate) fn dump_duration(memory: u64) -> u64 {
    dump_watchdog::duration(memory)
}

/// The unit of Debian's kdump-tools that saves the dump from the system on the disk.
pub const DUMP_UNIT: &str = dump_program::UNIT;

/// The value of a word of the crash kernel's command line: `Some("")` without one.
fn word(context: &CrashContext<'_>, name: &str) -> Option<String> {
    let words = context
        .plan
        .cmdline
        .words()
        .take_while(|word| *word != b"--");
    let values = words.filter_map(|word| {
        let word = String::from_utf8_lossy(word).into_owned();
        match word.split_once('=') {
            Some((its, value)) => (its == name).then(|| value.to_owned()),
            None => (word == name).then(String::new),
        }
    });
    values.last()
}
