//! Taking a loaded kernel out again.

use kexec_core::explain::{self, Call};
use kexec_core::record;
use kexec_core::{Error, SyscallChoice};
use kexec_sys::{Errno, Slot};

use super::{World, exit, print, print_json};

/// Unloads a slot. The system call that the caller chose; by default the file
/// call, and where the kernel was built without it the other.
///
/// # Errors
/// As the kernel answers, explained.
pub fn unload(world: &World<'_>, slot: Slot, syscall: SyscallChoice) -> Result<(), Error> {
    let kernel = world.kernel;
    let result = match syscall {
        SyscallChoice::Classic => kernel.unload(slot),
        SyscallChoice::File => kernel.file_unload(slot),
        SyscallChoice::Auto | SyscallChoice::Fastest => match kernel.file_unload(slot) {
            Err(Errno::ENOSYS) => kernel.unload(slot),
            other => other,
        },
    };
    result.map_err(|errno| {
        let tried = match slot {
            Slot::Normal => "unloading the loaded kernel",
            Slot::Crash => "unloading the crash kernel",
        };
        let host = world.snapshot();
        Error::Kernel(explain::explain(
            Call::Unload(slot),
            errno,
            tried.to_owned(),
            &host,
            None,
        ))
    })?;
    // Nothing is loaded now, so status asks the kernel and not the record.
    let _ = record::forget(world.root, slot);
    if slot == Slot::Normal {
        let _ = record::attempt::forget_preloaded(world.root);
    }
    Ok(())
}

/// `kexec unload`.
pub fn verb(world: &World<'_>, slot: Slot, syscall: SyscallChoice, json: bool) -> u8 {
    let host = world.snapshot();
    let before = match slot {
        Slot::Normal => &host.kexec.loaded,
        Slot::Crash => &host.kexec.crash_loaded,
    };
    let was_loaded = before.known().copied();
    match unload(world, slot, syscall) {
        Ok(()) => {
            if json {
                print_json(&serde_json::json!({ "was_loaded": was_loaded }));
            } else if was_loaded == Some(false) {
                print("Nothing was loaded.\n");
            } else {
                print("Unloaded.\n");
            }
            exit::DONE
        }
        Err(error) => {
            super::load::refuse(&error, json);
            exit::REFUSED
        }
    }
}
