//! Taking a loaded kernel out again.

use kexec_load::explain::{self, KernelCall};
use kexec_load::{Error, SyscallChoice};
use kexec_sys::{Errno, Slot};

use super::can_kexec;
use crate::handover;
use crate::record::{self, Lock};
use crate::world::World;

/// Unloads a slot for `command`. The system call that the caller chose; by default the
/// file call, and where the kernel was built without it the other.
///
/// # Errors
/// As the kernel answers, explained; or when somebody else is at work for too long.
pub fn unload(
    world: &World<'_>,
    command: &str,
    slot: Slot,
    syscall: SyscallChoice,
) -> Result<(), Error> {
    if handover::is_loaded_in(world.root, slot) != Some(true) {
        can_kexec(world, &world.snapshot())?;
    }
    let lock = world.lock(command)?;
    unload_held(world, &lock, slot, syscall)
}

/// The same for who holds the lock already.
///
/// # Errors
/// As the kernel answers, explained.
pub(crate) fn unload_held(
    world: &World<'_>,
    lock: &Lock,
    slot: Slot,
    syscall: SyscallChoice,
) -> Result<(), Error> {
    let kernel = world.kernel;
    let ask = || match syscall {
        SyscallChoice::Classic => kernel.unload(slot),
        SyscallChoice::File => kernel.file_unload(slot),
        SyscallChoice::Auto | SyscallChoice::Fastest => match kernel.file_unload(slot) {
            Err(Errno::ENOSYS) => kernel.unload(slot),
            other => other,
        },
    };
    let mut warn = |text: String| world.warn(text);
    record::slot::take_out(world.store(), lock, slot, ask, &mut warn).map_err(|errno| {
        let tried = match slot {
            Slot::Normal => "unloading the loaded kernel",
            Slot::Crash => "unloading the crash kernel",
        };
        let host = world.snapshot();
        let call = KernelCall::Unload(slot);
        Error::Kernel(explain::explain(call, errno, tried.to_owned(), &host, None))
    })?;
    if slot == Slot::Normal {
        // An attempt that stays only says later that nobody asked for it.
        let _ = record::attempt::forget_preloaded(world.store(), None);
    }
    Ok(())
}
