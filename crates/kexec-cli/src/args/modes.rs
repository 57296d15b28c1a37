//! What is to be done, and how.

use super::{ALL_VERBS, ALWAYS, Effect, Flag, Group, Id, LOADS, Mode, Refused, Value, Verb};

const fn mode(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Modes, effect)
}

const fn common(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Common, effect)
}

const XEN: Refused = Refused {
    why: "is for a live update of a Xen host, which this program does not support",
    remedy: "on a Xen host use xl's or kexec-tools' own live update",
};

/// Modes that end in a jump of our own.
const JUMPS: &[Mode] = &[Mode::LoadAndJump, Mode::Exec];
/// Modes that write cached data out.
const SYNCS: &[Mode] = &[
    Mode::Load,
    Mode::LoadAndJump,
    Mode::LoadAndShutdown,
    Mode::Exec,
];

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        short: Some(b'l'),
        doc_short: "Load a kernel; do not jump",
        doc_long: "Afterwards `systemctl kexec` or `kexec -e` jumps. With -f: load and jump. With \
                   -S: ask about this slot.",
        ..mode(
            Id::Load,
            "load",
            Effect::modes(&[Mode::Load, Mode::Status]).instead("-f and -p load by themselves"),
        )
    },
    Flag {
        short: Some(b'p'),
        doc_short: "Load a crash kernel, which a panic jumps into",
        doc_long: "Needs memory that was reserved with crashkernel=. With -u and -S, in any \
                   order, it chooses the crash slot.",
        ..mode(
            Id::LoadPanic,
            "load-panic",
            Effect::modes(&[Mode::LoadCrash, Mode::Unload, Mode::Status]),
        )
    },
    Flag {
        short: Some(b'u'),
        doc_short: "Unload the loaded kernel; with -p the crash kernel",
        doc_long: "An empty slot is not an error.",
        ..mode(Id::Unload, "unload", Effect::modes(&[Mode::Unload]))
    },
    Flag {
        short: Some(b'e'),
        doc_short: "Jump into the loaded kernel at once: services are not stopped",
        doc_long: "Writes cached data to the disks (not with -y), takes the network interfaces \
                   down (not with -x) and calls reboot(2). If the jump fails, the network is \
                   restored.",
        ..mode(Id::Exec, "exec", Effect::modes(&[Mode::Exec]))
    },
    Flag {
        short: Some(b'f'),
        doc_short: "Load and jump at once, without shutdown(8)",
        doc_long: "The same as -l followed by -e. With -e and without a kernel it changes nothing.",
        ..mode(Id::Force, "force", Effect::modes(&[Mode::LoadAndJump]))
    },
    Flag {
        short: Some(b'S'),
        doc_short: "Exit with 1 if a crash kernel (with -l: a kernel) is loaded, else 0",
        doc_long: "255 if that is unknown. Nothing is printed or changed, whatever other options \
                   are given.",
        ..mode(Id::Status, "status", Effect::modes(&[Mode::Status]))
    },
    Flag {
        doc_short: "Print the size of the memory reserved for a crash kernel, in bytes",
        doc_long: "0 if there is none.",
        ..mode(
            Id::PrintCrashSize,
            "print-ckr-size",
            Effect::modes(&[Mode::CrashSize]),
        )
    },
    Flag {
        doc_short: "Keep the running kernel in memory for a jump back",
        doc_long: "Needs -c, --mem-max and a kernel with CONFIG_KEXEC_JUMP. The memory from --mem-min \
                   to --mem-max is saved, and the next kernel gets only that memory.",
        ..mode(
            Id::LoadPreserveContext,
            "load-preserve-context",
            Effect::modes(LOADS),
        )
    },
    Flag {
        doc_short: "Load the jump back into the kernel that was kept in memory",
        doc_long: "Its address is on this kernel's command line, or given with --entry.",
        ..mode(
            Id::LoadJumpBackHelper,
            "load-jump-back-helper",
            Effect::modes(&[Mode::JumpBack]),
        )
    },
    Flag {
        doc_short: "Not supported: Xen live update",
        refused: Some(XEN),
        ..mode(Id::LoadLiveUpdate, "load-live-update", Effect::modes(LOADS))
    },
    Flag {
        doc_short: "Not supported: Xen live update",
        refused: Some(XEN),
        ..mode(
            Id::ExecLiveUpdate,
            "exec-live-update",
            Effect::modes(&[Mode::Exec]),
        )
    },
    Flag {
        short: Some(b'x'),
        doc_short: "Leave the network interfaces up",
        doc_long: "Only -e and -f take them down.",
        ..common(
            Id::NoIfdown,
            "no-ifdown",
            Effect::modes(JUMPS).instead("only -e and -f take interfaces down"),
        )
    },
    Flag {
        short: Some(b'y'),
        doc_short: "Do not write cached data to the disks",
        ..common(Id::NoSync, "no-sync", Effect::modes(SYNCS))
    },
    Flag {
        short: Some(b'i'),
        doc_short: "Do not check the loaded bytes again after the jump",
        ..common(Id::NoChecks, "no-checks", Effect::CLASSIC)
    },
    Flag {
        short: Some(b't'),
        value: Value::text("NAME"),
        doc_short: "Refuse a kernel that is not of this type, such as bzImage64 or elf-x86_64",
        ..common(
            Id::Type,
            "type",
            Effect::CLASSIC.instead("the running kernel recognises the image itself"),
        )
    },
    Flag {
        short: Some(b'd'),
        verbs: &[Verb::Reboot, Verb::Load],
        doc_short: "Print more on stderr; the running kernel logs what it does",
        doc_long: "Sets KEXEC_FILE_DEBUG for kexec_file_load(2), and nothing else.",
        ..common(Id::Debug, "debug", Effect::modes(LOADS))
    },
    Flag {
        short: Some(b'h'),
        verbs: ALL_VERBS,
        doc_short: "Print this help",
        ..common(Id::Help, "help", Effect::modes(ALWAYS))
    },
    Flag {
        short: Some(b'?'),
        doc_short: "Print this help and exit with 1",
        ..common(Id::Usage, "", Effect::modes(LOADS))
    },
    Flag {
        short: Some(b'v'),
        doc_short: "Print the version",
        ..common(Id::Version, "version", Effect::modes(ALWAYS))
    },
];
