//! The new spelling: one word that says what to do, and options in full.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kexec_entries::named::unescaped;
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_reboot::enable;
use kexec_reboot::enable::{FEATURES, Feature};
use kexec_reboot::handover::ask::Ask;
use kexec_reboot::record::PreloadTarget;
use kexec_reboot::steps::{LoadAhead, Selection, Shutdown};
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
    if let Some(extra) = typed.operands.get(verb.operands()) {
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
    let selection = || {
        let name = typed.operands.first().cloned();
        if name.is_none() && slot == Slot::Crash {
            return Err(usage("no crash kernel was named".to_owned()));
        }
        let kernel = name.clone().unwrap_or_default();
        Ok(Selection {
            load: load_request(&typed, &kernel, slot, SyscallChoice::Fastest),
            cmdline: typed
                .last(Id::Cmdline)
                .map(|text| Cmdline::exact(text.as_bytes())),
            allow_passphrase: typed.has(Id::AllowPassphrase),
            this_machine: typed.has(Id::YesThisMachine),
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
            selection: selection()?,
            how: shutdown(&typed).map_err(usage)?,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::List => VerbRequest::List {
            root: path(Id::Root),
            json,
        },
        Verb::Load => VerbRequest::Load {
            selection: selection()?,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Plan => VerbRequest::Plan {
            selection: selection()?,
            host: path(Id::Host),
            svg: path(Id::Svg),
            json,
        },
        Verb::Check => VerbRequest::Check {
            selection: selection()?,
            host: path(Id::Host),
            json,
        },
        Verb::NeedsReboot => VerbRequest::NeedsReboot { json },
        Verb::Enable | Verb::Disable => VerbRequest::Switch {
            feature: feature(&typed).map_err(usage)?,
            on: verb == Verb::Enable,
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Preload if typed.has(Id::Enabled) => {
            let loads = [
                Id::AtShutdown,
                Id::IfEnabled,
                Id::Instance,
                Id::YesThisMachine,
            ];
            if loads.into_iter().any(|id| typed.has(id)) {
                let why = "--enabled starts units, and goes with --dry-run and --json only";
                return Err(usage(why.to_owned()));
            }
            VerbRequest::StartEnabled {
                dry_run: typed.has(Id::DryRun),
                json,
            }
        }
        Verb::Preload => VerbRequest::Preload {
            how: preload(&typed),
            json,
        },
    };
    done(Request::Verb(what))
}

/// Which feature is named.
fn feature(typed: &Typed) -> Result<&'static Feature, String> {
    let names: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    let Some(word) = typed.operands.first() else {
        return Err(format!("say which: {}", names.join(", ")));
    };
    let found = word.to_str().and_then(enable::feature);
    found.ok_or_else(|| {
        format!(
            "there is no feature {}; there are: {}",
            printable(word),
            names.join(", ")
        )
    })
}

fn preload(typed: &Typed) -> LoadAhead {
    let named = typed.last(Id::Instance).map(|name| {
        let name = name.to_string_lossy();
        PreloadTarget::Named(unescaped(&name))
    });
    LoadAhead {
        of: named.unwrap_or(PreloadTarget::Default),
        at_shutdown: typed.has(Id::AtShutdown),
        if_enabled: typed.has(Id::IfEnabled),
        this_machine: typed.has(Id::YesThisMachine),
        dry_run: typed.has(Id::DryRun),
    }
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
        cold: typed.has(Id::Cold),
    };
    match &how {
        Shutdown { cold: true, .. } if how.now || how.or_cold || !typed.operands.is_empty() => {
            Err("--cold boots nothing of ours: it goes with --when and -i alone".to_owned())
        }
        Shutdown {
            now: true,
            ask: Ask { when: Some(_), .. },
            ..
        } => Err("--now and --when contradict each other".to_owned()),
        _ => Ok(how),
    }
}
