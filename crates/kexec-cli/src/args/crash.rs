//! Crash kernels. They are loaded with kexec_file_load(2), where the running kernel does
//! by itself what these options ask for; so they are accepted, and do nothing.

use kexec_image::Arch;

use super::{Arches, Effect, Flag, Group, Id, X86};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Crash, effect)
}

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        doc_short: "No effect: the running kernel follows CPU and memory hotplug by itself",
        ..flag(
            Id::Hotplug,
            "hotplug",
            Effect::NONE.instead("with kexec_file_load(2) the kernel does that by itself"),
        )
    },
    Flag {
        arches: X86,
        doc_short: "No effect: the header that describes the crashed memory is always ELF64",
        ..flag(
            Id::Elf32CoreHeaders,
            "elf32-core-headers",
            Effect::NONE.instead("the header is always ELF64"),
        )
    },
    Flag {
        arches: Arches::Only(&[Arch::X86, Arch::X86_64, Arch::Ppc64]),
        doc_short: "No effect: the header that describes the crashed memory is always ELF64",
        ..flag(
            Id::Elf64CoreHeaders,
            "elf64-core-headers",
            Effect::NONE.instead("the header is always ELF64"),
        )
    },
    Flag {
        arches: X86,
        load_only: true,
        doc_short: "No effect: the running kernel describes the memory to a crash kernel",
        ..flag(
            Id::PassMemmapCmdline,
            "pass-memmap-cmdline",
            Effect::NONE.instead("the running kernel describes the memory to a crash kernel"),
        )
    },
];
