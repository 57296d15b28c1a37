//! The real kernel.

use std::ffi::{CStr, c_int, c_long, c_short};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::system::RebootCommand;

use crate::route::{self, Deadline};
use crate::{Errno, FileFlags, Kernel, LoadFlags, RouteMessage, Segment, Slot};

/// The kernel that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// `struct kexec_segment` of `include/uapi/linux/kexec.h`.
#[repr(C)]
struct RawSegment {
    /// Address of the bytes in this process.
    buf: *const u8,
    /// How many bytes are copied.
    bufsz: usize,
    /// Physical address they go to.
    mem: usize,
    /// Size of that place.
    memsz: usize,
}

/// The number of kexec_load(2), which every architecture has.
const NR_LOAD: c_long = number(linux_raw_sys::general::__NR_kexec_load);

/// The number of kexec_file_load(2) where the architecture has one. (The C
/// library's crate lacks it on some that do; the kernel's own headers do not.)
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "loongarch64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "riscv32",
    target_arch = "riscv64",
    target_arch = "s390x",
    target_arch = "x86_64",
))]
const NR_FILE_LOAD: Option<c_long> = Some(number(linux_raw_sys::general::__NR_kexec_file_load));
#[cfg(not(any(
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "loongarch64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "riscv32",
    target_arch = "riscv64",
    target_arch = "s390x",
    target_arch = "x86_64",
)))]
const NR_FILE_LOAD: Option<c_long> = None;

/// A system call's number in the type that `syscall` takes.
#[allow(
    clippy::cast_possible_wrap,
    reason = "numbers are below 2^31 (it matters where c_long has 32 bits), and there is no const conversion"
)]
const fn number(nr: u32) -> c_long {
    nr as c_long
}

/// What the last system call of this thread failed with.
fn last_errno() -> Errno {
    Errno::from_io(&io::Error::last_os_error())
}

