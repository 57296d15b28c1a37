//! The fourth step: the load itself, with its record.

use std::path::Path;
use std::time::SystemTime;

use kexec_load::pipeline::{self, Prepared};
use kexec_load::preflight::Finding;
use kexec_load::{Error, SyscallChoice};
use kexec_machine::{Problem, Snapshot};
use kexec_sys::{FileFlags, Slot};

use super::{ChosenLoad, Ready, can_kexec, reload, remember, unload_held};
use crate::handover;
use crate::record::slot::{self, Need};
use crate::record::{self, Attempt, LoadRecord, Lock, RecordedOptions};
use crate::world::{Told, World};

/// What becomes of a load beyond the image.
pub(crate) struct LoadOptions<'a> {
    /// Flags of the system call that do not follow from the request.
    pub flags: FileFlags,
    /// Whether it may go on without a record.
    pub need: Need,
    /// What is to be remembered for the next boot; none where nobody will look.
    pub attempt: Option<&'a dyn Fn(&Prepared) -> Attempt>,
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("flags", &self.flags)
            .field("need", &self.need)
            .finish_non_exhaustive()
    }
}

impl LoadOptions<'_> {
    /// The image is what counts, and the next boot asks nothing.
    pub fn image(flags: FileFlags) -> LoadOptions<'static> {
        LoadOptions {
            flags,
            need: Need::Image,
            attempt: None,
        }
    }
}

/// A load that is done.
#[derive(Debug)]
pub(crate) struct LoadDone {
    /// The plan that was carried out.
    pub prepared: Prepared,
    /// What was remembered for the next boot: loaded, and nobody has asked for the jump.
    pub attempt: Option<Attempt>,
}

/// Reads, plans, checks and loads for `command`; `host` is the machine. The lock is taken when everything is
/// read: a pipe that brings a kernel may be slow.
///
/// # Errors
/// When a file, the image, a check or the kernel said no. What was loaded
/// before is still loaded, or the error says that it is not.
pub fn load(
    world: &World<'_>,
    command: &str,
    chosen: ChosenLoad,
    host: Snapshot,
    flags: FileFlags,
) -> Result<Prepared, Error> {
    load_checked(world, command, chosen, host, flags, &|_| Vec::new())
}

/// The same with more checks than those of the load: `more` finds them in what is prepared,
/// and one of them that refuses keeps the load from being tried.
///
/// # Errors
/// As [`load`].
pub fn load_checked(
    world: &World<'_>,
    command: &str,
    chosen: ChosenLoad,
    host: Snapshot,
    flags: FileFlags,
    more: &dyn Fn(&Prepared) -> Vec<Finding>,
) -> Result<Prepared, Error> {
    let can = can_kexec(world, &host);
    let mut ready = match Ready::new(world, chosen, host) {
        // What kexec-tools says first, with its exit code.
        Err(Error::KernelNotRead(problem)) => return Err(Error::KernelNotRead(problem)),
        ready => can.and(ready)?,
    };
    let found = more(&ready.prepared);
    ready.prepared.findings.extend(found);
    ready.tell(world);
    let lock = world.lock(command)?;
    let loaded = ready.load(world, &lock, &LoadOptions::image(flags))?;
    Ok(loaded.prepared)
}

impl Ready {
    /// Tells whoever looks on what is about to be loaded.
    pub(crate) fn tell(&self, world: &World<'_>) {
        world.tell(Told::Prepared(&self.chosen.request, &self.prepared));
    }

