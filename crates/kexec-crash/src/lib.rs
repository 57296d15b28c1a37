//! Crash kernels: what a panic starts, and whether it would save the dump.
//!
//! ```text
//! running command line ──cmdline──▶ that of the crash kernel, with a reason for each change
//! kernel, initrd       ──estimate──▶ how large crashkernel= has to be
//! machine below a root ──facts──▶ CrashFacts ──checks──▶ findings
//!                                     └──────────────────▶ status
//! ```
//!
//! [`facts`] reads files, [`shrink`] reads and writes one, and [`status`] looks at the files that
//! were loaded; everything else is a pure function of plain values. `kexec-reboot` and `kexec-cli`
//! know what is in a slot, and who loads it.
#![forbid(unsafe_code)]

pub mod checks;
pub mod cmdline;
pub mod estimate;
pub mod facts;
pub mod initrd;
pub mod luks;
pub mod settings;
pub mod shell;
pub mod shrink;
pub mod size;
pub mod status;
pub mod target;
pub mod watchdog;
