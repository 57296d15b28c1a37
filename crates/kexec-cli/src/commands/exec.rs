//! The jump.

use kexec_core::Error;
use kexec_core::explain::{self, Call};
use kexec_core::handover::{self, Jump, Obstacle};
use kexec_sys::Errno;

use super::World;
use crate::render::visible;

/// Jumps into the loaded kernel; comes back when that has jumped back.
///
/// # Errors
/// Why it did not jump.
pub fn exec(world: &World<'_>, how: Jump) -> Result<(), Error> {
    // /sys may be gone by now: then nothing but the jump tells whether a kernel is
    // loaded.
    ready(world)?;
    let jumped = handover::jump(world.kernel, how, &mut |text| {
        eprintln!("kexec: warning: {}", visible(&text));
    });
    jumped.map_err(|errno| did_not_jump(world, errno))
}

/// What can be known of a jump before anything is taken down for it.
///
/// # Errors
/// Why it would not happen.
pub fn ready(world: &World<'_>) -> Result<(), Error> {
    let not_ready = |why: &str, remedy: &str| Error::NotReady {
        what: "jumping".to_owned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    };
    handover::ready(world.kernel, world.root).map_err(|obstacle| match obstacle {
        Obstacle::NothingLoaded => not_ready(
            "nothing is loaded (/sys/kernel/kexec_loaded is 0)",
            "load a kernel first: kexec -l KERNEL --initrd=INITRD --reuse-cmdline",
        ),
        Obstacle::NoKexec => not_ready(
            "the running kernel was built without kexec (it has no /sys/kernel/kexec_loaded)",
            "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
        ),
        Obstacle::Answer(errno) => did_not_jump(world, errno),
    })
}

/// The kernel's answer to the jump, explained.
pub fn did_not_jump(world: &World<'_>, errno: Errno) -> Error {
    let host = world.snapshot();
    let tried = "jumping into the loaded kernel".to_owned();
    Error::Kernel(explain::explain(Call::Reboot, errno, tried, &host, None))
}

/// Becomes `shutdown -r now`; comes back only with the reason why not.
pub fn shutdown(world: &World<'_>) -> Error {
    if handover::is_loaded(world.root) == Some(false) {
        return Error::NotReady {
            what: "shutting down".to_owned(),
            why: "nothing is loaded although the load succeeded".to_owned(),
            remedy: "look for another program that unloads kernels".to_owned(),
        };
    }
    let failed = handover::shutdown();
    Error::System {
        what: "the kernel is loaded, but no shutdown program could be run".to_owned(),
        reason: failed.join("; "),
        remedy: "ask your init for a reboot, or jump at once with kexec -e".to_owned(),
    }
}
