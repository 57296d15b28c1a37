//! The old spelling: what kexec-tools 2.0.32 takes. Every difference is listed
//! in docs/compatibility.md.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use kexec_core::handover::Jump;
use kexec_core::{CmdlineChoice, LoadRequest};
use kexec_image::Arch;
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_sys::{FileFlags, Slot};

use super::{FAILED_OLD, Load, Meant, NotYet, Request, Then, USAGE_OLD, UsageError, numbers};
use crate::args::typed::{Spelling, Typed, printable};
use crate::args::{Call, Flag, Id, Mode, all, flags_for};

pub(super) fn meant(arch: Arch, words: &[OsString]) -> Result<Meant, UsageError> {
    let typed = Typed::read(&flags_for(arch), Spelling::Abbreviated, words)
        .map_err(|e| usage(&e.to_string()))?;
    let done = |request, notes| {
        Ok(Meant {
            request,
            notes,
            debug: typed.has(Id::Debug),
        })
    };
    if typed.has(Id::Usage) {
        return Err(usage(""));
    }
    if typed.has(Id::Help) {
        return done(Request::Help(None), Vec::new());
    }
    if typed.has(Id::Version) {
        return done(Request::Version, Vec::new());
    }
    if typed.has(Id::PrintCrashSize) {
        return done(Request::PrintCrashSize, Vec::new());
    }
    values(arch, &typed)?;
    if let Some(refused) = never(arch, &typed) {
        return done(Request::NotYet(refused), Vec::new());
    }
    let mode = mode(&typed)?;
    if matches!(mode, Mode::Unload | Mode::Exec | Mode::Status)
        && let Some(flag) = first(&typed, |f| f.load_only)
    {
        return Err(usage(&format!(
            "{} is for loading and makes no sense with {}",
            flag.name(),
            spelled(mode)
        )));
    }
    let request = request(mode, &typed)?;
    let notes = notes(mode, &typed, &request);
    done(request, notes)
}

fn usage(message: &str) -> UsageError {
    UsageError {
        message: message.to_owned(),
        verb: None,
        exit_code: USAGE_OLD,
    }
}

/// Of the options given, the one that the tables list first and that `wanted`
/// takes: so the answer does not depend on the order of the words.
fn first(typed: &Typed, wanted: fn(&Flag) -> bool) -> Option<&'static Flag> {
    all().find(|f| wanted(f) && typed.has(f.id))
}

/// The mode as it is typed, for messages.
fn spelled(mode: Mode) -> &'static str {
    match mode {
        Mode::Load => "-l",
        Mode::LoadCrash => "-p",
        Mode::LoadAndJump => "-f",
        Mode::LoadAndShutdown => "a kernel alone",
        Mode::Unload => "-u",
        Mode::Exec => "-e",
        Mode::Status => "-S",
    }
}

/// Values that make no sense, wherever they stand.
fn values(arch: Arch, typed: &Typed) -> Result<(), UsageError> {
    for id in [Id::MemMin, Id::MemMax, Id::Entry] {
        for value in typed.values(id) {
            if numbers::address(value).is_none() {
                let name = all()
                    .find(|f| f.id == id)
                    .map(Flag::name)
                    .unwrap_or_default();
                return Err(usage(&format!(
                    "{name}={}: not an address (decimal, 0x or octal)",
                    printable(value)
                )));
            }
        }
    }
    if let Some(value) = typed.values(Id::Profile).find(|v| profile(v).is_none()) {
        return Err(usage(&format!(
            "--profile={}: not a number",
            printable(value)
        )));
    }
    if matches!(arch, Arch::X86 | Arch::X86_64) {
        let odd = |message: String| {
            Err(UsageError {
                exit_code: FAILED_OLD,
                ..usage(&message)
            })
        };
        if let Some(value) = typed.values(Id::Serial).find(|v| !numbers::serial_port(v)) {
            return odd(format!(
                "--serial={}: not a serial port (ttyS0, ttyS1 or 0xADDR)",
                printable(value)
            ));
        }
        if let Some(value) = typed
            .values(Id::SerialBaud)
            .find(|v| !numbers::serial_baud(v))
        {
            return odd(format!(
                "--serial-baud={}: not a speed (a divisor of 115200 from 9600 on, or 0)",
                printable(value)
            ));
        }
    }
    Ok(())
}

