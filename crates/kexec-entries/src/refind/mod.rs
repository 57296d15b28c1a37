//! rEFInd: the stanzas of its refind.conf, and the choice where it follows from them alone
//! (rEFInd's documentation, "Configuring the Boot Manager"). What rEFInd finds by looking at
//! disks, and which of that it booted last, is not followed: then the choice is refused.

mod find;
pub mod parse;

use super::facts::Facts;
use crate::source::{Evidence, Source};

/// rEFInd's stanzas, from its refind.conf.
pub(super) const SOURCE: Source = Source {
    name: "refind",
    about: "stanzas of rEFInd's refind.conf",
    find: find::find,
    evidence,
    looked_for: Some("refind.conf beside the program that the firmware started"),
};

/// It leaves no name of its own, but its file has one.
fn evidence(facts: &Facts) -> Evidence {
    let info = facts.loader().and_then(|loader| loader.info.known());
    match started(facts) {
        Some((number, file)) => Evidence::For(format!(
            "the firmware started {file} (BootCurrent is Boot{number:04X})"
        )),
        None if info.is_some_and(|info| info.starts_with("rEFInd")) => {
            Evidence::For("the boot loader calls itself rEFInd (LoaderInfo)".to_owned())
        }
        None => Evidence::Against("the firmware did not start a file of that name".to_owned()),
    }
}

/// The program of rEFInd that the firmware started, and the number of its option.
fn started(facts: &Facts) -> Option<(u16, &str)> {
    let efi = facts.efi.known()?;
    let info = efi.loader.info.known();
    if info.is_some_and(|info| !info.starts_with("rEFInd")) {
        return None;
    }
    let option = efi.option(*efi.current.known()?)?;
    let file = option.file.as_deref()?;
    let named = file.to_ascii_lowercase().contains("refind");
    named.then_some((option.number, file))
}
