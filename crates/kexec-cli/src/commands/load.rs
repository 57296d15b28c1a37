//! Loading a kernel into one of the two slots.

use std::path::Path;
use std::time::SystemTime;

use kexec_load::jump_back::load_helper;
use kexec_load::pipeline::{self, Carried, Inputs, Prepared};
use kexec_load::preflight::{Finding, Severity};
use kexec_load::{Error, LoadRequest, SyscallChoice};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_reboot::handover;
use kexec_reboot::record;
use kexec_reboot::record::slot;
use kexec_reboot::record::slot::Need;
use kexec_reboot::record::{Attempt, Lock, Record};
use kexec_sys::{FileFlags, Slot};

use super::audience::{Stream, plan_text};
use super::unload::unload_held;
use super::wanted::Found;
use super::{World, exit, is, prepare, print, print_json, remember};
use crate::render::{json, text, visible};
use crate::request::Wanted;

/// What becomes of a load beyond the image.
pub struct Ask<'a> {
    /// Flags of the system call that do not follow from the request.
    pub flags: FileFlags,
    /// Whether it may go on without a record.
    pub need: Need,
    /// What is to be remembered for the next boot; none where nobody will look.
    pub attempt: Option<&'a dyn Fn(&Prepared) -> Attempt>,
}

impl Ask<'_> {
    /// The image is what counts, and the next boot asks nothing.
    pub fn image(flags: FileFlags) -> Ask<'static> {
        Ask {
            flags,
            need: Need::Image,
            attempt: None,
        }
    }
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The plan that was carried out.
    pub prepared: Prepared,
    /// What was remembered for the next boot: loaded, and nobody has asked for the jump.
    pub attempt: Option<Attempt>,
}

/// A load whose files are read, and which was planned and checked.
#[derive(Debug)]
pub struct Ready<'a> {
    found: &'a Found,
    host: Snapshot,
    inputs: Inputs,
    prepared: Prepared,
}

/// Reads, plans, checks and loads for `command`. The lock is taken when everything is
/// read: a pipe that brings a kernel may be slow.
///
/// # Errors
/// When a file, the image, a check or the kernel said no. What was loaded
/// before is still loaded, or the error says that it is not.
pub fn load(
    world: &World<'_>,
    command: &str,
    request: &LoadRequest,
    flags: FileFlags,
) -> Result<Prepared, Error> {
    let found = Found::file(request);
    load_found(world, command, &found, flags)
}

/// The same for what was found.
fn load_found(
    world: &World<'_>,
    command: &str,
    found: &Found,
    flags: FileFlags,
) -> Result<Prepared, Error> {
    let ready = Ready::new(world, found)?;
    let lock = world.lock(command)?;
    let loaded = ready.load(world, &lock, &Ask::image(flags))?;
    Ok(loaded.prepared)
}

impl<'a> Ready<'a> {
    /// Reads, plans and checks; says what is worth saying. Changes nothing.
    ///
    /// # Errors
    /// When a file or the image is no good. What a check refuses is an error of the load.
    pub fn new(world: &World<'_>, found: &'a Found) -> Result<Ready<'a>, Error> {
        let request = &found.request;
        let host = world.snapshot();
        if request.slot == Slot::Crash && host.kexec.crash_size == Fact::Known(0) {
            return Err(no_crash_region());
        }
        let inputs = found.read(&host)?;
        let inputs = inputs.carrying(Carried::read(world.root, request, &host));
        let mut prepared = pipeline::prepare(request, &inputs, &host)?;
        let arrival = found.arrive(world, &host, &prepared);
        prepared.findings.extend(arrival);
        if request.debug {
            eprint!("{}", plan_text(&prepared, Stream::Err));
        }
        let findings = prepared.findings.iter();
        for finding in findings.filter(|f| worth_saying(f, request.debug)) {
            eprint!("{}", text::warning(finding));
        }
        Ok(Ready {
            found,
            host,
            inputs,
            prepared,
        })
    }

    /// Loads it, with its record.
    ///
    /// # Errors
    /// When a check or the kernel said no; and where a record is needed, when it cannot
    /// be written.
    pub fn load(self, world: &World<'_>, lock: &Lock, ask: &Ask<'_>) -> Result<Loaded, Error> {
        let Ready {
            found,
            host,
            inputs,
            prepared,
        } = self;
        let request = &found.request;
        put_right(world, lock, request.slot)?;
        let mut attempt = None;
        let call = |announce: &mut dyn FnMut(&Record) -> Result<(), Error>| {
            let mut begin = |plan: &Prepared| {
                if let Some(of) = ask.attempt {
                    note_down(world, ask.need, of(plan), &mut attempt)?;
                }
                announce(&Record {
                    preloaded: found.preloaded.clone(),
                    ..Record::of(&plan.plan, &plan.decision, SystemTime::now())
                })
            };
            let kernel = world.kernel;
            pipeline::load(
                kernel, request, ask.flags, &inputs, prepared, &host, &mut begin,
            )
        };
        let slot = (
            request.slot,
            handover::is_loaded_in(world.root, request.slot),
        );
        let mut take_out = || unload_held(world, lock, request.slot, SyscallChoice::Auto);
        let loaded = slot::load(world.store(), lock, slot, ask.need, call, &mut take_out);
        let (prepared, unrecorded) = loaded.map_err(|error| {
            if let Some(attempt) = &attempt {
                let _ = record::attempt::forget(world.store(), attempt);
            }
            after_failure(world, lock, request, &host, error)
        })?;
        if let Some(why) = unrecorded {
            eprintln!(
                "kexec: warning: the kernel is loaded, and that is not recorded ({}): `kexec \
                 status` will not know what it is",
                visible(&why)
            );
        }
        if request.slot == Slot::Normal {
            // What was loaded ahead is gone, and so is the attempt that told of it.
            let own = attempt.as_ref().map(|attempt: &Attempt| &attempt.token);
            let _ = record::attempt::forget_preloaded(world.store(), own);
        }
        Ok(Loaded { prepared, attempt })
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
            remember::not_remembered(&e);
            Ok(())
        }
        Err(e) => Err(Error::System {
            what: format!(
                "cannot write down what is loaded ahead below {}",
                record::attempt::folder(Path::new("/")).display()
            ),
            reason: e.to_string(),
            remedy: "make room in /var, and make it writable; nobody could tell after the reboot \
                     how it went"
                .to_owned(),
        }),
    }
}

