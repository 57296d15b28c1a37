//! Limine: a menu of entries and folders in one `limine.conf` (Limine's CONFIG.md, of
//! Limine 8 and later).
//!
//! ```text
//! text ──parse──▶ entries ──choose──▶ which of them, and why
//! files ──find──▶ BootMenu
//! ```

pub mod choose;
mod find;
pub mod parse;
mod path;
mod target;
pub mod version;

use super::facts::Facts;
use crate::source::{Evidence, Source};
use kexec_machine::Fact;

/// Limine's menu, from its limine.conf.
pub(super) const SOURCE: Source = Source {
    name: "limine",
    about: "Limine's menu in limine.conf",
    find: find::find,
    evidence,
    looked_for: Some(
        "limine.conf beside the program that the firmware started, and in the folders /, limine, \
         boot and boot/limine of its partition and of the other partitions of that disk",
    ),
};

/// Limine leaves its name in LoaderInfo from version 9 on; before that, the file that the
/// firmware started says it.
fn evidence(facts: &Facts) -> Evidence {
    if let Some(info) = facts.loader().and_then(|loader| loader.info.known()) {
        return match info.starts_with("Limine") {
            true => Evidence::For(format!("the boot loader was {info} (LoaderInfo)")),
            false => Evidence::Against(format!("the boot loader was {info} (LoaderInfo)")),
        };
    }
    let Fact::Known(efi) = &facts.efi else {
        return Evidence::Silent;
    };
    let current = efi.current.known().and_then(|number| efi.option(*number));
    let started = current.and_then(|option| Some((option.number, option.file.as_ref()?)));
    match started {
        Some((number, file)) if file.to_ascii_lowercase().contains("limine") => Evidence::For(
            format!("the firmware started {file} (BootCurrent is Boot{number:04X})"),
        ),
        _ => Evidence::Silent,
    }
}
