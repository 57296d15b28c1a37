//! `kexec crash load`.

use kexec_crash::checks::once;
use kexec_load::Error;
use kexec_load::preflight::refusal;
use kexec_reboot::steps::{self, Selection, can_kexec};
use kexec_reboot::world::World;
use kexec_sys::FileFlags;

use super::choice::{CrashKernel, judge};
use crate::commands::audience::{Stream, plan_text};
use crate::commands::load::refuse;
use crate::commands::{exit, print, print_json, terminal, to_stderr};
use crate::render::{crash, findings};

/// Loads the running kernel, or the one that is named, into the crash slot.
pub fn verb(world: &World<'_>, selection: &Selection, dry_run: bool, as_json: bool) -> u8 {
    let done = match dry_run {
        true => show(world, selection, as_json),
        false => load(world, selection, as_json).map(|()| exit::DONE),
    };
    done.unwrap_or_else(|error| {
        refuse(&error, as_json);
        exit::REFUSED
    })
}

/// Only shows what would be done.
fn show(world: &World<'_>, selection: &Selection, as_json: bool) -> Result<u8, Error> {
    let host = world.snapshot();
    can_kexec(world, &host)?;
    let kernel = CrashKernel::choose(world, selection, &host)?;
    kernel.tell_notes(world);
    let mut ready = kernel.prepare(world, &host)?;
    let judged = ready.judged(world, &host);
    ready.prepared.findings.extend(judged.findings);
    once(&mut ready.prepared.findings);
    let (prepared, derived) = (&ready.prepared, ready.kernel.derived.as_ref());
    if as_json {
        print_json(&crash::load_json(prepared, derived));
    } else {
        let layout = terminal::layout();
        print(&plan_text(prepared, Stream::Out));
        print(&crash::derived(derived, layout));
        print(&findings::findings(&prepared.findings, layout));
    }
    Ok(match refusal(&prepared.findings) {
        Some(_) => exit::REFUSED,
        None => exit::DONE,
    })
}

fn load(world: &World<'_>, selection: &Selection, as_json: bool) -> Result<(), Error> {
    let host = world.snapshot();
    can_kexec(world, &host)?;
    let kernel = CrashKernel::choose(world, selection, &host)?;
    kernel.tell_notes(world);
    let CrashKernel {
        chosen,
        derived,
        facts,
        ..
    } = kernel;
    let request = chosen.request.clone();
    if request.debug {
        to_stderr(&crash::derived(
            derived.as_ref(),
            terminal::layout_of_messages(),
        ));
    }
    let seen = host.clone();
    let prepared = steps::load_checked(
        world,
        "kexec crash load",
        chosen,
        host,
        FileFlags::EMPTY,
        &|prepared| judge(world, &seen, &facts, &request, prepared).findings,
    )?;
    if as_json {
        print_json(&crash::load_json(&prepared, derived.as_ref()));
    } else {
        print(&plan_text(&prepared, Stream::Out));
        print("Loaded. A panic jumps into it; `kexec crash status` shows whether it is ready.\n");
    }
    Ok(())
}
