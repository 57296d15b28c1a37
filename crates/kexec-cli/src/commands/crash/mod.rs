//! `kexec crash`: one file for each subcommand, and one for what they share: which kernel
//! it is, its command line, and what the checks find.

mod by_unit;
mod choice;
mod estimate;
mod load;
mod shrink;
mod status;

use kexec_reboot::steps::Selection;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, print_json, terminal, unload, vmcore_dmesg};
use crate::commands::load::refuse;
use crate::render::{findings, json};
use crate::request::CrashRequest;
use choice::CrashKernel;

/// Carries out a subcommand.
pub fn verb(world: &World<'_>, request: &CrashRequest) -> u8 {
    match request {
        CrashRequest::Load { by_unit: true, .. } if by_unit::is_left_alone(world) => exit::DONE,
        CrashRequest::Load {
            selection,
            dry_run,
            json,
            ..
        } => load::verb(world, selection, *dry_run, *json),
        CrashRequest::Status { json } => status::verb(world, *json),
        CrashRequest::Unload { syscall, json } => unload::verb(world, Slot::Crash, *syscall, *json),
        CrashRequest::Estimate { selection, json } => estimate::verb(world, selection, *json),
        CrashRequest::Shrink {
            size,
            dry_run,
            json,
        } => shrink::verb(world, *size, *dry_run, *json),
        CrashRequest::Dmesg(request) => vmcore_dmesg::log_of("kexec", request),
    }
}

/// `kexec check -p [ENTRY|KERNEL]`: everything that would make the dump fail. Exit 0 when
/// nothing refuses.
pub fn check(world: &World<'_>, selection: &Selection, as_json: bool) -> u8 {
    let host = world.snapshot();
    let found = CrashKernel::choose(world, selection, &host)
        .and_then(|kernel| {
            kernel.tell_notes(world);
            kernel.prepare(world, &host)
        })
        .map(|ready| ready.every_finding(world, &host));
    match found {
        Ok(found) => {
            let refused = kexec_load::preflight::refusal(&found).is_some();
            match as_json {
                true => print_json(&json::findings(&found, None)),
                false => terminal::page(&findings::findings(&found, terminal::layout())),
            }
            if refused { exit::REFUSED } else { exit::DONE }
        }
        Err(error) => {
            refuse(&error, as_json);
            exit::REFUSED
        }
    }
}
