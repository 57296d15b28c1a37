//! Values made visible: text for people, JSON for programs, a picture.

mod bands;
pub mod classic;
pub mod dmesg;
pub mod entries;
mod facts;
pub mod json;
pub mod metrics;
#[cfg(test)]
mod plans;
pub mod reboots;
pub mod svg;
pub mod text;
mod words;

use kexec_reboot::record::SlotContent;

pub use words::visible;

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
