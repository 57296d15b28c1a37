//! What a crashed kernel left behind. A dump ([`elf`]) holds its memory, a
//! description of itself ([`Vmcoreinfo`]) and with that the way to its log
//! ([`log`]).
//!
//! Nothing here reads a file: a dump is whatever answers for bytes at an offset
//! ([`Source`]), because /proc/vmcore is as large as the machine's memory. And
//! nothing here believes what a dump says: a kernel that crashed may have
//! spoilt any part of it.
#![forbid(unsafe_code)]

mod cached;
pub mod elf;
mod error;
pub mod log;
mod memory;
mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vmcoreinfo;
mod word;

pub use elf::Elf;
pub use error::VmcoreError;
pub use memory::Memory;
pub use source::Source;
pub use vmcoreinfo::Vmcoreinfo;
pub use word::{Endian, Words};
