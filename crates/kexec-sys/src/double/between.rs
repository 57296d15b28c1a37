//! A kernel that is between a program and another kernel: a test overrides what it is
//! about, and all the rest is asked of the other one.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use crate::{Errno, FileFlags, Kernel, LoadFlags, RouteMessage, Segment, Slot};

/// What is about to be asked: the methods of [`Kernel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Asked {
    FileLoad,
    FileUnload,
    Load,
    Unload,
    Sync,
    MayReboot,
    Reboot,
    Interfaces,
    SetInterface,
    RouteDump,
    RouteRequests,
    HoldSignals,
    Freeze,
    LockMemory,
}

/// Asks `kernel`, unless `first` answers in its place with an error. What has no error
/// ([`Kernel::sync`], [`Kernel::hold_signals`]) is left out then.
pub struct Between<'a> {
    kernel: &'a dyn Kernel,
    first: &'a dyn Fn(Asked) -> Result<(), Errno>,
}

impl<'a> Between<'a> {
    /// In front of `kernel`.
    pub fn new(kernel: &'a dyn Kernel, first: &'a dyn Fn(Asked) -> Result<(), Errno>) -> Self {
        Self { kernel, first }
    }
}

impl fmt::Debug for Between<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Between").finish_non_exhaustive()
    }
}

impl Kernel for Between<'_> {
    fn file_load(
        &self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno> {
        (self.first)(Asked::FileLoad)?;
        self.kernel.file_load(kernel, initrd, cmdline, flags)
    }
    fn file_unload(&self, slot: Slot) -> Result<(), Errno> {
        (self.first)(Asked::FileUnload)?;
        self.kernel.file_unload(slot)
    }
    fn load(&self, entry: u64, segments: &[Segment<'_>], flags: LoadFlags) -> Result<(), Errno> {
        (self.first)(Asked::Load)?;
        self.kernel.load(entry, segments, flags)
    }
    fn unload(&self, slot: Slot) -> Result<(), Errno> {
        (self.first)(Asked::Unload)?;
        self.kernel.unload(slot)
    }
    fn sync(&self) {
        if (self.first)(Asked::Sync).is_ok() {
            self.kernel.sync();
        }
    }
    fn may_reboot(&self) -> Result<(), Errno> {
        (self.first)(Asked::MayReboot)?;
        self.kernel.may_reboot()
    }
    fn reboot_kexec(&self) -> Result<(), Errno> {
        (self.first)(Asked::Reboot)?;
        self.kernel.reboot_kexec()
    }
    fn interfaces(&self) -> Result<Vec<String>, Errno> {
        (self.first)(Asked::Interfaces)?;
        self.kernel.interfaces()
    }
    fn set_interface(&self, name: &str, up: bool) -> Result<bool, Errno> {
        (self.first)(Asked::SetInterface)?;
        self.kernel.set_interface(name, up)
    }
    fn route_dump(
        &self,
        request: u16,
        header: usize,
        family: u8,
        within: Duration,
    ) -> Result<Vec<RouteMessage>, Errno> {
        (self.first)(Asked::RouteDump)?;
        self.kernel.route_dump(request, header, family, within)
    }
    fn route_requests(
        &self,
        requests: &[(RouteMessage, u16)],
        within: Duration,
    ) -> Vec<Result<(), Errno>> {
        match (self.first)(Asked::RouteRequests) {
            Ok(()) => self.kernel.route_requests(requests, within),
            Err(errno) => vec![Err(errno); requests.len()],
        }
    }
    fn hold_signals(&self, held: bool) {
        if (self.first)(Asked::HoldSignals).is_ok() {
            self.kernel.hold_signals(held);
        }
    }
    fn freeze(&self, mount_point: &Path, frozen: bool) -> Result<(), Errno> {
        (self.first)(Asked::Freeze)?;
        self.kernel.freeze(mount_point, frozen)
    }
    fn lock_memory(&self) -> Result<(), Errno> {
        (self.first)(Asked::LockMemory)?;
        self.kernel.lock_memory()
    }
}
