//! What a crash kernel is told of the machine that crashed, whatever the architecture:
//! where the memory is that it saves, where the processors leave their registers, and
//! what of the memory is its own.
//!
//! ```text
//! /proc/iomem ──regions──▶ where it runs, what it saves ──elfcorehdr──▶ ELF core header
//! CrashFacts ───────────────────────────────────────────────┘
//! ```
//!
//! docs/crash.md, "What the crash kernel is told", has the whole list and the sources.

mod elfcorehdr;
mod error;
mod facts;
mod regions;

pub(crate) use elfcorehdr::core_header;
pub use elfcorehdr::{CoreClass, HEADERS_MAX};
pub use error::{CrashError, RESERVE, RESERVE_MORE};
pub use facts::{CpuNotes, CrashFacts, KernelText, MemoryCopy};
pub use regions::CrashRegions;
pub(crate) use regions::system_ram;
