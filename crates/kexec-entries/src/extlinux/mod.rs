//! extlinux and syslinux, and U-Boot, which reads the same files: a menu of
//! labels in one configuration file and those that it includes.

pub mod choose;
pub mod config;
mod find;
pub mod parse;
mod target;

use super::facts::Facts;
use crate::source::{Evidence, Source};

/// extlinux, syslinux and U-Boot.
pub(super) const SOURCE: Source = Source {
    name: "extlinux",
    about: "labels of extlinux.conf and syslinux.cfg, as extlinux, syslinux and U-Boot read them",
    find: find::find,
    evidence,
    looked_for: Some("extlinux.conf and syslinux.cfg below /boot, and on the ESP"),
};

/// syslinux writes BOOT_IMAGE= as it is in its configuration, mostly without a path from
/// the top (GRUB has one always); U-Boot leaves no word of its own, and others do.
fn evidence(facts: &Facts) -> Evidence {
    if let Some(name) = facts.loader().and_then(|loader| loader.info.known()) {
        return Evidence::Against(format!("the boot loader calls itself {name:?}"));
    }
    let line = facts.cmdline.known();
    match line.and_then(|line| line.value("BOOT_IMAGE")) {
        Some(image) if !image.starts_with(['/', '(']) => Evidence::Likely(format!(
            "the command line has BOOT_IMAGE={image}, as syslinux writes it"
        )),
        _ => Evidence::Silent,
    }
}
