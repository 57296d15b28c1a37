//! The pages.

use super::{Complete, Example, File, Page};
use crate::args::Verb;

const LOADED: File = File {
    path: "/run/kexec/loaded.json",
    holds: "The loaded image: its files, the system call and the reason for it, for `kexec \
            status`. crash.json is the same for the crash kernel. loading.json, unloading.json \
            and replacing.json exist during a change; one that is left over shows that a change \
            was interrupted. The folder itself is the lock of every program that loads, unloads \
            or jumps, and holder.json names its holder. rates.json is how fast this machine is, \
            measured once in each boot for `kexec check`.",
};
const ATTEMPTS: File = File {
    path: "/var/lib/kexec/attempts/",
    holds: "One file for each requested kexec, readable by root only; the last hundred are kept.",
};
const SYS_LOADED: File = File {
    path: "/sys/kernel/kexec/loaded",
    holds: "1 when a kernel is loaded. crash_loaded is the same for the crash kernel, and \
            crash_size is the size of the memory that is reserved for one. Before Linux 6.19 \
            they are /sys/kernel/kexec_loaded, kexec_crash_loaded and kexec_crash_size.",
};

/// What ENTRY and KERNEL are.
const WANTED: &str = "An ENTRY is the id of a boot entry, its title, a part of either that fits \
                      only one entry, or the path of its kernel; `kexec list` shows them all. A \
                      name with a slash (./vmlinuz) is a KERNEL file instead; a name without one \
                      is never a file in the current folder. Without ENTRY and KERNEL, the \
                      command takes what a normal reboot would boot.";
