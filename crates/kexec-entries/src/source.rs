//! A source of boot entries: a kind of boot loader, or of files that stand in for one,
//! and what it answers.

use kexec_machine::volumes::Volumes;
use serde::Serialize;

use crate::entry::{BootEntry, Broken};
use crate::facts::Facts;

/// What a source is asked about: plain values, and files below a root.
#[derive(Debug, Clone, Copy)]
pub struct BootedMachine<'a> {
    /// The file systems and the files on them.
    pub volumes: &'a Volumes,
    /// How the machine was booted.
    pub facts: &'a Facts,
}

/// A kind of boot loader, or of files that stand in for one.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Its name, in `kexec list` and in [`BootEntry::source`].
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Its entries on this machine; `None` when there is nothing of its kind.
    /// An entry that is broken is among them; only what has no entries at all
    /// and nothing to say about it is `None`.
    pub find: fn(&BootedMachine<'_>) -> Option<BootMenu>,
    /// What the machine says about whether this is what boots it.
    pub evidence: fn(&Facts) -> Evidence,
    /// What of it is looked for, and where, for people; `None` for what stands in for a
    /// boot loader.
    pub looked_for: Option<&'static str>,
}

/// Whether a source is what boots this machine, as far as the firmware, the
/// boot loader and the running kernel left a word about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// It is, and what says so: then no other one is asked, even when nothing of
    /// it is found.
    For(String),
    /// It fits, and what fits; but others leave the same word.
    Likely(String),
    /// It is not, and what says so.
    Against(String),
    /// Nothing speaks for it or against it.
    Silent,
}

/// The menu that a source shows: its entries, and which one it boots by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootMenu {
    /// The entries, in the order of its menu.
    pub entries: Vec<BootEntry>,
    /// Which of them it would boot.
    pub choice: Choice,
    /// What was left out or assumed, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which entry a boot loader would take by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// One of the entries.
    Entry {
        /// Its place in [`BootMenu::entries`].
        index: usize,
        /// What makes it the default, for people.
        why: String,
    },
    /// None of them.
    None {
        /// What keeps it from booting any of them, for people.
        why: String,
    },
    /// It cannot be said without guessing.
    Refused(Broken),
}
