//! The end of this kernel's life: sync, interfaces down, the jump; or asking
//! init for a shutdown.

pub mod init;
pub mod network;
mod now;
mod ready;
pub mod shutdown_request;

use std::os::unix::process::CommandExt;

use kexec_sys::{Errno, Kernel, in_words};

use kexec_machine::programs;

pub(crate) use now::{file_systems, jump_now};
pub use ready::{Obstacle, is_loaded, is_loaded_in, ready};

/// What is done before the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JumpOptions {
    /// Write cached data out first (not with `-y`).
    pub sync: bool,
    /// Take the network interfaces down first, so that no device writes into
    /// memory that the next kernel uses (not with `-x`).
    pub interfaces_down: bool,
}

/// Jumps into the loaded kernel. Returns only when the jump did not happen, or
/// when a kernel that was loaded for that has jumped back; by then the network is
/// as it was: interfaces that were up, their addresses, routes, rules, and
/// neighbours that somebody had set.
///
/// Ask [`ready`] first. `say` is told of what went wrong on the way without
/// stopping it, and of everything that could not be put back.
///
/// # Errors
/// As the kernel answers.
pub fn jump(
    kernel: &dyn Kernel,
    how: JumpOptions,
    say: &mut dyn FnMut(String),
) -> Result<(), Errno> {
    if !how.interfaces_down {
        return leave(kernel, how, say);
    }
    // Whoever is logged in over the network may be gone then; what was taken down
    // is brought up all the same.
    kernel.hold_signals(true);
    let jumped = leave(kernel, how, say);
    kernel.hold_signals(false);
    jumped
}

/// The jump itself, while no signal ends this program.
fn leave(kernel: &dyn Kernel, how: JumpOptions, say: &mut dyn FnMut(String)) -> Result<(), Errno> {
    if how.sync {
        kernel.sync();
    }
    if !how.interfaces_down {
        return kernel.reboot_kexec();
    }
    let before = network::save(kernel, say);
    let taken_down = take_down(kernel, say);
    let jumped = kernel.reboot_kexec();
    network::restore(kernel, &before, &taken_down, say);
    jumped
}

/// Takes every interface but the loopback down, and returns those that were up.
fn take_down(kernel: &dyn Kernel, say: &mut dyn FnMut(String)) -> Vec<String> {
    let names = match kernel.interfaces() {
        Ok(names) => names,
        Err(e) => {
            say(format!("cannot list the network interfaces: {e}"));
            return Vec::new();
        }
    };
    let mut taken_down = Vec::new();
    // kexec-tools stops at the first interface that fails; one odd device must not
    // keep the others running.
    for name in names.into_iter().filter(|n| n != network::LOOPBACK) {
        match kernel.set_interface(&name, false) {
            Ok(true) => taken_down.push(name),
            Ok(false) => {}
            Err(e) => say(format!("cannot take network interface {name} down: {e}")),
        }
    }
    taken_down
}

/// Where shutdown(8) is looked for, in this order, as kexec-tools does.
const SHUTDOWN: &[&str] = &["/sbin/shutdown", "/etc/shutdown", "/bin/shutdown"];

/// Becomes `shutdown -r now`: init stops everything and jumps into the loaded
/// kernel. Returns only when no shutdown program could be run, with the reason
/// for each.
pub fn shutdown() -> Vec<String> {
    let failed = SHUTDOWN.iter().map(|program| {
        let error = programs::command(program).args(["-r", "now"]).exec();
        format!("{program}: {}", in_words(error))
    });
    failed.collect()
}
