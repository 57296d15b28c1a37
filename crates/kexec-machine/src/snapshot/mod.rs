//! What is known of a machine: one plain value, read below a root directory
//! that a test can replace, written to a file for bug reports, and read back
//! elsewhere so that a bug report becomes a test.

mod config;
pub mod crash;
mod display;
mod efi;
mod firmware;
mod ima;
mod json;
mod kexec;
mod limits;
pub mod loaded;
mod memory;
mod pages;
pub mod redact;
mod rsdp;
mod security;
mod serial;
mod setup_data;
pub mod srat;
pub mod sysfs;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::volumes::{Automounts, leave_automounts, may_mislead};
use kexec_image::Arch;
use kexec_plan::Cmdline;
use serde::{Deserialize, Serialize};

pub use config::{OPTIONS, beside as config_beside, parse as kernel_options};
pub use crash::{CpuNote, CrashState, KernelMap, NotePlace};
pub use display::DisplayState;
pub use efi::{EfiRange, EfiRuntime};
pub use ima::measurements;
pub use json::{FORMAT, SnapshotError};
pub use limits::{GroupLimit, UsableMemory};
pub use pages::PageUse;
pub use rsdp::rsdp;
pub use serial::SerialPort;
pub use setup_data::SetupData;
pub use sysfs::KexecFile;

use crate::{Fact, Root};

/// Everything about a machine that decides what a kexec can do on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this layout; a reader refuses what it does not know.
    pub format: u32,
    /// The architecture of the running kernel; `None` for one we cannot name.
    pub arch: Option<Arch>,
    /// The machine field of `uname(2)`.
    pub machine: String,
    /// The running kernel's release, `uname -r`.
    pub release: String,
    /// The running kernel's version text, `uname -v`.
    pub version: String,
    /// /proc/cmdline without the final newline.
    pub cmdline: Fact<Cmdline>,
    /// Whether values were taken out for privacy before this was written.
    pub redacted: bool,
    /// What the kernel's kexec says of itself.
    pub kexec: KexecState,
    /// Who may load what.
    pub security: Security,
    /// How much memory there is, and what it is used for.
    pub memory: MachineMemory,
    /// What the firmware is, and what it handed over.
    pub firmware: Firmware,
    /// What the running kernel shows for a crash kernel.
    #[serde(default)]
    pub crash: CrashState,
    /// Who drives the screen.
    #[serde(default)]
    pub display: DisplayState,
    /// The serial ports of the kernel's 8250 driver.
    #[serde(default = "Fact::not_recorded")]
    pub serial: Fact<Vec<SerialPort>>,
    /// The running kernel's build options that matter here, such as
    /// `CONFIG_KEXEC_FILE`, with their values.
    ///
    /// Which options: [`OPTIONS`]. One that is not set is not in the map.
    pub config: Fact<BTreeMap<String, String>>,
}

