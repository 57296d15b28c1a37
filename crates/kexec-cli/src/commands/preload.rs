//! `kexec preload`: what a reboot would boot is loaded before anybody asks for
//! the reboot. For units and hooks; `kexec enable preload` switches them on.

use kexec_load::Error;
use kexec_machine::volumes::Automounts;
use kexec_machine::{Inside, is_crash_kernel};
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
        // Hooks run it after every kernel's installation: no word, but in JSON.
        if json {
            print_json(&json::step(&Step::Leave(
                "preload is not enabled".to_owned(),
            )));
        }
        return exit::DONE;
    }
    // A kernel that is installed into an image is none for the system that makes it.
    if let Some(inside) = Inside::of(world.root).filter(|_| how.if_enabled) {
        say(&Step::Leave(inside.to_string()), json);
        return exit::DONE;
    }
    // Units have the same as a condition; hooks, other inits and users come this way.
    if is_crash_kernel(world.root) {
        let why = "the running kernel is a crash kernel (/proc/vmcore exists), whose memory is for \
                   saving the dump";
        say(&Step::Leave(why.to_owned()), json);
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
    let plan = match PreloadPlan::read(world, how, moment, lock.as_ref()) {
        Ok(plan) => plan,
        Err(error) => {
            remember_refusal(world, moment, how, Some(&error));
            load::refuse(&error, json);
            return exit::REFUSED;
        }
    };
    let step = plan.step();
    // What cannot be done is an error, which says it all.
    if !json && !matches!(step, Step::Cannot { .. }) {
        print(&text::step(&step));
    }
    // Without the lock it is only said what would be done.
    let done = match &lock {
        Some(lock) => plan.carry_out(world, lock, step.clone()),
        None => plan.refusal(&step).map_or(Ok(None), Err),
    };
    remember_refusal(world, moment, how, done.as_ref().err());
    if json {
        print_json(&json::preloaded(&step, &done));
    }
    match done {
        Ok(loaded) => {
            if let Some(loaded) = loaded.filter(|_| !json) {
                print(&text::plan_for_log(&loaded));
            }
            exit::DONE
        }
        Err(error) => {
            if !json {
                load::refuse(&error, json);
            }
            exit::REFUSED
        }
    }
}

/// The journal of this boot says how the last one ended.
fn tell_last(world: &World<'_>, lock: &Lock, json: bool) {
    let Ok(settled) = settled_holding(world, lock) else {
        return;
    };
    for note in &settled.notes {
        say_line!("kexec: note: {}", visible(note));
    }
    if let Some(last) = settled.last().filter(|_| !json) {
        print(&text::last(last, terminal::layout()));
    }
}

/// What is done, where nothing more can come of it.
fn say(step: &Step, json: bool) {
    match json {
        true => print_json(&json::step(step)),
        false => print(&text::step(step)),
    }
}

/// For `kexec metrics`; no reason to fail.
fn remember_refusal(
    world: &World<'_>,
    moment: PreloadMoment,
    how: &PreloadOptions,
    error: Option<&Error>,
) {
    if moment == PreloadMoment::Running && !how.dry_run {
        let _ = kexec_reboot::preload::remember_refusal(world.root, error);
    }
}
