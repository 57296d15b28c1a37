//! `kexec crash`: one file for each subcommand, and one for what they share: which kernel
//! it is, its command line, and what the checks find.

mod by_unit;
mod choice;
mod estimate;
mod initrds;
mod load;
mod shrink;
mod status;

use kexec_crash::checks::once;
use kexec_load::preflight::{Finding, Severity};
use kexec_reboot::steps::{Selection, can_kexec};
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
        CrashRequest::Status { debug, json } => status::verb(world, *debug, *json),
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

/// What would keep a dump from being saved, of the crash kernel that `kexec crash load` would
/// load: nothing in its initrd saves it. Nothing is found where there is no such kernel; its
/// load reports that.
pub fn unsaved(world: &World<'_>) -> Vec<Finding> {
    let host = world.snapshot();
    let selection = choice::unnamed();
    let found = CrashKernel::choose(world, &selection, &host)
        .and_then(|kernel| kernel.prepare(world, &host))
        .map(|ready| ready.judged(world, &host).findings);
    let mut found = found.unwrap_or_default();
    found.retain(|one| one.check == "dump-program" && one.severity >= Severity::Warning);
    found
}

/// `kexec check -p [ENTRY|KERNEL]`: everything that would make the dump fail. Exit 0 when
/// nothing refuses.
pub fn check(world: &World<'_>, selection: &Selection, as_json: bool) -> u8 {
    let host = world.snapshot();
    let found = can_kexec(world, &host)
        .and_then(|()| CrashKernel::choose(world, selection, &host))
        .and_then(|kernel| {
            kernel.tell_notes(world);
            kernel.prepare(world, &host)
        })
        .map(|ready| ready.every_finding(world, &host));
    match found {
        Ok(mut found) => {
            once(&mut found);
            let refused = kexec_load::preflight::refusal(&found).is_some();
            match as_json {
                true => print_json(&json::findings(&found, None)),
                false => {
                    let layout = terminal::layout();
                    terminal::page(&findings::findings_of_a_crash(&found, layout));
                }
            }
            if refused { exit::REFUSED } else { exit::DONE }
        }
        Err(error) => {
            refuse(&error, as_json);
            exit::REFUSED
        }
    }
}