/// What [`KexecFile`] names in /sys, and /proc/sys/kernel/kexec_*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KexecState {
    /// A kernel is loaded for the next reboot ([`KexecFile::Loaded`]).
    pub loaded: Fact<bool>,
    /// A crash kernel is loaded ([`KexecFile::CrashLoaded`]).
    pub crash_loaded: Fact<bool>,
    /// How many bytes are reserved for a crash kernel ([`KexecFile::CrashSize`]).
    pub crash_size: Fact<u64>,
    /// How many bytes the kernel wants for the elfcorehdr segment of a crash image
    /// ([`KexecFile::ElfcorehdrSize`]).
    #[serde(default = "Fact::not_recorded")]
    pub elfcorehdr_size: Fact<u64>,
    /// Memory of `crashkernel=SIZE,cma` ([`KexecFile::CmaRanges`]): RAM of the crash kernel
    /// with what is reserved for it alone, and no part of the dump.
    #[serde(default = "Fact::not_recorded")]
    pub crash_cma_ranges: Fact<Vec<MemoryRange>>,
    /// The kernel itself follows processors that come and go, for the crash image that is
    /// loaded (/sys/devices/system/cpu/crash_hotplug); false while none is.
    #[serde(default = "Fact::not_recorded")]
    pub crash_hotplug_cpu: Fact<bool>,
    /// The same for memory (/sys/devices/system/memory/crash_hotplug).
    #[serde(default = "Fact::not_recorded")]
    pub crash_hotplug_memory: Fact<bool>,
    /// Loading is switched off until the next boot (sysctl kernel.kexec_load_disabled).
    pub load_disabled: Fact<bool>,
    /// Sysctl kernel.kexec_load_limit_reboot: loads left, -1 for no limit.
    pub load_limit_reboot: Fact<i64>,
    /// Sysctl kernel.kexec_load_limit_panic: loads left, -1 for no limit.
    pub load_limit_panic: Fact<i64>,
    /// Kexec handover (KHO) is active in the running kernel.
    pub kho: Fact<bool>,
    /// The memory that KHO leaves to the next kernel and its initrd; known only
    /// where debugfs shows it.
    pub kho_scratch: Fact<Vec<MemoryRange>>,
    /// Live-update sessions exist, so that `kexec_load` would lose state.
    pub liveupdate_sessions: Fact<bool>,
}

/// Lockdown mode, as in /sys/kernel/security/lockdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lockdown {
    /// `none`: nothing is locked down.
    None,
    /// `integrity`: no unsigned kernels.
    Integrity,
    /// `confidentiality`: that, and no reading of kernel memory.
    Confidentiality,
}

/// Facts that decide who may load what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// This process has CAP_SYS_BOOT (effective).
    pub cap_sys_boot: Fact<bool>,
    /// How far the kernel is locked down.
    pub lockdown: Fact<Lockdown>,
    /// EFI variable SecureBoot.
    pub secure_boot: Fact<bool>,
    /// The IMA policy has an appraise rule for KEXEC_KERNEL_CHECK that needs
    /// the signature in an extended attribute of the file itself.
    pub ima_appraises_kexec: Fact<bool>,
    /// SELinux is enforcing.
    pub selinux_enforcing: Fact<bool>,
    /// The process is in a user namespace that is not the first, where no
    /// capability counts for kexec.
    pub user_namespace: Fact<bool>,
    /// The process is in a PID namespace that is not the first, where reboot(2)
    /// knows no kexec.
    pub pid_namespace: Fact<bool>,
    /// A seccomp filter sits on the process (containers, units with
    /// SystemCallFilter=) and may refuse the system calls.
    pub seccomp: Fact<bool>,
}

/// One range of physical memory, `end` exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRange {
    /// The first byte of the range.
    pub start: u64,
    /// First byte behind the range.
    pub end: u64,
    /// The name that /proc/iomem or the firmware map gives it.
    pub kind: String,
    /// How deep it is nested in /proc/iomem (0 is the top).
    #[serde(default)]
    pub depth: u32,
}

/// Memory of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineMemory {
    /// MemTotal of /proc/meminfo, bytes.
    pub total: Fact<u64>,
    /// MemAvailable of /proc/meminfo, bytes.
    pub available: Fact<u64>,
    /// /proc/iomem; unreadable when the kernel shows zeros to the unprivileged.
    pub iomem: Fact<Vec<MemoryRange>>,
    /// /sys/firmware/memmap, sorted by start.
    pub firmware_map: Fact<Vec<MemoryRange>>,
    /// Memory that may be taken out while the machine runs, by ACPI's SRAT.
    #[serde(default = "Fact::not_recorded")]
    pub removable: Fact<Vec<MemoryRange>>,
    /// Bytes that the running kernel keeps for devices and lends to others meanwhile
    /// (`CmaTotal:` of /proc/meminfo).
    #[serde(default = "Fact::not_recorded")]
    pub cma: Fact<u64>,
    /// Bytes that the running kernel has not accepted yet (`Unaccepted:` of /proc/meminfo),
    /// in a guest with protected memory.
    #[serde(default = "Fact::not_recorded")]
    pub unaccepted: Fact<u64>,
    /// Bytes that the running kernel still promises to its processes; absent where it
    /// promises more than it has (`vm.overcommit_memory` is not 2).
    #[serde(default = "Fact::not_recorded")]
    pub commit_left: Fact<u64>,
    /// The limit of this process's control group, or of one above it, that leaves the least.
    #[serde(default = "Fact::not_recorded")]
    pub group_limit: Fact<GroupLimit>,
}

