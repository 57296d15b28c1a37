//! A command line's meaning in one line, as the table has it.

use std::ffi::OsString;
use std::fmt::Write;

use kexec_load::request::{ClassicLoadOptions, UnpackChoice, Unsigned};

use super::*;
use crate::args::crash_verb::COMMANDS;
use crate::args::typed::printable;

fn slot(slot: Slot) -> &'static str {
    match slot {
        Slot::Normal => "normal",
        Slot::Crash => "crash",
    }
}

fn call(syscall: SyscallChoice) -> &'static str {
    match syscall {
        SyscallChoice::File => " file",
        SyscallChoice::Classic => " classic",
        SyscallChoice::Auto => "",
        SyscallChoice::Fastest => " fastest",
    }
}

fn jump(jump: JumpOptions) -> &'static str {
    match (jump.sync, jump.interfaces_down) {
        (true, true) => "jump(sync ifdown)",
        (true, false) => "jump(sync)",
        (false, true) => "jump(ifdown)",
        (false, false) => "jump()",
    }
}

fn loaded(out: &mut String, r: &LoadRequest) {
    write!(
        out,
        " {} {}{}",
        slot(r.slot),
        printable(r.kernel.shown().as_os_str()),
        call(r.syscall)
    )
    .unwrap();
    for initrd in &r.initrds {
        write!(out, " initrd:{}", printable(initrd.shown().as_os_str())).unwrap();
    }
    if r.cmdline.reuse {
        out.push_str(" reuse");
    }
    if let Some(append) = &r.cmdline.append {
        write!(out, " append:{append:?}").unwrap();
    }
    if let Some(profile) = r.profile {
        write!(out, " profile:{profile}").unwrap();
    }
    let usual = match r.old_spelling {
        true => UnpackChoice::Never,
        false => UnpackChoice::Auto,
    };
    if r.unpack.choice != usual {
        write!(out, " unpack:{:?}", r.unpack.choice).unwrap();
    }
    if r.debug {
        out.push_str(" debug");
    }
    // Of what only kexec_load(2) knows, what was asked for.
    let mut usual = ClassicLoadOptions::default();
    // Follows from the spelling, unless --unverified asks.
    if r.classic.unsigned != Unsigned::Taken {
        usual.unsigned = r.classic.unsigned;
    }
    let usual = format!("{usual:#?}");
    let mut classic = r.classic.clone();
    for module in std::mem::take(&mut classic.modules) {
        write!(out, " module:{:?}", module.string).unwrap();
    }
    if let Some(dtb) = classic.dtb.take() {
        write!(out, " dtb:{dtb}").unwrap();
    }
    let asked = format!("{classic:#?}");
    let usual: Vec<&str> = usual.lines().collect();
    for line in asked.lines().filter(|l| !usual.contains(l)) {
        let line = line.trim().trim_end_matches(',');
        if !matches!(line, ")" | "]") {
            write!(out, " {}", line.replace(": ", ":")).unwrap();
        }
    }
}

