//! What became of the kexecs that were asked for.

use std::path::Path;

use kexec_load::Error;
use kexec_reboot::record::lock::held_by;
use kexec_reboot::record::settle::{Settled, settle};
use kexec_reboot::record::{BootFacts, attempt};

use super::{World, exit, load, print, print_json, write_picture};
use crate::render::{journeys, json, svg, visible};

/// What is remembered, judged by the running boot. A privileged process writes
/// the judgement down, because a later boot can no longer make it.
///
/// # Errors
/// When what is remembered cannot be read.
pub fn settled(world: &World<'_>) -> Result<Settled, Error> {
    let folder = attempt::folder(world.root);
    let failed = |e: std::io::Error| Error::Read {
        what: "what is remembered of earlier requests",
        path: folder.clone(),
        reason: if e.kind() == std::io::ErrorKind::PermissionDenied {
            "only root may read it".to_owned()
        } else {
            e.to_string()
        },
        remedy: "run it as root; what is in the folder may be removed",
    };
    let Some(boot) = BootFacts::read(world.root) else {
        return Ok(Settled {
            attempts: attempt::read_all(world.store()).map_err(failed)?,
            notes: vec!["/proc does not say which boot this is".to_owned()],
        });
    };
    // Who is about to load or to reboot changes attempts, too.
    let write = rustix::process::geteuid().is_root() && held_by(world.root).is_none();
    settle(world.store(), &boot, write).map_err(failed)
}

/// `kexec history`.
pub fn verb(world: &World<'_>, picture: Option<&Path>, json: bool) -> u8 {
    let shown = settled(world).and_then(|settled| {
        for note in &settled.notes {
            eprintln!("kexec: note: {}", visible(note));
        }
        if let Some(path) = picture {
            write_picture(path, &svg::journeys::svg(&settled.attempts))?;
            if path == Path::new("-") {
                return Ok(());
            }
        }
        if json {
            print_json(&json::history(&settled.attempts));
        } else {
            print(&journeys::history(&settled.attempts));
        }
        Ok(())
    });
    match shown {
        Ok(()) => exit::DONE,
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}
