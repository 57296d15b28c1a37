//! What is known of a machine: one plain value, read below a root directory
//! that a test can replace, written to a file for bug reports, and read back
//! elsewhere so that a bug report becomes a test.

use kexec_image::Arch;
use kexec_plan::Cmdline;
use serde::{Deserialize, Serialize};

/// A fact that may not have been readable. The difference between "no" and
/// "could not look" decides whether a check passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// Read.
    Known(T),
    /// Not there: the kernel or firmware has no such thing.
    Absent,
    /// There, but it could not be read, and why.
    Unreadable(String),
}

impl<T> Fact<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Fact::Known(v) => Some(v),
            _ => None,
        }
    }
}

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
    /// Memory.
    pub memory: Memory,
    /// Firmware.
    pub firmware: Firmware,
    /// The running kernel's build options that matter here, such as
    /// `CONFIG_KEXEC_FILE`, with their values.
    pub config: Fact<std::collections::BTreeMap<String, String>>,
}

/// /sys/kernel/kexec_* and /proc/sys/kernel/kexec_*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KexecState {
    /// /sys/kernel/kexec_loaded.
    pub loaded: Fact<bool>,
    /// /sys/kernel/kexec_crash_loaded.
    pub crash_loaded: Fact<bool>,
    /// /sys/kernel/kexec_crash_size, bytes.
    pub crash_size: Fact<u64>,
    /// Sysctl kernel.kexec_load_disabled.
    pub load_disabled: Fact<bool>,
    /// Sysctl kernel.kexec_load_limit_reboot: loads left, -1 for no limit.
    pub load_limit_reboot: Fact<i64>,
    /// Sysctl kernel.kexec_load_limit_panic: loads left, -1 for no limit.
    pub load_limit_panic: Fact<i64>,
    /// Kexec handover (KHO) is active in the running kernel.
    pub kho: Fact<bool>,
    /// Live-update sessions exist, so that `kexec_load` would lose state.
    pub liveupdate_sessions: Fact<bool>,
}

/// Lockdown mode, as in /sys/kernel/security/lockdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lockdown {
    /// Not locked.
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
    /// Lockdown mode.
    pub lockdown: Fact<Lockdown>,
    /// EFI variable SecureBoot.
    pub secure_boot: Fact<bool>,
    /// The IMA policy has an appraise rule for KEXEC_KERNEL_CHECK that needs
    /// the signature in an extended attribute of the file itself.
    pub ima_appraises_kexec: Fact<bool>,
    /// SELinux is enforcing.
    pub selinux_enforcing: Fact<bool>,
    /// The process is in a container or user namespace that is not the first.
    pub user_namespace: Fact<bool>,
}

/// One range of physical memory, `end` exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRange {
    /// First byte.
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
pub struct Memory {
    /// MemTotal of /proc/meminfo, bytes.
    pub total: Fact<u64>,
    /// MemAvailable of /proc/meminfo, bytes.
    pub available: Fact<u64>,
    /// /proc/iomem; unreadable when the kernel shows zeros to the unprivileged.
    pub iomem: Fact<Vec<MemoryRange>>,
    /// /sys/firmware/memmap, sorted by start.
    pub firmware_map: Fact<Vec<MemoryRange>>,
}

/// Firmware facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// The machine was booted by EFI.
    pub efi: bool,
    /// /sys/kernel/boot_params/data in hexadecimal (x86).
    pub boot_params: Fact<String>,
    /// 5-level paging is on in the running kernel (x86).
    pub la57: Fact<bool>,
    /// Hypervisor or confidential-computing kind as far as files tell it
    /// (/sys/hypervisor/type, `hypervisor` CPU flag): `xen`, `kvm`, ...
    pub hypervisor: Fact<String>,
}
