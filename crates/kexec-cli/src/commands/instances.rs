//! `kexec preload --enabled`: `systemctl enable kexec-load@NAME` is followed by the
//! start that systemctl leaves to the next boot. For the unit that watches it.

use kexec_load::Error;
use kexec_reboot::preload::instances;
use kexec_reboot::world::World;

use super::{exit, load, print, print_json};
use crate::render::{json, visible};

/// `kexec preload --enabled`.
pub fn verb(world: &World<'_>, dry_run: bool, json: bool) -> u8 {
    match start_new(world, dry_run) {
        Ok(started) => {
            say(&started, dry_run, json);
            exit::DONE
        }
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// Starts what was just enabled, once its link is where it is kept: what cannot be
/// moved would be started again and again.
fn start_new(world: &World<'_>, dry_run: bool) -> Result<Vec<String>, Error> {
    let mut units = Vec::new();
    let mut failed = None;
    for new in instances::just_enabled(world.root)? {
        match if dry_run {
            Ok(true)
        } else {
            instances::keep(&new)
        } {
            Ok(true) => units.push(new.unit),
            Ok(false) => {}
            Err(error) => failed = Some(error),
        }
    }
    if !dry_run {
        instances::start(&units)?;
    }
    failed.map_or(Ok(units), Err)
}

fn say(started: &[String], dry_run: bool, as_json: bool) {
    if as_json {
        print_json(&json::started(started));
        return;
    }
    let word = if dry_run { "Would start" } else { "Started" };
    for unit in started {
        print(&format!("{word} {}.\n", visible(unit)));
    }
    if started.is_empty() {
        print("No kernel was enabled since the last time.\n");
    }
}
