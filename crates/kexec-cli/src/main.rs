//! `kexec`: from the running kernel into another one without the firmware.
//!
//! The words of the command line are understood ([`request`]), one command is
//! carried out ([`commands`]), and its exit code is returned.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr, clippy::print_stdout)]

/// Writes a text to stderr. Whoever closed or filled it misses the text and nothing else:
/// `eprint!` would end the program, in the middle of a reboot, too.
macro_rules! say {
    ($($text:tt)*) => {
        crate::commands::to_stderr(&format!($($text)*))
    };
}

/// The same, with a newline.
macro_rules! say_line {
    ($($text:tt)*) => {
        crate::commands::to_stderr(&(format!($($text)*) + "\n"))
    };
}

mod commands;
mod render;
mod request;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use kexec_cli::vmcore_dmesg::NAME;
use kexec_cli::{args, before_panic, help};
use kexec_image::Arch;
use kexec_load::Error;
use kexec_machine::volumes::Automounts;
use kexec_reboot::handover::JumpOptions;
use kexec_reboot::record::files::OnDisk;
use kexec_reboot::steps::{self, ChosenLoad, Selection, Shutdown};
use kexec_reboot::world::World;
use kexec_sys::{Linux, Slot};

use commands::{
    check, crash, enable, history, instances, list, load, metrics, needs_reboot, parallel_shutdown,
    plan, preload, progress, reboot, status, terminal, unload,
};
use render::{json, text};
use request::{CommandLine, Load, NotAVerb, Request, Then, UsageError, VerbRequest};

/// What kexec-tools exits with when a load, an unload or a jump failed.
const FAILED: u8 = 255;
/// What kexec-tools exits with when it gives up before it asked the kernel.
const DIED: u8 = 1;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    // One file with two names: a link to it is the other program.
    if Path::new(&name).file_name() == Some(OsStr::new(NAME)) {
        return ExitCode::from(commands::vmcore_dmesg::run(&words));
    }
    let arch = running_arch();
    ExitCode::from(commands::exit_code(match request::parse(arch, &words) {
        Ok(meant) => {
            let before = request::verb_before_mode(arch, &words);
            let before = before.filter(|before| !Path::new(before.verb.name()).exists());
            match (&meant.request, before) {
                (Request::Exec(_), Some(before)) => {
                    // A verb that is to load nothing would jump.
                    say!("{}", help::jump_behind_a_verb(before.verb));
                    return ExitCode::from(DIED);
                }
                (Request::Load(load), Some(before)) if load.request.slot == Slot::Normal => {
                    say!("{}", help::load_behind_a_verb(before.verb, before.mode));
                    return ExitCode::from(DIED);
                }
                _ => {}
            }
            for note in &meant.notes {
                say_line!("kexec: note: {note}");
            }
            terminal::set(meant.output);
            let kernel = Linux;
            let world = World {
                kernel: &kernel,
                root: Path::new("/"),
                automounts: Automounts::Wake,
                files: &OnDisk,
                onlooker: &commands::Terminal,
            };
            let word = request::not_a_verb(arch, &words);
            let code = run(&world, arch, &meant, word.as_ref());
            progress::end();
            code
        }
        Err(error) => usage(arch, &error, words.iter().any(|word| word == "--json")),
    }))
}

/// The architecture whose options are known: the one this program was built
/// for. That is data and not `cfg`, and needs no /proc when `-e` runs last.
fn running_arch() -> Arch {
    Arch::from_uname(std::env::consts::ARCH).unwrap_or(Arch::X86_64)
}

/// `as_json`: the word `--json` is there; without a verb there is no such option.
fn usage(arch: Arch, error: &UsageError, as_json: bool) -> u8 {
    if let (Some(verb), true) = (error.verb, as_json) {
        let remedy = help::usage_remedy(Some(verb));
        commands::print_json(&json::failure(&error.message, &remedy));
        return error.exit_code;
    }
    match error.message.as_str() {
        // `-?` asks for it.
        "" => terminal::page(&help::help(arch, None)),
        message => say!("{}", help::usage(message, error.verb)),
    }
    error.exit_code
}

/// `word` is the first word, where it may be a mistyped verb.
fn run(world: &World<'_>, arch: Arch, meant: &CommandLine, word: Option<&NotAVerb>) -> u8 {
    match &meant.request {
        Request::HelpOfColdreboot => {
            terminal::page(&help::coldreboot());
            0
        }
        Request::HelpOfCrash(action) => {
            terminal::page(&help::crash(*action));
            0
        }
        Request::Help(verb) => {
            terminal::page(&help::help(arch, *verb));
            0
        }
        Request::Version { json } => {
            match json {
                true => commands::print_json(&help::version_json()),
                false => commands::print(&help::version()),
            }
            0
        }
        Request::Status { slot } => status::old(world, *slot),
        Request::Load(load) => old_load(world, load, word),
        Request::Unload { slot, syscall } => {
            match steps::unload(world, "kexec -u", *slot, *syscall) {
                Ok(()) => 0,
                Err(error) => failed(&error),
            }
        }
        Request::Exec(how) => jump(world, *how),
        Request::JumpBack { entry } => match steps::jump_back(world, *entry) {
            Ok(()) => 0,
            Err(error) => failed(&error),
        },
        Request::PrintCrashSize => status::print_crash_size(world),
        Request::Unsupported(unsupported) => {
            say_line!("kexec: {}\n       {}", unsupported.what, unsupported.remedy);
            unsupported.exit_code
        }
        Request::Verb(verb) => run_verb(world, verb),
    }
}

