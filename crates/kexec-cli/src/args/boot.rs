//! What the next kernel gets.

use kexec_image::Arch;

use super::{
    Arches, Effect, Flag, Group, Id, KERNEL_VERBS, LOADING_VERBS, LOADS, Limit, Origin, Refused,
    Rule, Syntax, Value, X86,
};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag {
        load_only: true,
        ..Flag::new(id, long, Group::Boot, effect)
    }
}

/// Why only one of the `--args-` options can be given.
const ONE_WAY: &str = "a kernel is started in one way";
const LOAD: Effect = Effect::modes(LOADS);
/// Architectures whose loaders take `--dtb`; x86's does for 32-bit bzImages.
const DTB: Arches = Arches::Only(&[
    Arch::X86,
    Arch::X86_64,
    Arch::Arm,
    Arch::Arm64,
    Arch::Riscv64,
    Arch::Ppc64,
]);

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        aliases: &["command-line"],
        value: Value::text("TEXT"),
        verbs: KERNEL_VERBS,
        doc_short: "The next kernel's command line",
        doc_long: "Both names mean the same; the last one counts. For a boot entry, it is added to \
                   the entry's command line. For a kernel file, it is the whole command line, and \
                   replaces the one inside a UKI; with --reuse-cmdline, it is added to that one.",
        ..flag(Id::Append, "append", LOAD)
    },
    Flag {
        verbs: KERNEL_VERBS,
        doc_short: "Start with the running kernel's command line (of a UKI: with its own)",
        doc_long: "BOOT_IMAGE=, and for a crash kernel crashkernel=, are removed from it.",
        rules: &[Rule {
            limit: Limit::NeedsFile,
            why: "a boot entry has its own command line, which --cmdline replaces",
        }],
        ..flag(Id::ReuseCmdline, "reuse-cmdline", LOAD)
    },
    Flag {
        aliases: &["ramdisk"],
        value: Value::FILE,
        verbs: KERNEL_VERBS,
        doc_short: "The initrd; several are joined in the order given",
        doc_long: "They follow those of the boot entry, or inside the UKI.",
        repeats: true,
        ..flag(Id::Initrd, "initrd", LOAD)
    },
    Flag {
        origin: Origin::Later,
        value: Value::Required("N", Syntax::Number),
        verbs: LOADING_VERBS,
        doc_short: "The profile of a UKI to boot (default: the base profile)",
        ..flag(Id::Profile, "profile", LOAD)
    },
    Flag {
        arches: Arches::AllBut(&[Arch::Arm64]),
        load_only: false,
        doc_short: "Not supported: use the initrd that the running kernel was booted with",
        refused: Some(Refused {
            why: "asks for the initrd that the running kernel was booted with, and that kernel did \
                  not keep it",
            remedy: "name the initrd's file: --initrd=FILE",
        }),
        ..flag(Id::ReuseInitrd, "reuseinitrd", LOAD)
    },
    // There kexec-tools accepts it and does nothing with it.
    Flag {
        arches: Arches::Only(&[Arch::Arm64]),
        load_only: false,
        doc_short: "No effect: no initrd is kept",
        ..flag(
            Id::ReuseInitrd,
            "reuseinitrd",
            Effect::NONE.instead("the running kernel did not keep its initrd"),
        )
    },
    Flag {
        arches: DTB,
        value: Value::FILE,
        doc_short: "The device tree",
        ..flag(
            Id::Dtb,
            "dtb",
            Effect::CLASSIC.instead(
                "kexec_file_load(2) passes on the running kernel's device \
                                     tree",
            ),
        )
    },
    Flag {
        arches: X86,
        value: Value::text("\"FILE ARGS\""),
        doc_short: "A multiboot module",
        repeats: true,
        ..flag(Id::Module, "module", Effect::CLASSIC)
    },
    Flag {
        arches: X86,
        doc_short: "Start an ELF kernel the Linux way",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::ArgsElf, Id::ArgsNone]),
            why: ONE_WAY,
        }],
        ..flag(Id::ArgsLinux, "args-linux", Effect::CLASSIC)
    },
    Flag {
        arches: X86,
        doc_short: "Start an ELF kernel with ELF boot notes",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::ArgsNone]),
            why: ONE_WAY,
        }],
        ..flag(Id::ArgsElf, "args-elf", Effect::CLASSIC)
    },
    Flag {
        arches: X86,
        doc_short: "Start an ELF kernel without parameters",
        ..flag(Id::ArgsNone, "args-none", Effect::CLASSIC)
    },
];
