//! The new spelling: one word that says what to do, and options in full.

use std::ffi::OsString;
use std::path::PathBuf;

use kexec_plan::SyscallChoice;
use kexec_sys::Slot;

use super::old::{chosen, integrity, load_request, profile};
use super::{Meant, Request, USAGE_VERB, UsageError, VerbRequest};
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
    let request = || match typed.operands.first() {
        Some(kernel) => Ok(load_request(&typed, kernel, slot, SyscallChoice::Fastest)),
        None => Err(usage("no kernel was named".to_owned())),
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
        Verb::Load => VerbRequest::Load {
            request: request()?,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Plan => VerbRequest::Plan {
            request: request()?,
            host: path(Id::Host),
            svg: path(Id::Svg),
            json,
        },
        Verb::Check => VerbRequest::Check {
            request: request()?,
            host: path(Id::Host),
            json,
        },
    };
    done(Request::Verb(what))
}