fn run_verb(world: &World<'_>, verb: &VerbRequest) -> u8 {
    match verb {
        VerbRequest::Reboot {
            selection,
            how,
            dry_run,
            json,
        } => reboot::verb(world, selection, how, *dry_run, *json),
        VerbRequest::RebootCold {
            request,
            dry_run,
            json,
        } => {
            let how = Shutdown {
                request: request.clone(),
                now: false,
                or_cold: false,
                cold: true,
            };
            reboot::verb(world, &Selection::default_entry(), &how, *dry_run, *json)
        }
        VerbRequest::Load {
            selection,
            dry_run,
            json,
        } => load::verb(world, selection, *json, *dry_run),
        VerbRequest::Unload {
            slot,
            syscall,
            json,
        } => unload::verb(world, *slot, *syscall, *json),
        VerbRequest::Status {
            json,
            snapshot,
            unredacted,
            host,
        } => status::verb(
            world,
            *json,
            snapshot.as_deref(),
            host.as_deref(),
            !unredacted,
        ),
        VerbRequest::History { svg, json } => history::verb(world, svg.as_deref(), *json),
        VerbRequest::Metrics { output } => metrics::verb(world, output.as_deref()),
        VerbRequest::List { root, names, json } => {
            list::verb(world, root.as_deref(), *names, *json)
        }
        VerbRequest::Plan {
            selection,
            host,
            svg,
            json,
        } => plan::verb(world, selection, host.as_deref(), svg.as_deref(), *json),
        VerbRequest::Check {
            selection,
            host: None,
            json,
        } if selection.load.slot == Slot::Crash => crash::check(world, selection, *json),
        VerbRequest::Check {
            selection,
            host,
            json,
        } => check::verb(world, selection, host.as_deref(), *json),
        VerbRequest::Crash(request) => crash::verb(world, request),
        VerbRequest::NeedsReboot { json } => needs_reboot::verb(world, *json),
        VerbRequest::Switch {
            feature,
            on,
            settings,
            root,
            dry_run,
            json,
        } => enable::verb(
            world,
            &enable::Wanted {
                feature,
                on: *on,
                settings,
                root: root.as_deref(),
                dry_run: *dry_run,
                json: *json,
            },
        ),
        VerbRequest::Preload { how, json } => preload::verb(world, how, *json),
        VerbRequest::ParallelShutdown { how, json } => parallel_shutdown::verb(world, how, *json),
        VerbRequest::ServicesStopped => parallel_shutdown::services_stopped(world),
        VerbRequest::UnbindSteps => parallel_shutdown::steps(world),
        VerbRequest::StartEnabled { dry_run, json } => instances::verb(world, *dry_run, *json),
    }
}

/// A load in the old spelling, and what follows it.
fn old_load(world: &World<'_>, load: &Load, word: Option<&NotAVerb>) -> u8 {
    let command = match load.request.slot {
        Slot::Normal => "kexec -l",
        Slot::Crash => "kexec -p",
    };
    let chosen = ChosenLoad::file(&load.request);
    if let Err(error) = steps::load(world, command, chosen, world.snapshot(), load.file_flags) {
        return match word.filter(|word| is_missing(&error, Path::new(&word.word))) {
            Some(word) => {
                let text = match word.before_panic {
                    true => before_panic::neither_file_nor_verb(&word.word, &word.similar),
                    false => help::neither_file_nor_verb(&word.word, &word.similar),
                };
                say!("{text}");
                DIED
            }
            None => failed(&error),
        };
    }
    if load.sync_after {
        world.kernel.sync();
    }
    match load.then {
        Then::Nothing => 0,
        Then::Shutdown => failed(&steps::shutdown(world)),
        Then::Jump(how) => jump(world, how),
    }
}

/// Whether the kernel could not be read because there is no file of that name.
fn is_missing(error: &Error, kernel: &Path) -> bool {
    let there = || kernel.symlink_metadata();
    matches!(error, Error::KernelNotRead(_))
        && there().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

fn jump(world: &World<'_>, how: JumpOptions) -> u8 {
    progress::end();
    match steps::jump(world, how) {
        Ok(()) => {
            commands::print("The other kernel has jumped back.\n");
            0
        }
        Err(error) => failed(&error),
    }
}

/// Says what went wrong; the exit code is the one that kexec-tools has there.
fn failed(error: &Error) -> u8 {
    progress::end();
    say!("{}", text::error(error, terminal::layout_of_messages()));
    match error {
        Error::NotReady(_) | Error::KernelNotRead(_) => DIED,
        _ => FAILED,
    }
}
