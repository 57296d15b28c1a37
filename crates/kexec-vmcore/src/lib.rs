//! What a crashed kernel left behind. A dump (an ELF core file, [`elf`], or one in
//! makedumpfile's format kdump-compressed, either of them flattened or not) holds its
//! memory ([`Memory`]), a description of itself ([`Vmcoreinfo`]) and with that the way to
//! its log ([`log`]).
//!
//! Nothing here reads a file: a dump is whatever answers for bytes at an offset
//! ([`Source`]), because /proc/vmcore is as large as the machine's memory. And
//! nothing here believes what a dump says: a kernel that crashed may have
//! spoilt any part of it.
#![forbid(unsafe_code)]

mod cached;
pub mod elf;
mod error;
mod flattened;
mod kdump;
pub mod log;
mod memory;
mod pieces;
mod scan;
mod source;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod translate;
mod vmcoreinfo;
mod word;

pub use elf::Elf;
pub use error::VmcoreError;
pub use memory::Memory;
pub use source::Source;
pub use vmcoreinfo::Vmcoreinfo;
pub use word::{Endian, Words};
