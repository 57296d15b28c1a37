//! What a record remembers of an image that was loaded ahead.

use serde::{Deserialize, Serialize};

use super::Fingerprint;

/// What is loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PreloadTarget {
    /// What a reboot would boot.
    Default,
    /// A kernel by its name in /boot, as kexec-load@NAME.service asks for.
    Named(String),
}

/// What a record remembers of an image that was loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preloaded {
    /// Whether it is what a reboot boots, or a kernel that was named.
    #[serde(rename = "of")]
    pub target: PreloadTarget,
    /// The files it came from, as they were.
    pub from: Fingerprint,
}
