//! What vmcore-dmesg(8) says beyond the options; in the marks of
//! [`crate::manual`].

use crate::manual::{Example, File};

/// Paragraphs.
pub const SAYS: &[&str] = &[
    "`vmcore-dmesg` prints the log of a kernel that has crashed, out of the dump of its memory: \
     /proc/vmcore, which is there while the crash kernel runs, or a copy of it. The dump says \
     itself where the log is and how it is kept, so that nothing is needed of the kernel that \
     crashed. It knows every way that Linux has kept its log, 32 and 64 bits, either order of \
     bytes; tried on real crashes were 6.1, 6.12 and 7.x on x86_64.",
    "The log goes to standard output as `dmesg` prints it; bytes that a terminal would act on are \
     printed as \\xNN. What is wrong goes to standard error. A message that cannot be read is \
     passed over, and the others are printed; the exit code is not 0 then.",
    "A dump that makedumpfile has compressed is not read: `makedumpfile --dump-dmesg` does that.",
];

/// Exit codes, as in kexec-tools.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "The whole log was printed."),
    ("1", "The command line makes no sense."),
    ("2", "The dump cannot be opened."),
    ("4", "It is no ELF core file."),
    ("10", "Its headers contradict themselves."),
    ("20", "It does not say what kernel it is of."),
    (
        "30",
        "A part of the log, or the way to it, is not in the dump.",
    ),
    ("40", "The dump is cut short, or cannot be read."),
    ("50", "The kernel keeps its log in an unknown way."),
    ("53", "The log cannot be written."),
];

/// Examples.
pub const EXAMPLES: &[Example] = &[
    Example {
        command: "vmcore-dmesg /proc/vmcore > /var/crash/vmcore-dmesg.txt",
        does: "In the crash kernel: keep the log, whatever becomes of the rest.",
    },
    Example {
        command: "vmcore-dmesg --json vmcore",
        does: "With numbers, levels and the threads or processors that wrote the messages.",
    },
];

/// Files.
pub const FILES: &[File] = &[File {
    path: "/proc/vmcore",
    holds: "The memory of the crashed kernel, while the crash kernel runs.",
}];

/// Pages of others.
pub const SEE_ALSO: &[(&str, u8)] = &[
    ("kexec", 8),
    ("dmesg", 1),
    ("makedumpfile", 8),
    ("kdump-config", 8),
];
