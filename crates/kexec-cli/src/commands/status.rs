//! What is loaded; and the machine as a file for bug reports.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use kexec_load::Error;
use kexec_machine::snapshot::sysfs;
use kexec_machine::{Fact, Problem};
use kexec_reboot::conf;
use kexec_reboot::enable;
use kexec_reboot::handover;
use kexec_reboot::record;
use kexec_reboot::record::lock::held_by;
use kexec_reboot::record::{Attempt, SlotContent};
use kexec_reboot::steps::kexecs_since_cold;
use kexec_reboot::steps::remember::settled;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, load, machine, print, print_json, terminal};
use crate::render::{Slots, json, text, visible};

/// Exit code of `kexec -S`: 1 loaded, 0 not, 255 when the kernel does not say.
pub fn old(world: &World<'_>, slot: Slot) -> u8 {
    match handover::is_loaded_in(world.root, slot) {
        Some(false) => 0,
        Some(true) => 1,
        None => 255,
    }
}

/// `kexec status`.
pub fn verb(
    world: &World<'_>,
    json: bool,
    snapshot: Option<&Path>,
    host: Option<&Path>,
    redact: bool,
) -> u8 {
    let machine = match machine(world, host) {
        Ok(machine) => machine,
        Err(error) => {
            load::refuse(&error, json);
            return exit::REFUSED;
        }
    };
    if let Some(path) = snapshot {
        if let Err(e) = write_private(path, &machine.to_json(redact)) {
            let error = Error::System(Problem::caused(
                format!("cannot write the snapshot {}", path.display()),
                e,
                "name a file that does not exist yet, in a folder that you can write to",
            ));
            load::refuse(&error, json);
            return exit::REFUSED;
        }
        return exit::DONE;
    }
    // Records belong to the running machine, not to a replayed one.
    let content = |slot, loaded: &Fact<bool>| match (host, loaded.known()) {
        (Some(_), Some(true)) => SlotContent::Foreign,
        (_, loaded) => record::look(world.store(), slot, loaded.copied()),
    };
    let slots = Slots {
        normal: content(Slot::Normal, &machine.kexec.loaded),
        crash: content(Slot::Crash, &machine.kexec.crash_loaded),
        // Somebody at work is no interrupted program.
        at_work: host.is_none().then(|| held_by(world.root)).flatten(),
    };
    let last = host.is_none().then(|| last_request(world)).flatten();
    let kexecs = host.is_none().then(|| kexecs_since_cold(world)).flatten();
    let every = host.is_none().then(|| cold_every(world)).flatten();
    let enabled = host.is_none().then(|| enable::enabled(world.root));
    let enabled = enabled.unwrap_or_default();
    if json {
        let last = last.as_ref();
        let reboots = (kexecs, every);
        print_json(&json::status(&machine, &slots, last, reboots, &enabled));
    } else {
        let layout = terminal::layout();
        let mut status = text::status(&machine, &slots, layout);
        status.push_str(&text::enabled(&enabled, layout));
        if let Some(every) = every {
            status.push_str(&text::cold_every(kexecs, every, layout));
        }
        if let Some(attempt) = &last {
            status.push_str(&text::last(attempt, layout));
        }
        terminal::page(&status);
    }
    exit::DONE
}

/// Which reboots go through the firmware, if that is set.
fn cold_every(world: &World<'_>) -> Option<u64> {
    conf::read(world.root)
        .map(|conf| conf.cold_every)
        .unwrap_or_else(|wrong| {
            say_line!("kexec: warning: {}", visible(&wrong));
            None
        })
}

/// The newest request and what became of it. That it cannot be read is no
/// reason not to show the rest.
fn last_request(world: &World<'_>) -> Option<Attempt> {
    match settled(world) {
        Ok(settled) => {
            for note in &settled.notes {
                say_line!("kexec: note: {}", visible(note));
            }
            settled.last().cloned()
        }
        Err(error) => {
            say!("{}", text::note(&error, terminal::layout_of_messages()));
            None
        }
    }
}

/// Snapshots can hold secrets even when redacted by rule: owner only, and never
/// over a file (or through a link) that is there already.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if path == Path::new("-") {
        print(text);
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")
}

/// `--print-ckr-size`: the size of the crash region in bytes, 0 when there is none.
pub fn print_crash_size(world: &World<'_>) -> u8 {
    let size = sysfs::crash_size(world.root);
    print(&format!("{}\n", size.known().copied().unwrap_or(0)));
    0
}
