//! Which system call loads, and what only one of them knows.

use super::{Call, Effect, Flag, Group, Id, LOADS, Limit, Mode, Origin, Rule, Syntax, Value, Verb};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Syscalls, effect)
}

/// Unloading goes through either system call, too.
const CHOOSES: &[Mode] = &[
    Mode::Load,
    Mode::LoadCrash,
    Mode::LoadAndJump,
    Mode::LoadAndShutdown,
    Mode::Unload,
];
const VERBS: &[Verb] = &[
    Verb::Reboot,
    Verb::Load,
    Verb::Plan,
    Verb::Check,
    Verb::Crash,
];
const LOADING: &[Verb] = super::KERNEL_VERBS;
const ENTRY: Effect = Effect {
    modes: &[
        Mode::Load,
        Mode::LoadCrash,
        Mode::LoadAndJump,
        Mode::LoadAndShutdown,
        Mode::JumpBack,
    ],
    ..Effect::CLASSIC
};
/// A crash kernel is loaded as it is: its memory is what was set aside for it.
const NORMAL: &[Mode] = &[Mode::Load, Mode::LoadAndJump, Mode::LoadAndShutdown];
const FILE: Effect = Effect {
    call: Call::File,
    ..Effect::modes(LOADS)
};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        short: Some(b's'),
        verbs: VERBS,
        doc_short: "Use kexec_file_load(2) and nothing else",
        doc_long: "The running kernel reads the files, verifies signatures and places everything. \
                   Of -s, -c and -a the last one counts.",
        ..flag(
            Id::FileSyscall,
            "kexec-file-syscall",
            Effect::modes(CHOOSES),
        )
    },
    Flag {
        short: Some(b'c'),
        verbs: VERBS,
        doc_short: "Use kexec_load(2) and nothing else",
        ..flag(Id::ClassicSyscall, "kexec-syscall", Effect::modes(CHOOSES))
    },
    Flag {
        short: Some(b'a'),
        verbs: VERBS,
        doc_short: "Use kexec_file_load(2) first, then the other (the default without a verb)",
        doc_long: "A verb uses the call with the shortest downtime that the machine allows, \
                   usually kexec_load(2); for a crash kernel, kexec_file_load(2) first.",
        ..flag(
            Id::AutoSyscall,
            "kexec-syscall-auto",
            Effect::modes(CHOOSES),
        )
    },
    Flag {
        value: Value::ADDRESS,
        doc_short: "Place nothing below this address",
        ..flag(Id::MemMin, "mem-min", Effect::CLASSIC)
    },
    Flag {
        value: Value::ADDRESS,
        doc_short: "Place nothing above this address",
        ..flag(Id::MemMax, "mem-max", Effect::CLASSIC)
    },
    Flag {
        value: Value::ADDRESS,
        doc_short: "Start the next kernel at this address",
        ..flag(Id::Entry, "entry", ENTRY)
    },
    Flag {
        origin: Origin::Later,
        verbs: LOADING,
        value: Value::Required("HOW", Syntax::Words(&["crc32c", "sha256", "none"])),
        doc_short: "Check the loaded bytes after the jump: crc32c, sha256 or none",
        doc_long: "With kexec_load(2), the purgatory (a program that runs between the two \
                   kernels) compares the memory with what was loaded. crc32c (the default) does \
                   that at the \
                   speed of memory.",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::NoChecks]),
            why: "that is --integrity=none",
        }],
        ..flag(Id::Integrity, "integrity", Effect::CLASSIC)
    },
    Flag {
        origin: Origin::Later,
        verbs: LOADING,
        value: Value::Required("WHAT", Syntax::Words(&["auto", "always", "never"])),
        doc_short: "Unpack kernel and initrd before the jump: auto, always or never",
        doc_long: "The next kernel then need not do it while the machine is down. auto (the \
                   default of the verbs) unpacks what shortens the downtime and fits into memory; \
                   always refuses the load if something stays packed (with kexec_file_load(2) the \
                   kernel always does); never loads the files as they are, which is the default \
                   without a verb. unpack = WHAT in /etc/kexec-rs.conf sets another default for \
                   the verbs.",
        ..flag(Id::Unpack, "unpack", Effect::modes(NORMAL))
    },
    Flag {
        origin: Origin::Later,
        verbs: LOADING,
        doc_short: "Use kexec_load(2) even if live-update state is lost",
        ..flag(Id::DiscardLiveupdate, "discard-liveupdate", Effect::CLASSIC)
    },
    Flag {
        origin: Origin::Later,
        doc_short: "Take no memory from the CMA (Linux 6.17)",
        ..flag(Id::NoCma, "no-cma", FILE)
    },
    Flag {
        origin: Origin::Later,
        arches: super::X86,
        doc_short: "Pass on the running machine's device tree (Linux 6.17)",
        ..flag(Id::ForceDtb, "force-dtb", FILE)
    },
];
