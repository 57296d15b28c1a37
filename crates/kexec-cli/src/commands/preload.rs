//! `kexec preload`: what a reboot would boot is loaded before anybody asks for
//! the reboot. For units and hooks; `kexec enable preload` switches them on.

use kexec_load::Error;
use kexec_machine::volumes::Automounts;
use kexec_reboot::enable;
use kexec_reboot::preload::{PreloadMoment, Step};
use kexec_reboot::record::Lock;
use kexec_reboot::steps::remember::settled_holding;
use kexec_reboot::steps::{PreloadOptions, PreloadPlan, preload_moment};
use kexec_reboot::world::World;

use super::{exit, load, print, print_json, terminal};
use crate::render::{json, text, visible};

/// `kexec preload`.
pub fn verb(world: &World<'_>, how: &PreloadOptions, json: bool) -> u8 {
    let feature = enable::feature("preload");
    if how.if_enabled && !feature.is_some_and(|f| enable::is_enabled(world.root, f)) {
        if json {
            say(&Step::Leave("preload is not enabled".to_owned()), json);
        }
        return exit::DONE;
    }
    let lock = match how.dry_run {
        true => None,
        false => match world.lock("kexec preload") {
            Ok(lock) => Some(lock),
            Err(error) => {
                load::refuse(&error, json);
                return exit::REFUSED;
            }
        },
    };
    let moment = match preload_moment(how) {
        Ok(moment) => moment,
        Err(why) => {
            say(&Step::Leave(why.to_owned()), json);
            return exit::DONE;
        }
    };
    if let (PreloadMoment::Running, Some(lock)) = (moment, &lock) {
        tell_last(world, lock, json);
    }
    let world = &World {
        automounts: match moment {
            PreloadMoment::Running => Automounts::Wake,
            PreloadMoment::Shutdown { .. } => Automounts::Leave,
        },
        ..*world
    };
    let done = plan(world, how, moment, lock.as_ref(), json);
    if moment == PreloadMoment::Running && !how.dry_run {
        // For `kexec metrics`; no reason to fail.
        let _ = kexec_reboot::preload::remember_refusal(world.root, done.as_ref().err());
    }
    match done {
        Ok(()) => exit::DONE,
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// Decides, and carries it out; without the lock it only says what it would do.
fn plan(
    world: &World<'_>,
    how: &PreloadOptions,
    moment: PreloadMoment,
    lock: Option<&Lock>,
    as_json: bool,
) -> Result<(), Error> {
    let plan = PreloadPlan::read(world, how, moment, lock)?;
    let step = plan.step();
    let document = json::step(&step);
    // Whoever reads along sees it before the load, which takes its time; a program has one
    // document, when it is done.
    if !as_json {
        print(&text::step(&step));
    }
    let loaded = match lock {
        Some(lock) => plan.carry_out(world, lock, step)?,
        None => None,
    };
    match loaded {
        _ if as_json => print_json(&document),
        Some(loaded) => print(&text::plan_for_log(&loaded)),
        None => {}
    }
    Ok(())
}

/// The journal of this boot says how the last one ended.
fn tell_last(world: &World<'_>, lock: &Lock, as_json: bool) {
    let Ok(settled) = settled_holding(world, lock) else {
        return;
    };
    for note in &settled.notes {
        say_line!("kexec: note: {}", visible(note));
    }
    // A program has one document.
    if let (Some(last), false) = (settled.last(), as_json) {
        print(&text::last(last, terminal::layout()));
    }
}

fn say(step: &Step, as_json: bool) {
    if as_json {
        print_json(&json::step(step));
    } else {
        print(&text::step(step));
    }
}
