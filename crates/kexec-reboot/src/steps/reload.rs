//! The crash slot is the exception to "what was loaded stays": the kernel frees the old
//! image before it looks at the new one. When it then refuses the new one, the old one is
//! loaded again, from the same files.

use kexec_load::pipeline::Prepared;
use kexec_load::request::Unsigned;
use kexec_load::{Error, LoadRequest, SyscallChoice};
use kexec_machine::volumes::FileRef;
use kexec_plan::Method;
use kexec_sys::{FileFlags, Slot};

use super::load::{LoadOptions, put_right};
use super::{ChosenLoad, Ready};
use crate::handover;
use crate::record::{LoadRecord, Lock, SlotContent};
use crate::world::{Told, World};

/// What a failed load may have taken away.
#[derive(Debug)]
pub(super) enum Previous {
    /// Nothing: the slot is the normal one, was empty, or its state is unknown.
    Nothing,
    /// A crash kernel, and its record or why it has none.
    Crash(Result<Box<LoadRecord>, &'static str>),
}

impl Previous {
    /// Looks at the slot before a load.
    pub(super) fn look(world: &World<'_>, slot: Slot) -> Previous {
        if slot != Slot::Crash {
            return Previous::Nothing;
        }
        Previous::Crash(match world.content(slot) {
            SlotContent::Empty | SlotContent::Unknown => return Previous::Nothing,
            SlotContent::Ours(record) => Ok(record),
            SlotContent::Foreign => Err("another program had loaded it, so its files are unknown"),
            SlotContent::Hidden => Err("only root may read its record"),
            SlotContent::Interrupted(_) => {
                Err("a change of it had been interrupted, so its files are unknown")
            }
        })
    }
}

/// What is to be told of a load that failed: where the kernel gave up the crash kernel
/// before it, that one is loaded again, or the machine is told to be without one.
pub(super) fn after_failure(
    world: &World<'_>,
    lock: &Lock,
    previous: &Previous,
    error: Error,
) -> Error {
    let Previous::Crash(record) = previous else {
        return error;
    };
    if handover::is_loaded_in(world.root, Slot::Crash) == Some(true) {
        return error;
    }
    // The record of what is gone would be believed of what another program loads next.
    if let Err(stays) = put_right(world, lock, Slot::Crash) {
        world.tell(Told::Failed(stays));
    }
    let again = match record {
        Ok(record) => again(world, lock, record).map(|()| record),
        Err(why) => Err((*why).to_owned()),
    };
    match again {
        Ok(record) => error.mended(&format!(
            "the kernel gave up the crash kernel that was loaded before; {} was loaded again",
            record.kernel
        )),
        Err(why) => error.led_to(
            &format!(
                "THE MACHINE IS NOW WITHOUT A CRASH KERNEL: the kernel gave up the one that was \
                 loaded before, and it was not loaded again: {why}"
            ),
            "load a crash kernel again at once",
        ),
    }
}

/// Loads what the record names, if it is still the same.
fn again(world: &World<'_>, lock: &Lock, record: &LoadRecord) -> Result<(), String> {
    let request = request(record)?;
    let text = |error: Error| error.to_string();
    let ready = Ready::new(world, ChosenLoad::file(&request), world.snapshot()).map_err(text)?;
    if let Some(other) = difference(&ready.prepared, record) {
        return Err(other);
    }
    // Its own failure has nothing that it could load again.
    let options = LoadOptions::image(FileFlags::EMPTY);
    ready.load(world, lock, &options).map(drop).map_err(text)
}

/// The load that the record is of: its files by their paths, its command line as it was,
/// its system call.
fn request(record: &LoadRecord) -> Result<LoadRequest, String> {
    let Some((kernel, initrds)) = record.files.split_first() else {
        return Err("its record does not name its files".to_owned());
    };
    if let Some(changed) = record.files.iter().find_map(|file| file.changed_since()) {
        return Err(changed);
    }
    let mut request = LoadRequest::new(&kernel.path);
    let initrds = initrds.iter().map(|file| FileRef::from(&file.path));
    request.initrds = initrds.collect();
    request.cmdline.append = Some(record.cmdline.clone());
    request.slot = Slot::Crash;
    request.syscall = match record.method == Method::ClassicLoad.name() {
        true => SyscallChoice::Classic,
        false => SyscallChoice::File,
    };
    // What was loaded before is not judged anew.
    request.old_spelling = true;
    request.classic.unsigned = Unsigned::ForTheKernel;
    Ok(request)
}

/// What is not as it is recorded.
fn difference(prepared: &Prepared, record: &LoadRecord) -> Option<String> {
    let plan = &prepared.plan;
    let differs = |what: &str| Some(format!("{what} would not be what it was"));
    if plan.cmdline != record.cmdline {
        return differs("its command line");
    }
    if plan.kernel.len != record.kernel_len {
        return differs("its kernel");
    }
    if plan.initrd_len() != record.initrd_len {
        return differs("its initrd");
    }
    None
}
