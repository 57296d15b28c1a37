//! Taking a loaded kernel out again.

use kexec_load::SyscallChoice;
use kexec_reboot::steps::unload;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, load, print, print_json};
use crate::render::json;

/// `kexec unload`.
pub fn verb(world: &World<'_>, slot: Slot, syscall: SyscallChoice, as_json: bool) -> u8 {
    let host = world.snapshot();
    let before = match slot {
        Slot::Normal => &host.kexec.loaded,
        Slot::Crash => &host.kexec.crash_loaded,
    };
    let was_loaded = before.known().copied();
    match unload(world, "kexec unload", slot, syscall) {
        Ok(()) => {
            if as_json {
                print_json(&json::unload(was_loaded));
            } else if was_loaded == Some(false) {
                print("Nothing was loaded.\n");
            } else {
                print("Unloaded.\n");
            }
            exit::DONE
        }
        Err(error) => {
            load::refuse(&error, as_json);
            exit::REFUSED
        }
    }
}
