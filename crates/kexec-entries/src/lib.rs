//! What a reboot would boot: every boot loader's files as one kind of value, and the
//! decision which boot loader counts on this machine.
//!
//! ```text
//! / ──Volumes──▶ file systems ─┐
//! / ──Facts────▶ how it booted ┴─SOURCES──▶ BootMenu { entries, choice } ──decide──▶ Survey
//! ```
//!
//! [`survey()`] asks every source in [`SOURCES`] about a [`BootedMachine`]; the [`Survey`] holds
//! a [`BootMenu`] of each one that has anything, and which of them answers for the machine.
//! [`choose()`] takes the default [entry](entry::BootEntry) out of it, or one that was named.
//! The README has a program that does so in a few lines.
//!
//! A source is a module of its own. `find` reads its files, through
//! [`Volumes`](kexec_machine::volumes::Volumes) only; its parser (`parse`, `lexer`, `entry`)
//! and the choice of its default (`choose`) are pure functions over text and values.
//!
//! Nothing here loads or changes anything. A file system that is not mounted is
//! looked at through a mount of our own that nobody else sees.
#![forbid(unsafe_code)]
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

pub use choose::{BootableEntry, choose, find};
pub use running::entry as running;
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

/// Its program is compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
