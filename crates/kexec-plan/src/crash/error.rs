//! Why there is no plan of a crash kernel.

use crate::memory::{NoRoom, Range};

/// What to do where no memory is reserved, and how much is needed is unknown.
pub const RESERVE: &str = "add crashkernel=SIZE to the kernel command line for good (`kexec crash estimate` shows SIZE), and \
                           reboot";

/// What to do where less is reserved than what is to be loaded takes.
pub const RESERVE_MORE: &str = "raise crashkernel= on the kernel command line (`kexec crash estimate` shows the size) and reboot, \
                                or make a smaller initrd for the crash kernel";

/// Why there is no plan of a crash kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrashError {
    /// No memory is reserved.
    #[error("no memory is reserved for a crash kernel: /proc/iomem has no \"Crash kernel\"")]
    NoRegion,
    /// The regions leave nothing to save.
    #[error(
        "/proc/iomem has no System RAM outside of the memory that is reserved for the crash kernel"
    )]
    NothingToSave,
    /// The ELF core header would have more entries than one can have.
    #[error(
        "the memory to be saved has {ranges} ranges and the machine {cpus} processors: {count} \
         entries of an ELF core header, which has room for {}",
        super::HEADERS_MAX
    )]
    TooManyHeaders {
        /// Ranges of memory.
        ranges: usize,
        /// Processors with notes.
        cpus: usize,
        /// Entries that are needed.
        count: usize,
    },
    /// Something does not fit into a 32-bit header.
    #[error(
        "--elf32-core-headers: {what} is at {range}, beyond the 4 GiB that a 32-bit header describes"
    )]
    Beyond32Bit {
        /// What it is.
        what: &'static str,
        /// Where it is.
        range: Range,
    },
    /// A note or the kernel is where no memory is.
    #[error(
        "{what} is at {range} by what the running kernel shows, which is not memory of this machine"
    )]
    Nowhere {
        /// What it is.
        what: String,
        /// Where the running kernel shows it.
        range: Range,
    },
    /// The image is not a Linux kernel.
    #[error("{format} cannot be a crash kernel: only Linux finds what it has to save")]
    NotLinux {
        /// What the image is.
        format: String,
    },
    /// Something does not fit into the reserved memory.
    #[error(
        "{0}; an image is loaded only into the highest part of the memory that is reserved for crash kernels"
    )]
    NoRoom(NoRoom),
    /// Something has to lie below all of the memory into which an image can be loaded.
    #[error(
        "{0}; an image is loaded only into the highest part of the memory that is reserved for \
         crash kernels, and that begins at {1:#x}"
    )]
    TooHigh(NoRoom, u64),
    /// The command line has no room for what the crash kernel is told there.
    #[error(
        "the command line has {len} bytes with what the crash kernel is told there ({told}), the \
         kernel takes {max}"
    )]
    CmdlineTooLong {
        /// Its length without the terminating NUL.
        len: u64,
        /// The most there may be.
        max: u64,
        /// What was added.
        told: &'static str,
    },
}

impl CrashError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            CrashError::NoRegion => RESERVE,
            CrashError::NothingToSave | CrashError::Nowhere { .. } => {
                "use -s: the running kernel then describes its memory itself"
            }
            CrashError::TooManyHeaders { .. } => {
                "reboot with fewer processors (nr_cpus=COUNT) or without a part of the memory \
                 (mem=SIZE) on the kernel command line; the header that -s makes has no more room"
            }
            CrashError::Beyond32Bit { .. } => "use --elf64-core-headers, or none of the two",
            CrashError::NoRoom(_) => RESERVE_MORE,
            CrashError::TooHigh(..) => {
                "leave --entry-32bit, --mem-max and mem= out, or reserve memory that is lower \
                 (crashkernel=SIZE without ,high and @OFFSET) and reboot"
            }
            CrashError::NotLinux { .. } => {
                "use the kernel that the boot loader boots, such as /boot/vmlinuz-RELEASE"
            }
            CrashError::CmdlineTooLong { .. } => {
                "shorten the command line, or leave --pass-memmap-cmdline out"
            }
        }
    }
}
