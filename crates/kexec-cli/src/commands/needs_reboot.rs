//! `kexec needs-reboot`: for kured's sentinel, needrestart and the like.

use kexec_load::Error;
use kexec_reboot::needs_reboot::{Next, Running, reasons};

use super::wanted::Found;
use super::{World, load, print, print_json};
use crate::render::{json, text};
use crate::request::Wanted;

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

/// The default entry, and why a reboot into it is due.
fn due(world: &World<'_>) -> Result<(String, Vec<String>), Error> {
    let unknown = |reason: String| Error::System {
        what: "comparing what runs with what a reboot would boot".to_owned(),
        reason,
        remedy: "look at kexec list".to_owned(),
    };
    let running =
        Running::read(world.root).ok_or_else(|| unknown("/proc does not say what runs".into()))?;
    let here = world.snapshot();
    let found = Found::new(world, &Wanted::default_entry(), &here)?;
    let files = found.fingerprint().map_err(unknown)?;
    let image = found.kernel(&here)?;
    let entry = files.entry.clone();
    Ok((entry, reasons(&running, &Next::of(&image, files))))
}