/// Before a change: what an earlier one left that did not end is put right.
///
/// # Errors
/// When that cannot be done.
pub fn put_right(world: &World<'_>, lock: &Lock, slot: Slot) -> Result<(), Error> {
    let loaded = handover::is_loaded_in(world.root, slot);
    let mut take_out = || unload_held(world, lock, slot, SyscallChoice::Auto);
    if let Some(done) = slot::put_right(world.store(), lock, slot, loaded, &mut take_out)? {
        eprintln!("kexec: note: {}", visible(&done));
    }
    Ok(())
}

/// Loads the way back into the kernel before this one.
///
/// # Errors
/// When there is none, or the kernel refuses it.
pub fn jump_back(world: &World<'_>, entry: Option<u64>) -> Result<(), Error> {
    let lock = world.lock("kexec --load-jump-back-helper")?;
    // It is no kernel that a record could describe, and goes into an empty slot only.
    put_right(world, &lock, Slot::Normal)?;
    let host = world.snapshot();
    load_helper(world.kernel, &host, entry).map(drop)
}

/// A refusal comes back as the error; with `-d` everything is said.
fn worth_saying(finding: &Finding, debug: bool) -> bool {
    match finding.severity {
        Severity::Warning => true,
        Severity::Refusal => false,
        Severity::Pass | Severity::Note | Severity::Unknown => debug,
    }
}

/// The remedy names the kernel parameter that makes the reservation.
pub fn no_crash_region() -> Error {
    Error::NotReady {
        what: "loading a crash kernel".to_owned(),
        why:
            "the running kernel has reserved no memory for one (/sys/kernel/kexec_crash_size is 0)"
                .to_owned(),
        remedy: "boot once with a reservation on the kernel command line, such as crashkernel=256M"
            .to_owned(),
    }
}

/// The crash slot is the exception to "what was loaded stays": the kernel frees
/// the old image before it looks at the new one.
fn after_failure(
    world: &World<'_>,
    lock: &Lock,
    request: &LoadRequest,
    before: &Snapshot,
    error: Error,
) -> Error {
    if request.slot != Slot::Crash || !is(&before.kexec.crash_loaded) {
        return error;
    }
    let now = world.snapshot();
    if is(&now.kexec.crash_loaded) {
        return error;
    }
    // The record of what is gone would be believed of what another program loads next.
    if let Err(stays) = put_right(world, lock, Slot::Crash) {
        eprint!("{}", text::error(&stays));
    }
    Error::System {
        what: error.to_string(),
        reason: "THIS MACHINE IS NOW WITHOUT A CRASH KERNEL: the kernel gave up the one that was loaded before"
            .to_owned(),
        remedy: format!("{}; then load a crash kernel again at once", error.hint()),
    }
}

/// `kexec load [ENTRY|KERNEL]`.
pub fn verb(world: &World<'_>, wanted: &Wanted, json: bool, dry_run: bool) -> u8 {
    let result = if dry_run {
        prepare(world, wanted, None)
    } else {
        Found::new(world, wanted, &world.snapshot())
            .and_then(|found| load_found(world, "kexec load", &found, FileFlags::EMPTY))
    };
    match result {
        Ok(prepared) => {
            if json {
                print_json(&json::plan(&prepared));
            } else {
                print(&plan_text(&prepared, Stream::Out));
                if dry_run {
                    print(&text::findings(&prepared.findings));
                } else {
                    print(
                        "Loaded. `kexec -e` jumps at once; `systemctl kexec` stops the services first.\n",
                    );
                }
            }
            let refused = dry_run && kexec_load::preflight::refusal(&prepared.findings).is_some();
            if refused { exit::REFUSED } else { exit::DONE }
        }
        Err(error) => {
            refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// Says why nothing was done, on stderr or as JSON.
pub fn refuse(error: &Error, as_json: bool) {
    if as_json {
        print_json(&json::error(error));
    } else {
        eprint!("{}", text::error(error));
    }
}
