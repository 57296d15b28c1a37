//! The checks of a reboot as a whole: not whether the kernel can be loaded, but
//! whether the machine will arrive in it, and whether it would have gone
//! anywhere else for a reason. One file per check, one list.

mod boot_source;
mod exitrd;
mod firmware_wishes;
mod hardware;
mod kexec_program;
mod last_jump;
mod modules_fit;
mod owners;
mod root_exists;
mod unlock;
mod watchdog;

use kexec_plan::FilePlan;

use crate::arrival::ArrivalFacts;
use kexec_load::preflight::{self, Finding, Observation};
use kexec_machine::Snapshot;

/// What these checks look at.
#[derive(Debug, Clone, Copy)]
pub struct ArrivalContext<'a> {
    /// The machine that is to be rebooted.
    pub host: &'a Snapshot,
    /// What will be handed to the next kernel.
    pub plan: &'a FilePlan,
    /// The facts beyond the load.
    pub arrival: &'a ArrivalFacts,
    /// Init is asked for the shutdown; not with `--now`.
    pub by_init: bool,
    /// Somebody is there to type a passphrase (`--allow-passphrase`).
    pub allow_passphrase: bool,
    /// A machine that others have given up on is taken all the same
    /// (`--yes-this-machine`).
    pub this_machine: bool,
}

/// One check of a reboot.
pub type ArrivalCheck = preflight::Check<fn(&ArrivalContext<'_>) -> Vec<Observation>>;

/// Every check, in the order in which people read them: first where it goes,
/// then how it gets there.
pub const CHECKS: &[ArrivalCheck] = &[
    boot_source::CHECK,
    owners::CHECK,
    root_exists::CHECK,
    modules_fit::CHECK,
    unlock::CHECK,
    firmware_wishes::CHECK,
    kexec_program::CHECK,
    exitrd::CHECK,
    watchdog::CHECK,
    hardware::CHECK,
    last_jump::CHECK,
];

/// Runs every check of [`CHECKS`] on one reboot.
pub fn run(context: &ArrivalContext<'_>) -> Vec<Finding> {
    preflight::findings(CHECKS, |look| look(context))
}

#[cfg(test)]
mod tests;
