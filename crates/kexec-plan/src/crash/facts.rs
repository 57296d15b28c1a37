//! What has to be known of the running kernel.

use serde::Serialize;

use crate::memory::{Range, RangeSet};

/// What has to be known of the running kernel before a crash kernel can save its memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrashFacts {
    /// Where the processors leave their registers, by their numbers. Numbers may be missing.
    pub cpus: Vec<CpuNotes>,
    /// The ELF note that describes the running kernel to tools (/sys/kernel/vmcoreinfo).
    pub vmcoreinfo: Range,
    /// Where the running kernel itself is.
    pub kernel_text: KernelText,
    /// The virtual address at which the running kernel maps physical address 0.
    pub direct_map: u64,
    /// Memory that the crash kernel may use in addition to its regions, and that is not
    /// saved (`crashkernel=SIZE,cma`).
    pub cma: RangeSet,
    /// How many bytes the running kernel needs for the ELF core header when it writes it
    /// anew after a change of processors or memory (`crash_elfcorehdr_size`); `None` where
    /// it is not to do that.
    pub hotplug_size: Option<u64>,
    /// Whether the running kernel uses memory below 1 MiB itself, which a crash kernel needs
    /// too (x86 before Linux 5.5): it is copied out of the way at the crash.
    pub uses_low_memory: bool,
}

/// Memory that is copied between the two kernels, because the next one uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryCopy {
    /// The physical addresses that are copied from: whole pages.
    pub from: Range,
    /// The physical address that is copied to.
    pub to: u64,
}

impl MemoryCopy {
    /// Where the copy is.
    pub fn destination(&self) -> Range {
        Range::sized(self.to, self.from.len()).unwrap_or_default()
    }
}

/// Where one processor leaves its registers: an ELF note (`crash_notes` and
/// `crash_notes_size`, Documentation/ABI/testing/sysfs-devices-system-cpu).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CpuNotes {
    /// The number of the processor.
    pub cpu: u32,
    /// The note's physical addresses.
    pub range: Range,
}

/// The running kernel in memory, from its text to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelText {
    /// Its first virtual address.
    pub virtual_start: u64,
    /// Its physical addresses.
    pub physical: Range,
}