/// A profile's number.
pub(super) fn profile(value: &std::ffi::OsStr) -> Option<usize> {
    value.to_str()?.parse().ok()
}

/// Options that are refused in every mode.
fn never(arch: Arch, typed: &Typed) -> Option<NotYet> {
    let refused = |what: &str, remedy: &str| {
        Some(NotYet {
            what: what.to_owned(),
            remedy: remedy.to_owned(),
            exit_code: USAGE_OLD,
        })
    };
    if typed.has(Id::ExecLiveUpdate) || typed.has(Id::LoadLiveUpdate) {
        return refused(
            "a live update of a Xen host was asked for, and this program has no Xen support",
            "on a Xen host use xl's or kexec-tools' own live update",
        );
    }
    if typed.has(Id::LoadPreserveContext) || typed.has(Id::LoadJumpBackHelper) {
        return refused(
            "coming back to the running kernel (kexec jump) was asked for, and this program does \
             not do it",
            "load without --load-preserve-context and --load-jump-back-helper to leave this \
             kernel for good",
        );
    }
    // arm64's kexec-tools accepts it and does nothing with it.
    if typed.has(Id::ReuseInitrd) && arch != Arch::Arm64 {
        return refused(
            "--reuseinitrd asks for the initrd that the running kernel was booted with, and that \
             kernel did not keep it",
            "name the initrd's file: --initrd=FILE",
        );
    }
    None
}

/// What the mode options mean together, in any order.
fn mode(typed: &Typed) -> Result<Mode, UsageError> {
    let has = |id| typed.has(id);
    let kernel = !typed.operands.is_empty();
    if has(Id::Status) {
        return Ok(Mode::Status);
    }
    let (load, crash) = (has(Id::Load), has(Id::LoadPanic));
    let (unload, exec, force) = (has(Id::Unload), has(Id::Exec), has(Id::Force));
    match (load, crash, unload, exec, force) {
        // -l and -p only name the slot here; kexec-tools does not load either.
        (_, _, true, false, false) => Ok(Mode::Unload),
        (_, _, true, _, _) => Err(usage(
            "-u together with -e or -f: there is nothing to jump into after unloading",
        )),
        (_, true, false, true, _) | (_, true, false, _, true) => Err(usage(
            "-p loads a kernel that only a panic jumps into, and -e or -f jumps into the other \
             one: use two commands",
        )),
        (true, false, false, true, _) => Err(usage(
            "-e jumps into what is loaded already: to load a kernel and jump into it use -f",
        )),
        (false, false, false, true, true) if kernel => Err(usage(
            "-e jumps into what is loaded already, -f loads a kernel first: use one of them",
        )),
        (false, false, false, true, _) => Ok(Mode::Exec),
        (_, false, false, false, true) => Ok(Mode::LoadAndJump),
        (_, true, false, false, false) => Ok(Mode::LoadCrash),
        (true, false, false, false, false) => Ok(Mode::Load),
        (false, false, false, false, false) => Ok(Mode::LoadAndShutdown),
    }
}

fn request(mode: Mode, typed: &Typed) -> Result<Request, UsageError> {
    let crash = typed.has(Id::LoadPanic);
    let slot = if crash { Slot::Crash } else { Slot::Normal };
    let jump = Jump {
        sync: !typed.has(Id::NoSync),
        interfaces_down: !typed.has(Id::NoIfdown),
    };
    let then = match mode {
        Mode::Status => {
            let normal = typed.has(Id::Load) && !crash;
            return Ok(Request::Status {
                slot: if normal { Slot::Normal } else { Slot::Crash },
            });
        }
        Mode::Unload => {
            return Ok(Request::Unload {
                slot,
                syscall: syscall(typed),
            });
        }
        Mode::Exec => return Ok(Request::Exec(jump)),
        Mode::Load | Mode::LoadCrash => Then::Nothing,
        Mode::LoadAndJump => Then::Jump(jump),
        Mode::LoadAndShutdown => Then::Shutdown,
    };
    let Some(kernel) = typed.operands.first() else {
        return Err(UsageError {
            exit_code: FAILED_OLD,
            ..usage("no kernel was named")
        });
    };
    if let Some(refused) = not_yet(typed) {
        return Ok(Request::NotYet(refused));
    }
    let mut file_flags = FileFlags::EMPTY;
    if typed.has(Id::NoCma) {
        file_flags |= FileFlags::NO_CMA;
    }
    if typed.has(Id::ForceDtb) {
        file_flags |= FileFlags::FORCE_DTB;
    }
    Ok(Request::Load(Load {
        request: load_request(typed, kernel, slot),
        file_flags,
        then,
        sync_after: jump.sync && !crash,
    }))
}

