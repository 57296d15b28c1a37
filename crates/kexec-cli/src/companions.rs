//! What is said of the small programs that packages bring along under the names of the
//! kexec-tools that they replace: scripts over the verbs, below `dist/bin`. In the marks
//! of [`crate::manual`].

use crate::manual::{Example, File};

/// A program that a package brings along.
#[derive(Debug, Clone, Copy)]
pub struct Companion {
    /// Its name, and that of its script.
    pub name: &'static str,
    /// One line for headings.
    pub about: &'static str,
    /// What may follow the name.
    pub synopsis: &'static str,
    /// What it does, in paragraphs.
    pub says: &'static [&'static str],
    /// Its options: spellings, and what each does.
    pub options: &'static [(&'static [&'static str], &'static str)],
    /// The files that it reads.
    pub files: &'static [File],
    /// Its exit codes.
    pub exit_codes: &'static [(&'static str, &'static str)],
    /// What it can be used for.
    pub examples: &'static [Example],
    /// Other manual pages.
    pub see_also: &'static [(&'static str, u8)],
}

/// Each of them.
pub const COMPANIONS: &[Companion] = &[KEXEC_LOAD_KERNEL, KEXEC_BOOTLOADER];

/// Of Debian's kexec-tools.
pub const KEXEC_LOAD_KERNEL: Companion = Companion {
    name: "kexec-load-kernel",
    about: "load the kernel that /etc/default/kexec names",
    synopsis: "kexec-load-kernel [OPTION]",
    says: &[
        "kexec-load-kernel is a program of Debian's kexec-tools. It loads the kernel that \
         /etc/default/kexec names, with `kexec load` and all of its checks. Afterwards \
         `systemctl kexec` boots it. For machines on which every reboot is to be a kexec, \
         `kexec enable preload` is the better way: it follows every installed kernel.",
        "It does nothing and exits with 0 when a kernel is loaded already, after `coldreboot`, \
         and when the file /no-kexec-reboot exists, which it removes.",
        "/etc/default/kexec and the files of /etc/default/kexec.d whose names consist of \
         letters, digits, underscores and hyphens are fragments of shell, and are run as such, \
         in this order. Users other than root must not be able to change them, and a fragment \
         with a syntax error is refused before any of it is run. They set these variables:",
        "KERNEL_IMAGE is the kernel file. Where it is not set, the default entry of the boot \
         loader is loaded.",
        "INITRD is its initrd; empty for none.",
        "APPEND is its command line; empty for that of the running kernel, without \
         `BOOT_IMAGE=`.",
        "USE_GRUB_CONFIG=true loads the default entry of the boot loader in place of the three. \
         Its configuration is evaluated as `kexec list` shows it.",
        "LOAD_KEXEC is read only with --if-enabled. Debian 13 has removed it.",
    ],
    options: &[
        (
            &["--if-enabled"],
            "Do nothing if LOAD_KEXEC is set to anything but true. kexec-load.service uses this.",
        ),
        (&["-h", "--help"], "Print a short help."),
    ],
    files: &[
        File {
            path: "/etc/default/kexec",
            holds: "The settings. kexec-tools has made it; this package reads it and does not \
                    bring one.",
        },
        File {
            path: "/etc/default/kexec.d",
            holds: "More settings, which override those of /etc/default/kexec.",
        },
    ],
    exit_codes: &[
        ("0", "The kernel is loaded, or there was nothing to do."),
        (
            "1",
            "Refused, and nothing was changed. (The program of kexec-tools exits with 0 here.)",
        ),
        (
            "2",
            "The command line is wrong, or a fragment ended with an error.",
        ),
    ],
    examples: &[
        Example {
            command: "kexec-load-kernel && systemctl kexec",
            does: "Load the kernel, stop the services and jump.",
        },
        Example {
            command: "systemctl enable kexec-load.service",
            does: "Load it now and at every boot.",
        },
    ],
    see_also: &[("kexec-reboot", 8), ("kexec-preload", 8), ("coldreboot", 8)],
};

/// Of openSUSE's kexec-tools.
pub const KEXEC_BOOTLOADER: Companion = Companion {
    name: "kexec-bootloader",
    about: "load what the boot loader would boot",
    synopsis: "kexec-bootloader [OPTION]...",
    says: &[
        "kexec-bootloader is a program of openSUSE's and SLE's kexec-tools. It loads the default \
         entry of the boot loader, with `kexec load` and all of its checks. Afterwards \
         `systemctl kexec` boots it, and `kexec -e` jumps at once.",
        "kexec-load.service loads the same entry at every boot, and what replaces it at \
         shutdown. For machines on which every reboot is to be a kexec, `kexec enable preload` \
         is the better way; no link from reboot.target to kexec.target is needed.",
        "Newer versions of openSUSE have a kexec-bootloader in another package \
         (update-bootloader). It calls `kexec -l`, works unchanged, and is left in its place.",
    ],
    options: &[
        (
            &["--dry-run"],
            "Find, read and check, show the plan, and load nothing.",
        ),
        (
            &["-D", "--debug"],
            "Also print every boot entry, which one is loaded, and why, on standard error.",
        ),
        (&["-h", "--help"], "Print a short help."),
    ],
    files: &[],
    exit_codes: &[
        ("0", "The kernel is loaded."),
        (
            "1",
            "Refused, and nothing was changed; or the command line is wrong.",
        ),
    ],
    examples: &[Example {
        command: "kexec-bootloader && systemctl kexec",
        does: "Load the default entry, stop the services and jump.",
    }],
    see_also: &[("kexec-reboot", 8), ("kexec-list", 8), ("kexec-preload", 8)],
};
