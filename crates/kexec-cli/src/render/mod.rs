//! Values made visible: text for people, JSON for programs, a picture.

mod bands;
pub mod classic;
pub mod crash;
pub mod devices;
pub mod dmesg;
pub mod documents;
pub mod downtime;
pub mod entries;
mod facts;
pub mod findings;
pub mod json;
pub mod layout;
pub mod metrics;
mod phases;
#[cfg(test)]
mod plans;
pub mod reboots;
#[cfg(test)]
mod schemas;
pub mod svg;
pub mod switching;
pub mod text;
mod words;

use kexec_reboot::record::SlotContent;

pub use words::{shortened, size, visible};

/// What is in the two slots.
#[derive(Debug)]
pub struct Slots {
    /// What a reboot jumps into.
    pub normal: SlotContent,
    /// What a panic jumps into.
    pub crash: SlotContent,
    /// Who changes one of them just now.
    pub at_work: Option<String>,
}
