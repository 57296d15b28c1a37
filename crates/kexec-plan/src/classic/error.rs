//! Why there is no plan of a classic load.

use kexec_image::Arch;

use crate::crash::CrashError;
use crate::memory::{NoMap, NoRoom, Range};

/// Why there is no plan of a classic load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassicError {
    /// No planner for the machine.
    #[error("kexec_load(2) on {arch} is not supported yet in this version")]
    ArchNotYet {
        /// The architecture of the machine.
        arch: Arch,
    },
    /// The kernel is for another machine.
    #[error("the kernel is for {image}, the machine is {machine}")]
    ForeignImage {
        /// What the kernel is for.
        image: Arch,
        /// What the machine is.
        machine: Arch,
    },
    /// The format is not started this way.
    #[error("{format} cannot be started on {arch}, only {takes}")]
    Format {
        /// What the image is.
        format: String,
        /// The architecture of the machine.
        arch: Arch,
        /// What would do.
        takes: &'static str,
    },
    /// An option that is not supported, or not with this image.
    #[error("{option}: {reason}")]
    Option {
        /// The option as it is typed.
        option: &'static str,
        /// Why it cannot be done.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// There is no usable memory map.
    #[error("no free memory at all: {}", match .0 {
        NoMap::Zeros => "/proc/iomem shows zeros instead of addresses",
        NoMap::NoRam => "/proc/iomem has no System RAM",
        NoMap::Disagree => "/proc/iomem and /sys/firmware/memmap have no System RAM in common",
    })]
    NoMap(NoMap),
    /// Something does not fit.
    #[error("{0}")]
    NoRoom(NoRoom),
    /// Something must be at a place that is not free.
    #[error("{what} must be at {range}, which is not free memory: {owner}")]
    Occupied {
        /// The part of the image that must be there.
        what: String,
        /// The only place where it can be.
        range: Range,
        /// What is there.
        owner: String,
    },
    /// All segments together are more than the running kernel takes.
    #[error(
        "the segments need {needed} bytes, the running kernel takes {limit}: half of its {memory} bytes of memory ({parts})"
    )]
    HalfOfMemory {
        /// All segments together.
        needed: u64,
        /// The most that the running kernel takes.
        limit: u64,
        /// `MemTotal` of /proc/meminfo in bytes.
        memory: u64,
        /// Each segment with its size.
        parts: String,
    },
    /// More segments than the system call takes.
    #[error("{count} segments, kexec_load(2) takes {}", super::SEGMENT_MAX)]
    TooManySegments {
        /// How many segments the plan would have.
        count: usize,
    },
    /// The command line is too long for the kernel.
    #[error("the command line has {len} bytes, the kernel takes {max}")]
    CmdlineTooLong {
        /// Its length without the terminating NUL.
        len: u64,
        /// The most there may be.
        max: u64,
    },
    /// It cannot be made for a crash kernel.
    #[error(transparent)]
    Crash(#[from] CrashError),
    /// The headers of an ELF or multiboot image do not make sense together.
    #[error("{format}: {reason}")]
    Layout {
        /// The format of the image.
        format: &'static str,
        /// What is wrong, with numbers.
        reason: String,
    },
    /// The finished purgatory is larger than planned.
    #[error("the purgatory has {has} bytes, {room} were planned")]
    PurgatoryTooLarge {
        /// How many bytes it has.
        has: u64,
        /// What there is.
        room: u64,
    },
}

impl ClassicError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            ClassicError::ArchNotYet { .. } => {
                "leave -c out, or use -s: the running kernel then places the image itself"
            }
            ClassicError::ForeignImage { .. } => "use a kernel that was built for this machine",
            ClassicError::Format { .. } => {
                "use the kernel that the boot loader boots, such as /boot/vmlinuz-RELEASE"
            }
            ClassicError::Option { hint, .. } => hint,
            ClassicError::NoMap(NoMap::Zeros) => {
                "run as root with CAP_SYS_ADMIN in the first user namespace"
            }
            ClassicError::NoMap(_) => {
                "check both maps; a container may hide them: then run on the host"
            }
            ClassicError::NoRoom(_) => {
                "use a smaller initrd, relax --mem-min/--mem-max and mem= of the next command \
                 line, or reserve less (crashkernel=, hugepages)"
            }
            ClassicError::Occupied { .. } => {
                "the image cannot be moved: use a relocatable one, or free the memory at its \
                 address"
            }
            ClassicError::HalfOfMemory { .. } => {
                "use a smaller initrd, or give the machine more memory"
            }
            ClassicError::TooManySegments { .. } => "use fewer modules",
            ClassicError::CmdlineTooLong { .. } => "shorten the command line",
            ClassicError::Crash(error) => error.remedy(),
            ClassicError::Layout { .. } => "the file is damaged, or not meant for this machine",
            ClassicError::PurgatoryTooLarge { .. } => "this is a bug in kexec: please report it",
        }
    }
}

impl From<NoRoom> for ClassicError {
    fn from(error: NoRoom) -> ClassicError {
        ClassicError::NoRoom(error)
    }
}

impl From<NoMap> for ClassicError {
    fn from(error: NoMap) -> ClassicError {
        ClassicError::NoMap(error)
    }
}
