//! A kernel that does not exist: it plays a [`Machine`] that a test describes,
//! enforces what the kernel enforces, in the kernel's order, and records what it
//! was asked.
//!
//! What it keeps is what the kernel would keep: a failed load of the normal slot
//! leaves the image that was there, a load of the crash slot drops it as soon as
//! the call is allowed at all.
//!
//! ```
//! use kexec_sys::double::{Double, Machine};
//! use kexec_sys::{Errno, Kernel, LoadFlags, Segment, Slot};
//!
//! let kernel = Double::new(Machine::default());
//! let segment = Segment { bytes: b"code", mem: 0x10_0000, memsz: 0x1000 };
//! assert_eq!(kernel.load(0x10_0000, &[segment], LoadFlags::EMPTY), Ok(()));
//! assert!(kernel.loaded(Slot::Normal).is_some());
//!
//! kernel.change(|machine| machine.load_disabled = true);
//! assert_eq!(kernel.unload(Slot::Normal), Err(Errno::EPERM));
//! ```

mod between;
mod files;
mod machine;
mod mirror;
mod network;
mod record;
mod rules;

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use between::{Asked, Between};
pub use machine::{
    Arch, Ima, Interface, Judge, Kept, Lockdown, Machine, Signatures, Signer, Verdict,
};
pub use record::{Call, LoadedImage, LoadedSegment};
pub use rules::Place;

use files::{is_memory_file, read};

use crate::{Errno, FileFlags, Kernel, LoadFlags, RouteMessage, Segment, Slot};

/// What [`Double::reboot_kexec`] returns when the jump succeeds, from which a real
/// kernel does not return: one more than the largest errno that a system call can
/// return (`MAX_ERRNO`, 4095). [`Double::jumped`] then holds the image.
pub const JUMPED: Errno = Errno::from_raw(4096);

/// A recording double of the kernel. Interior mutability, because [`Kernel`] is
/// asked through `&self`; it can be shared between threads.
#[derive(Debug)]
pub struct Double {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    calls: Vec<Call>,
    normal: Option<Arc<LoadedImage>>,
    crash: Option<Arc<LoadedImage>>,
    jumped: Option<Arc<LoadedImage>>,
    /// The root directory that mirrors this state, if any.
    root: Option<PathBuf>,
}

impl Default for Double {
    fn default() -> Self {
        Self::new(Machine::default())
    }
}

