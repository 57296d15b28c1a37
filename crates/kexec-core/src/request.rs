//! What is meant: a load, as the command line or a boot entry asks for it.

use std::path::PathBuf;

use kexec_plan::Cmdline;
pub use kexec_plan::SyscallChoice;
use kexec_sys::Slot;

/// Where the next kernel's command line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CmdlineChoice {
    /// The text of `--append` or `--command-line`.
    pub append: Option<Cmdline>,
    /// `--reuse-cmdline`: put the old command line in front of it. For a UKI
    /// with a `.cmdline` that one is meant, else the running kernel's.
    pub reuse: bool,
}

/// One kernel to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The kernel file.
    pub kernel: PathBuf,
    /// Initrds to be joined in this order, behind those a UKI carries.
    pub initrds: Vec<PathBuf>,
    /// The command line.
    pub cmdline: CmdlineChoice,
    /// The normal slot, or the one that a panic jumps to.
    pub slot: Slot,
    /// Which system call.
    pub syscall: SyscallChoice,
    /// Which profile of a UKI; `None` is the base profile.
    pub profile: Option<usize>,
    /// Let the kernel print what it does (`KEXEC_FILE_DEBUG`).
    pub debug: bool,
}
