//! `kexec crash`: one function for each subcommand.

use kexec_load::Error;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, load, unload};
use crate::request::CrashRequest;

/// Carries out a subcommand.
pub fn verb(world: &World<'_>, request: &CrashRequest) -> u8 {
    match request {
        CrashRequest::Unload { syscall, json } => {
            unload::verb(world, Slot::Crash, *syscall, *json)
        }
        CrashRequest::Load { json, .. }
        | CrashRequest::Status { json }
        | CrashRequest::Estimate { json, .. }
        | CrashRequest::Shrink { json, .. } => {
            let error = Error::refused("kexec crash", "it is not built yet", "use kexec -p");
            load::refuse(&error, *json);
            exit::REFUSED
        }
    }
}
