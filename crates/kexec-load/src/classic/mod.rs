//! What a load with `kexec_load(2)` needs from the machine and from the
//! purgatory: the planner's facts out of a [`Snapshot`](kexec_machine::Snapshot), the
//! consoles on which the purgatory speaks, and the finished purgatory in its
//! place. Everything here is pure: it reads plain values and opens nothing.
//!
//! ```text
//! Snapshot ──memory_facts, firmware_facts──▶ kexec_plan::planners::plan ──▶ LoadPlan
//! Cmdline, Snapshot ──consoles──▶ consoles ──purgatory──▶ LoadPlan, complete
//! ```

mod consoles;
mod crash;
mod facts;
mod purgatory;
mod segments;

pub use consoles::{consoles, serial_port, text_screen};
pub use crash::{crash_facts, crash_notes};
pub use facts::{display, firmware_facts, memory_facts};
pub use purgatory::{PurgatoryFailure, PurgatoryOptions, purgatory, purgatory_shape, tsc_khz};
pub use segments::{Handed, handed};
