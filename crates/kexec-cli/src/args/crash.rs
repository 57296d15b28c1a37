//! Crash kernels.

use kexec_image::Arch;

use super::{Arches, Call, Effect, Flag, Group, Id, Mode, X86};

const CLASSIC_CRASH: Effect = Effect {
    modes: &[Mode::LoadCrash],
    call: Call::Classic,
    instead: None,
};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Crash, effect)
}

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        doc_short: "Let the kernel follow CPU and memory hotplug",
        ..flag(
            Id::Hotplug,
            "hotplug",
            CLASSIC_CRASH.instead("with kexec_file_load(2) the kernel does that by itself"),
        )
    },
    Flag {
        arches: X86,
        doc_short: "Describe the crashed memory in an ELF32 header",
        ..flag(
            Id::Elf32CoreHeaders,
            "elf32-core-headers",
            CLASSIC_CRASH.instead("the header is always ELF64"),
        )
    },
    Flag {
        arches: Arches::Only(&[Arch::X86, Arch::X86_64, Arch::Ppc64]),
        doc_short: "Describe the crashed memory in an ELF64 header",
        ..flag(
            Id::Elf64CoreHeaders,
            "elf64-core-headers",
            CLASSIC_CRASH.instead("the header is always ELF64"),
        )
    },
    Flag {
        arches: X86,
        load_only: true,
        doc_short: "Describe the memory map on the command line",
        ..flag(Id::PassMemmapCmdline, "pass-memmap-cmdline", CLASSIC_CRASH)
    },
];
