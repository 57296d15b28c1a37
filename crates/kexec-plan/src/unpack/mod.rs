//! What is unpacked before the jump, so that the next kernel need not do it while the
//! machine is down.

pub mod cost;
pub mod kernel;
pub mod memory;
pub mod reserved;

use serde::Serialize;

pub use kernel::{KernelFacts, KernelUnpacking};

/// What the caller wants to be unpacked before the jump (`--unpack`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnpackChoice {
    /// What makes the downtime shorter on this machine and fits into its memory: the
    /// verbs.
    Auto,
    /// Nothing: the files are loaded as they are, as kexec-tools does it.
    #[default]
    Never,
    /// Everything; what cannot be unpacked is an error. (With `kexec_file_load(2)` the kernel
    /// always stays packed.)
    Always,
}

impl UnpackChoice {
    /// The choice that a word means, as `--unpack` and /etc/kexec-rs.conf take it.
    pub fn from_word(word: &str) -> Option<UnpackChoice> {
        match word {
            "auto" => Some(UnpackChoice::Auto),
            "never" => Some(UnpackChoice::Never),
            "always" => Some(UnpackChoice::Always),
            _ => None,
        }
    }
}

impl std::fmt::Display for UnpackChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            UnpackChoice::Auto => "auto",
            UnpackChoice::Never => "never",
            UnpackChoice::Always => "always",
        })
    }
}
