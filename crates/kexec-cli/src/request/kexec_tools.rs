//! The old spelling: what kexec-tools 2.0.32 takes. Every difference is listed
//! in docs/compatibility.md.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use kexec_image::Arch;
use kexec_load::request::{ClassicLoadOptions, ModuleFile, Unpack, UnpackChoice, Unsigned};
use kexec_load::{CmdlineChoice, LoadRequest};
use kexec_plan::classic::{ClassicOptions, ElfArgs, Integrity};
use kexec_plan::crash::CoreClass;
use kexec_plan::{Cmdline, SyscallChoice};
use kexec_reboot::handover::JumpOptions;
use kexec_sys::{FileFlags, Slot};

use super::{
    CommandLine, FAILED_OLD, Load, MANY, OutputOptions, Request, Then, USAGE_OLD, Unsupported,
    UsageError, wrong_value,
};
use crate::args::typed::{Spelling, Typed, TypedError, printable};
use crate::args::{
    Call, Flag, Id, Mode, Refused, Syntax, Verb, all, flags_for, listed, numbers, rules,
};

pub(super) fn parse(arch: Arch, words: &[OsString]) -> Result<CommandLine, UsageError> {
    let table = flags_for(arch);
    let typed =
        Typed::read(&table, Spelling::Abbreviated, words).map_err(|e| usage(&not_here(&e)))?;
    let done = |request, notes| {
        Ok(CommandLine {
            request,
            notes,
            output: OutputOptions::default(),
        })
    };
    if typed.has(Id::Usage) {
        return Err(usage(""));
    }
    if typed.has(Id::Help) {
        return done(Request::Help(None), Vec::new());
    }
    if typed.has(Id::Version) {
        return done(Request::Version { json: false }, Vec::new());
    }
    if typed.has(Id::PrintCrashSize) {
        let mode = Mode::CrashSize;
        return done(request(mode, &typed)?, notes(&table, mode, &typed));
    }
    values(&table, &typed)?;
    if let Some(refused) = never(&table, &typed) {
        return done(Request::Unsupported(refused), Vec::new());
    }
    let mode = mode(&typed)?;
    if matches!(
        mode,
        Mode::Unload | Mode::Exec | Mode::Status | Mode::JumpBack
    ) && let Some(flag) = first(&typed, |f| f.load_only)
    {
        return Err(usage(&format!(
            "{} is for loading and makes no sense with {}",
            flag.spelled(),
            mode.typed()
        )));
    }
    done(request(mode, &typed)?, notes(&table, mode, &typed))
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

/// What is said of a word that is not understood, which may be a verb's option.
fn not_here(error: &TypedError) -> String {
    if let TypedError::Unknown { name, .. } = error
        && let Some(long) = name.strip_prefix("--")
        && let Some(verb) = Verb::from_bytes(long.as_bytes())
    {
        return format!(
            "there is no option {name}; did you mean kexec {}?",
            verb.name()
        );
    }
    if let TypedError::Unknown { name, .. } = error
        && let Some(long) = name.strip_prefix("--")
        && let Some(flag) = all().find(|f| f.longs().any(|l| l == long) && !f.verbs.is_empty())
    {
        let verbs: Vec<&str> = flag.verbs.iter().map(|verb| verb.name()).collect();
        let who = match verbs.as_slice() {
            [one] => format!("; kexec {one} takes it"),
            several if several.len() <= MANY => {
                format!("; kexec {} take it", listed(several, "and"))
            }
            _ => String::new(),
        };
        return format!("there is no option {name} without a verb{who}");
    }
    error.to_string()
}

/// Values that make no sense, wherever they stand, and options that exclude each other.
fn values(table: &[&'static Flag], typed: &Typed) -> Result<(), UsageError> {
    if let Some((flag, wrong)) = wrong_value(table, typed) {
        let serial = [Syntax::SerialPort, Syntax::SerialSpeed].map(Some);
        return Err(UsageError {
            exit_code: match serial.contains(&flag.value.syntax()) {
                true => FAILED_OLD,
                false => USAGE_OLD,
            },
            ..usage(&wrong)
        });
    }
    rules::broken(table, typed, None).map_or(Ok(()), |broken| Err(usage(&broken)))
}

/// Options that are never carried out, whatever the mode.
fn never(table: &[&'static Flag], typed: &Typed) -> Option<Unsupported> {
    let refused = |what: String, remedy: &str| {
        Some(Unsupported {
            what,
            remedy: remedy.to_owned(),
            exit_code: USAGE_OLD,
        })
    };
    for flag in table.iter().filter(|flag| typed.has(flag.id)) {
        if let Some(Refused { why, remedy }) = flag.refused {
            return refused(format!("{} {why}", flag.name()), remedy);
        }
    }
    let classic = chosen(typed) == Some(SyscallChoice::Classic);
    if typed.has(Id::LoadPreserveContext) && !(classic && typed.has(Id::MemMax)) {
        return refused(
            "--load-preserve-context keeps the memory below --mem-max, and only kexec_load(2) does \
             that"
                .to_owned(),
            "use -c and --mem-max=ADDR, too",
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
                "--load-jump-back-helper goes with none of -l, -p, -u, -e, -f and \
                 --load-preserve-context: it loads the jump back, and -e starts it",
            )),
        };
    }
    match (load, crash, unload, exec, force) {
        // -l and -p only name the slot here; kexec-tools does not load either.
        (_, _, true, false, false) => Ok(Mode::Unload),
        (_, _, true, _, _) => Err(usage(
            "-u does not go with -e or -f: there is nothing to jump into after unloading",
        )),
        (_, true, false, true, _) | (_, true, false, _, true) => Err(usage(
            "-p loads a crash kernel, and -e or -f jumps into the other one: use two commands",
        )),
        (true, false, false, true, _) => Err(usage(
            "-e does not go with -l: it jumps into the image that is already loaded; to load a \
             kernel and jump into it use -f",
        )),
        (false, false, false, true, true) if kernel => Err(usage(
            "-e jumps into the image that is already loaded, -f loads a kernel first: use one of \
             them",
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
    let jump = JumpOptions {
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
        Mode::CrashSize => return Ok(Request::PrintCrashSize),
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
        unpack: Unpack {
            choice: unpack(typed).unwrap_or(match usual {
                SyscallChoice::Fastest => UnpackChoice::Auto,
                _ => UnpackChoice::Never,
            }),
            // Without a verb, the files are loaded as they are, as kexec-tools does it.
            by_default: unpack(typed).is_none() && usual == SyscallChoice::Fastest,
            ..Unpack::default()
        },
        profile: typed.last(Id::Profile).and_then(numbers::whole),
        companions: None,
        debug: typed.has(Id::Debug),
        old_spelling: false,
        classic: classic(typed),
    }
}

/// Which system call was chosen.
pub(super) fn chosen(typed: &Typed) -> Option<SyscallChoice> {
    match typed.call()? {
        Id::FileSyscall => Some(SyscallChoice::File),
        Id::ClassicSyscall => Some(SyscallChoice::Classic),
        _ => Some(SyscallChoice::Auto),
    }
}

/// What was said about unpacking.
fn unpack(typed: &Typed) -> Option<UnpackChoice> {
    UnpackChoice::from_word(typed.last(Id::Unpack)?.to_str()?)
}

/// What only kexec_load(2) knows.
fn classic(typed: &Typed) -> ClassicLoadOptions {
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
        // Of both, the one that can describe everything.
        core_class: match (
            typed.has(Id::Elf64CoreHeaders),
            typed.has(Id::Elf32CoreHeaders),
        ) {
            (true, _) => Some(CoreClass::Elf64),
            (false, true) => Some(CoreClass::Elf32),
            (false, false) => None,
        },
        hotplug: typed.has(Id::Hotplug),
        pass_memmap: typed.has(Id::PassMemmapCmdline),
        ..ClassicOptions::default()
    };
    let port = |id| typed.last(id).filter(|_| typed.has(Id::ConsoleSerial));
    ClassicLoadOptions {
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
        serial: port(Id::Serial).and_then(numbers::serial_port),
        serial_baud: port(Id::SerialBaud).and_then(numbers::serial_baud),
    }
}

/// How the purgatory checks what was loaded.
fn integrity(name: &std::ffi::OsStr) -> Option<Integrity> {
    match name.as_bytes() {
        b"crc32c" => Some(Integrity::Crc32c),
        b"sha256" => Some(Integrity::Sha256),
        b"none" => Some(Integrity::None),
        _ => None,
    }
}

/// What was accepted and changes nothing, in the tables' order.
fn notes(table: &[&'static Flag], mode: Mode, typed: &Typed) -> Vec<String> {
    let given = table.iter().filter(|flag| typed.has(flag.id));
    let mut notes: Vec<String> = given
        .filter_map(|flag| {
            Some(format!(
                "{} has no effect{}",
                flag.spelled(),
                idle(flag, mode, typed)?
            ))
        })
        .collect();
    if mode == Mode::Status && typed.has(Id::Load) && typed.has(Id::LoadPanic) {
        notes.push("-l (--load) has no effect: with -p -S asks about the crash slot".to_owned());
    }
    // Only a load looks at the kernel.
    for operand in typed.operands.iter().skip(usize::from(mode.loads())) {
        notes.push(format!("{} is ignored", printable(operand)));
    }
    notes
}

/// Why an option that was given changes nothing, as the end of a sentence; `None` when
/// it has an effect.
fn idle(flag: &Flag, mode: Mode, typed: &Typed) -> Option<String> {
    if !flag.effect.modes.contains(&mode) {
        return Some(match flag.effect.instead {
            Some(why) if mode.loads() => format!(": {why}"),
            _ => format!(" with {}", mode.typed()),
        });
    }
    if mode.loads()
        && let Some(other) = flag.effect.beside
        && !typed.has(other)
    {
        return Some(format!(" without {}", rules::spelled(other)));
    }
    // These choose kexec_load(2) by themselves.
    if !mode.loads() || typed.has(Id::Entry32Bit) || typed.has(Id::RealMode) {
        return None;
    }
    let syscall = chosen(typed).unwrap_or_default();
    let other = match (flag.effect.call, syscall) {
        (Call::Either, _) | (Call::Classic, SyscallChoice::Classic) => return None,
        (Call::Classic, _) => "it is for kexec_load(2)",
        // With -a either may be used in the end.
        (Call::File, SyscallChoice::Classic) => "it is for kexec_file_load(2)",
        (Call::File, _) => return None,
    };
    let only = match syscall {
        SyscallChoice::Auto => ", which is only used when the other one cannot load",
        _ => ", and the other one is used",
    };
    Some(match flag.effect.instead {
        Some(why) => format!(": {why}"),
        None => format!(": {other}{only}"),
    })
}
