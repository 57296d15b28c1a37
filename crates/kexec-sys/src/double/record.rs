//! What a [`Double`](super::Double) remembers.

use std::ffi::{CStr, CString};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::rules::Place;
use crate::{Errno, FileFlags, LoadFlags, RouteMessage, Slot};

/// One thing that was asked of the kernel, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`crate::Kernel::file_load`]
    FileLoad {
        /// The kernel came as a memory file, not as a file on disk.
        kernel_in_memory: bool,
        /// Whether an initrd came with it.
        initrd: bool,
        /// The command line.
        cmdline: CString,
        /// The flags as the kernel sees them, `NO_INITRAMFS` included.
        flags: FileFlags,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::file_unload`]
    FileUnload {
        /// The slot that was to be emptied.
        slot: Slot,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::load`]
    Load {
        /// Physical address of the entry.
        entry: u64,
        /// The segments without their bytes.
        places: Vec<Place>,
        /// The flags as the kernel sees them.
        flags: LoadFlags,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::unload`]
    Unload {
        /// The slot that was to be emptied.
        slot: Slot,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::sync`]
    Sync,
    /// [`crate::Kernel::may_reboot`]
    MayReboot {
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::reboot_kexec`]
    Reboot {
        /// `Ok` where a real kernel would have jumped.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::interfaces`]
    Interfaces,
    /// [`crate::Kernel::set_interface`]
    SetInterface {
        /// The interface, by its name.
        name: String,
        /// What it was to become.
        up: bool,
        /// Whether it was up before.
        result: Result<bool, Errno>,
    },
    /// [`crate::Kernel::route_dump`]
    RouteDump {
        /// The request, one of `RTM_GET...`.
        request: u16,
        /// The address family.
        family: u8,
    },
    /// One of [`crate::Kernel::route_requests`]
    RouteRequest {
        /// The message that was sent.
        message: RouteMessage,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::hold_signals`]
    HoldSignals {
        /// Kept back, or let come again.
        held: bool,
    },
    /// [`crate::Kernel::freeze`]
    Freeze {
        /// The mount point.
        mount_point: PathBuf,
        /// What it was to become.
        frozen: bool,
        /// What the caller got.
        result: Result<(), Errno>,
    },
    /// [`crate::Kernel::lock_memory`]
    LockMemory,
}

/// One segment that was loaded, with its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct LoadedSegment {
    /// What was copied.
    pub bytes: Vec<u8>,
    /// The physical address where it is.
    pub mem: u64,
    /// Size in memory.
    pub memsz: u64,
}

impl fmt::Debug for LoadedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, mem, memsz } = self;
        write!(f, "{mem:#x}+{memsz:#x} ({} bytes)", bytes.len())
    }
}

/// An image in one of the kernel's slots. `Debug` writes sizes, not bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum LoadedImage {
    /// Loaded with kexec_file_load(2).
    Files {
        /// The kernel, as the kernel read it.
        kernel: Vec<u8>,
        /// It came as a memory file.
        kernel_in_memory: bool,
        /// The initrd, if any.
        initrd: Option<Vec<u8>>,
        /// The command line.
        cmdline: CString,
        /// The flags that it was loaded with.
        flags: FileFlags,
    },
    /// Loaded with kexec_load(2).
    Segments {
        /// Physical address of the entry.
        entry: u64,
        /// The segments, in the caller's order.
        segments: Vec<LoadedSegment>,
        /// The flags that it was loaded with.
        flags: LoadFlags,
    },
}

impl LoadedImage {
    /// The kernel file, of a file load.
    #[must_use]
    pub fn kernel(&self) -> Option<&[u8]> {
        match self {
            Self::Files { kernel, .. } => Some(kernel),
            Self::Segments { .. } => None,
        }
    }

    /// The initrd, of a file load that had one.
    #[must_use]
    pub fn initrd(&self) -> Option<&[u8]> {
        match self {
            Self::Files { initrd, .. } => initrd.as_deref(),
            Self::Segments { .. } => None,
        }
    }

    /// The command line, of a file load.
    #[must_use]
    pub fn cmdline(&self) -> Option<&CStr> {
        match self {
            Self::Files { cmdline, .. } => Some(cmdline),
            Self::Segments { .. } => None,
        }
    }

    /// Whether it is meant to jump back ([`LoadFlags::PRESERVE_CONTEXT`]).
    #[must_use]
    pub fn preserves_context(&self) -> bool {
        match self {
            Self::Files { .. } => false,
            Self::Segments { flags, .. } => flags.contains(LoadFlags::PRESERVE_CONTEXT),
        }
    }

    /// The segments; none of a file load, whose segments the kernel makes.
    #[must_use]
    pub fn segments(&self) -> &[LoadedSegment] {
        match self {
            Self::Files { .. } => &[],
            Self::Segments { segments, .. } => segments,
        }
    }

    /// The segments that are not wholly inside one of `ranges`. kexec_load(2)
    /// does not check on x86 and arm64 whether there is RAM at a destination:
    /// the call succeeds, and the jump ends in nothing.
    #[must_use]
    pub fn outside<'a>(&'a self, ranges: &'a [Range<u64>]) -> Vec<&'a LoadedSegment> {
        let inside = |segment: &LoadedSegment| {
            ranges.iter().any(|range| {
                segment.mem >= range.start
                    && range
                        .end
                        .checked_sub(segment.mem)
                        .is_some_and(|room| segment.memsz <= room)
            })
        };
        self.segments()
            .iter()
            .filter(|segment| !inside(segment))
            .collect()
    }
}

impl fmt::Debug for LoadedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files {
                kernel,
                kernel_in_memory,
                initrd,
                cmdline,
                flags,
            } => f
                .debug_struct("Files")
                .field("kernel_bytes", &kernel.len())
                .field("kernel_in_memory", kernel_in_memory)
                .field("initrd_bytes", &initrd.as_ref().map(Vec::len))
                .field("cmdline", cmdline)
                .field("flags", flags)
                .finish(),
            Self::Segments {
                entry,
                segments,
                flags,
            } => f
                .debug_struct("Segments")
                .field("entry", &format_args!("{entry:#x}"))
                .field("segments", segments)
                .field("flags", flags)
                .finish(),
        }
    }
}
