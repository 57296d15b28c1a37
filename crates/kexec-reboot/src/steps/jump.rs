//! The jump.

use kexec_load::Error;
use kexec_load::explain::{self, KernelCall};
use kexec_load::jump_back::load_helper;
use kexec_machine::snapshot::KexecFile;
use kexec_sys::{Errno, Slot};

use super::{can_kexec, put_right};
use crate::handover::{self, JumpOptions, Obstacle};
use crate::record::slot::SlotChange;
use crate::record::{Lock, SlotContent};
use crate::world::World;

/// Jumps into the loaded kernel; comes back when that has jumped back.
///
/// # Errors
/// Why it did not jump.
pub fn jump(world: &World<'_>, how: JumpOptions) -> Result<(), Error> {
    let lock = world.lock_for_jump("kexec -e")?;
    // /sys may be gone by now: then nothing but the jump tells whether a kernel is
    // loaded.
    ready(world)?;
    known(world, &lock)?;
    let jumped = handover::jump(world.kernel, how, &mut |text| world.warn(text));
    jumped.map_err(|errno| did_not_jump(world, errno))
}

/// The end of `kexec reboot --now`: file systems are written out and made read-only, and
/// then the jump.
///
/// # Errors
/// Why it did not jump.
pub(super) fn jump_now(world: &World<'_>) -> Result<(), Error> {
    ready(world)?;
    let volumes = world.volumes();
    let points = handover::file_systems(&volumes);
    let how = JumpOptions {
        sync: true,
        interfaces_down: true,
    };
    let jumped = handover::jump_now(world.kernel, &points, how, &mut |text| world.warn(text));
    jumped.map_err(|errno| did_not_jump(world, errno))
}

/// What can be known of a jump before anything is taken down for it.
fn ready(world: &World<'_>) -> Result<(), Error> {
    let not_ready = |why: &str, remedy: &str| Error::not_ready("jumping", why, remedy);
    handover::ready(world.kernel, world.root).map_err(|obstacle| match obstacle {
        Obstacle::NothingLoaded => not_ready(
            &format!(
                "nothing is loaded ({} is 0)",
                KexecFile::Loaded.shown(world.root)
            ),
            "load a kernel first: kexec -l KERNEL --initrd=INITRD --reuse-cmdline",
        ),
        Obstacle::NoKexec => not_ready(
            &format!(
                "the running kernel was built without kexec (it has neither {})",
                KexecFile::Loaded.places().join(" nor ")
            ),
            "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
        ),
        Obstacle::Answer(errno) => did_not_jump(world, errno),
    })
}

/// What an interrupted change left is not jumped into, unless it is plain what it is.
fn known(world: &World<'_>, lock: &Lock) -> Result<(), Error> {
    let SlotContent::Interrupted(found) = world.content(Slot::Normal) else {
        return Ok(());
    };
    if found.change == SlotChange::Load {
        // The image is whole, because the kernel takes all of it or nothing. Whether it
        // can be written down counts for nothing now.
        let _ = put_right(world, lock, Slot::Normal);
        return Ok(());
    }
    Err(Error::not_ready(
        "jumping",
        found.text(),
        "load the kernel again, or unload it: kexec -u",
    ))
}

/// The kernel's answer to the jump, explained.
fn did_not_jump(world: &World<'_>, errno: Errno) -> Error {
    let host = world.snapshot();
    let tried = "jumping into the loaded kernel".to_owned();
    Error::Kernel(explain::explain(
        KernelCall::Reboot,
        errno,
        tried,
        &host,
        None,
    ))
}

/// Becomes `shutdown -r now`; comes back only with the reason why not.
pub fn shutdown(world: &World<'_>) -> Error {
    if handover::is_loaded(world.root) == Some(false) {
        return Error::not_ready(
            "shutting down",
            "nothing is loaded although the load succeeded",
            "look for another program that unloads kernels",
        );
    }
    let failed = handover::shutdown();
    Error::system(
        "the kernel is loaded, but no shutdown program could be run",
        failed.join("; "),
        "reboot with the command of your init system, or jump at once with kexec -e",
    )
}

/// Loads the image that jumps back into the kernel before this one.
///
/// # Errors
/// When there is none, or the kernel refuses it.
pub fn jump_back(world: &World<'_>, entry: Option<u64>) -> Result<(), Error> {
    let host = world.snapshot();
    can_kexec(world, &host)?;
    let lock = world.lock("kexec --load-jump-back-helper")?;
    // It is no kernel that a record could describe, and goes into an empty slot only.
    put_right(world, &lock, Slot::Normal)?;
    load_helper(world.kernel, &host, entry).map(drop)
}