/// The parts of a load that both spellings share.
pub(super) fn load_request(typed: &Typed, kernel: &OsString, slot: Slot) -> LoadRequest {
    let append = typed.last(Id::Append);
    LoadRequest {
        kernel: kernel.into(),
        initrds: typed.values(Id::Initrd).map(Into::into).collect(),
        cmdline: CmdlineChoice {
            append: append.map(|text| Cmdline::exact(text.as_bytes())),
            reuse: typed.has(Id::ReuseCmdline),
        },
        slot,
        syscall: syscall(typed),
        profile: typed.last(Id::Profile).and_then(profile),
        debug: typed.has(Id::Debug),
    }
}

/// Of `-s`, `-c` and `-a` the last: callers append theirs to a configured one.
pub(super) fn syscall(typed: &Typed) -> SyscallChoice {
    match typed.last_of(&[Id::FileSyscall, Id::ClassicSyscall, Id::AutoSyscall]) {
        Some(Id::FileSyscall) => SyscallChoice::File,
        Some(Id::ClassicSyscall) => SyscallChoice::Classic,
        _ => SyscallChoice::Auto,
    }
}

/// What only kexec_load(2) could do, and cannot be left out silently.
pub(super) fn not_yet(typed: &Typed) -> Option<NotYet> {
    let refused = |what: &str, remedy: &str| {
        Some(NotYet {
            what: what.to_owned(),
            remedy: remedy.to_owned(),
            exit_code: FAILED_OLD,
        })
    };
    if syscall(typed) == SyscallChoice::Classic {
        return refused(
            "-c asks for kexec_load(2), and this version does not load with it yet",
            "leave -c out: kexec_file_load(2) is used then",
        );
    }
    if typed.has(Id::RealMode) || typed.has(Id::Entry32Bit) {
        return refused(
            "--real-mode and --entry-32bit enter the kernel in a way that kexec_file_load(2) does \
             not know, and this version does not load with kexec_load(2) yet",
            "leave them out: the kernel is entered in 64-bit mode then",
        );
    }
    None
}

/// What was accepted and changes nothing, in the tables' order.
fn notes(mode: Mode, typed: &Typed, request: &Request) -> Vec<String> {
    if matches!(request, Request::NotYet(_)) {
        return Vec::new();
    }
    let loads = matches!(request, Request::Load(_));
    let mut notes: Vec<String> = all()
        .filter(|f| typed.has(f.id))
        .filter_map(|f| {
            let name = f.name();
            if !f.effect.modes.contains(&mode) {
                let why = match (f.effect.instead, loads) {
                    (Some(why), true) => format!(": {why}"),
                    _ => format!(" with {}", spelled(mode)),
                };
                return Some(format!("{name} has no effect{why}"));
            }
            if !loads || f.effect.call != Call::Classic {
                return None;
            }
            Some(match f.effect.instead {
                Some(why) => format!("{name} has no effect: {why}"),
                None => format!(
                    "{name} has no effect: it is for kexec_load(2), and kexec_file_load(2) is used"
                ),
            })
        })
        .collect();
    if mode == Mode::Status && typed.has(Id::Load) && typed.has(Id::LoadPanic) {
        notes.push("-l has no effect: with -p -S asks about the crash slot".to_owned());
    }
    if mode == Mode::Status {
        for (id, name) in [(Id::Unload, "-u"), (Id::Exec, "-e"), (Id::Force, "-f")] {
            if typed.has(id) {
                notes.push(format!("{name} has no effect: -S only asks"));
            }
        }
    }
    if typed.has(Id::ReuseInitrd) {
        notes.push("--reuseinitrd has no effect on this architecture".to_owned());
    }
    // Only a load looks at the kernel.
    let used = usize::from(loads);
    for operand in typed.operands.iter().skip(used) {
        notes.push(format!("{} is ignored", printable(operand)));
    }
    notes
}
