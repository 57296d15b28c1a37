//! What a reboot would boot: every boot loader's files as one kind of value, and the
//! decision whose word counts on this machine.
//!
//! ```text
//! / ──Volumes──▶ file systems ─┐
//! / ──Facts────▶ how it booted ┴─SOURCES──▶ BootMenu { entries, choice } ──decide──▶ Survey
//! ```
//!
//! Nothing here loads or changes anything. A file system that is not mounted is
//! looked at through a mount of our own that nobody else sees.
#![forbid(unsafe_code)]
// A module with files of its own is a folder with a mod.rs.
#![deny(clippy::self_named_module_files)]
// What is `pub` is for other crates.
#![deny(unreachable_pub)]

pub mod bls;
pub mod boot_source;
mod check;
mod choose;
pub mod entry;
pub mod extlinux;
pub mod facts;
mod firmware;
mod foreign;
pub mod grub;
mod kernels;
pub mod limine;
mod modules;
pub mod named;
mod plain;
pub mod refind;
mod running;
mod source;
mod survey;
mod version;

pub use choose::{BootableEntry, choose};
pub use source::{BootMenu, BootedMachine, Choice, Evidence, Source};
pub use survey::{AnsweringSource, ListedSource, Survey, survey};

/// Every source, in the order in which they are tried.
pub const SOURCES: &[Source] = &[
    grub::SOURCE,
    bls::SOURCE,
    extlinux::SOURCE,
    limine::SOURCE,
    refind::SOURCE,
    foreign::SOURCE,
    firmware::SOURCE,
    plain::SOURCE,
    modules::SOURCE,
    running::SOURCE,
];
