//! Loading a kernel into one of the two slots.

use kexec_load::Error;
use kexec_load::preflight::refusal;
use kexec_reboot::steps::{self, ChosenLoad, Selection};
use kexec_reboot::world::World;
use kexec_sys::FileFlags;

use super::audience::{Stream, plan_text};
use super::{exit, prepare, print, print_json};
use crate::render::{json, text};

/// `kexec load [ENTRY|KERNEL]`.
pub fn verb(world: &World<'_>, selection: &Selection, json: bool, dry_run: bool) -> u8 {
    let result = if dry_run {
        prepare(world, selection, None)
    } else {
        let chosen = ChosenLoad::choose(world, selection, &world.snapshot());
        chosen.and_then(|chosen| steps::load(world, "kexec load", chosen, FileFlags::EMPTY))
    };
    match result {
        Ok(prepared) => {
            if json {
                print_json(&json::plan(&prepared));
            } else {
                print(&plan_text(&prepared, Stream::Out));
                if dry_run {
                    print(&text::findings(&prepared.findings));
                } else {
                    print(
                        "Loaded. `kexec -e` jumps at once; `systemctl kexec` stops the services first.\n",
                    );
                }
            }
            let refused = dry_run && refusal(&prepared.findings).is_some();
            if refused { exit::REFUSED } else { exit::DONE }
        }
        Err(error) => {
            refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// Says why nothing was done, on stderr or as JSON.
pub fn refuse(error: &Error, as_json: bool) {
    if as_json {
        print_json(&json::error(error));
    } else {
        eprint!("{}", text::error(error));
    }
}
