//! Crash kernels: what is for those that kexec_load(2) loads. With kexec_file_load(2) the
//! running kernel does by itself what these options ask for.

use kexec_image::Arch;

use super::effect::{Call, Mode};
use super::{Arches, Effect, Flag, Group, Id, X86};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag::new(id, long, Group::Crash, effect)
}

/// In loads of a crash kernel with kexec_load(2).
const CRASH: Effect = Effect {
    call: Call::Classic,
    ..Effect::modes(&[Mode::LoadCrash])
};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        doc_short: "Let the running kernel update the crash kernel's ELF header",
        doc_long: "With -c, the running kernel describes its processors and memory to the crash \
                   kernel anew when they change, so it need not be loaded again (since Linux \
                   6.6). The purgatory does not check that description then.",
        ..flag(
            Id::Hotplug,
            "hotplug",
            CRASH.instead("with kexec_file_load(2) the kernel does that by itself"),
        )
    },
    Flag {
        arches: X86,
        doc_short: "Describe the crashed memory in an ELF32 header",
        doc_long: "For tools that read nothing else. Refused where memory is above 4 GiB.",
        ..flag(
            Id::Elf32CoreHeaders,
            "elf32-core-headers",
            CRASH.instead("with kexec_file_load(2) the header is always ELF64"),
        )
    },
    Flag {
        arches: Arches::Only(&[Arch::X86, Arch::X86_64, Arch::Ppc64]),
        doc_short: "Describe the crashed memory in an ELF64 header (the default)",
        ..flag(
            Id::Elf64CoreHeaders,
            "elf64-core-headers",
            CRASH.instead("with kexec_file_load(2) the header is always ELF64"),
        )
    },
    Flag {
        arches: X86,
        load_only: true,
        doc_short: "Describe the crash kernel's memory on its command line, too",
        doc_long: "As memmap=exactmap and one memmap= for each range. Without it, the memory \
                   map of the boot protocol alone does that.",
        ..flag(
            Id::PassMemmapCmdline,
            "pass-memmap-cmdline",
            CRASH.instead("the running kernel describes the memory to a crash kernel"),
        )
    },
];
