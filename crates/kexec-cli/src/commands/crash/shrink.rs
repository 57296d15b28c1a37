//! `kexec crash shrink`.

use kexec_crash::shrink::{Kept, NotShrunk, Region, Shrink, apply, plan, size};
use kexec_crash::size::Memory;
use kexec_load::Error;
use kexec_load::classic::memory_facts;
use kexec_machine::{Problem, Snapshot};
use kexec_plan::crash::CrashRegions;
use kexec_reboot::handover::is_loaded_in;
use kexec_reboot::world::{Told, World};
use kexec_sys::Slot;

use super::estimate::Estimated;
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

const WHAT: &str = "making the crash kernel's region smaller";

fn shrink(world: &World<'_>, wanted: Option<u64>, dry_run: bool) -> Result<Shrink, Error> {
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
    let host = world.snapshot();
    let shrink = match before {
        0 => Err(refused(NotShrunk::NoRegion, before, wanted, "")),
        before => planned(world, &host, before, wanted),
    }?;
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
                "cannot shrink the crash kernel's region to {}",
                Memory(shrink.after)
            ),
            e,
            "run it as root; the region is as large as before",
        ))
    })?;
    Ok(Shrink { after, ..shrink })
}

/// What would be returned.
fn planned(
    world: &World<'_>,
    host: &Snapshot,
    before: u64,
    wanted: Option<u64>,
) -> Result<Shrink, Error> {
    let region = Region {
        size: before,
        window: window(host)?,
    };
    let selection = super::choice::unnamed();
    let estimated = Estimated::of(world, &selection, host);
    let (kept, parameter) = match (wanted, estimated) {
        (None, estimated) => {
            let estimated = estimated?;
            let parameter = trusted(&estimated)?.to_owned();
            let kept = Kept {
                total: estimated.estimate.bytes,
                image: Some(estimated.image),
                estimated: true,
            };
            (kept, parameter)
        }
        (Some(total), estimated) => {
            match &estimated {
                Ok(known) if total > 0 && total < known.estimate.bytes => {
                    world.tell(Told::Note(format!(
                        "{} are less than the estimate of {} (kexec crash estimate): the crash \
                         kernel may run out of memory before the dump is saved",
                        Memory(total),
                        Memory(known.estimate.bytes)
                    )));
                }
                Err(error) if total > 0 => world.tell(Told::Note(format!(
                    "whether a crash kernel fits into {} could not be checked: {error}",
                    Memory(total)
                ))),
                _ => {}
            }
            let kept = Kept {
                total,
                image: estimated.ok().map(|known| known.image),
                estimated: false,
            };
            (kept, String::new())
        }
    };
    plan(region, kept).map_err(|not| refused(not, before, wanted, &parameter))
}

/// Bytes of the part that images go into.
fn window(host: &Snapshot) -> Result<u64, Error> {
    match CrashRegions::of(&memory_facts(host)) {
        Ok(regions) => Ok(regions.window.len()),
        Err(_) => Err(Error::not_ready(
            WHAT,
            "/proc/iomem does not show where the region is, and of what parts it consists",
            "mount /proc, and run it as root",
        )),
    }
}

/// The parameter of an estimate that nothing is missing from.
fn trusted(estimated: &Estimated) -> Result<&str, Error> {
    let estimate = &estimated.estimate;
    match &estimate.parameter {
        Some(parameter) if estimate.notes.is_empty() => Ok(parameter),
        _ => Err(Error::refused(
            WHAT,
            format!(
                "the estimate of {} is not certain: {}",
                Memory(estimate.bytes),
                estimate.notes.join("; ")
            ),
            "name the size that is to stay: kexec crash shrink SIZE",
        )),
    }
}

/// Why nothing is returned, for people.
fn refused(not: NotShrunk, before: u64, typed: Option<u64>, parameter: &str) -> Error {
    let reserved = format!("{} are reserved", Memory(before));
    match not {
        NotShrunk::NoRegion => Error::not_ready(
            WHAT,
            "no memory is reserved",
            "there is nothing to return; crashkernel= reserves memory at boot",
        ),
        NotShrunk::SmallEnough { wanted } if typed.is_some() => Error::refused(
            WHAT,
            format!(
                "{reserved}, and {} are to stay: nothing can be returned",
                Memory(wanted)
            ),
            "name a smaller SIZE: it is what stays; more is reserved by crashkernel= and a reboot",
        ),
        NotShrunk::SmallEnough { wanted } => Error::refused(
            WHAT,
            format!(
                "{reserved}, and {} are needed: nothing can be returned",
                Memory(wanted)
            ),
            match wanted > before {
                true => format!("reserve more: {parameter} on the kernel command line, and reboot"),
                false => "leave it as it is".to_owned(),
            },
        ),
        NotShrunk::NoRoom {
            window,
            image,
            least,
        } => Error::refused(
            WHAT,
            format!(
                "{} would be left of the part that a crash kernel is loaded into, and it takes {}",
                Memory(window),
                Memory(image)
            ),
            format!(
                "leave {} at least: kexec crash shrink {}",
                Memory(least),
                kexec_crash::size::parameter(least)
            ),
        ),
    }
}
