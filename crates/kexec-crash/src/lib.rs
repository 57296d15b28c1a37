//! Crash kernels: what a panic starts, and whether it would save the dump.
//!
//! ```text
//! running command line ──cmdline──▶ that of the crash kernel, with a reason for each change
//! kernel, initrd       ──estimate──▶ how large crashkernel= has to be
//! machine below a root ──facts──▶ CrashFacts ──checks──▶ findings
//!                                     └──────────────────▶ status
//! ```
//!
//! [`facts`] and [`shrink`] read and write files; everything else is a pure function of
//! plain values. What is in a slot, and who loads it, is known one floor up.
#![forbid(unsafe_code)]

pub mod checks;
pub mod cmdline;
pub mod estimate;
pub mod facts;
pub mod initrd;
pub mod shrink;
pub mod size;
pub mod status;
pub mod target;
