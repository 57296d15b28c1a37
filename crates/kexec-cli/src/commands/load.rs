//! Loading a kernel into one of the two slots.

use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::refusal;
use kexec_reboot::steps::{self, ChosenLoad, Ready, Selection, can_kexec};
use kexec_reboot::world::World;
use kexec_sys::FileFlags;

use super::audience::{Stream, plan_text};
use super::{exit, print, print_json, progress, terminal};
use crate::render::{findings, json, text};

/// `kexec load [ENTRY|KERNEL]`.
pub fn verb(world: &World<'_>, selection: &Selection, json: bool, dry_run: bool) -> u8 {
    match load(world, selection, dry_run) {
        Ok(prepared) => {
            if json {
                print_json(&json::plan(&prepared));
            } else {
                print(&plan_text(&prepared, Stream::Out));
                if dry_run {
                    print(&findings::findings(&prepared.findings, terminal::layout()));
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

/// With `dry_run` everything but the load itself, and no other check.
fn load(world: &World<'_>, selection: &Selection, dry_run: bool) -> Result<Prepared, Error> {
    let host = world.snapshot();
    can_kexec(world, &host)?;
    let chosen = ChosenLoad::choose(world, selection, &host)?;
    match dry_run {
        true => Ok(Ready::new(world, chosen, host)?.prepared),
        false => steps::load(world, "kexec load", chosen, host, FileFlags::EMPTY),
    }
}

/// Says why nothing was done, on stderr or as JSON; on stderr, too, what failed after
/// the one document was printed.
pub fn refuse(error: &Error, as_json: bool) {
    progress::end();
    if as_json && !super::is_answered() {
        print_json(&json::error(error));
    } else {
        say!("{}", text::error(error, terminal::layout_of_messages()));
    }
}
