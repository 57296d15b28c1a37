//! What vmcore-dmesg(8) says beyond the options; in the marks of
//! [`crate::manual`].

use crate::manual::{Example, File};

/// Paragraphs.
pub const SAYS: &[&str] = &[
    "`vmcore-dmesg` prints the log of a kernel that has crashed, from the dump of its memory: \
     /proc/vmcore, which exists while the crash kernel runs, or a copy of it. The dump itself \
     tells where the log is and how it is stored, so no file of the crashed kernel is needed. \
     Every format in which Linux has stored its log is supported, 32 and 64 bits, in either byte \
     order; tested with real crashes of 6.1, 6.12 and 7.x on x86_64.",
    "The log goes to standard output as `dmesg` prints it; bytes that a terminal would act on are \
     printed as \\xNN. Problems are reported on standard error. A message that cannot be read is \
     skipped, and the others are printed; the exit code is then not 0.",
    "A dump that makedumpfile has compressed is not read: `makedumpfile --dump-dmesg` does that.",
];

/// Exit codes, as in kexec-tools.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "The whole log was printed."),
    ("1", "The command line is wrong."),
    ("2", "The dump cannot be opened."),
    ("4", "It is not an ELF core file."),
    ("10", "Its headers contradict themselves."),
    ("20", "It does not tell which kernel it comes from."),
    (
        "30",
        "A part of the log, or a structure that leads to it, is not in the dump.",
    ),
    ("40", "The dump is cut short, or cannot be read."),
    ("50", "The kernel stores its log in an unknown format."),
    ("53", "The log cannot be written."),
];

/// Examples.
pub const EXAMPLES: &[Example] = &[
    Example {
        command: "vmcore-dmesg /proc/vmcore > /var/crash/vmcore-dmesg.txt",
        does: "In the crash kernel: save the log, whatever happens to the rest.",
    },
    Example {
        command: "vmcore-dmesg --json vmcore",
        does: "Print numbers, levels and the threads or processors that wrote the messages.",
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
