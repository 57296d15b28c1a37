//! The new spelling: one word that says what to do, and options in full.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kexec_core::handover::ask::Ask;
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_sys::Slot;

use super::old::{chosen, integrity, load_request, profile};
use super::{Meant, Request, Shutdown, USAGE_VERB, UsageError, VerbRequest, Wanted};
use crate::args::typed::{Spelling, Typed, printable};
use crate::args::{Id, Verb, flags_of};

pub(super) fn meant(verb: Verb, words: &[OsString]) -> Result<Meant, UsageError> {
    let usage = |message: String| UsageError {
        message,
        verb: Some(verb),
        exit_code: USAGE_VERB,
    };
    let typed =
        Typed::read(&flags_of(verb), Spelling::Exact, words).map_err(|e| usage(e.to_string()))?;
    let done = |request| {
        Ok(Meant {
            request,
            notes: Vec::new(),
            debug: typed.has(Id::Debug),
        })
    };
    if typed.has(Id::Help) {
        return done(Request::Help(Some(verb)));
    }
    if let Some(value) = typed.values(Id::Profile).find(|v| profile(v).is_none()) {
        return Err(usage(format!(
            "--profile={}: not a number",
            printable(value)
        )));
    }
    if let Some(value) = typed.values(Id::Integrity).find(|v| integrity(v).is_none()) {
        return Err(usage(format!(
            "--integrity={}: not crc32c, sha256 or none",
            printable(value)
        )));
    }
    let wanted = usize::from(verb.takes_kernel());
    if let Some(extra) = typed.operands.get(wanted) {
        return Err(usage(format!(
            "do not know what to do with {}",
            printable(extra)
        )));
    }
    let slot = if typed.has(Id::Crash) {
        Slot::Crash
    } else {
        Slot::Normal
    };
    let json = typed.has(Id::Json);
    let path = |id| typed.last(id).map(PathBuf::from);
    let wanted = || {
        let name = typed.operands.first().cloned();
        if name.is_none() && slot == Slot::Crash {
            return Err(usage("no crash kernel was named".to_owned()));
        }
        let kernel = name.clone().unwrap_or_default();
        Ok(Wanted {
            load: load_request(&typed, &kernel, slot, SyscallChoice::Fastest),
            cmdline: typed
                .last(Id::Cmdline)
                .map(|text| Cmdline::exact(text.as_bytes())),
            allow_passphrase: typed.has(Id::AllowPassphrase),
            name,
        })
    };
    let what = match verb {
        Verb::Unload => VerbRequest::Unload {
            slot,
            syscall: chosen(&typed).unwrap_or_default(),
            json,
        },
        Verb::Status => {
            let (snapshot, unredacted) = (path(Id::Snapshot), typed.has(Id::Unredacted));
            if unredacted && snapshot.is_none() {
                return Err(usage(
                    "--unredacted is about a snapshot: name its file with --snapshot".to_owned(),
                ));
            }
            VerbRequest::Status {
                json,
                snapshot,
                unredacted,
                host: path(Id::Host),
            }
        }
        Verb::History => VerbRequest::History {
            svg: path(Id::Svg),
            json,
        },
        Verb::Reboot => VerbRequest::Reboot {
            wanted: wanted()?,
            how: shutdown(&typed).map_err(usage)?,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::List => VerbRequest::List {
            root: path(Id::Root),
            json,
        },
        Verb::Load => VerbRequest::Load {
            wanted: wanted()?,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Plan => VerbRequest::Plan {
            wanted: wanted()?,
            host: path(Id::Host),
            svg: path(Id::Svg),
            json,
        },
        Verb::Check => VerbRequest::Check {
            wanted: wanted()?,
            host: path(Id::Host),
            json,
        },
    };
    done(Request::Verb(what))
}

/// What follows a load that is to end in a jump.
fn shutdown(typed: &Typed) -> Result<Shutdown, String> {
    let when = typed
        .last(Id::When)
        .map(|time| time.to_string_lossy().into_owned());
    let how = Shutdown {
        ask: Ask {
            ignore_inhibitors: typed.has(Id::IgnoreInhibitors),
            when,
        },
        now: typed.has(Id::Now),
        or_cold: typed.has(Id::OrCold),
    };
    match &how {
        Shutdown {
            now: true,
            ask: Ask { when: Some(_), .. },
            ..
        } => Err("--now and --when contradict each other".to_owned()),
        _ => Ok(how),
    }
}
