//! The machine that a [`Double`](super::Double) plays: plain fields, which a
//! test sets.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Errno, FileFlags, LoadFlags, RouteMessage, elf_machine};

/// Bytes of a page on every machine here.
pub(super) const PAGE: u64 = 4096;

/// The architectures whose loaders the double knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64: the file syscall takes a bzImage.
    X86_64,
    /// arm64: the file syscall takes an Image.
    Aarch64,
}

impl Arch {
    /// The ELF machine that kexec_load(2) wants in its flags.
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => elf_machine::X86_64,
            Self::Aarch64 => elf_machine::AARCH64,
        }
    }
}

/// The kernel's lockdown (kernel_lockdown(7); /sys/kernel/security/lockdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockdown {
    /// Lockdown is off.
    None,
    /// No kexec_load(2) and no unsigned kexec_file_load(2).
    Integrity,
    /// The same for kexec, and more is closed elsewhere.
    Confidentiality,
}

/// What the kernel does with a signature in the kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// Built without `CONFIG_KEXEC_SIG`: nothing is looked at, under lockdown
    /// neither.
    NotBuilt,
    /// `CONFIG_KEXEC_SIG`: looked at, and a bad one is refused (EPERM) only under
    /// lockdown.
    Checked,
    /// `CONFIG_KEXEC_SIG_FORCE`: a bad one is always refused, with the reason's
    /// own errno.
    Enforced,
}

/// What the kernel finds of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by a key of the kernel's keyrings.
    Trusted,
    /// Not signed: ENODATA.
    Unsigned,
    /// Signed by a key that the kernel does not have: ENOKEY.
    UnknownKey,
    /// The content is not what was signed, or the key or the digest is on the
    /// revocation list: EKEYREJECTED.
    Rejected,
    /// The PE structure or the signature cannot be read: ELIBBAD.
    Malformed,
    /// An algorithm that this kernel was built without: ENOPKG.
    NoAlgorithm,
}

impl Verdict {
    /// The errno of a signature that is not good.
    pub(super) const fn check(self) -> Result<(), Errno> {
        match self {
            Self::Trusted => Ok(()),
            Self::Unsigned => Err(Errno::ENODATA),
            Self::UnknownKey => Err(Errno::ENOKEY),
            Self::Rejected => Err(Errno::EKEYREJECTED),
            Self::Malformed => Err(Errno::ELIBBAD),
            Self::NoAlgorithm => Err(Errno::ENOPKG),
        }
    }
}

/// A test's own answer to what the kernel finds of these bytes.
pub type Judge = dyn Fn(&[u8]) -> Verdict + Send + Sync;

/// Who says what the kernel finds of an image's signature.
#[derive(Clone)]
pub enum Signer {
    /// The same for every image.
    Always(Verdict),
    /// By the bytes of the image.
    By(Arc<Judge>),
}

impl Signer {
    pub(super) fn verdict(&self, image: &[u8]) -> Verdict {
        match self {
            Self::Always(verdict) => *verdict,
            Self::By(judge) => judge(image),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always(verdict) => f.debug_tuple("Always").field(verdict).finish(),
            Self::By(_) => f.write_str("By(..)"),
        }
    }
}

/// What IMA does about kexec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ima {
    /// Not built in.
    Absent,
    /// Built in, without a rule for kexec. With Secure Boot it still refuses
    /// kexec_load(2) where the kernel checks signatures.
    Idle,
    /// A rule `appraise func=KEXEC_KERNEL_CHECK`: kexec_load(2) has no file to
    /// look at and a memory file no `security.ima`: both are EACCES. A file on
    /// disk passes if `files_pass`.
    Appraise {
        /// Whether files on disk carry a good `security.ima`.
        files_pass: bool,
    },
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// `IFF_UP` of its flags.
    pub up: bool,
    /// What a change of its flags fails with, if it does.
    pub refuses: Option<Errno>,
}

