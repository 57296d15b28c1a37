//! One file per thing the command does. Each takes what is meant and the world
//! it acts on, and returns an exit code.

mod audience;
pub mod check;
pub mod crash;
mod dump_file;
pub mod enable;
pub mod history;
pub mod instances;
pub mod list;
pub mod load;
pub mod metrics;
pub mod needs_reboot;
mod onlooker;
pub mod parallel_shutdown;
pub mod plan;
pub mod preload;
pub mod progress;
pub mod reboot;
pub mod status;
pub mod terminal;
pub mod unload;
pub mod vmcore_dmesg;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_machine::Problem;
use kexec_machine::{Snapshot, open};
use kexec_reboot::steps::{ArrivalOptions, ChosenLoad, Ready, Selection, prepare_for};
use kexec_reboot::world::World;
use kexec_sys::in_words;

pub use onlooker::Terminal;

use crate::render::documents::FORMAT;

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
    let failed = |reason: String| {
        let what = format!("cannot read machine snapshot {}", path.display());
        Error::NotRead(Problem::new(what, reason, open::remedy(path)))
    };
    let file = open::named(path).map_err(failed)?;
    let mut text = String::new();
    let read = file.take(MAX_SNAPSHOT + 1).read_to_string(&mut text);
    read.map_err(|e| failed(in_words(e)))?;
    if text.len() as u64 > MAX_SNAPSHOT {
        return Err(failed(format!(
            "it is larger than {MAX_SNAPSHOT} bytes, which is more than any snapshot"
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
pub fn prepare(
    world: &World<'_>,
    selection: &Selection,
    snapshot: Option<&Path>,
) -> Result<Prepared, Error> {
    let here = world.snapshot();
    let names_file = |name: &OsString| name.as_bytes().contains(&b'/');
    if let Some(path) = snapshot
        && !selection.name.as_ref().is_some_and(names_file)
    {
        return Err(Error::refused(
            "finding what is to be checked",
            format!("the snapshot {} has no boot entries", path.display()),
            "name a kernel file with its folder: ./vmlinuz",
        ));
    }
    let mut chosen = ChosenLoad::choose(world, selection, &here)?;
    if snapshot.is_some() {
        let there = machine(world, snapshot)?;
        return prepare_for(world, &chosen, &here, &there);
    }
    let arrival = ArrivalOptions::of(selection);
    chosen.arrival.get_or_insert(arrival);
    Ok(Ready::new(world, chosen, here)?.prepared)
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
    std::fs::write(path, picture).map_err(|e| {
        Error::System(Problem::caused(
            format!("cannot write the picture {}", path.display()),
            e,
            "name a file in a folder that you can write to",
        ))
    })
}

/// Writes to stderr. That it cannot be written is no reason to end, and nowhere is left to
/// say so.
pub fn to_stderr(text: &str) {
    use std::io::Write;
    let _aside = progress::step_aside();
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether something could not be written to stdout.
static NOT_WRITTEN: AtomicBool = AtomicBool::new(false);

/// Writes to stdout. The work goes on although that fails: a reboot must not depend on
/// whether its plan can be shown. Who closed the pipe knows; a full disk is told, once,
/// and is a failure in the end: [`exit_code`].
pub fn print(text: &str) {
    use std::io::{ErrorKind, Write};
    progress::end();
    let mut out = std::io::stdout().lock();
    let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else {
        return;
    };
    if e.kind() != ErrorKind::BrokenPipe && !NOT_WRITTEN.swap(true, Ordering::Relaxed) {
        say_line!("kexec: cannot write the output: {}", in_words(e));
    }
}

/// The exit code of a command that ended with `code`: a failure where its output could
/// not be written.
pub fn exit_code(code: u8) -> u8 {
    match code {
        exit::DONE if NOT_WRITTEN.load(Ordering::Relaxed) => exit::REFUSED,
        code => code,
    }
}

/// Whether the one document of this call was printed.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Writes a JSON document and a newline to stdout, with its format. There is one in each
/// call: what fails afterwards is said on stderr, [`load::refuse`].
pub fn print_json(value: &serde_json::Value) {
    let mut value = value.clone();
    if let Some(document) = value.as_object_mut() {
        document.insert("format".to_owned(), FORMAT.into());
    }
    ANSWERED.store(true, Ordering::Relaxed);
    print(&format!("{value:#}\n"));
}

/// Whether the one document of this call was printed.
pub fn is_answered() -> bool {
    ANSWERED.load(Ordering::Relaxed)
}