impl Double {
    /// A kernel on this machine, with nothing loaded.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self {
            state: Mutex::new(State {
                machine,
                calls: Vec::new(),
                normal: None,
                crash: None,
                jumped: None,
                root: None,
            }),
        }
    }

    /// The same kernel, which from now on keeps the files below `root` as the
    /// real one does, so that code that reads them below a root directory finds
    /// what this kernel did:
    ///
    /// * `sys/kernel/kexec_loaded`, `sys/kernel/kexec_crash_loaded`
    /// * `proc/sys/kernel/kexec_load_disabled`, and (since 6.3)
    ///   `kexec_load_limit_reboot`, `kexec_load_limit_panic`
    /// * `sys/kernel/security/lockdown`
    ///
    /// # Errors
    /// If the files cannot be written. (Later on, that is a panic.)
    pub fn with_sysfs(self, root: &Path) -> io::Result<Self> {
        {
            let mut state = self.lock();
            state.root = Some(root.to_owned());
            state.mirror()?;
        }
        Ok(self)
    }

    /// Changes the machine, as an administrator or time would.
    pub fn change(&self, change: impl FnOnce(&mut Machine)) {
        let mut state = self.lock();
        change(&mut state.machine);
        state.settle();
    }

    /// The machine as it is now (limits count down, interfaces change).
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.lock().machine.clone()
    }

    /// Everything that was asked so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// What is in the slot.
    #[must_use]
    pub fn loaded(&self, slot: Slot) -> Option<Arc<LoadedImage>> {
        let state = self.lock();
        match slot {
            Slot::Normal => state.normal.clone(),
            Slot::Crash => state.crash.clone(),
        }
    }

    /// What is in the normal slot.
    #[must_use]
    pub fn normal(&self) -> Option<Arc<LoadedImage>> {
        self.loaded(Slot::Normal)
    }

    /// What is in the crash slot.
    #[must_use]
    pub fn crash(&self) -> Option<Arc<LoadedImage>> {
        self.loaded(Slot::Crash)
    }

    /// The image that was jumped into, if that happened.
    #[must_use]
    pub fn jumped(&self) -> Option<Arc<LoadedImage>> {
        self.lock().jumped.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere does not make this state wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn slot(&mut self, slot: Slot) -> &mut Option<Arc<LoadedImage>> {
        match slot {
            Slot::Normal => &mut self.normal,
            Slot::Crash => &mut self.crash,
        }
    }

    /// Records a call and brings the files up to date.
    fn record(&mut self, call: Call) {
        self.calls.push(call);
        self.settle();
    }

    fn try_file_load(
        &mut self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno> {
        rules::file_call(&mut self.machine, flags)?;
        let slot = rules::slot_of_file(flags);
        if flags.contains(FileFlags::UNLOAD) {
            *self.slot(slot) = None;
            return Ok(());
        }
        if slot == Slot::Crash {
            // Old and new live in the same memory: the old one goes first.
            self.crash = None;
        }
        let machine = &self.machine;
        let kernel_bytes = read(kernel)?;
        let in_memory = is_memory_file(kernel);
        let probed = rules::image(machine, &kernel_bytes, in_memory)?;
        let initrd_bytes = match initrd {
            Some(fd) if !flags.contains(FileFlags::NO_INITRAMFS) => Some(read(fd)?),
            _ => None,
        };
        rules::cmdline(machine, &probed, cmdline.to_bytes_with_nul().len())?;
        let initrd_size = initrd_bytes.as_ref().map(|bytes| size(bytes));
        let places = rules::place_files(machine, slot, &probed, initrd_size)?;
        rules::segments(machine, slot, &places)?;
        rules::prepare(machine, slot)?;
        *self.slot(slot) = Some(Arc::new(LoadedImage::Files {
            kernel: kernel_bytes,
            kernel_in_memory: in_memory,
            initrd: initrd_bytes,
            cmdline: cmdline.to_owned(),
            flags,
        }));
        Ok(())
    }

    fn try_load(
        &mut self,
        entry: u64,
        segments: &[Segment<'_>],
        flags: LoadFlags,
    ) -> Result<(), Errno> {
        rules::load_call(&mut self.machine, segments.len(), flags)?;
        let slot = rules::slot_of_load(flags);
        if segments.is_empty() {
            *self.slot(slot) = None;
            return Ok(());
        }
        if slot == Slot::Crash {
            self.crash = None;
        }
        let places: Vec<Place> = segments.iter().map(place).collect();
        rules::entry(&self.machine, slot, entry)?;
        rules::segments(&self.machine, slot, &places)?;
        rules::prepare(&self.machine, slot)?;
        *self.slot(slot) = Some(Arc::new(LoadedImage::Segments {
            entry,
            segments: segments
                .iter()
                .map(|segment| LoadedSegment {
                    bytes: segment.bytes.to_vec(),
                    mem: segment.mem,
                    memsz: segment.memsz,
                })
                .collect(),
            flags,
        }));
        Ok(())
    }

    fn try_reboot(&mut self) -> Result<(), Errno> {
        if !self.machine.cap_sys_boot {
            return Err(Errno::EPERM);
        }
        if self.machine.busy {
            return Err(Errno::EBUSY);
        }
        let image = self.normal.clone().ok_or(Errno::EINVAL)?;
        if let Some(errno) = self.machine.reboot_fails {
            return Err(errno);
        }
        self.jumped = Some(image);
        Ok(())
    }
}

impl Kernel for Double {
    fn file_load(
        &self,
        kernel: BorrowedFd<'_>,
        initrd: Option<BorrowedFd<'_>>,
        cmdline: &CStr,
        flags: FileFlags,
    ) -> Result<(), Errno> {
        let flags = match initrd {
            Some(_) => flags,
            None => flags | FileFlags::NO_INITRAMFS,
        };
        let mut state = self.lock();
        let result = state.try_file_load(kernel, initrd, cmdline, flags);
        state.record(Call::FileLoad {
            kernel_in_memory: is_memory_file(kernel),
            initrd: initrd.is_some(),
            cmdline: cmdline.to_owned(),
            flags,
            result,
        });
        result
    }

    fn file_unload(&self, slot: Slot) -> Result<(), Errno> {
        let flags = match slot {
            Slot::Normal => FileFlags::UNLOAD,
            Slot::Crash => FileFlags::UNLOAD | FileFlags::ON_CRASH,
        };
        let mut state = self.lock();
        let result = rules::file_call(&mut state.machine, flags);
        if result.is_ok() {
            *state.slot(slot) = None;
        }
        state.record(Call::FileUnload { slot, result });
        result
    }

    fn load(&self, entry: u64, segments: &[Segment<'_>], flags: LoadFlags) -> Result<(), Errno> {
        let mut state = self.lock();
        let result = if segments.is_empty() {
            Err(Errno::EINVAL)
        } else {
            state.try_load(entry, segments, flags)
        };
        state.record(Call::Load {
            entry,
            places: segments.iter().map(place).collect(),
            flags,
            result,
        });
        result
    }

    fn unload(&self, slot: Slot) -> Result<(), Errno> {
        let flags = match slot {
            Slot::Normal => LoadFlags::EMPTY,
            Slot::Crash => LoadFlags::ON_CRASH,
        };
        let mut state = self.lock();
        let result = state.try_load(0, &[], flags);
        state.record(Call::Unload { slot, result });
        result
    }

    fn sync(&self) {
        self.lock().record(Call::Sync);
    }

    fn may_reboot(&self) -> Result<(), Errno> {
        let mut state = self.lock();
        let result = match state.machine.cap_sys_boot {
            true => Ok(()),
            false => Err(Errno::EPERM),
        };
        state.record(Call::MayReboot { result });
        result
    }

    /// An image that preserves the context jumps back.
    fn reboot_kexec(&self) -> Result<(), Errno> {
        let mut state = self.lock();
        let result = state.try_reboot();
        state.record(Call::Reboot { result });
        let comes_back = state.jumped.as_ref().is_some_and(|i| i.preserves_context());
        result.and(if comes_back { Ok(()) } else { Err(JUMPED) })
    }

    fn interfaces(&self) -> Result<Vec<String>, Errno> {
        let mut state = self.lock();
        state.record(Call::Interfaces);
        let interfaces = state.machine.interfaces.iter();
        Ok(interfaces.map(|one| one.name.clone()).collect())
    }

    fn set_interface(&self, name: &str, up: bool) -> Result<bool, Errno> {
        let mut state = self.lock();
        let result = state.try_set_interface(name, up);
        state.record(Call::SetInterface {
            name: name.to_owned(),
            up,
            result,
        });
        result
    }

    fn route_dump(
        &self,
        request: u16,
        _header: usize,
        family: u8,
        _within: Duration,
    ) -> Result<Vec<RouteMessage>, Errno> {
        let mut state = self.lock();
        state.record(Call::RouteDump { request, family });
        Ok(state.shown(request, family))
    }

    fn route_requests(
        &self,
        requests: &[(RouteMessage, u16)],
        _within: Duration,
    ) -> Vec<Result<(), Errno>> {
        let mut state = self.lock();
        let answers = requests.iter().map(|(message, _)| {
            let result = state.try_route_request(message);
            let message = message.clone();
            state.record(Call::RouteRequest { message, result });
            result
        });
        answers.collect()
    }

    fn hold_signals(&self, held: bool) {
        self.lock().record(Call::HoldSignals { held });
    }

    fn freeze(&self, mount_point: &Path, frozen: bool) -> Result<(), Errno> {
        let mut state = self.lock();
        let result = state.machine.freeze(mount_point, frozen);
        state.record(Call::Freeze {
            mount_point: mount_point.to_owned(),
            frozen,
            result,
        });
        result
    }

    fn lock_memory(&self) -> Result<(), Errno> {
        self.lock().record(Call::LockMemory);
        Ok(())
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn place(segment: &Segment<'_>) -> Place {
    Place {
        mem: segment.mem,
        memsz: segment.memsz,
        bufsz: size(segment.bytes),
    }
}