impl Interface {
    /// An interface that is up and does as it is told.
    #[must_use]
    pub fn up(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            up: true,
            refuses: None,
        }
    }
}

/// A machine and its kernel's configuration, as far as kexec meets them.
///
/// The default is an x86-64 machine with 1 GiB, Linux 6.12, root, nothing
/// locked, no crash region.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The architecture of the machine and its kernel.
    pub arch: Arch,
    /// Linux version, for the flags that are accepted.
    pub release: (u32, u32),
    /// Whether the caller has `CAP_SYS_BOOT`.
    pub cap_sys_boot: bool,
    /// Whether the caller has `CAP_NET_ADMIN`.
    pub cap_net_admin: bool,
    /// kexec_load(2) is built in (`CONFIG_KEXEC`).
    pub has_load: bool,
    /// kexec_file_load(2) is built in (`CONFIG_KEXEC_FILE`).
    pub has_file_load: bool,
    /// `CONFIG_KEXEC_JUMP`: `LoadFlags::PRESERVE_CONTEXT` is accepted.
    pub has_jump: bool,
    /// `/proc/sys/kernel/kexec_load_disabled`
    pub load_disabled: bool,
    /// `/proc/sys/kernel/kexec_load_limit_reboot`: calls that are left; `None`
    /// is -1, no limit. Every permitted call counts, failed ones and unloads
    /// among them (admin-guide/sysctl/kernel.rst: "number of calls left").
    pub limit_reboot: Option<u32>,
    /// `/proc/sys/kernel/kexec_load_limit_panic`, for the crash slot.
    pub limit_panic: Option<u32>,
    /// How far the kernel is locked down.
    pub lockdown: Lockdown,
    /// Secure Boot, as IMA sees it. By itself it decides nothing else: what
    /// distributions tie to it is lockdown.
    pub secure_boot: bool,
    /// What the kernel does with signatures.
    pub signatures: Signatures,
    /// What it finds of them.
    pub signer: Signer,
    /// What IMA demands of a kernel's file.
    pub ima: Ima,
    /// A security module's answer to kexec_load(2) (SELinux: EACCES; LoadPin:
    /// EPERM).
    pub load_denied: Option<Errno>,
    /// A security module's answer to reading a kernel for kexec_file_load(2).
    pub file_denied: Option<Errno>,
    /// All RAM in pages (`totalram_pages`); half of it bounds an image.
    pub ram_pages: u64,
    /// Pages that the kernel can still allocate: more is ENOMEM.
    pub free_pages: u64,
    /// System RAM of /proc/iomem. The file syscall looks for holes here;
    /// kexec_load(2) does not ask whether a destination is RAM on x86 and arm64
    /// (see [`LoadedImage::outside`](super::LoadedImage::outside)).
    pub ram: Vec<Range<u64>>,
    /// `Crash kernel` of /proc/iomem, as reserved by `crashkernel=`.
    pub crash_region: Option<Range<u64>>,
    /// KHO is on, with this much scratch memory in bytes: the file syscall
    /// places a normal image there only.
    pub kho_scratch: Option<u64>,
    /// Five-level paging is on (x86): the file syscall then wants
    /// `XLF_5LEVEL`.
    pub five_level: bool,
    /// Bytes that the x86 loader keeps free on the command line for
    /// `elfcorehdr=0x...`, of normal images too.
    pub cmdline_reserve: usize,
    /// Another kexec operation holds the lock: EBUSY.
    pub busy: bool,
    /// Secondary CPUs that cannot be taken back (arm64 without a way to stop
    /// them): EBUSY for a normal image, after all other checks.
    pub cpus_stuck: bool,
    /// What reboot(2) fails with although an image is loaded (a live update that
    /// cannot be saved, a driver that does not stop).
    pub reboot_fails: Option<Errno>,
    /// The network interfaces; their indices count from 1.
    pub interfaces: Vec<Interface>,
    /// What [`crate::Kernel::route_dump`] shows.
    pub network: Vec<Kept>,
    /// The file systems that are frozen now, by mount point.
    pub frozen: Vec<PathBuf>,
    /// Mount points whose file systems cannot be frozen.
    pub unfreezable: Vec<PathBuf>,
}

