//! extlinux and syslinux, and U-Boot, which reads the same files: a menu of
//! labels in one configuration file and those that it includes.

pub mod choose;
pub mod config;
mod find;
pub mod parse;
mod target;

use super::facts::Facts;
use super::{Evidence, Source};

/// extlinux, syslinux and U-Boot.
pub(super) const SOURCE: Source = Source {
    name: "extlinux",
    about: "labels of extlinux.conf and syslinux.cfg, as extlinux, syslinux and U-Boot read them",
    find: find::find,
    evidence,
    looked_for: Some("extlinux.conf and syslinux.cfg below /boot, and on the ESP"),
};

/// None of the three leaves a word of its own; others do.
fn evidence(facts: &Facts) -> Evidence {
    match facts.loader().and_then(|loader| loader.info.known()) {
        Some(name) => Evidence::Against(format!("the boot loader calls itself {name:?}")),
        None => Evidence::Silent,
    }
}
