//! `kexec crash shrink`.

use kexec_crash::shrink::{NotShrunk, Shrink, apply, plan, size};
use kexec_load::{Error, LoadRequest};
use kexec_machine::Problem;
use kexec_reboot::handover::is_loaded_in;
use kexec_reboot::steps::Selection;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::estimate;
use crate::commands::load::refuse;
use crate::commands::{exit, print, print_json, terminal};
use crate::render::crash;

/// Makes the region as small as `wanted`, or as the estimate.
pub fn verb(world: &World<'_>, wanted: Option<u64>, dry_run: bool, as_json: bool) -> u8 {
    match shrink(world, wanted, dry_run) {
        Ok(shrink) => {
            match as_json {
                true => print_json(&crash::shrink_json(shrink, !dry_run)),
                false => print(&crash::shrink(shrink, !dry_run, terminal::layout())),
            }
            exit::DONE
        }
        Err(error) => {
            refuse(&error, as_json);
            exit::REFUSED
        }
    }
}

fn shrink(world: &World<'_>, wanted: Option<u64>, dry_run: bool) -> Result<Shrink, Error> {
    const WHAT: &str = "making the crash kernel's region smaller";
    let lock = match dry_run {
        true => None,
        false => Some(world.lock("kexec crash shrink")?),
    };
    let before = size(world.root).map_err(|e| {
        Error::System(Problem::caused(
            "cannot read the size of the crash kernel's region /sys/kernel/kexec_crash_size",
            e,
            "mount /sys; a kernel without CONFIG_CRASH_DUMP has no such file",
        ))
    })?;
    let wanted = match wanted {
        Some(wanted) => wanted,
        None if before == 0 => 0,
        None => {
            let load = LoadRequest {
                slot: Slot::Crash,
                ..LoadRequest::new("")
            };
            let host = world.snapshot();
            estimate::of(world, &Selection::new(load), &host)?.bytes
        }
    };
    let shrink = plan(before, wanted).map_err(|not| match not {
        NotShrunk::NoRegion => Error::not_ready(
            WHAT,
            "no memory is reserved",
            "there is nothing to return; crashkernel= reserves memory at boot",
        ),
        NotShrunk::SmallEnough => Error::refused(
            WHAT,
            format!("it has {before} bytes, and {wanted} were to stay: it can only become smaller"),
            "leave it as it is; a larger region needs crashkernel= and a reboot",
        ),
    })?;
    // The running kernel refuses with ENOENT then, which says something else.
    if is_loaded_in(world.root, Slot::Crash) == Some(true) {
        return Err(Error::refused(
            WHAT,
            "a crash kernel is loaded in it",
            "unload it (kexec crash unload), make the region smaller, and load it again",
        ));
    }
    if lock.is_none() {
        return Ok(shrink);
    }
    let after = apply(world.root, shrink).map_err(|e| {
        Error::System(Problem::caused(
            format!(
                "cannot make the crash kernel's region {} bytes small",
                shrink.after
            ),
            e,
            "run it as root; the region is as large as before",
        ))
    })?;
    Ok(Shrink { after, ..shrink })
}