/// 0 or an errno, as `syscall` says it.
fn done(result: c_long) -> Result<(), Errno> {
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// The raw call of kexec_file_load(2); -1 stands for no file.
fn file_load_raw(
    kernel: c_int,
    initrd: c_int,
    cmdline: Option<&CStr>,
    flags: FileFlags,
) -> Result<(), Errno> {
    let nr = NR_FILE_LOAD.ok_or(Errno::ENOSYS)?;
    let (length, text) = cmdline.map_or((0, std::ptr::null()), |text| {
        (text.to_bytes_with_nul().len(), text.as_ptr())
    });
    let flags = usize::try_from(flags.bits()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the arguments are those of kexec_file_load(2), in its order and
    // each as wide as a register; `text` is null with length 0, or points to
    // `length` bytes that live until the call is over and are only read. The
    // call changes no memory of this process.
    done(unsafe {
        libc::syscall(
            nr,
            c_long::from(kernel),
            c_long::from(initrd),
            length,
            text,
            flags,
        )
    })
}

/// The raw call of kexec_load(2).
fn load_raw(entry: usize, segments: &[RawSegment], flags: LoadFlags) -> Result<(), Errno> {
    let flags = usize::try_from(flags.bits()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the arguments are those of kexec_load(2), in its order and each as
    // wide as a register; `segments` is a live array of that many `struct
    // kexec_segment`, each of which describes a live slice (`load` builds it
    // from slices that it holds borrowed). The kernel only reads them.
    done(unsafe { libc::syscall(NR_LOAD, entry, segments.len(), segments.as_ptr(), flags) })
}

impl Kernel for Linux {
    fn file_load(
        &self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno> {
        let (initrd, flags) = match initrd {
            Some(fd) => (fd.as_raw_fd(), flags),
            None => (-1, flags | FileFlags::NO_INITRAMFS),
        };
        file_load_raw(kernel.as_raw_fd(), initrd, Some(cmdline), flags)
    }

    fn file_unload(&self, slot: Slot) -> Result<(), Errno> {
        let flags = match slot {
            Slot::Normal => FileFlags::UNLOAD,
            Slot::Crash => FileFlags::UNLOAD | FileFlags::ON_CRASH,
        };
        file_load_raw(-1, -1, None, flags)
    }

    fn load(&self, entry: u64, segments: &[Segment<'_>], flags: LoadFlags) -> Result<(), Errno> {
        if segments.is_empty() {
            return Err(Errno::EINVAL);
        }
        let register = |value: u64| usize::try_from(value).map_err(|_| Errno::EADDRNOTAVAIL);
        let raw = segments
            .iter()
            .map(|segment| {
                Ok(RawSegment {
                    buf: segment.bytes.as_ptr(),
                    bufsz: segment.bytes.len(),
                    mem: register(segment.mem)?,
                    memsz: register(segment.memsz)?,
                })
            })
            .collect::<Result<Vec<_>, Errno>>()?;
        load_raw(register(entry)?, &raw, flags)
    }

    fn unload(&self, slot: Slot) -> Result<(), Errno> {
        let flags = match slot {
            Slot::Normal => LoadFlags::EMPTY,
            Slot::Crash => LoadFlags::ON_CRASH,
        };
        load_raw(0, &[], flags)
    }

    fn sync(&self) {
        rustix::fs::sync();
    }

    fn may_reboot(&self) -> Result<(), Errno> {
        let none: c_long = 0;
        // SAFETY: reboot(2) with magic numbers of 0 does nothing whatever the
        // command is: it answers EPERM without the capability, and else EINVAL.
        // It touches no memory of this process.
        let asked = done(unsafe { libc::syscall(libc::SYS_reboot, none, none, none, none) });
        match asked {
            Err(Errno::EINVAL) => Ok(()),
            answer => answer,
        }
    }

    fn reboot_kexec(&self) -> Result<(), Errno> {
        rustix::system::reboot(RebootCommand::Kexec).map_err(Errno::from)
    }

    fn interfaces(&self) -> Result<Vec<String>, Errno> {
        // SAFETY: no argument; the list that comes back is freed below.
        let list = unsafe { libc::if_nameindex() };
        if list.is_null() {
            return Err(last_errno());
        }
        let mut found = Vec::new();
        let mut at = list;
        loop {
            // SAFETY: if_nameindex(3): the array ends with an entry of index 0
            // and a null name, and the loop leaves at the first of them, so `at`
            // is within the array.
            let entry = unsafe { at.read() };
            if entry.if_index == 0 || entry.if_name.is_null() {
                break;
            }
            // SAFETY: the name of an entry before the last is a C string that
            // lives until the list is freed.
            let name = unsafe { CStr::from_ptr(entry.if_name) };
            found.push(name.to_string_lossy().into_owned());
            // SAFETY: this entry was not the last, so one more follows it.
            at = unsafe { at.add(1) };
        }
        // SAFETY: `list` came from if_nameindex and is freed once; nothing
        // borrowed from it is left.
        unsafe { libc::if_freenameindex(list) };
        Ok(found)
    }

    fn set_interface(&self, name: &str, up: bool) -> Result<bool, Errno> {
        let mut request = InterfaceRequest::named(name)?;
        // Netlink: the two requests work on any socket, and unlike AF_INET this
        // family is there in every kernel that has interfaces at all.
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        request.ask(&socket, Question::Get)?;
        let was_up = request.is_up();
        if was_up != up {
            request.set_up(up);
            request.ask(&socket, Question::Set)?;
        }
        Ok(was_up)
    }

    fn route_dump(
        &self,
        request: u16,
        header: usize,
        family: u8,
        within: Duration,
    ) -> Result<Vec<RouteMessage>, Errno> {
        route::dump(request, header, family, Deadline::after(within))
    }

    fn route_requests(
        &self,
        requests: &[(RouteMessage, u16)],
        within: Duration,
    ) -> Vec<Result<(), Errno>> {
        route::requests(requests, Deadline::after(within))
    }

    fn hold_signals(&self, held: bool) {
        // SAFETY: `sigset_t` is plain data, for which zeros are a value.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        for signal in HELD {
            // SAFETY: `set` lives and is ours alone; the signals are valid ones.
            let _ = unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        let how = match held {
            true => libc::SIG_BLOCK,
            false => libc::SIG_UNBLOCK,
        };
        // SAFETY: `set` was filled in above and is only read; no old set is asked
        // for. With a valid `how` it cannot fail (sigprocmask(2)).
        let _ = unsafe { libc::sigprocmask(how, &raw const set, std::ptr::null_mut()) };
    }

    fn freeze(&self, mount_point: &Path, frozen: bool) -> Result<(), Errno> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(mount_point, flags, Mode::empty())?;
        let request = if frozen { FIFREEZE } else { FITHAW };
        // SAFETY: both requests are about the file system that the descriptor
        // is on, ignore their argument and touch no memory of this process.
        let result = unsafe { libc::ioctl(folder.as_raw_fd(), request as _, 0) };
        if result < 0 {
            Err(last_errno())
        } else {
            Ok(())
        }
    }

    fn lock_memory(&self) -> Result<(), Errno> {
        use rustix::mm::MlockAllFlags;
        Ok(rustix::mm::mlockall(
            MlockAllFlags::CURRENT | MlockAllFlags::FUTURE,
        )?)
    }
}

/// What a terminal that is gone, its user, or init would end or stop us with.
const HELD: &[c_int] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
];

/// `FIFREEZE` and `FITHAW` of `include/uapi/linux/fs.h`: `_IOWR('X', 119, int)`
/// and `_IOWR('X', 120, int)`.
const FIFREEZE: u32 = 0xc004_5877;
const FITHAW: u32 = 0xc004_5878;

/// `struct ifreq` as the two flag requests use it.
struct InterfaceRequest(libc::ifreq);

/// The two requests of netdevice(7) about an interface's flags.
#[derive(Clone, Copy)]
enum Question {
    /// `SIOCGIFFLAGS`
    Get,
    /// `SIOCSIFFLAGS`
    Set,
}

impl InterfaceRequest {
    /// A request about the interface `name`, which must fit with its NUL.
    fn named(name: &str) -> Result<Self, Errno> {
        // SAFETY: `struct ifreq` is plain data (byte arrays, integers, null
        // pointers), for which zeros are a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let place = request.ifr_name.as_mut_slice();
        if name.is_empty() || name.len() >= place.len() || name.as_bytes().contains(&0) {
            return Err(Errno::EINVAL);
        }
        for (to, from) in place.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        Ok(Self(request))
    }

    /// Sends it; a `Get` fills in the flags.
    fn ask(&mut self, socket: &impl AsRawFd, question: Question) -> Result<(), Errno> {
        let request = match question {
            Question::Get => libc::SIOCGIFFLAGS,
            Question::Set => libc::SIOCSIFFLAGS,
        };
        // SAFETY: both requests take a pointer to a `struct ifreq` with the name
        // filled in, which lives and is ours alone during the call.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), request as _, &raw mut self.0) };
        if result < 0 {
            Err(last_errno())
        } else {
            Ok(())
        }
    }

    /// The flags (`ifr_flags`).
    fn flags(&self) -> c_short {
        // SAFETY: every bit pattern of the union is a value of this member, and
        // all of it was written (zeroed) when the request was made.
        unsafe { self.0.ifr_ifru.ifru_flags }
    }

    fn is_up(&self) -> bool {
        c_int::from(self.flags()) & libc::IFF_UP != 0
    }

    fn set_up(&mut self, up: bool) {
        // IFF_UP is 1 (netdevice(7)), so it fits.
        let bit = c_short::try_from(libc::IFF_UP).unwrap_or(1);
        let flags = self.flags();
        self.0.ifr_ifru.ifru_flags = if up { flags | bit } else { flags & !bit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_must_fit() {
        for name in ["", "sixteen-bytes-xx", "a\0b"] {
            assert_eq!(
                InterfaceRequest::named(name).err(),
                Some(Errno::EINVAL),
                "{name:?}"
            );
        }
        assert!(InterfaceRequest::named("fifteen-bytes-x").is_ok());
    }

    #[test]
    fn the_up_bit_alone_is_changed() {
        let mut request = InterfaceRequest::named("eth0").unwrap();
        request.0.ifr_ifru.ifru_flags = 0x1043;
        assert!(request.is_up());
        request.set_up(false);
        assert_eq!(request.flags(), 0x1042);
        assert!(!request.is_up());
        request.set_up(true);
        assert_eq!(request.flags(), 0x1043);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn numbers_are_those_of_the_manual() {
        // kexec_load(2) on x86-64; `syscall_64.tbl`.
        assert_eq!((NR_LOAD, NR_FILE_LOAD), (246, Some(320)));
    }
}
