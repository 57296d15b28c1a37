//! What the program asks of the running kernel.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use crate::{Errno, FileFlags, LoadFlags, RouteMessage};

/// The most segments that one kexec_load(2) takes (`KEXEC_SEGMENT_MAX` of
/// `include/uapi/linux/kexec.h`); more is EINVAL.
pub const SEGMENT_MAX: usize = 16;

/// Which of the kernel's two images is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The image that reboot(2) jumps into. A failed load leaves the one that
    /// was there before.
    Normal,
    /// The image that a panic jumps into, in the memory that `crashkernel=`
    /// reserved. A load frees the one that was there before it looks at the new
    /// one: there is only that one place for both.
    Crash,
}

/// One piece of memory that kexec_load(2) fills: `struct kexec_segment`.
///
/// The kernel copies `bytes` to physical address `mem` and writes zeros behind
/// them, up to `memsz`.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// What is copied; not longer than `memsz`.
    pub bytes: &'a [u8],
    /// Physical address, a multiple of the page size.
    pub mem: u64,
    /// Size in memory in bytes, a multiple of the page size.
    pub memsz: u64,
}

/// The few things the program asks of the running kernel.
///
/// Implementations decide nothing: each method is one request, and an `Err`
/// holds what the kernel answered. [`crate::Linux`] asks the real kernel,
/// [`crate::double::Double`] a described one.
pub trait Kernel {
    /// Loads a kernel with kexec_file_load(2): the kernel reads both files
    /// itself, from their first byte, whatever the descriptors' positions are.
    ///
    /// The slot is the normal one, or with [`FileFlags::ON_CRASH`] the crash
    /// one. Without an `initrd`, `KEXEC_FILE_NO_INITRAMFS` is added. The
    /// `cmdline` is handed over with its NUL, which the kernel asks for.
    ///
    /// # Errors
    /// As the kernel answers; kexec_load(2), ERRORS.
    fn file_load(
        &self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno>;

    /// Frees what is in `slot` with kexec_file_load(2), `KEXEC_FILE_UNLOAD`. An
    /// empty slot is not an error.
    ///
    /// # Errors
    /// As the kernel answers; ENOSYS where it was built without
    /// `CONFIG_KEXEC_FILE`.
    fn file_unload(&self, slot: Slot) -> Result<(), Errno>;

    /// Loads segments with kexec_load(2); the kernel will jump to the physical
    /// address `entry`.
    ///
    /// The slot is the normal one, or with [`LoadFlags::ON_CRASH`] the crash
    /// one. No segments at all would mean "unload" to the kernel, so an empty
    /// list is refused here with EINVAL: that is [`Kernel::unload`].
    ///
    /// # Errors
    /// As the kernel answers; kexec_load(2), ERRORS. EADDRNOTAVAIL without
    /// asking where an address does not fit this machine's `unsigned long`.
    fn load(&self, entry: u64, segments: &[Segment<'_>], flags: LoadFlags) -> Result<(), Errno>;

    /// Frees what is in `slot` with kexec_load(2) and no segments. An empty slot
    /// is not an error.
    ///
    /// # Errors
    /// As the kernel answers; ENOSYS where it was built without `CONFIG_KEXEC`.
    fn unload(&self, slot: Slot) -> Result<(), Errno>;

    /// Writes every file system's cached data out: sync(2), which has no error.
    fn sync(&self);

    /// Whether this process may ask for a jump. Asks reboot(2) for something that
    /// no kernel does (its magic numbers are wrong), because the capability is
    /// looked at first.
    ///
    /// # Errors
    /// EPERM without `CAP_SYS_BOOT`.
    fn may_reboot(&self) -> Result<(), Errno>;

    /// Jumps into the image of the normal slot: reboot(2) with
    /// `LINUX_REBOOT_CMD_KEXEC`. `Ok` only when it was loaded with
    /// [`LoadFlags::PRESERVE_CONTEXT`] and has jumped back.
    ///
    /// # Errors
    /// Why the kernel did not jump: EPERM without `CAP_SYS_BOOT`, EINVAL with
    /// nothing loaded, EBUSY during another kexec operation.
    fn reboot_kexec(&self) -> Result<(), Errno>;

    /// The names of the network interfaces, in the kernel's order, the loopback
    /// among them.
    ///
    /// # Errors
    /// As the C library's if_nameindex(3) has it, which asks by netlink.
    fn interfaces(&self) -> Result<Vec<String>, Errno>;

    /// Brings the interface `name` up or takes it down, and says whether it was
    /// up before. Nothing is asked of an interface that is already as wanted.
    ///
    /// # Errors
    /// ENODEV: no such interface. EPERM: no `CAP_NET_ADMIN`. EINVAL: `name` is
    /// no interface name (empty, longer than 15 bytes, with a NUL). See
    /// netdevice(7), `SIOCGIFFLAGS` and `SIOCSIFFLAGS`.
    fn set_interface(&self, name: &str, up: bool) -> Result<bool, Errno>;

    /// What the kernel keeps of its network, of one kind: `request` is the
    /// `RTM_GET...` of rtnetlink(7), `header` the length of that kind's structure,
    /// which begins with the address family. It is waited for no longer than `within`.
    ///
    /// # Errors
    /// As the kernel answers. EAGAIN: it changed while it was read, several times.
    /// EMSGSIZE: it is more than 128 MiB. ETIMEDOUT: it took longer than `within`.
    fn route_dump(
        &self,
        request: u16,
        header: usize,
        family: u8,
        within: Duration,
    ) -> Result<Vec<RouteMessage>, Errno>;

    /// Asks for things by rtnetlink(7), one after the other, and waits for the answers,
    /// in all no longer than `within`. With each message come the flags of a request for
    /// something new (`NLM_F_CREATE` ...). Returns an answer for each, in their order:
    /// as the kernel gave it, or ETIMEDOUT where none came in time.
    fn route_requests(
        &self,
        requests: &[(RouteMessage, u16)],
        within: Duration,
    ) -> Vec<Result<(), Errno>>;

    /// Keeps back the signals by which terminals and init end or stop a program
    /// (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP), or lets them come again. It is for the
    /// calling thread, and those that it starts later.
    fn hold_signals(&self, held: bool);

    /// Writes a mounted file system out and stops every write to it, or lets
    /// writes go on: `FIFREEZE` and `FITHAW` (fsfreeze(8)). Whoever writes to a
    /// frozen file system waits, this program too.
    ///
    /// # Errors
    /// EOPNOTSUPP: this kind of file system cannot be frozen. EBUSY: it is
    /// already. EINVAL: it is not. EPERM: no `CAP_SYS_ADMIN`.
    fn freeze(&self, mount_point: &Path, frozen: bool) -> Result<(), Errno>;

    /// Keeps this program in memory from now on, all of it (mlockall(2)), so
    /// that it can go on when its own file can no longer be read.
    ///
    /// # Errors
    /// As mlockall(2).
    fn lock_memory(&self) -> Result<(), Errno>;
}

/// A borrowed kernel is a kernel, so that a caller can hand on what it was
/// handed.
impl<K: Kernel + ?Sized> Kernel for &K {
    fn file_load(
        &self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno> {
        (**self).file_load(kernel, initrd, cmdline, flags)
    }
    fn file_unload(&self, slot: Slot) -> Result<(), Errno> {
        (**self).file_unload(slot)
    }
    fn load(&self, entry: u64, segments: &[Segment<'_>], flags: LoadFlags) -> Result<(), Errno> {
        (**self).load(entry, segments, flags)
    }
    fn unload(&self, slot: Slot) -> Result<(), Errno> {
        (**self).unload(slot)
    }
    fn sync(&self) {
        (**self).sync();
    }
    fn may_reboot(&self) -> Result<(), Errno> {
        (**self).may_reboot()
    }
    fn reboot_kexec(&self) -> Result<(), Errno> {
        (**self).reboot_kexec()
    }
    fn interfaces(&self) -> Result<Vec<String>, Errno> {
        (**self).interfaces()
    }
    fn set_interface(&self, name: &str, up: bool) -> Result<bool, Errno> {
        (**self).set_interface(name, up)
    }
    fn route_dump(
        &self,
        request: u16,
        header: usize,
        family: u8,
        within: Duration,
    ) -> Result<Vec<RouteMessage>, Errno> {
        (**self).route_dump(request, header, family, within)
    }
    fn route_requests(
        &self,
        requests: &[(RouteMessage, u16)],
        within: Duration,
    ) -> Vec<Result<(), Errno>> {
        (**self).route_requests(requests, within)
    }
    fn hold_signals(&self, held: bool) {
        (**self).hold_signals(held);
    }
    fn freeze(&self, mount_point: &Path, frozen: bool) -> Result<(), Errno> {
        (**self).freeze(mount_point, frozen)
    }
    fn lock_memory(&self) -> Result<(), Errno> {
        (**self).lock_memory()
    }
}