    /// Loads it, with its record.
    ///
    /// # Errors
    /// When a check or the kernel said no; and where a record is needed, when it cannot
    /// be written.
    pub(crate) fn load(
        self,
        world: &World<'_>,
        lock: &Lock,
        options: &LoadOptions<'_>,
    ) -> Result<LoadDone, Error> {
        let Ready {
            chosen,
            host,
            inputs,
            prepared,
            stamps,
        } = self;
        let request = &chosen.request;
        world.tell(Told::Doing("loading"));
        put_right(world, lock, request.slot)?;
        if options.attempt.is_some() {
            // Behind the new attempt, nobody can judge the one before.
            let _ = remember::settled_holding(world, lock);
        }
        let mut attempt = None;
        let call = |announce: &mut dyn FnMut(&LoadRecord) -> Result<(), Error>| {
            let mut begin = |plan: &Prepared| {
                if let Some(of) = options.attempt {
                    note_down(world, options.need, of(plan), &mut attempt)?;
                }
                announce(&LoadRecord {
                    preloaded: chosen.preloaded.clone(),
                    files: stamps.clone(),
                    options: RecordedOptions::of(&request.classic),
                    ..LoadRecord::of(plan, SystemTime::now())
                })
            };
            let (kernel, flags) = (world.kernel, options.flags);
            pipeline::load(kernel, request, flags, &inputs, prepared, &host, &mut begin)
        };
        let previous = reload::Previous::look(world, request.slot);
        // From when the kernel gives up the crash kernel before until it is loaded again, or the
        // user knows that it is not, no signal ends this program.
        let has_to_end = previous.may_be_lost();
        if has_to_end {
            world.kernel.hold_signals(true);
        }
        let before = handover::is_loaded_in(world.root, request.slot);
        let slot = (request.slot, before);
        let mut take_out = || unload_held(world, lock, request.slot, SyscallChoice::Auto);
        let loaded = slot::load(world.store(), lock, slot, options.need, call, &mut take_out);
        let (prepared, unrecorded) = loaded.map_err(|error| {
            if let Some(attempt) = &attempt {
                let _ = record::attempt::forget(world.store(), attempt);
            }
            // The error is still to be shown, so the signals are held until this program ends.
            reload::after_failure(world, lock, &previous, error)
        })?;
        if has_to_end {
            world.kernel.hold_signals(false);
        }
        if let Some(why) = unrecorded {
            world.warn(format!(
                "the kernel is loaded, but that could not be recorded ({why}): `kexec status` \
                 will not know which image it is"
            ));
        }
        if request.slot == Slot::Normal {
            // What was loaded ahead is gone, and so is the attempt that told of it.
            let own = attempt.as_ref().map(|attempt: &Attempt| &attempt.token);
            let _ = record::attempt::forget_preloaded(world.store(), own);
        }
        Ok(LoadDone { prepared, attempt })
    }
}

/// Writes down what is about to be loaded, so that the boot after a jump knows it,
/// whoever asks for the jump. `kept` is what was written down.
fn note_down(
    world: &World<'_>,
    need: Need,
    mut new: Attempt,
    kept: &mut Option<Attempt>,
) -> Result<(), Error> {
    new.preloaded = true;
    // The same load goes on with another plan.
    new.sequence = kept.as_ref().map_or(0, |kept| kept.sequence);
    match record::attempt::write(world.store(), &mut new) {
        Ok(()) => {
            *kept = Some(new);
            Ok(())
        }
        Err(e) if need == Need::Image => {
            remember::not_remembered(world, &e);
            Ok(())
        }
        Err(e) => Err(Error::System(Problem::caused(
            format!(
                "cannot record what is loaded ahead below {}",
                record::attempt::folder(Path::new("/")).display()
            ),
            e,
            "make room in /var, and make it writable; otherwise the next boot cannot tell how the \
             reboot went",
        ))),
    }
}

/// Before a change: what an earlier one left that did not end is put right.
///
/// # Errors
/// When that cannot be done.
pub(crate) fn put_right(world: &World<'_>, lock: &Lock, slot: Slot) -> Result<(), Error> {
    let loaded = handover::is_loaded_in(world.root, slot);
    let mut take_out = || unload_held(world, lock, slot, SyscallChoice::Auto);
    if let Some(done) = slot::put_right(world.store(), lock, slot, loaded, &mut take_out)? {
        world.tell(Told::Note(done));
    }
    Ok(())
}
