//! Showing what would be loaded.

use std::path::Path;

use kexec_load::Error;
use kexec_reboot::steps::Selection;
use kexec_reboot::world::World;

use super::{exit, load, prepare, print_json, terminal, write_picture};
use crate::render::{classic, json, svg, text};

/// `kexec plan [ENTRY|KERNEL]`.
pub fn verb(
    world: &World<'_>,
    selection: &Selection,
    host: Option<&Path>,
    picture: Option<&Path>,
    json: bool,
) -> u8 {
    let prepared = prepare(world, selection, host);
    let shown = prepared.and_then(|prepared| {
        if let Some(path) = picture {
            draw(&prepared, path)?;
            if path == Path::new("-") {
                return Ok(());
            }
        }
        if json {
            print_json(&json::plan(&prepared));
        } else {
            match &prepared.placed {
                Some(placed) => {
                    let decided = text::plan(&prepared, terminal::layout());
                    terminal::page(&(decided + &classic::plan(placed)));
                }
                None => terminal::page(&text::plan(&prepared, terminal::layout())),
            }
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

/// Draws a plan that has a place for everything.
fn draw(prepared: &kexec_load::pipeline::Prepared, path: &Path) -> Result<(), Error> {
    let Some(placed) = &prepared.placed else {
        return Err(Error::refused(
            "drawing the plan",
            "the running kernel places everything itself with kexec_file_load(2)",
            "use -c to see where kexec_load(2) would put it",
        ));
    };
    write_picture(path, &svg::plan(placed))
}