/// What the firmware is, and what it told the running kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// The machine was booted by EFI.
    pub efi: bool,
    /// /sys/firmware/efi/fw_platform_size: 64, or 32 for 32-bit firmware under a
    /// 64-bit kernel.
    pub efi_bits: Fact<u32>,
    /// /sys/kernel/boot_params/data in hexadecimal (x86).
    pub boot_params: Fact<String>,
    /// 5-level paging is on in the running kernel (x86).
    pub la57: Fact<bool>,
    /// The processor has 5-level paging, whatever the running kernel makes of it (x86).
    #[serde(default = "Fact::not_recorded")]
    pub la57_possible: Fact<bool>,
    /// The processor can encrypt the memory of the whole machine (SME, x86).
    #[serde(default = "Fact::not_recorded")]
    pub sme_possible: Fact<bool>,
    /// This is a virtual machine with encrypted memory, by the processor's word (x86).
    #[serde(default = "Fact::not_recorded")]
    pub encrypted_guest: Fact<bool>,
    /// Confidential-computing or hypervisor kind as far as files tell it: `tdx`,
    /// `sev-snp`, `xen-dom0`, `xen-pv`, `xen-hvm`, `kvm`, `hyperv`; `unnamed`
    /// when only the CPU flag says that there is one.
    pub hypervisor: Fact<String>,
    /// The tables and the runtime map of EFI.
    #[serde(default)]
    pub efi_runtime: EfiRuntime,
    /// The entries of /sys/kernel/boot_params/setup_data (x86).
    #[serde(default = "Fact::not_recorded")]
    pub setup_data: Fact<Vec<SetupData>>,
    /// How fast the time-stamp counter runs (x86), kHz: good enough to wait
    /// for a few seconds.
    #[serde(default = "Fact::not_recorded")]
    pub tsc_khz: Fact<u64>,
}

impl MemoryRange {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Snapshot {
    /// Reads the machine below `root`, which is `/` for the running one. Never
    /// fails: what could not be read says why.
    pub fn read(root: &Path) -> Snapshot {
        Snapshot::read_with(root, Automounts::Wake)
    }

    /// The same, and says what becomes of automounts: a kernel's configuration may
    /// be in /boot.
    pub fn read_with(root: &Path, automounts: Automounts) -> Snapshot {
        let mut root = Root::new(root);
        if automounts == Automounts::Leave || may_mislead(&root) {
            leave_automounts(&mut root);
        }
        let root = &root;
        let uname = uname(root);
        let cmdline = root
            .bytes("/proc/cmdline")
            .map(|bytes| Cmdline::new(&bytes));
        let config = config::read(root, &uname.release);
        let firmware = firmware::read(root);
        let memory = memory::read(root);
        Snapshot {
            format: FORMAT,
            arch: Arch::from_uname(&uname.machine),
            kexec: kexec::read(root, &uname.release, &cmdline, &config),
            security: security::read(root, &cmdline, &config, &firmware),
            crash: crash::read(root, &memory),
            memory,
            firmware,
            display: display::read(root),
            serial: serial::read(root),
            machine: uname.machine,
            release: uname.release,
            version: uname.version,
            cmdline,
            redacted: false,
            config,
        }
    }

    /// Whether the running kernel was built with an option, as `y` or `m`;
    /// `None` when its configuration is not there.
    pub fn built_with(&self, option: &str) -> Option<bool> {
        let config = self.config.known()?;
        Some(matches!(
            config.get(option).map(String::as_str),
            Some("y" | "m")
        ))
    }

