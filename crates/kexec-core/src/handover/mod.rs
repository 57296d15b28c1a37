//! The end of this kernel's life: sync, interfaces down, the jump; or asking
//! init for a shutdown.

pub mod ask;
pub mod init;
mod now;

use std::os::unix::process::CommandExt;
use std::path::Path;

use kexec_sys::{Errno, Kernel};

use crate::programs;

pub use now::{file_systems, jump_now};

/// What is done before the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// Write cached data out first (not with `-y`).
    pub sync: bool,
    /// Take the network interfaces down first, so that no device writes into
    /// memory that the next kernel uses (not with `-x`).
    pub interfaces_down: bool,
}

/// Jumps into the loaded kernel. Returns only when the jump did not happen, or
/// when a kernel that was loaded for that has jumped back; by then every
/// interface that was taken down is up again.
///
/// `say` is told of what went wrong on the way without stopping it.
///
/// # Errors
/// As the kernel answers.
pub fn jump(kernel: &dyn Kernel, how: Jump, say: &mut dyn FnMut(String)) -> Result<(), Errno> {
    if how.sync {
        kernel.sync();
    }
    let mut taken_down = Vec::new();
    if how.interfaces_down {
        match kernel.interfaces() {
            Ok(names) => {
                // kexec-tools stops at the first interface that fails; one odd
                // device must not keep the others running.
                for name in names.into_iter().filter(|n| n != "lo") {
                    match kernel.set_interface(&name, false) {
                        Ok(true) => taken_down.push(name),
                        Ok(false) => {}
                        Err(e) => say(format!("cannot take network interface {name} down: {e}")),
                    }
                }
            }
            Err(e) => say(format!("cannot list the network interfaces: {e}")),
        }
    }
    let jumped = kernel.reboot_kexec();
    for name in taken_down.iter().rev() {
        if let Err(e) = kernel.set_interface(name, true) {
            say(format!(
                "cannot bring network interface {name} up again: {e}; it was up before"
            ));
        }
    }
    jumped
}

/// Where shutdown(8) is looked for, in this order, as kexec-tools does.
pub const SHUTDOWN: &[&str] = &["/sbin/shutdown", "/etc/shutdown", "/bin/shutdown"];

/// Becomes `shutdown -r now`: init stops everything and jumps into the loaded
/// kernel. Returns only when no shutdown program could be run, with the reason
/// for each.
pub fn shutdown() -> Vec<String> {
    let failed = SHUTDOWN.iter().map(|program| {
        let error = programs::command(program).args(["-r", "now"]).exec();
        format!("{program}: {error}")
    });
    failed.collect()
}

/// Whether a kernel is loaded in the normal slot; `None` when the kernel does
/// not say (no /sys, or one without kexec).
pub fn is_loaded(root: &Path) -> Option<bool> {
    let text = std::fs::read_to_string(root.join("sys/kernel/kexec_loaded")).ok()?;
    Some(text.trim() != "0")
}
