//! What a load with `kexec_file_load(2)` hands to the kernel: descriptors, and a text.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use kexec_image::{Image, Kernel};
use kexec_plan::{FilePlan, file};
use kexec_sys::{FileFlags, SealedFile, Slot};

use crate::request::LoadRequest;
use crate::{Error, Inputs};
use kexec_machine::{Problem, Snapshot};

/// The descriptors and the text that the system call takes.
pub(crate) struct Staged {
    /// A copy of the unwrapped kernel; `None` when the file itself is handed on.
    unwrapped: Option<SealedFile>,
    /// Whether the kernel wants to see the file itself.
    original: bool,
    /// The joined initrd; `None` when there is none or it is one file as it is.
    joined: Option<SealedFile>,
    /// Which input file is the whole initrd.
    single: Option<usize>,
    pub(crate) cmdline: CString,
}

impl Staged {
    pub(crate) fn new(inputs: &Inputs, plan: &FilePlan, host: &Snapshot) -> Result<Staged, Error> {
        let memory = |what: &str, e: kexec_sys::SealedError| {
            Error::System(Problem::caused(
                format!("cannot keep {what} in memory"),
                e,
                "free some memory and try again",
            ))
        };
        let unwrapped = if plan.bare {
            None
        } else {
            let copy = SealedFile::from_bytes(&plan.kernel.bytes, "kernel");
            Some(copy.map_err(|e| memory("the unwrapped kernel", e))?)
        };
        let single = match plan.initrd.as_slice() {
            [one] => inputs
                .initrds
                .iter()
                .position(|i| same_bytes(&i.sealed.bytes(), &one.bytes)),
            _ => None,
        };
        let joined = if plan.initrd.is_empty() || single.is_some() {
            None
        } else {
            let zeros = [0u8; file::INITRD_PADDING];
            let parts = plan.initrd.iter().flat_map(|p| {
                let padding = zeros.get(..p.padding).unwrap_or_default();
                [p.bytes.as_ref(), padding]
            });
            let copy = SealedFile::from_parts(parts, "initrd");
            Some(copy.map_err(|e| memory("the joined initrd", e))?)
        };
        let cmdline = CString::new(plan.cmdline.as_bytes()).map_err(|e| {
            Error::system(
                "cannot hand over the command line",
                format!("it has a NUL at byte {}", e.nul_position()),
                "remove the NUL",
            )
        })?;
        Ok(Staged {
            unwrapped,
            // A signature in an extended attribute is on the file, not on a copy
            // of its bytes; the kernel then reads (and verifies) the file itself.
            original: host.security.ima_appraises_kexec.known() == Some(&true),
            joined,
            single,
            cmdline,
        })
    }

    pub(crate) fn kernel<'a>(&'a self, inputs: &'a Inputs) -> BorrowedFd<'a> {
        match &self.unwrapped {
            Some(copy) => copy.as_fd(),
            None if self.original => inputs.kernel.file.as_fd(),
            None => inputs.kernel.sealed.as_fd(),
        }
    }

    pub(crate) fn initrd<'a>(&'a self, inputs: &'a Inputs) -> Option<BorrowedFd<'a>> {
        let single = self.single.and_then(|i| inputs.initrds.get(i));
        let single = single.map(|i| i.sealed.as_fd());
        self.joined.as_ref().map(AsFd::as_fd).or(single)
    }
}

/// Whether two handles are the same run of memory.
fn same_bytes(a: &Bytes, b: &Bytes) -> bool {
    a.as_ptr() == b.as_ptr() && a.len() == b.len()
}

/// The flags of the system call that follow from the request and the machine.
pub(crate) fn flags(request: &LoadRequest, image: &Image, host: &Snapshot) -> FileFlags {
    let mut flags = FileFlags::EMPTY;
    if request.slot == Slot::Crash {
        flags |= FileFlags::ON_CRASH;
    }
    // Kernels before 6.8 refuse the debug flag; that a load is to be watched
    // must not be what makes it fail.
    if request.debug && host.release_at_least(6, 8) == Some(true) {
        flags |= FileFlags::DEBUG;
    }
    if into_cma(host, image) {
        flags |= FileFlags::NO_CMA;
    }
    flags
}

/// Whether the running kernel may put the image into its contiguous memory, at a multiple
/// of no more than 1 MiB there (CONFIG_CMA_ALIGNMENT). A kernel that needs more moves itself
/// up when it starts, over the initrd behind it: seen with Debian's 7.3.4 and `cma=256M`.
fn into_cma(host: &Snapshot, image: &Image) -> bool {
    let has_cma = host.memory.cma.known().is_some_and(|bytes| *bytes > 0);
    let moves = match &image.kernel {
        Kernel::BzImage(bzimage) => bzimage.kernel_alignment > 1 << 20,
        _ => false,
    };
    has_cma && moves && host.release_at_least(6, 17) == Some(true)
}
