//! `kexec parallel-shutdown`: for the hook of systemd-shutdown, right before the jump.

use std::io::Read;

use kexec_reboot::handover;
use kexec_reboot::parallel_shutdown::{
    self, Choice, Devices, ParallelShutdown, Processes, Unbound, UnboundResult, unbind_all,
};
use kexec_reboot::steps::remember;
use kexec_reboot::world::World;
use kexec_sys::{Slot, in_words};

use super::{exit, load, print, print_json, terminal};
use crate::render::devices;

/// No process is given more steps than fit in this many bytes.
const STEPS: u64 = 64 << 10;

/// `kexec parallel-shutdown`.
pub fn verb(world: &World<'_>, how: &ParallelShutdown, json: bool) -> u8 {
    let nothing = match () {
        () if !how.acts => Some("the shutdown does not end in a kexec"),
        () if how.dry_run => None,
        () if handover::is_loaded_in(world.root, Slot::Normal) == Some(true) => None,
        () => Some("no image is loaded"),
    };
    if let Some(why) = nothing {
        match json {
            true => print_json(&devices::json(&Choice::default(), Some(&[]), Some(why))),
            false => print(&format!("Nothing to do: {why}.\n")),
        }
        return exit::DONE;
    }
    let choice = parallel_shutdown::choose(&Devices::read(world.root));
    if how.dry_run {
        match json {
            true => print_json(&devices::json(&choice, None, None)),
            false => terminal::page(&devices::choice(&choice, terminal::layout())),
        }
        return exit::DONE;
    }
    let unbound = unbind_all(&Processes, &choice.unbind, how.timeout);
    if json {
        print_json(&devices::json(&choice, Some(&unbound), None));
    } else {
        print(&devices::unbound(&unbound));
        let warnings = devices::warnings(&unbound, how.timeout, terminal::layout_of_messages());
        say!("{warnings}");
    }
    let is_done = |one: &Unbound| matches!(one.result, UnboundResult::Unbound { .. });
    match unbound.iter().all(is_done) {
        true => exit::DONE,
        false => exit::REFUSED,
    }
}

/// `kexec parallel-shutdown --services-stopped`: for a unit that is stopped after services.
pub fn services_stopped(world: &World<'_>) -> u8 {
    match remember::services_stopped(world) {
        Ok(_) => exit::DONE,
        Err(error) => {
            load::refuse(&error, false);
            exit::REFUSED
        }
    }
}

/// `kexec parallel-shutdown --steps`: what one process does for one device.
pub fn steps(world: &World<'_>) -> u8 {
    let mut text = String::new();
    let read = std::io::stdin().take(STEPS).read_to_string(&mut text);
    let done = read
        .map_err(|e| format!("reading the steps: {}", in_words(e)))
        .and_then(|_| parallel_shutdown::parse(&text))
        .and_then(|steps| parallel_shutdown::carry_out(world.root, &steps));
    match done {
        Ok(()) => exit::DONE,
        Err(why) => {
            say_line!("kexec: {}", crate::render::visible(&why));
            exit::REFUSED
        }
    }
}
