//! The old spelling: what kexec-tools 2.0.32 takes. Every difference is listed
//! in docs/compatibility.md.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use kexec_image::Arch;
use kexec_load::request::{ClassicAsk, ModuleFile, Unsigned};
use kexec_load::{CmdlineChoice, LoadRequest};
use kexec_plan::classic::{ClassicOptions, ElfArgs, Integrity};
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_reboot::handover::Jump;
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
    if matches!(
        mode,
        Mode::Unload | Mode::Exec | Mode::Status | Mode::JumpBack
    ) && let Some(flag) = first(&typed, |f| f.load_only)
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
        Mode::JumpBack => "--load-jump-back-helper",
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
    let elf = [Id::ArgsLinux, Id::ArgsElf, Id::ArgsNone];
    if elf.iter().filter(|id| typed.has(**id)).count() > 1 {
        return Err(usage(
            "--args-linux, --args-elf and --args-none contradict each other: use one of them",
        ));
    }
    if let Some(value) = typed.values(Id::Integrity).find(|v| integrity(v).is_none()) {
        return Err(usage(&format!(
            "--integrity={}: not crc32c, sha256 or none",
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
        if let Some(value) = typed
            .values(Id::Serial)
            .find(|v| numbers::serial_port(v).is_none())
        {
            return odd(format!(
                "--serial={}: not a serial port (ttyS0, ttyS1 or 0xADDR)",
                printable(value)
            ));
        }
        if let Some(value) = typed
            .values(Id::SerialBaud)
            .find(|v| numbers::serial_baud(v).is_none())
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
    if typed.has(Id::LoadPreserveContext)
        && (typed.last(Id::MemMax).is_none() || chosen(typed) != Some(SyscallChoice::Classic))
    {
        return refused(
            "--load-preserve-context keeps the memory below --mem-max, and only kexec_load(2) does \
             that",
            "say -c and --mem-max=ADDR, too",
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
    if has(Id::LoadJumpBackHelper) {
        let others = load || crash || unload || exec || force || has(Id::LoadPreserveContext);
        return match others {
            false => Ok(Mode::JumpBack),
            true => Err(usage(
                "--load-jump-back-helper loads the way back and nothing else: -e then takes it",
            )),
        };
    }
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
                syscall: chosen(typed).unwrap_or_default(),
            });
        }
        Mode::Exec => return Ok(Request::Exec(jump)),
        Mode::JumpBack => {
            return Ok(Request::JumpBack {
                entry: typed.last(Id::Entry).and_then(numbers::address),
            });
        }
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
    let mut file_flags = FileFlags::EMPTY;
    if typed.has(Id::NoCma) {
        file_flags |= FileFlags::NO_CMA;
    }
    if typed.has(Id::ForceDtb) {
        file_flags |= FileFlags::FORCE_DTB;
    }
    let mut request = load_request(typed, kernel, slot, SyscallChoice::Auto);
    request.old_spelling = true;
    request.classic.unsigned = Unsigned::ForTheKernel;
    Ok(Request::Load(Load {
        request,
        file_flags,
        then,
        sync_after: jump.sync && !crash,
    }))
}

/// The parts of a load that both spellings share. `usual` is the system call
/// where the caller does not choose one.
pub(super) fn load_request(
    typed: &Typed,
    kernel: &OsString,
    slot: Slot,
    usual: SyscallChoice,
) -> LoadRequest {
    let append = typed.last(Id::Append);
    LoadRequest {
        kernel: kernel.into(),
        initrds: typed.values(Id::Initrd).map(Into::into).collect(),
        cmdline: CmdlineChoice {
            entry: None,
            append: append.map(|text| Cmdline::exact(text.as_bytes())),
            reuse: typed.has(Id::ReuseCmdline),
        },
        mark: None,
        slot,
        syscall: chosen(typed).unwrap_or(usual),
        profile: typed.last(Id::Profile).and_then(profile),
        companions: None,
        debug: typed.has(Id::Debug),
        old_spelling: false,
        classic: classic(typed),
    }
}

/// Of `-s`, `-c` and `-a` the last: callers append theirs to a configured one.
pub(super) fn chosen(typed: &Typed) -> Option<SyscallChoice> {
    match typed.last_of(&[Id::FileSyscall, Id::ClassicSyscall, Id::AutoSyscall])? {
        Id::FileSyscall => Some(SyscallChoice::File),
        Id::ClassicSyscall => Some(SyscallChoice::Classic),
        _ => Some(SyscallChoice::Auto),
    }
}

/// What only kexec_load(2) knows.
fn classic(typed: &Typed) -> ClassicAsk {
    let number = |id| typed.last(id).and_then(numbers::address);
    let elf = [
        (Id::ArgsLinux, ElfArgs::Linux),
        (Id::ArgsElf, ElfArgs::ElfNotes),
        (Id::ArgsNone, ElfArgs::None),
    ];
    let elf_args = elf.iter().find(|(id, _)| typed.has(*id));
    let options = ClassicOptions {
        kernel_type: typed.last(Id::Type).map(printable),
        mem_min: number(Id::MemMin),
        mem_max: number(Id::MemMax),
        entry: number(Id::Entry),
        no_efi: typed.has(Id::NoEfi),
        reuse_video_type: typed.has(Id::ReuseVideoType),
        entry_32bit: typed.has(Id::Entry32Bit),
        real_mode: typed.has(Id::RealMode),
        elf_args: elf_args.map(|(_, args)| *args).unwrap_or_default(),
        integrity: match typed.last(Id::Integrity) {
            _ if typed.has(Id::NoChecks) => Integrity::None,
            Some(name) => integrity(name).unwrap_or_default(),
            None => Integrity::default(),
        },
        preserve_context: typed.has(Id::LoadPreserveContext),
        ..ClassicOptions::default()
    };
    ClassicAsk {
        options,
        modules: typed
            .values(Id::Module)
            .map(|text| ModuleFile::typed(Cmdline::exact(text.as_bytes())))
            .collect(),
        dtb: typed.last(Id::Dtb).map(Into::into),
        discard_liveupdate: typed.has(Id::DiscardLiveupdate),
        unsigned: match typed.has(Id::Unverified) {
            true => Unsigned::Taken,
            false => Unsigned::Refused,
        },
        reset_vga: typed.has(Id::ResetVga),
        console_vga: typed.has(Id::ConsoleVga),
        console_serial: typed.has(Id::ConsoleSerial),
        serial: typed.last(Id::Serial).and_then(numbers::serial_port),
        serial_baud: typed.last(Id::SerialBaud).and_then(numbers::serial_baud),
    }
}

/// How the purgatory checks what was loaded.
pub(super) fn integrity(name: &std::ffi::OsStr) -> Option<Integrity> {
    match name.as_bytes() {
        b"crc32c" => Some(Integrity::Crc32c),
        b"sha256" => Some(Integrity::Sha256),
        b"none" => Some(Integrity::None),
        _ => None,
    }
}

/// What was accepted and changes nothing, in the tables' order.
fn notes(mode: Mode, typed: &Typed, request: &Request) -> Vec<String> {
    if matches!(request, Request::NotYet(_)) {
        return Vec::new();
    }
    let loads = matches!(request, Request::Load(_));
    let syscall = chosen(typed).unwrap_or_default();
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
            let other = match f.effect.call {
                _ if !loads => return None,
                Call::Either => return None,
                // With -a either may be used in the end.
                Call::Classic if syscall == SyscallChoice::Classic => return None,
                Call::Classic => "it is for kexec_load(2)",
                Call::File if syscall != SyscallChoice::Classic => return None,
                Call::File => "it is for kexec_file_load(2)",
            };
            if typed.has(Id::Entry32Bit) || typed.has(Id::RealMode) {
                // These choose kexec_load(2) by themselves.
                return None;
            }
            let only = match syscall {
                SyscallChoice::Auto => ", which is only used when the other one cannot load",
                _ => ", and the other one is used",
            };
            Some(match f.effect.instead {
                Some(why) => format!("{name} has no effect: {why}"),
                None => format!("{name} has no effect: {other}{only}"),
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
