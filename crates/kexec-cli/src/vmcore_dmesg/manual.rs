//! What vmcore-dmesg(8) says beyond the options; in the marks of
//! [`crate::manual`].

use crate::manual::{Example, File};

/// Paragraphs.
pub const SAYS: &[&str] = &[
    "`vmcore-dmesg` prints the log of a kernel that has crashed, from the dump of its memory: \
     /proc/vmcore, which exists while the crash kernel runs, or a file that was made of it. The \
     dump itself tells where the log is and how it is stored, so no file of the crashed kernel is \
     needed. Every format in which Linux has stored its log is supported, 32 and 64 bits, in \
     either byte order; tested with real crashes of 6.1, 6.12 and 7.x on x86_64.",
    "A dump is an ELF core file or one in makedumpfile's format kdump-compressed (versions 1 to 6; \
     pages compressed with zlib, lzo, snappy or zstd, or not at all). Either may be in \
     makedumpfile's flattened format. Several files are the parts that `makedumpfile --split` \
     wrote of one dump. The dumps of QEMU's `dump-guest-memory` (`virsh dump --memory-only`) are of \
     these formats, but have no virtual addresses; the kernel's own description tells where its \
     memory was, on x86, arm, arm64, riscv64, loongarch64, ppc, ppc64, s390x and mips. Where a \
     guest had no `vmcoreinfo` device, that description is looked for in the whole dump, which \
     takes as long as reading it.",
    "`-` is standard input. A pipe is copied before it is read: to the folder that the variable \
     TMPDIR names, as far as there is room, or else to memory, as far as half of what is \
     available.",
    "The log goes to standard output as kexec-tools prints it; bytes that a terminal would act on \
     are printed as \\xNN. `--decode`, `--caller` and `--force-prefix` print what dmesg(1) prints \
     in front of the lines. Problems are reported on standard error. A message that cannot be \
     read is skipped, and the others are printed; the exit code is then not 0.",
];

/// Exit codes, as in kexec-tools.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "The whole log was printed."),
    ("1", "The command line is wrong."),
    ("2", "The dump cannot be opened."),
    ("4", "It is not a dump."),
    ("10", "Its headers contradict themselves."),
    ("20", "It does not tell which kernel it comes from."),
    (
        "30",
        "A part of the log, or a structure that leads to it, is not in the dump.",
    ),
    ("40", "The dump is cut short or damaged, or cannot be read."),
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
        command: "ssh host cat /var/crash/202611291200/dump.202611291200 | vmcore-dmesg --level err+ -",
        does: "Print what was an error or worse, from a dump on another machine.",
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
