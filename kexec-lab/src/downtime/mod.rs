//! How many instructions a machine is down for a kexec: from the start of
//! `kexec -e` to the first act of the next kernel's `/init`, by each way to load.
//!
//! The guest counts ([`crate::Guest::counting`]): its cycle counter goes on by one with
//! each instruction, and a kexec does not reset it. `src/bin/tsc.rs` reads it at both
//! ends.

mod content;
mod files;
mod run;

pub(crate) use content::fill;
pub(crate) use files::packed_once;
pub use files::{DowntimeFiles, Packing, reference_decoder};
pub use run::{Downtime, DowntimeRun};

/// The variable with the counter's value at the first act of the next `/init`.
pub const ARRIVED: &str = "ARRIVED";

/// How large the initrd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitrdSize {
    /// Its name in tables.
    pub name: &'static str,
    /// About so many bytes, unpacked.
    pub bytes: usize,
    /// Memory of the machine, MiB: enough for the unpacked initrd in the page cache, in
    /// the loader, in the kernel's pages for the image, and with room to spare, as too
    /// little of it makes the kernel's allocation quadratic.
    pub memory_mb: u32,
    /// What `cma=` sets aside for [`LoadWay::ToolsFileCma`], MiB: the packed initrd and
    /// the kernel with all of its `init_size`.
    pub cma_mb: u32,
}

/// Somewhat more than busybox and the lab's own programs.
pub const SMALL: InitrdSize = InitrdSize {
    name: "small",
    bytes: 5_000_000,
    memory_mb: 2048,
    cma_mb: 256,
};
/// An initrd with drivers and firmware for every machine.
pub const MEDIUM: InitrdSize = InitrdSize {
    name: "medium",
    bytes: 200_000_000,
    memory_mb: 4096,
    cma_mb: 512,
};
/// A whole system in memory.
pub const LARGE: InitrdSize = InitrdSize {
    name: "large",
    bytes: 480_000_000,
    memory_mb: 6144,
    cma_mb: 768,
};
/// Every size, in the order of the tables.
pub const SIZES: [InitrdSize; 3] = [SMALL, MEDIUM, LARGE];

/// Who loads, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadWay {
    /// `kexec load` of this project, with everything that it does for the downtime.
    Load,
    /// The same without the check after the jump: what the check costs.
    LoadUnchecked,
    /// This project's program with `kexec_file_load(2)`.
    File,
    /// kexec-tools with `kexec_load(2)`.
    ToolsClassic,
    /// kexec-tools with `kexec_file_load(2)`.
    ToolsFile,
    /// kexec-tools with `kexec_load(2)` and without the check after the jump.
    ToolsUnchecked,
    /// [`LoadWay::ToolsFile`] on a kernel with `cma=` on its command line: from 7.3 on it
    /// puts the image where it will run and leaves its check out (commit 94f9cef0f51c,
    /// "kexec_file: skip checksum verification when safe").
    ///
    /// Loaded like that alone, 7.3.4 does not come up: the memory allocator aligns to 1 MiB
    /// at most (CONFIG_CMA_ALIGNMENT=8), the kernel needs 2 MiB (`kernel_alignment`), moves
    /// itself up and overwrites the first MiB of the initrd behind it. Here another image is
    /// in the way, so that the kernel happens to begin at a multiple of 2 MiB.
    ToolsFileCma,
    /// The kernel unpacked by hand, loaded by kexec-tools without a check. With the
    /// unpacked initrd this is what no loader can go below.
    Unpacked,
}

impl LoadWay {
    /// The command as tables show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "kexec load",
            Self::LoadUnchecked => "kexec load --integrity=none",
            Self::File => "kexec -s",
            Self::ToolsClassic => "kexec-tools -c",
            Self::ToolsFile => "kexec-tools -s",
            Self::ToolsUnchecked => "kexec-tools -c -i",
            Self::ToolsFileCma => "kexec-tools -s, cma=",
            Self::Unpacked => "floor: kexec-tools -c -i vmlinux",
        }
    }

    /// The words before the command line, with the files of the guest.
    fn command(self, initrd: &str) -> String {
        let kernel = files::KERNEL;
        match self {
            Self::Load => format!("kexec load {kernel} --initrd={initrd} --unpack=auto"),
            Self::LoadUnchecked => {
                format!("kexec load {kernel} --initrd={initrd} --unpack=auto --integrity=none")
            }
            Self::File => format!("kexec -s -l {kernel} --initrd={initrd}"),
            Self::ToolsClassic => format!("/ref/kexec -c -l {kernel} --initrd={initrd}"),
            Self::ToolsFile | Self::ToolsFileCma => {
                format!("/ref/kexec -s -l {kernel} --initrd={initrd}")
            }
            Self::ToolsUnchecked => format!("/ref/kexec -c -i -l {kernel} --initrd={initrd}"),
            Self::Unpacked => format!(
                "/ref/kexec -c -i -t elf-x86_64 --args-linux -l {} --initrd={initrd}",
                files::UNPACKED_KERNEL
            ),
        }
    }

    /// What has to happen before the load: a line of the guest's script.
    fn preparation(self) -> String {
        match self {
            // It is replaced by the load, but freed only after that has found its memory.
            Self::ToolsFileCma => format!("run before /ref/kexec -s -l {}\n", files::KERNEL),
            _ => String::new(),
        }
    }

    /// What jumps: each loader's own.
    fn jump(self) -> &'static str {
        match self {
            Self::Load | Self::LoadUnchecked | Self::File => "kexec -e",
            _ => "/ref/kexec -e",
        }
    }

    /// The kernel that is loaded, in the guest.
    fn kernel(self) -> &'static str {
        match self {
            Self::Unpacked => files::UNPACKED_KERNEL,
            _ => files::KERNEL,
        }
    }
}