/// What the options add to.
const ADDS: &str = "For a boot entry, --append adds parameters, --initrd adds an initrd, and \
                    --cmdline replaces its command line. A kernel file gets exactly what the \
                    options give, and a UKI has its own command line and initrds.";

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
        about: "show what would be loaded, and whether it can be",
        verbs: &[Verb::Check, Verb::Plan],
        says: &[WANTED, ADDS],
        sections: &[],
        files: &[],
        see_also: &[("kexec_load", 2), ("kernel_lockdown", 7)],
    },
    Page {
        name: "kexec-preload",
        about: "make every reboot a kexec, however it is requested",
        verbs: &[
            Verb::Preload,
            Verb::Enable,
            Verb::Disable,
            Verb::NeedsReboot,
            Verb::ParallelShutdown,
        ],
        says: &[
            "What a reboot would boot is loaded ahead, before a reboot is requested. Then \
             `systemctl reboot`, `reboot`, `shutdown -r`, unattended upgrades and fleet agents \
             end in a kexec, and nothing depends on /boot being mounted. `coldreboot` and \
             `kexec reboot --cold` go through the firmware.",
        ],
        sections: &[(
            "UNITS",
            &[
                "`kexec-preload.service` loads at boot; `kexec-refresh.service` checks the loaded \
                 image before the machine goes down. `kexec enable preload` switches both on.",
                "`kexec-load@NAME.service` loads /boot/vmlinuz-NAME with its initramfs and the \
                 running command line: `systemctl enable kexec-load@linux`, then `systemctl kexec`. \
                 It loads at boot, and a few seconds after it is enabled; in scripts, use \
                 `systemctl enable --now`, which returns when the kernel is loaded. A kernel that \
                 is named in this way takes precedence over the default one.",
                "`kexec-load-enabled.path` notices when such a unit is enabled. It loads nothing \
                 when units are disabled, stopped or reloaded, or when the package is upgraded.",
            ],
        )],
        files: &[
            File {
                path: "/etc/systemd/system/systemd-reboot.service.d/50-kexec.conf",
                holds: "Makes every reboot jump into the loaded image; it exists while preload is \
                        on.",
            },
            File {
                path: "/etc/kexec-rs.conf",
                holds: "Optional. `cold-every = N`: every Nth reboot goes through the firmware. \
                        `unpack = auto`, `always` or `never`: what the verbs unpack before the \
                        jump without --unpack. `#` begins a comment.",
            },
            File {
                path: "/etc/kexec-rs.parallel-shutdown",
                holds: "Exists while parallel-shutdown is on; without it, the hook does nothing.",
            },
            File {
                path: "/usr/lib/systemd/system-shutdown/50-kexec",
                holds: "The hook of parallel-shutdown.",
            },
            File {
                path: "/etc/udev/rules.d/98-kexec-crash.rules",
                holds: "Exists while crash is on: notices processors and memory that come and go.",
            },
            File {
                path: "/run/kexec-crash-changed",
                holds: "Made by these rules and by hooks of kernel packages; the crash kernel is \
                        then loaded again, and the file removed.",
            },
            File {
                path: "/run/kexec-crash-started",
                holds: "Made by kexec-crash.service; before that, these rules do nothing.",
            },
            File {
                path: "/run/kexec/cold",
                holds: "Exists when the next reboot must go through the firmware.",
            },
            LOADED,
        ],
        see_also: &[("systemctl", 1), ("kernel-install", 8)],
    },
    Page {
        name: "kexec-crash",
        about: "load a crash kernel, and know that it is ready",
        verbs: &[Verb::Crash],
        says: &[],
        sections: &[],
        files: &[LOADED, SYS_LOADED],
        see_also: &[("vmcore-dmesg", 8), ("kdumpctl", 8), ("kdump-config", 8)],
    },
    Page {
        name: "kexec-metrics",
        about: "metrics of reboots for Prometheus",
        verbs: &[Verb::Metrics],
        says: &[],
        sections: &[(
            "METRICS",
            &[
                "`kexec_requests{outcome}`: how many of the last hundred requests ended so: kexec; \
                 other_kexec (into another image); cold (although a kexec was requested); \
                 cold_requested; cold_refused (`--or-cold`); unknown.",
                "`kexec_last_reboot_outcome{outcome}`: 1 for the outcome of the last one, 0 for the \
                 others. `kexec_last_reboot_info{from,requested,booted,handover}`, \
                 `kexec_last_reboot_timestamp_seconds`, and \
                 `kexec_last_reboot_phase_seconds{phase}`: shutdown, firmware, jump, kernel, and \
                 with systemd initrd and userspace; shutdown_and_jump and shutdown_and_firmware \
                 where they could not be told apart.",
                "`kexec_expected_release_running`: 1 if the release of the last requested kexec \
                 runs.",
                "`kexec_reboots_since_cold_boot`: kexecs since the last cold boot. \
                 `kexec_cold_every_reboots`: the N of --cold-every, where it is set.",
                "`kexec_loaded{slot}`, `kexec_preloaded`, `kexec_preload_refused`: what is loaded, \
                 whether it was loaded ahead, whether the last preload of this boot was refused.",
                "`kexec_metrics_timestamp_seconds`: when these were written.",
            ],
        )],
        files: &[
            File {
                path: "/var/lib/prometheus/node-exporter/kexec.prom",
                holds: "Where `kexec enable metrics` has them written, unless --textfile-dir \
                        names another folder.",
            },
            ATTEMPTS,
        ],
        see_also: &[],
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
        about: "boot another kernel from the running Linux kernel, without the firmware",
        verbs: Verb::ALL,
        says: &[
            "`kexec` loads a kernel into memory and jumps into it. The firmware does not run, \
             which saves minutes on a server.",
            "With a verb as its first argument, it does everything that belongs to a reboot. \
             Without a verb, it takes the command line of kexec-tools 2.0.32, with the same \
             exit codes: options and KERNEL in any order; long options may be abbreviated as long \
             as they are unambiguous. To name a kernel file that is called like a verb, give its \
             folder too: `./load`, `./help`.",
            "Files are read once and checked before anything is loaded: a truncated or altered \
             kernel, a kernel for another machine, a missing privilege and a lockdown are refused \
             with a reason and a remedy, and the image that was loaded before stays.",
            "A KERNEL is a bzImage, a UKI, an EFI zboot image, an ELF vmlinux or a multiboot \
             kernel, also compressed with gzip, xz, zstd, lz4, bzip2 or LZMA. It is unpacked in \
             memory; nothing is written to a disk.",
        ],
        sections: &[
            (
                "DIFFERENCES FROM KEXEC-TOOLS",
                &[
                    "The order of options does not matter, with three exceptions: of --append and \
                 --command-line, and of -s, -c and -a, the last one counts; several --initrd are \
                 joined in the order given. Modes that contradict each other are refused. \
                 Options without effect are reported on standard error. The file compatibility.md \
                 of this package lists every difference with its reason.",
                ],
            ),
            (
                "OUTPUT",
                &[
                    "On a terminal, the output of verbs is wrapped to its width and coloured, and what \
                 takes more than half a second shows what is being done. Elsewhere each thing is \
                 on one line, without colours. `--color=always` and `--color=never` decide about \
                 the colours, and so does the variable NO_COLOR; without TERM, or with TERM=dumb, \
                 there are none.",
                    "On a terminal, `list`, `history`, `check`, `plan`, `status` and `help` show what \
                 is longer than the screen through the program in $PAGER, else through less(1) \
                 with LESS=FRSXMK, unless LESS is set; `--no-pager` switches that off, and so does \
                 PAGER=cat. Under sudo(8) and the like, the pager is less(1) in its secure mode.",
                    "With --json, a verb prints one JSON document. The folder json of this package's \
                 documents has its schema.",
                ],
            ),
        ],
        files: &[LOADED, ATTEMPTS, SYS_LOADED],
        see_also: &[
            ("kexec_load", 2),
            ("reboot", 2),
            ("kernel_lockdown", 7),
            ("systemctl", 1),
        ],
    },
    exit_codes: &[
        ("0", "Done. With -S: not loaded."),
        (
            "1",
            "The command line is wrong, or this machine cannot do what it asks for; nothing was \
             changed. With -S: loaded.",
        ),
        (
            "255",
            "No kernel was named, or loading, unloading or jumping failed. With -S: the running \
             kernel does not report it.",
        ),
    ],
    examples: &[
        Example {
            command: "kexec reboot",
            does: "Do everything: find the kernel, check it, load it, shut down, jump.",
        },
        Example {
            command: "kexec -l /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline",
            does: "Load a kernel. `systemctl kexec` then stops the services and jumps.",
        },
        Example {
            command: "kexec -e",
            does: "Jump into the loaded image at once; services are not stopped.",
        },
        Example {
            command: "kexec -p /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline",
            does: "Load a crash kernel.",
        },
    ],
};
