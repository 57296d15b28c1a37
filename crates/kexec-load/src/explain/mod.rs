//! What an errno of the kernel means on this machine: one table, decided with
//! the facts of the snapshot, so that EPERM is told apart into its causes.

mod causes;
pub(crate) mod no_jump;
pub(crate) mod say;

use kexec_image::Arch;
use kexec_sys::{Errno, Slot};

use kexec_machine::{Problem, Snapshot};

pub use causes::causes;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelCall {
    /// `kexec_file_load(2)`.
    FileLoad(Slot),
    /// `kexec_load(2)` with segments.
    ClassicLoad(Slot),
    /// Unloading, by either system call.
    Unload(Slot),
    /// `reboot(2)` with `LINUX_REBOOT_CMD_KEXEC`.
    Reboot,
}

impl KernelCall {
    /// The slot that was meant; a jump goes to the normal one.
    pub fn slot(self) -> Slot {
        match self {
            KernelCall::FileLoad(slot)
            | KernelCall::ClassicLoad(slot)
            | KernelCall::Unload(slot) => slot,
            KernelCall::Reboot => Slot::Normal,
        }
    }

    /// Whether a kernel was to be loaded.
    pub fn is_load(self) -> bool {
        matches!(self, KernelCall::FileLoad(_) | KernelCall::ClassicLoad(_))
    }
}

/// What the explanation needs to know of the image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// The formats from the outside in: `UKI > bzImage`.
    pub format: String,
    /// The architecture it was built for.
    pub arch: Option<Arch>,
    /// The kernel is the file itself, with nothing taken off.
    pub bare: bool,
    /// Who signed the kernel that is handed over, where a signature was found
    /// whose digest is the kernel's.
    pub signer: Option<String>,
    /// Bytes of the kernel.
    pub kernel_len: usize,
    /// Bytes of the joined initrds.
    pub initrd_len: usize,
    /// Bytes of the command line with its NUL.
    pub cmdline_len: usize,
    /// The running kernel was to be preserved (`KEXEC_PRESERVE_CONTEXT`).
    pub preserve_context: bool,
}

impl ImageFacts {
    /// The jump-back image, which has no kernel in it.
    pub(crate) fn jump_back() -> ImageFacts {
        ImageFacts {
            format: "no kernel, a jump-back image".to_owned(),
            arch: None,
            bare: true,
            signer: None,
            kernel_len: 0,
            initrd_len: 0,
            cmdline_len: 0,
            preserve_context: true,
        }
    }
}

/// What a row of the table looks at.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// The call that the kernel refused.
    pub call: KernelCall,
    /// The machine whose kernel refused.
    pub host: &'a Snapshot,
    /// The image; `None` where none was loaded.
    pub image: Option<&'a ImageFacts>,
}

/// One cause of one errno.
pub struct ErrnoCause {
    /// What the kernel answered.
    pub errno: Errno,
    /// Whether this is the cause; looks at the call first.
    pub when: fn(&CallContext<'_>) -> bool,
    /// The cause, with the machine's numbers.
    pub why: fn(&CallContext<'_>) -> String,
    /// What to do about this cause.
    pub remedy: fn(&CallContext<'_>) -> String,
}

impl std::fmt::Debug for ErrnoCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a cause of {:?}", self.errno)
    }
}

/// Says what `errno` means on this machine. `tried` says what was tried on
/// what: `loading kernel /boot/vmlinuz-6.12`.
pub fn explain(
    call: KernelCall,
    errno: Errno,
    tried: String,
    host: &Snapshot,
    image: Option<&ImageFacts>,
) -> Explanation {
    let context = CallContext { call, host, image };
    let row = causes().find(|row| row.errno == errno && (row.when)(&context));
    let (why, remedy) = match row {
        Some(row) => ((row.why)(&context), (row.remedy)(&context)),
        None => causes::unknown(&context, errno),
    };
    Explanation {
        problem: Problem::new(tried, why, remedy),
        errno,
    }
}

/// A refusal of the kernel, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What was tried on which file, why the kernel refused as far as the machine's facts
    /// tell, and what to do.
    pub problem: Problem,
    /// What the kernel answered.
    pub errno: Errno,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.errno.name() {
            Some(name) => write!(f, "{} ({name})", self.problem),
            None => write!(f, "{} ({:?})", self.problem, self.errno),
        }
    }
}

impl std::error::Error for Explanation {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.errno)
    }
}