    /// Whether the running kernel takes signed images only: built so
    /// (CONFIG_KEXEC_SIG_FORCE), or made so by IMA's architecture policy while
    /// Secure Boot is on (CONFIG_IMA_ARCH_POLICY). Lockdown is another fact.
    pub fn signature_enforced(&self) -> Fact<bool> {
        let Fact::Known(_) = &self.config else {
            return self.config.as_ref().map(|_| false);
        };
        let on = |option: &str| self.built_with(option) == Some(true);
        if on("CONFIG_KEXEC_SIG_FORCE") {
            return Fact::Known(true);
        }
        if !(on("CONFIG_KEXEC_SIG") && on("CONFIG_IMA_ARCH_POLICY")) {
            return Fact::Known(false);
        }
        match &self.security.secure_boot {
            Fact::Absent => Fact::Known(false),
            fact => fact.clone(),
        }
    }

    /// Whether memory is more than memory on this machine: encrypted by the
    /// processor, or given to a guest that has to accept it first.
    pub fn memory_guarded(&self) -> bool {
        let hypervisor = self.firmware.hypervisor.known().map(String::as_str);
        let cmdline = self.cmdline.known();
        let encrypted = cmdline.and_then(|line| line.value("mem_encrypt"));
        matches!(hypervisor, Some("tdx" | "sev-snp"))
            || (encrypted.as_deref() == Some("on")
                && self.firmware.sme_possible.known() != Some(&false))
            || self.firmware.encrypted_guest.is_true()
            || self
                .memory
                .unaccepted
                .known()
                .is_some_and(|bytes| *bytes > 0)
    }

    /// Whether lockdown is on, in whichever mode.
    pub fn locked_down(&self) -> bool {
        matches!(
            self.security.lockdown,
            Fact::Known(Lockdown::Integrity | Lockdown::Confidentiality)
        )
    }

    /// The `major.minor` of the running kernel is at least this; `None` for a
    /// release that does not begin with numbers.
    pub fn release_at_least(&self, major: u32, minor: u32) -> Option<bool> {
        version_at_least(&self.release, major, minor)
    }

    /// Where the running kernel has a file of its kexec, for a message.
    pub fn kexec_file(&self, file: KexecFile) -> &'static str {
        file.place(&self.release)
    }

    /// The memory reserved for a crash kernel, largest first.
    pub fn crash_regions(&self) -> Fact<Vec<MemoryRange>> {
        self.memory.iomem.as_ref().map(|ranges| {
            let crash = ranges.iter().filter(|r| r.kind == "Crash kernel");
            let mut regions: Vec<MemoryRange> = crash.cloned().collect();
            regions.sort_by_key(|r| std::cmp::Reverse(r.len()));
            regions
        })
    }
}

impl Lockdown {
    /// The word in /sys/kernel/security/lockdown.
    pub fn name(self) -> &'static str {
        match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        }
    }
}

/// Whether a release is at least this `major.minor`; `None` for one that does not begin
/// with numbers.
pub fn version_at_least(release: &str, major: u32, minor: u32) -> Option<bool> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let found: u32 = parts.next()?.parse().ok()?;
    let found_minor: u32 = parts.next()?.parse().ok()?;
    Some((found, found_minor) >= (major, minor))
}

/// Two digits for each byte.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

struct Uname {
    machine: String,
    release: String,
    version: String,
}

/// uname(2), or what a root directory that is not the machine's says in
/// /proc/sys/kernel (`arch` since Linux 6.1).
fn uname(root: &Root) -> Uname {
    let system = rustix::system::uname();
    let ours = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let (machine, release, version) = (
        ours(system.machine()),
        ours(system.release()),
        ours(system.version()),
    );
    if root.is_machine() {
        return Uname {
            machine,
            release,
            version,
        };
    }
    let file = |name: &str| match root.text(&format!("/proc/sys/kernel/{name}")) {
        Fact::Known(text) => Some(text),
        _ => None,
    };
    Uname {
        machine: file("arch").unwrap_or(machine),
        release: file("osrelease").unwrap_or_default(),
        version: file("version").unwrap_or_default(),
    }
}