pub(super) fn short(arch: Arch, words: &[OsString]) -> String {
    let meant = match parse(arch, words) {
        Ok(meant) => meant,
        Err(e) => {
            let verb = e
                .verb
                .map(|v| format!(" of {}", v.name()))
                .unwrap_or_default();
            return format!("usage {}{verb}: {}", e.exit_code, e.message)
                .trim_end()
                .to_owned();
        }
    };
    let mut out = String::new();
    let host = |host: &Option<PathBuf>| {
        host.as_ref()
            .map(|h| format!(" host:{}", h.display()))
            .unwrap_or_default()
    };
    match &meant.request {
        Request::HelpOfCrash(action) => {
            let row = COMMANDS.iter().find(|row| row.action == *action).unwrap();
            write!(out, "help of crash {}", row.name).unwrap();
        }
        Request::HelpOfColdreboot => out.push_str("help of coldreboot"),
        Request::Help(None) => out.push_str("help"),
        Request::Help(Some(verb)) => write!(out, "help {}", verb.name()).unwrap(),
        Request::Version { json } => out.push_str(if *json { "version json" } else { "version" }),
        Request::Status { slot: s } => write!(out, "status {}", slot(*s)).unwrap(),
        Request::Load(load) => {
            out.push_str("load");
            loaded(&mut out, &load.request);
            if load.file_flags != FileFlags::EMPTY {
                write!(out, " {:?}", load.file_flags).unwrap();
            }
            if load.sync_after {
                out.push_str(" sync");
            }
            match load.then {
                Then::Nothing => {}
                Then::Shutdown => out.push_str(" shutdown"),
                Then::Jump(how) => write!(out, " {}", jump(how)).unwrap(),
            }
        }
        Request::Unload { slot: s, syscall } => {
            write!(out, "unload {}{}", slot(*s), call(*syscall)).unwrap();
        }
        Request::Exec(how) => out.push_str(jump(*how)),
        Request::JumpBack { entry } => write!(out, "jump-back {entry:x?}").unwrap(),
        Request::PrintCrashSize => out.push_str("crash-size"),
        Request::Unsupported(n) => {
            assert!(!n.remedy.is_empty());
            write!(out, "not-yet {}: {}", n.exit_code, n.what).unwrap();
        }
        Request::Verb(verb) => {
            let json = match verb {
                VerbRequest::Reboot {
                    selection,
                    how,
                    dry_run,
                    json,
                } => {
                    out.push_str("verb reboot");
                    about(&mut out, selection);
                    asked(&mut out, &how.request);
                    for (name, set) in [
                        ("now", how.now),
                        ("or-cold", how.or_cold),
                        ("dry-run", *dry_run),
                    ] {
                        if set {
                            write!(out, " {name}").unwrap();
                        }
                    }
                    json
                }
                VerbRequest::RebootCold {
                    request,
                    dry_run,
                    json,
                } => {
                    out.push_str("verb reboot cold");
                    asked(&mut out, request);
                    if *dry_run {
                        out.push_str(" dry-run");
                    }
                    json
                }
                VerbRequest::Load {
                    selection,
                    dry_run,
                    json,
                } => {
                    out.push_str("verb load");
                    about(&mut out, selection);
                    if *dry_run {
                        out.push_str(" dry-run");
                    }
                    json
                }
                VerbRequest::NeedsReboot { json } => {
                    out.push_str("verb needs-reboot");
                    json
                }
                VerbRequest::Switch {
                    feature,
                    on,
                    settings,
                    root,
                    dry_run,
                    json,
                } => {
                    let word = if *on { "on" } else { "off" };
                    write!(out, "verb switch {} {word}", feature.name).unwrap();
                    if let Some(every) = settings.cold_every {
                        write!(out, " {every:?}").unwrap();
                    }
                    if let Some(folder) = &settings.textfiles {
                        write!(out, " textfiles:{folder}").unwrap();
                    }
                    if let Some(root) = root {
                        write!(out, " root={}", root.display()).unwrap();
                    }
                    if *dry_run {
                        out.push_str(" dry-run");
                    }
                    json
                }
                VerbRequest::Preload { how, json } => {
                    write!(out, "verb preload {:?}", how.target).unwrap();
                    for (name, set) in [
                        ("at-shutdown", how.at_shutdown),
                        ("if-enabled", how.if_enabled),
                        ("this-machine", how.this_machine),
                        ("dry-run", how.dry_run),
                    ] {
                        if set {
                            write!(out, " {name}").unwrap();
                        }
                    }
                    json
                }
                VerbRequest::ParallelShutdown { how, json } => {
                    let acts = if how.acts { " acts" } else { "" };
                    write!(out, "verb parallel-shutdown{acts} within {:?}", how.timeout).unwrap();
                    if how.dry_run {
                        out.push_str(" dry-run");
                    }
                    json
                }
                VerbRequest::ServicesStopped => {
                    out.push_str("verb parallel-shutdown services-stopped");
                    &false
                }
                VerbRequest::UnbindSteps => {
                    out.push_str("verb parallel-shutdown steps");
                    &false
                }
                VerbRequest::StartEnabled { dry_run, json } => {
                    out.push_str("verb preload enabled");
                    if *dry_run {
                        out.push_str(" dry-run");
                    }
                    json
                }
                VerbRequest::Unload {
                    slot: s,
                    syscall,
                    json,
                } => {
                    write!(out, "verb unload {}{}", slot(*s), call(*syscall)).unwrap();
                    json
                }
                VerbRequest::Status {
                    json,
                    snapshot,
                    unredacted,
                    host: h,
                } => {
                    write!(out, "verb status{}", host(h)).unwrap();
                    if let Some(file) = snapshot {
                        write!(out, " snapshot:{}", file.display()).unwrap();
                    }
                    if *unredacted {
                        out.push_str(" unredacted");
                    }
                    json
                }
                VerbRequest::Plan {
                    selection,
                    host: h,
                    svg,
                    json,
                } => {
                    out.push_str("verb plan");
                    about(&mut out, selection);
                    out.push_str(&host(h));
                    if let Some(file) = svg {
                        write!(out, " svg:{}", file.display()).unwrap();
                    }
                    json
                }
                VerbRequest::Crash(request) => crash(&mut out, request),
                VerbRequest::Metrics { output } => {
                    write!(out, "verb metrics {output:?}").unwrap();
                    &false
                }
                VerbRequest::History { svg, json } => {
                    out.push_str("verb history");
                    if let Some(file) = svg {
                        write!(out, " svg:{}", file.display()).unwrap();
                    }
                    json
                }
                VerbRequest::List { root, names, json } => {
                    out.push_str("verb list");
                    if let Some(folder) = root {
                        write!(out, " root:{}", folder.display()).unwrap();
                    }
                    if *names {
                        out.push_str(" names");
                    }
                    json
                }
                VerbRequest::Check {
                    selection,
                    host: h,
                    json,
                } => {
                    out.push_str("verb check");
                    about(&mut out, selection);
                    out.push_str(&host(h));
                    json
                }
            };
            if *json {
                out.push_str(" json");
            }
        }
    }
    for note in &meant.notes {
        // The first word says which option or file it is about.
        write!(out, " ~{}", note.split(' ').next().unwrap_or_default()).unwrap();
    }
    out
}

