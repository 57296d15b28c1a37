//! `kexec needs-reboot`: for kured's sentinel, needrestart and the like.

use kexec_reboot::needs_reboot::due;
use kexec_reboot::world::World;

use super::{load, print, print_json};
use crate::render::{json, text};

/// Exit code: a reboot is due.
const DUE: u8 = 0;
/// Exit code: it is not, or that cannot be said.
const NOT_DUE: u8 = 1;

/// `kexec needs-reboot`.
pub fn verb(world: &World<'_>, as_json: bool) -> u8 {
    match due(world) {
        Ok((entry, reasons)) => {
            if as_json {
                print_json(&json::needs_reboot(&entry, &reasons));
            } else {
                print(&text::needs_reboot(&entry, &reasons));
            }
            if reasons.is_empty() { NOT_DUE } else { DUE }
        }
        Err(error) => {
            load::refuse(&error, as_json);
            NOT_DUE
        }
    }
}
