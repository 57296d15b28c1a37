//! What became of the kexecs that were asked for.

use std::path::Path;

use kexec_load::Error;
use kexec_reboot::steps::remember::settled;
use kexec_reboot::world::World;

use super::{exit, load, print_json, terminal, write_picture};
use crate::render::{json, reboots, svg, visible};

/// There is nothing to draw.
fn nothing() -> Error {
    Error::refused(
        "drawing the reboots",
        "nothing is recorded: no kexec of this machine was requested with this program",
        "draw them after a `kexec reboot`; no file was written",
    )
}

/// `kexec history`.
pub fn verb(world: &World<'_>, picture: Option<&Path>, json: bool) -> u8 {
    let shown = settled(world).and_then(|settled| {
        for note in &settled.notes {
            say_line!("kexec: note: {}", visible(note));
        }
        if let Some(path) = picture {
            let picture = svg::reboots::svg(&settled.attempts).ok_or_else(nothing)?;
            write_picture(path, &picture)?;
            if path == Path::new("-") {
                return Ok(());
            }
        }
        if json {
            print_json(&json::history(&settled.attempts));
        } else {
            terminal::page(&reboots::history(&settled.attempts, terminal::layout()));
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