/// A subcommand of `kexec crash`, and whether it answers as JSON.
fn crash<'a>(out: &mut String, request: &'a CrashRequest) -> &'a bool {
    out.push_str("verb crash");
    let (dry_run, json) = match request {
        CrashRequest::Load {
            selection,
            dry_run,
            json,
            by_unit,
        } => {
            out.push_str(if *by_unit { " load by-unit" } else { " load" });
            about(out, selection);
            (*dry_run, json)
        }
        CrashRequest::Status { debug, json } => {
            out.push_str(if *debug { " status debug" } else { " status" });
            (false, json)
        }
        CrashRequest::Unload { syscall, json } => {
            write!(out, " unload{}", call(*syscall)).unwrap();
            (false, json)
        }
        CrashRequest::Estimate { selection, json } => {
            out.push_str(" estimate");
            about(out, selection);
            (false, json)
        }
        CrashRequest::Shrink {
            size,
            dry_run,
            json,
        } => {
            write!(out, " shrink {size:?}").unwrap();
            (*dry_run, json)
        }
        CrashRequest::Dmesg(log) => {
            let (show, style, select) = (log.show, log.style, log.select);
            write!(out, " dmesg {:?} {show:?} {style:?} {select:?}", log.dumps).unwrap();
            (false, &false)
        }
    };
    if dry_run {
        out.push_str(" dry-run");
    }
    json
}

/// What init is asked for.
fn asked(out: &mut String, request: &ShutdownRequest) {
    if request.ignore_inhibitors {
        out.push_str(" over-locks");
    }
    if let Some(when) = &request.when {
        write!(out, " when:{when}").unwrap();
    }
}

/// What a verb is about.
fn about(out: &mut String, selection: &Selection) {
    assert_eq!(
        selection.load.kernel.shown().as_os_str(),
        selection.name.clone().unwrap_or_default()
    );
    if selection.name.is_none() {
        out.push_str(" default-entry");
    }
    loaded(out, &selection.load);
    if selection.allow_passphrase {
        out.push_str(" passphrase");
    }
    if selection.this_machine {
        out.push_str(" this-machine");
    }
    if let Some(line) = &selection.cmdline {
        write!(out, " cmdline:{line}").unwrap();
    }
}
