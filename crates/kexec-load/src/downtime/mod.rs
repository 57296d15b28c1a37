//! What a load costs in milliseconds of downtime: between the jump and the moment in which
//! the next kernel has its root file system, phase by phase, and what would make it shorter.
//!
//! ```text
//! Prepared, Snapshot ──facts──▶ DowntimeFacts ─┐
//!                                              ├─▶ Downtime { phases, advice }
//! this machine ──measure──▶ Rates ─────────────┘
//! ```
//!
//! What the loader has no part in is not in it: how the next kernel finds its devices, how
//! services stop and start. The estimate is that of one processor that does one thing after
//! the other.

mod advice;
mod consoles;
mod facts;
mod measure;
mod phases;
mod rates;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use advice::{Advice, PARALLEL_SHUTDOWN};
pub use consoles::SerialConsole;
pub use facts::{
    Check, DowntimeFacts, InitrdPart, KernelFacts, MachineFacts, NotUnpacked, PackedKernel,
};
pub use measure::measure;
pub use phases::Phase;
pub use rates::Rates;

/// What a load costs on a machine, and what would make it cheaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Downtime {
    /// Each phase, in the order in which they come.
    pub phases: Vec<Phase>,
    /// All of them together, milliseconds.
    pub millis: u64,
    /// What would make it shorter, what saves most first.
    pub advice: Vec<Advice>,
    /// The processor whose speed this is.
    pub measured_on: String,
}

impl Downtime {
    /// That of a load, at these rates.
    pub fn of(facts: &DowntimeFacts, rates: &Rates, measured_on: &str) -> Downtime {
        let phases = phases::all(facts, rates);
        let millis = phases
            .iter()
            .fold(0_u64, |sum, phase| sum.saturating_add(phase.millis));
        let advice = advice::all(facts, rates, &phases);
        Downtime {
            phases,
            millis,
            advice,
            measured_on: measured_on.to_owned(),
        }
    }
}
