//! One file per thing the command does. Each takes what is meant and the world
//! it acts on, and returns an exit code.

mod audience;
pub mod check;
pub mod enable;
pub mod exec;
pub mod history;
pub mod instances;
pub mod list;
pub mod load;
pub mod needs_reboot;
pub mod plan;
pub mod preload;
mod progress;
pub mod reboot;
mod remember;
pub mod status;
pub mod unload;
pub mod vmcore_dmesg;
mod wanted;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use kexec_load::Error;
use kexec_load::pipeline::{self, Carried, Prepared};
use kexec_machine::Snapshot;
use kexec_machine::volumes::{Automounts, Volumes};
use kexec_machine::{Fact, open};
use kexec_reboot::handover;
use kexec_reboot::record;
use kexec_reboot::record::files::Files;
use kexec_reboot::record::lock::Purpose;
use kexec_reboot::record::{Content, Lock, Store, lock};
use kexec_sys::{Kernel, Slot};

use crate::render::visible;
use crate::request::Wanted;
use wanted::{ArrivalAsk, Found};

/// The world: the running kernel and the root directory. Tests bring their own.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The running kernel.
    pub kernel: &'a dyn Kernel,
    /// Where /proc, /sys and /run are.
    pub root: &'a Path,
    /// Whether automounts can be woken up.
    pub automounts: Automounts,
    /// Through what records are read and written.
    pub files: &'a dyn Files,
}

impl<'a> World<'a> {
    /// Where records are kept.
    pub fn store(&self) -> Store<'a> {
        Store::with(self.root, self.files)
    }

    /// The lock for whatever loads or unloads; `command` is what others are told who
    /// wait for it.
    ///
    /// # Errors
    /// When somebody else has it for too long, or it is nothing of root's.
    pub fn lock(&self, command: &str) -> Result<Lock, Error> {
        self.lock_for(command, (Purpose::Change, lock::PATIENCE))
    }

    /// The same for a jump, which may be the last program of a shutdown.
    ///
    /// # Errors
    /// When somebody else has it for too long.
    pub fn lock_for_jump(&self, command: &str) -> Result<Lock, Error> {
        self.lock_for(command, (Purpose::Jump, lock::PATIENCE_OF_A_JUMP))
    }

    fn lock_for(&self, command: &str, how: (Purpose, Duration)) -> Result<Lock, Error> {
        lock::lock(self.root, command, how, &mut |text| {
            eprintln!("kexec: {}", visible(&text));
        })
    }

    /// What is in a slot, by the kernel and by our records.
    pub fn content(&self, slot: Slot) -> Content {
        let loaded = handover::is_loaded_in(self.root, slot);
        record::look(self.store(), slot, loaded)
    }

    /// The machine.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::read_with(self.root, self.automounts)
    }

    /// The file systems.
    pub fn volumes(&self) -> Volumes {
        Volumes::read_with(self.root, self.automounts)
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Exit codes of the new verbs.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// Refused; nothing was changed.
    pub const REFUSED: u8 = 1;
    /// A cold reboot is under way, because --or-cold was given.
    pub const COLD: u8 = 3;
}

/// The machine: the running one, or the one that a snapshot file describes.
///
/// # Errors
/// When the snapshot cannot be read or understood.
pub fn machine(world: &World<'_>, snapshot: Option<&Path>) -> Result<Snapshot, Error> {
    let Some(path) = snapshot else {
        return Ok(world.snapshot());
    };
    let failed = |reason: String| Error::Read {
        what: "machine snapshot",
        path: path.to_owned(),
        reason,
        remedy: open::remedy(path),
    };
    let file = open::named(path).map_err(failed)?;
    let mut text = String::new();
    let read = file.take(MAX_SNAPSHOT + 1).read_to_string(&mut text);
    read.map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MAX_SNAPSHOT {
        return Err(failed(format!(
            "it is larger than {MAX_SNAPSHOT} bytes, which no snapshot is"
        )));
    }
    Snapshot::from_json(&text).map_err(|e| failed(e.to_string()))
}

/// No snapshot of a machine is larger than this many bytes.
const MAX_SNAPSHOT: u64 = 64 << 20;

/// Finds, reads, understands, plans and checks; loads nothing. For the running
/// machine, or for the one that the file `snapshot` describes.
///
/// # Errors
/// When there is no plan to show.
///
/// The files are read into the memory of the machine this runs on, whichever
/// machine is planned for.
pub fn prepare(
    world: &World<'_>,
    wanted: &Wanted,
    snapshot: Option<&Path>,
) -> Result<Prepared, Error> {
    let here = world.snapshot();
    if let (None, Some(path)) = (&wanted.name, snapshot) {
        return Err(Error::Refused {
            what: "finding what a reboot would boot".to_owned(),
            why: format!("the snapshot {} has no boot entries", path.display()),
            remedy: "name a kernel file".to_owned(),
        });
    }
    let mut found = Found::new(world, wanted, &here)?;
    match snapshot {
        Some(_) => {
            let inputs = found.read(&here)?;
            pipeline::prepare(&found.request, &inputs, &machine(world, snapshot)?)
        }
        None => {
            found.arrival.get_or_insert(ArrivalAsk {
                by_init: true,
                allow_passphrase: wanted.allow_passphrase,
                this_machine: wanted.this_machine,
            });
            prepare_found(world, &found, &here)
        }
    }
}

/// The same for what was found already, on the running machine.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_found(world: &World<'_>, found: &Found, here: &Snapshot) -> Result<Prepared, Error> {
    let inputs = found.read(here)?;
    let inputs = inputs.carrying(Carried::read(world.root, &found.request, here));
    let mut prepared = pipeline::prepare(&found.request, &inputs, here)?;
    let arrival = found.arrive(world, here, &prepared);
    prepared.findings.extend(arrival);
    Ok(prepared)
}

/// Writes a picture to a file, or to stdout for `-`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_picture(path: &Path, picture: &str) -> Result<(), Error> {
    if path == Path::new("-") {
        print(picture);
        return Ok(());
    }
    std::fs::write(path, picture).map_err(|e| Error::System {
        what: format!("cannot write the picture {}", path.display()),
        reason: e.to_string(),
        remedy: "name a file in a folder that you can write to".to_owned(),
    })
}

/// Whether a fact is a known yes.
pub fn is(fact: &Fact<bool>) -> bool {
    fact.known() == Some(&true)
}

/// Writes to stdout; a closed pipe ends the program quietly, as it does others.
pub fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // Nobody is left to be told.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a JSON value and a newline to stdout.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
