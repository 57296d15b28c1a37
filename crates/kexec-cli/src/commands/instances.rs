//! `kexec preload --enabled`: `systemctl enable kexec-load@NAME` is followed by the
//! start that systemctl leaves to the next boot. For the unit that watches it.

use kexec_load::Error;
use kexec_reboot::preload::instances;
use kexec_reboot::world::World;

use super::{exit, load, print, print_json};
use crate::render::{json, visible};

/// `kexec preload --enabled`.
pub fn verb(world: &World<'_>, dry_run: bool, json: bool) -> u8 {
    let (started, failed) = start_new(world, dry_run);
    if json {
        print_json(&json::started(&started, &failed));
    } else {
        say(&started, dry_run, failed.is_empty());
        for error in &failed {
            load::refuse(error, false);
        }
    }
    match failed.is_empty() {
        true => exit::DONE,
        false => exit::REFUSED,
    }
}

/// Starts what was just enabled, once its link is where it is kept: what cannot be
/// moved would be started again and again. Returns what was started, and what failed.
fn start_new(world: &World<'_>, dry_run: bool) -> (Vec<String>, Vec<Error>) {
    let enabled = match instances::just_enabled(world.root) {
        Ok(enabled) => enabled,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let mut units = Vec::new();
    let mut failed = Vec::new();
    for new in enabled {
        match if dry_run {
            Ok(true)
        } else {
            instances::keep(&new)
        } {
            Ok(true) => units.push(new.unit),
            Ok(false) => {}
            Err(error) => failed.push(error),
        }
    }
    if !dry_run && let Err(error) = instances::start(&units) {
        failed.push(error);
        units.clear();
    }
    (units, failed)
}

fn say(started: &[String], dry_run: bool, is_all: bool) {
    let word = if dry_run { "Would start" } else { "Started" };
    for unit in started {
        print(&format!("{word} {}.\n", visible(unit)));
    }
    if started.is_empty() && is_all {
        print("No kernel was enabled since the last time.\n");
    }
}
