//! Loading a kernel into one of the two slots.

use std::time::SystemTime;

use kexec_core::host::Fact;
use kexec_core::jump_back::load_helper;
use kexec_core::pipeline::{self, Carried, Prepared};
use kexec_core::preflight::{Finding, Severity};
use kexec_core::record::{self, Record};
use kexec_core::{Error, LoadRequest, Snapshot};
use kexec_sys::{FileFlags, Slot};

use super::audience::{Stream, plan_text};
use super::wanted::Found;
use super::{World, exit, is, prepare, print, print_json};
use crate::render::{json, text};
use crate::request::Wanted;

/// Reads, plans, checks and loads; on success the record is written. `flags`
/// are those of the system call that do not follow from the request.
///
/// # Errors
/// When a file, the image, a check or the kernel said no. What was loaded
/// before is still loaded, or the error says that it is not.
pub fn load(world: &World<'_>, request: &LoadRequest, flags: FileFlags) -> Result<Prepared, Error> {
    load_found(world, &Found::file(request), flags)
}

/// The same for what was found.
///
/// # Errors
/// As [`load`].
pub fn load_found(world: &World<'_>, found: &Found, flags: FileFlags) -> Result<Prepared, Error> {
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
    for finding in prepared
        .findings
        .iter()
        .filter(|f| worth_saying(f, request.debug))
    {
        eprint!("{}", text::warning(finding));
    }
    let loaded = pipeline::load(world.kernel, request, flags, &inputs, prepared, &host);
    let prepared = loaded.map_err(|error| after_failure(world, request, &host, error))?;
    if request.slot == Slot::Normal {
        // What was loaded ahead is gone, and so is the attempt that told of it.
        let _ = record::attempt::forget_preloaded(world.root);
    }
    let record = Record {
        preloaded: found.preloaded.clone(),
        ..Record::of(&prepared.plan, &prepared.decision, SystemTime::now())
    };
    if let Err(e) = record::write(world.root, request.slot, &record)
        && request.debug
    {
        eprintln!("kexec: note: not remembered under /run/kexec: {e}");
    }
    Ok(prepared)
}

/// Loads the way back into the kernel before this one.
///
/// # Errors
/// When there is none, or the kernel refuses it.
pub fn jump_back(world: &World<'_>, entry: Option<u64>) -> Result<(), Error> {
    let host = world.snapshot();
    load_helper(world.kernel, &host, entry)?;
    // It is no kernel that a record could describe.
    let _ = record::forget(world.root, Slot::Normal);
    Ok(())
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
    // The kernel did it, so the record must not claim otherwise.
    let _ = record::forget(world.root, Slot::Crash);
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
            .and_then(|found| load_found(world, &found, FileFlags::EMPTY))
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
            let refused = dry_run && kexec_core::preflight::refusal(&prepared.findings).is_some();
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