/// A part of the network, as rtnetlink(7) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The message of it.
    pub message: RouteMessage,
    /// It goes when the interface of this name goes down.
    pub until: Option<String>,
    /// What the kernel answers to who wants it back.
    pub refuses: Option<Errno>,
    /// Whether it is there.
    pub there: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            arch: Arch::X86_64,
            release: (6, 12),
            cap_sys_boot: true,
            cap_net_admin: true,
            has_load: true,
            has_file_load: true,
            has_jump: true,
            load_disabled: false,
            limit_reboot: None,
            limit_panic: None,
            lockdown: Lockdown::None,
            secure_boot: false,
            signatures: Signatures::NotBuilt,
            signer: Signer::Always(Verdict::Unsigned),
            ima: Ima::Absent,
            load_denied: None,
            file_denied: None,
            ram_pages: 0x4_0000,
            free_pages: 0x4_0000,
            ram: vec![0x1000..0x9_f000, 0x10_0000..0x4000_0000],
            crash_region: None,
            kho_scratch: None,
            five_level: false,
            cmdline_reserve: 30,
            busy: false,
            cpus_stuck: false,
            reboot_fails: None,
            interfaces: vec![Interface::up("lo"), Interface::up("eth0")],
            network: Vec::new(),
            frozen: Vec::new(),
            unfreezable: Vec::new(),
        }
    }
}

impl Machine {
    /// The flags of kexec_file_load(2) that this kernel accepts.
    #[must_use]
    pub fn file_flags(&self) -> FileFlags {
        let mut flags = FileFlags::UNLOAD | FileFlags::ON_CRASH | FileFlags::NO_INITRAMFS;
        for (since, flag) in [
            ((6, 8), FileFlags::DEBUG),
            ((6, 17), FileFlags::NO_CMA),
            ((6, 18), FileFlags::FORCE_DTB),
        ] {
            if self.release >= since {
                flags |= flag;
            }
        }
        flags
    }

    /// The flags of kexec_load(2) that this kernel accepts, beside the machine.
    #[must_use]
    pub fn load_flags(&self) -> LoadFlags {
        let mut flags = LoadFlags::ON_CRASH;
        if self.has_jump {
            flags |= LoadFlags::PRESERVE_CONTEXT;
        }
        for (since, flag) in [
            ((6, 6), LoadFlags::UPDATE_ELFCOREHDR),
            ((6, 10), LoadFlags::CRASH_HOTPLUG_SUPPORT),
        ] {
            if self.release >= since {
                flags |= flag;
            }
        }
        flags
    }

    /// What freezing and thawing a file system answers (fsfreeze(8)).
    pub(super) fn freeze(&mut self, mount_point: &Path, frozen: bool) -> Result<(), Errno> {
        let at = self.frozen.iter().position(|one| one == mount_point);
        match (frozen, at) {
            (true, _) if self.unfreezable.iter().any(|one| one == mount_point) => {
                Err(Errno::EOPNOTSUPP)
            }
            (true, Some(_)) => Err(Errno::EBUSY),
            (true, None) => {
                self.frozen.push(mount_point.to_owned());
                Ok(())
            }
            (false, Some(at)) => {
                self.frozen.remove(at);
                Ok(())
            }
            (false, None) => Err(Errno::EINVAL),
        }
    }

    /// The address that no segment may reach. x86-64: the physical memory that
    /// four (2^46) or five (2^52) levels of page tables can map
    /// (arch/x86/x86_64/mm.rst); arm64: none but the register's.
    #[must_use]
    pub const fn destination_limit(&self) -> u64 {
        match self.arch {
            Arch::X86_64 if self.five_level => (1 << 52) - 1,
            Arch::X86_64 => (1 << 46) - 1,
            Arch::Aarch64 => u64::MAX,
        }
    }
}
