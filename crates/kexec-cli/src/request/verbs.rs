//! The new spelling: one word that says what to do, and options in full.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use kexec_entries::named::unescaped;
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_reboot::enable;
use kexec_reboot::enable::{FEATURES, Feature, Settings};
use kexec_reboot::handover::shutdown_request::ShutdownRequest;
use kexec_reboot::parallel_shutdown::{self, ParallelShutdown};
use kexec_reboot::preload::cold_every::number_of;
use kexec_reboot::record::PreloadTarget;
use kexec_reboot::steps::{PreloadOptions, Selection, Shutdown};
use kexec_sys::Slot;

use super::crash;
use super::kexec_tools::{chosen, load_request};
use super::{
    ColourChoice, CommandLine, MANY, NotAVerb, OutputOptions, Request, USAGE_VERB, UsageError,
    VerbRequest, wrong_value,
};
use crate::args::crash_verb::CrashCommand;
use crate::args::numbers;
use crate::args::typed::{Spelling, Typed, TypedError, printable};
use crate::args::{Flag, Id, Verb, all, crash_dmesg, flags_of, listed, rules, similar};

pub(super) fn parse(verb: Verb, words: &[OsString]) -> Result<CommandLine, UsageError> {
    let usage = |message: String| UsageError {
        message,
        verb: Some(verb),
        exit_code: USAGE_VERB,
    };
    let table = flags_of(verb);
    let typed =
        Typed::read(&table, Spelling::Exact, words).map_err(|e| usage(not_taken(verb, &e)))?;
    let output = output(&typed);
    let done = |request| {
        Ok(CommandLine {
            request,
            notes: Vec::new(),
            output,
        })
    };
    if typed.has(Id::Help) && typed.has(Id::Cold) {
        return done(Request::HelpOfColdreboot);
    }
    if typed.has(Id::Help) {
        let word = typed.operands.first().filter(|_| verb == Verb::Crash);
        let command = word.and_then(|word| CrashCommand::named(word.as_bytes()));
        return done(match command {
            Some(command) => Request::HelpOfCrash(command.action),
            None => Request::Help(Some(verb)),
        });
    }
    if let Some((_, wrong)) = wrong_value(&table, &typed) {
        return Err(usage(wrong));
    }
    if let (Some(extra), 1) = (typed.operands.get(1), verb.operands()) {
        return Err(usage(format!(
            "{} takes one name at a time, and {} is the second: {}",
            verb.name(),
            printable(extra),
            verb.synopsis()
        )));
    }
    if let Some(extra) = typed.operands.get(verb.operands()) {
        return Err(usage(format!(
            "{} does not take {}: {}",
            verb.name(),
            printable(extra),
            verb.synopsis()
        )));
    }
    if let Some(broken) = rules::broken(&table, &typed, Some(verb)) {
        return Err(usage(broken));
    }
    if verb.takes_kernel() && typed.operands.iter().any(|operand| operand.is_empty()) {
        // A variable of a script that is not set must not be the default entry.
        return Err(usage(
            "the name is empty: leave it out for what a reboot would boot".to_owned(),
        ));
    }
    let slot = if typed.has(Id::Crash) {
        Slot::Crash
    } else {
        Slot::Normal
    };
    let json = typed.has(Id::Json);
    let path = |id| typed.last(id).map(PathBuf::from);
    // A crash kernel is checked as `kexec crash load` would load it.
    let usual = match (verb, slot) {
        (Verb::Check, Slot::Crash) => SyscallChoice::Auto,
        _ => SyscallChoice::Fastest,
    };
    let selection = || {
        let name = typed.operands.first().cloned();
        // A check takes the one that `kexec crash load` would load.
        if name.is_none() && slot == Slot::Crash && verb != Verb::Check {
            return Err(usage(
                "--crash needs a kernel: no crash kernel was named".to_owned(),
            ));
        }
        let kernel = name.clone().unwrap_or_default();
        Ok(Selection {
            load: load_request(&typed, &kernel, slot, usual),
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
        Verb::Status => VerbRequest::Status {
            json,
            snapshot: path(Id::Snapshot),
            unredacted: typed.has(Id::Unredacted),
            host: path(Id::Host),
        },
        Verb::History => VerbRequest::History {
            svg: path(Id::Svg),
            json,
        },
        Verb::Metrics => VerbRequest::Metrics {
            output: path(Id::Output),
        },
        Verb::Reboot if typed.has(Id::Cold) => VerbRequest::RebootCold {
            request: shutdown_request(&typed),
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Reboot => VerbRequest::Reboot {
            selection: selection()?,
            how: Shutdown {
                request: shutdown_request(&typed),
                now: typed.has(Id::Now),
                or_cold: typed.has(Id::OrCold),
                cold: false,
            },
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::List => VerbRequest::List {
            root: path(Id::Root),
            names: typed.has(Id::Names),
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
        Verb::Crash => VerbRequest::Crash(crash::parse(&typed).map_err(usage)?),
        Verb::Enable | Verb::Disable => VerbRequest::Switch {
            feature: feature(&typed).map_err(usage)?,
            on: verb == Verb::Enable,
            settings: settings(&typed).map_err(usage)?,
            root: path(Id::Root),
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Preload if typed.has(Id::Enabled) => VerbRequest::StartEnabled {
            dry_run: typed.has(Id::DryRun),
            json,
        },
        Verb::Preload => VerbRequest::Preload {
            how: preload(&typed),
            json,
        },
        Verb::ParallelShutdown if typed.has(Id::Steps) => VerbRequest::UnbindSteps,
        Verb::ParallelShutdown if typed.has(Id::ServicesStopped) => VerbRequest::ServicesStopped,
        Verb::ParallelShutdown => VerbRequest::ParallelShutdown {
            how: parallel_shutdown(&typed).map_err(usage)?,
            json,
        },
        Verb::Help => return done(about(&typed).map_err(usage)?),
        Verb::Version => return done(Request::Version { json }),
    };
    done(Request::Verb(what))
}

/// What is said of a word that is not understood: when it is an option that this verb
/// does not take, who does.
fn not_taken(verb: Verb, error: &TypedError) -> String {
    let TypedError::Unknown { name, .. } = error else {
        return error.to_string();
    };
    let called = |flag: &&Flag| match name.strip_prefix("--") {
        Some(long) => flag.longs().any(|one| one == long),
        None => flag
            .short
            .is_some_and(|short| name.as_bytes() == [b'-', short]),
    };
    let mut called: Vec<&Flag> = all().filter(called).collect();
    // Of a letter that has two meanings, the one that is about a load.
    let is_of_dmesg = |flag: &&Flag| crash_dmesg::IDS.contains(&flag.id);
    if !called.iter().all(is_of_dmesg) {
        called.retain(|flag| !is_of_dmesg(flag));
    }
    let takes = |verb: &&Verb| called.iter().any(|flag| flag.verbs.contains(verb));
    let verbs: Vec<&str> = Verb::ALL
        .iter()
        .filter(takes)
        .map(|verb| verb.name())
        .collect();
    let mut modes: Vec<&str> = called
        .iter()
        .flat_map(|flag| flag.effect.modes)
        .map(|mode| mode.typed())
        .collect();
    modes.dedup();
    let who = match (verbs.as_slice(), modes.as_slice()) {
        _ if called.is_empty() => return error.to_string(),
        ([], []) => "no verb does".to_owned(),
        ([], _) => format!("it goes with {}, without a verb", listed(&modes, "or")),
        ([one], _) => format!("{one} does"),
        (several, _) => match Verb::ALL.len().saturating_sub(several.len()) {
            rest if rest <= MANY && several.len() > MANY => {
                let refuses = |verb: &&Verb| !several.contains(&verb.name());
                let others: Vec<&str> = Verb::ALL
                    .iter()
                    .filter(refuses)
                    .map(|verb| verb.name())
                    .collect();
                format!("every verb but {} does", listed(&others, "and"))
            }
            _ => format!("{} do", listed(several, "and")),
        },
    };
    format!("{} does not take {name}: {who}", verb.name())
}

/// How the output is shown.
fn output(typed: &Typed) -> OutputOptions {
    let colour = match typed.last(Id::Color).and_then(OsStr::to_str) {
        Some("always") => ColourChoice::Always,
        Some("never") => ColourChoice::Never,
        // Another word is refused before.
        _ => ColourChoice::Auto,
    };
    OutputOptions {
        colour,
        pager: !typed.has(Id::NoPager),
    }
}

/// Whose help is wanted.
fn about(typed: &Typed) -> Result<Request, String> {
    let Some(word) = typed.operands.first() else {
        return Ok(Request::Help(None));
    };
    // A manual page is called kexec-crash.
    let bytes = word.as_bytes();
    let verb = Verb::from_bytes(bytes.strip_prefix(b"kexec-").unwrap_or(bytes));
    match (verb, typed.operands.get(1)) {
        (Some(Verb::Crash), Some(command)) => {
            let known = CrashCommand::named(command.as_bytes());
            let known = known.ok_or_else(|| crash::unknown(command))?;
            return Ok(Request::HelpOfCrash(known.action));
        }
        (_, Some(extra)) => {
            let (word, extra) = (printable(word), printable(extra));
            return Err(format!(
                "help takes one verb: {extra} behind {word} is one too many"
            ));
        }
        _ => {}
    }
    verb.map(|verb| Request::Help(Some(verb))).ok_or_else(|| {
        let word = word.clone();
        let similar = similar(word.as_bytes(), Verb::ALL.iter().map(|verb| verb.name()));
        NotAVerb {
            word,
            similar,
            before_panic: false,
        }
        .to_string()
    })
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

/// What is told to a feature, which has to be the one that it is for.
fn settings(typed: &Typed) -> Result<Settings, String> {
    let named = feature(typed)?.name;
    for (id, option, only) in [
        (Id::ColdEvery, "--cold-every", "preload"),
        (Id::TextfileDir, "--textfile-dir", "metrics"),
    ] {
        if typed.has(id) && named != only {
            return Err(format!(
                "enable {named} does not take {option}: enable {only} does"
            ));
        }
    }
    let text = |id| {
        typed
            .last(id)
            .map(|text| text.to_string_lossy().into_owned())
    };
    Ok(Settings {
        cold_every: text(Id::ColdEvery).and_then(|text| number_of(&text)),
        textfiles: text(Id::TextfileDir),
    })
}

fn preload(typed: &Typed) -> PreloadOptions {
    let named = typed.last(Id::Instance).map(|name| {
        let name = name.to_string_lossy();
        PreloadTarget::Named(unescaped(&name))
    });
    PreloadOptions {
        target: named.unwrap_or(PreloadTarget::Default),
        at_shutdown: typed.has(Id::AtShutdown),
        if_enabled: typed.has(Id::IfEnabled),
        this_machine: typed.has(Id::YesThisMachine),
        dry_run: typed.has(Id::DryRun),
    }
}

/// When devices are unbound, and for how long that may take.
fn parallel_shutdown(typed: &Typed) -> Result<ParallelShutdown, String> {
    let dry_run = typed.has(Id::DryRun);
    let action = typed.operands.first();
    if action.is_none() && !dry_run {
        return Err(
            "say what the shutdown ends in: `kexec parallel-shutdown kexec` unbinds devices, \
             --dry-run shows which"
                .to_owned(),
        );
    }
    let timeout = typed.last(Id::Timeout).and_then(numbers::whole);
    let seconds = timeout.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(ParallelShutdown {
        // What else a shutdown can end in needs nothing.
        acts: action.is_none_or(|action| action == "kexec"),
        timeout: Duration::from_secs(seconds.unwrap_or(parallel_shutdown::TIMEOUT)),
        dry_run,
    })
}

/// What init is asked for.
fn shutdown_request(typed: &Typed) -> ShutdownRequest {
    let when = typed.last(Id::When);
    ShutdownRequest {
        ignore_inhibitors: typed.has(Id::IgnoreInhibitors),
        when: when.map(|time| time.to_string_lossy().into_owned()),
    }
}
