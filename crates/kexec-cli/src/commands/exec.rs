//! The jump.

use kexec_core::Error;
use kexec_core::explain::{self, Call};
use kexec_core::handover::{self, Jump};
use kexec_sys::Errno;

use super::World;
use crate::render::visible;

/// Jumps into the loaded kernel; comes back when that has jumped back.
///
/// # Errors
/// Why it did not jump.
pub fn exec(world: &World<'_>, how: Jump) -> Result<(), Error> {
    // A kernel that does not say is asked by jumping: /sys may be gone by now.
    if handover::is_loaded(world.root) == Some(false) {
        return Err(Error::NotReady {
            what: "jumping".to_owned(),
            why: "nothing is loaded (/sys/kernel/kexec_loaded is 0)".to_owned(),
            remedy: "load a kernel first: kexec -l KERNEL --initrd=INITRD --reuse-cmdline"
                .to_owned(),
        });
    }
    let jumped = handover::jump(world.kernel, how, &mut |text| {
        eprintln!("kexec: warning: {}", visible(&text));
    });
    jumped.map_err(|errno| did_not_jump(world, errno))
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
