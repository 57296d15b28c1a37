//! The pages.

use super::{Complete, Example, File, Page};
use crate::args::Verb;

const LOADED: File = File {
    path: "/run/kexec/loaded.json",
    holds: "What was loaded with which files and why so, for `kexec status`. crash.json is the \
            same for the crash kernel. loading.json, unloading.json and replacing.json are there \
            while it changes; one that stays is how an interrupted change is recognised. The \
            folder itself is the lock of whatever loads, unloads or jumps, and holder.json says \
            who has it.",
};
const ATTEMPTS: File = File {
    path: "/var/lib/kexec/attempts/",
    holds: "One file for each kexec that was asked for, for root only; the last hundred are kept.",
};
const SYS_LOADED: File = File {
    path: "/sys/kernel/kexec_loaded",
    holds: "1 when a kernel is loaded. kexec_crash_loaded is the same for the crash kernel, and \
            kexec_crash_size the memory that is reserved for one.",
};

/// What ENTRY and KERNEL are.
const WANTED: &str = "An ENTRY is a boot entry's id, its title, a part of either that fits one \
    entry only, or the path of its kernel; `kexec list` shows them all. A name with a slash \
    (./vmlinuz) is a KERNEL file instead; nothing without one is taken from the current folder. \
    Without either it is what a normal reboot would boot.";
/// What the options add to.
const ADDS: &str = "To a boot entry, --append adds parameters, --initrd adds an initrd, and \
    --cmdline takes the place of its command line. A kernel file gets exactly what the options \
    say, and a UKI brings its own command line and initrds.";

/// The pages of the verbs. Each verb is on one of them.
pub const PAGES: &[Page] = &[
    Page {
        name: "kexec-reboot",
        about: "reboot into the next kernel without the firmware",
        verbs: &[Verb::Reboot, Verb::List, Verb::History],
        says: &[WANTED, ADDS],
        sections: &[],
        files: &[ATTEMPTS, LOADED],
        see_also: &[("systemctl", 1), ("bootctl", 1), ("systemd-inhibit", 1)],
    },
    Page {
        name: "kexec-load",
        about: "load a kernel, unload it, show what is loaded",
        verbs: &[Verb::Load, Verb::Unload, Verb::Status],
        says: &[WANTED, ADDS],
        sections: &[],
        files: &[LOADED, ATTEMPTS, SYS_LOADED],
        see_also: &[("systemctl", 1), ("kexec_load", 2)],
    },
    Page {
        name: "kexec-check",
        about: "look at what would be loaded, and whether it could be",
        verbs: &[Verb::Check, Verb::Plan],
        says: &[WANTED, ADDS],
        sections: &[],
        files: &[],
        see_also: &[("kexec_load", 2), ("kernel_lockdown", 7)],
    },
    Page {
        name: "kexec-preload",
        about: "make every reboot a kexec, whoever asks for it",
        verbs: &[
            Verb::Preload,
            Verb::Enable,
            Verb::Disable,
            Verb::NeedsReboot,
        ],
        says: &[
            "What a reboot would boot is loaded before anybody asks for the reboot: then \
             `systemctl reboot`, `reboot`, `shutdown -r`, unattended upgrades and agents of fleets \
             end in a kexec, and nothing depends on /boot being mounted. `coldreboot` and \
             `kexec reboot --cold` go through the firmware.",
        ],
        sections: &[(
            "UNITS",
            &[
                "`kexec-preload.service` loads at boot; `kexec-refresh.service` looks at what is \
                 loaded before the machine goes down. `kexec enable preload` switches both on.",
                "`kexec-load@NAME.service` loads /boot/vmlinuz-NAME with its initramfs and the \
                 running command line: `systemctl enable kexec-load@linux`, then `systemctl kexec`. \
                 It loads at boot, and a few seconds after it was enabled; \
                 `systemctl enable --now` returns when it is loaded, and is for scripts. A \
                 kernel that is named so stays loaded before the default one.",
                "`kexec-load-enabled.path` sees what is enabled. It loads nothing when units are \
                 disabled, stopped or read anew, or when the package is upgraded.",
            ],
        )],
        files: &[
            File {
                path: "/etc/systemd/system/systemd-reboot.service.d/50-kexec.conf",
                holds: "Has every reboot jump into what is loaded; there while preload is on.",
            },
            File {
                path: "/run/kexec/cold",
                holds: "Is there when this boot is to end in the firmware.",
            },
            LOADED,
        ],
        see_also: &[("systemctl", 1), ("kernel-install", 8)],
    },
    Page {
        name: "kexec-help",
        about: "print help and the version",
        verbs: &[Verb::Help, Verb::Version],
        says: &[],
        sections: &[],
        files: &[],
        see_also: &[],
    },
];

/// kexec(8).
pub const COMPLETE: Complete = Complete {
    page: Page {
        name: "kexec",
        about: "from the running Linux kernel into another one without the firmware",
        verbs: Verb::ALL,
        says: &[
            "`kexec` loads a kernel into memory and jumps into it. The firmware does not run, \
             which saves minutes on a server.",
            "With a verb as its first word it does everything that belongs to a reboot. Without \
             one it takes the command line of kexec-tools 2.0.32, with its exit codes: options \
             and KERNEL in any order, long options also abbreviated as far as that is \
             unambiguous. A kernel file that is called like a verb is spelled with its folder: \
             `./load`, `./help`.",
            "Files are read once and checked before anything is loaded: a kernel that is cut \
             short, altered or for another machine, a missing privilege, a lockdown are refused \
             with a reason and a remedy, and what was loaded before stays.",
            "A KERNEL is a bzImage, a UKI, an EFI zboot image, an ELF vmlinux, a multiboot kernel; \
             also compressed with gzip, xz, zstd, lz4, bzip2 or LZMA. Nothing is written to a \
             disk for it.",
        ],
        sections: &[(
            "DIFFERENCES FROM KEXEC-TOOLS",
            &[
                "The order of options does not matter, except that of --append and \
                 --command-line, and of -s, -c and -a, the last one counts. Several --initrd are \
                 joined in the order given. Modes that contradict each other are refused. \
                 Options without effect are named on standard error. The file compatibility.md \
                 of this package lists every difference with its reason.",
            ],
        )],
        files: &[LOADED, ATTEMPTS, SYS_LOADED],
        see_also: &[
            ("kexec_load", 2),
            ("reboot", 2),
            ("kernel_lockdown", 7),
            ("systemctl", 1),
        ],
    },
    exit_codes: &[
        ("0", "Done; beside -S: not loaded."),
        (
            "1",
            "The command line makes no sense, or what it asks for cannot be done on this machine; \
             nothing was changed. Beside -S: loaded.",
        ),
        (
            "255",
            "No kernel was named, or loading, unloading or jumping failed. Beside -S: the running \
             kernel does not say.",
        ),
    ],
    examples: &[
        Example {
            command: "kexec reboot",
            does: "Everything at once: find the kernel, check, load, shut down, jump.",
        },
        Example {
            command: "kexec -l /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline",
            does: "Load a kernel as ever. `systemctl kexec` then stops the services and jumps.",
        },
        Example {
            command: "kexec -e",
            does: "Jump into what is loaded at once; services are not stopped.",
        },
        Example {
            command: "kexec -p /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline",
            does: "Load a crash kernel.",
        },
    ],
};
