//! The numbers and half-sentences that the rows of the table share.

use kexec_image::Arch;
use kexec_plan::size::Memory;
use kexec_sys::Slot;

use super::{CallContext, KernelCall};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::MemoryRange;

/// Where the kernel says more.
pub(super) const DMESG: &str = "look at the kernel's messages with dmesg | tail";

/// Bytes that the x86 loader of the kernel keeps free behind a command line for
/// ` elfcorehdr=0x...`, of normal images too (seen in 6.1 to 7.x: a line that is
/// longer than `cmdline_size` less this is EINVAL).
pub(crate) const ELFCOREHDR_ROOM: usize = 30;

/// Bytes of the kernel file and the initrds.
pub(super) fn file_bytes(c: &CallContext<'_>) -> u64 {
    c.image.map_or(0, |image| {
        Memory::of(image.kernel_len.saturating_add(image.initrd_len)).0
    })
}

/// The same for people.
pub(super) fn needs(c: &CallContext<'_>) -> Memory {
    Memory(file_bytes(c))
}

/// The files alone are more than half of all memory; in memory they are never
/// smaller.
pub(super) fn half_of_ram_exceeded(c: &CallContext<'_>) -> bool {
    let total = c.host.memory.total.known();
    total.is_some_and(|total| file_bytes(c) > total / 2)
}

/// Loads that are left for the slot, when there is a limit.
pub(super) fn limit(c: &CallContext<'_>) -> Option<i64> {
    match c.call.slot() {
        Slot::Normal => c.host.kexec.load_limit_reboot.known().copied(),
        Slot::Crash => c.host.kexec.load_limit_panic.known().copied(),
    }
}

/// The sysctl of a slot's limit.
pub(crate) fn limit_name(slot: Slot) -> &'static str {
    match slot {
        Slot::Normal => "kernel.kexec_load_limit_reboot",
        Slot::Crash => "kernel.kexec_load_limit_panic",
    }
}

/// `integrity` or `confidentiality`.
pub(crate) fn lockdown_mode(host: &Snapshot) -> &'static str {
    let mode = host.security.lockdown.known();
    mode.map_or("mode unknown", |mode| mode.name())
}

/// Who signed the kernel that was handed over.
pub(super) fn signed_by<'a>(c: &CallContext<'a>) -> Option<&'a str> {
    c.image.and_then(|image| image.signer.as_deref())
}

/// Said of an unsigned kernel that came out of something that may be signed.
pub(super) fn inside(c: &CallContext<'_>) -> &'static str {
    match c.image {
        Some(image) if !image.bare => {
            " (a signature on the wrapper does not count: the kernel inside is verified)"
        }
        _ => "",
    }
}

/// Why only signed kernels are taken, as far as the facts tell.
pub(crate) fn why_enforced(host: &Snapshot) -> String {
    let mut reasons = Vec::new();
    if host.built_with("CONFIG_KEXEC_SIG_FORCE") == Some(true) {
        reasons.push("it was built with CONFIG_KEXEC_SIG_FORCE".to_owned());
    }
    if host.security.secure_boot.is_true() {
        reasons.push("Secure Boot is on".to_owned());
    }
    if host.locked_down() {
        reasons.push(format!("it is locked down ({})", lockdown_mode(host)));
    }
    if reasons.is_empty() {
        String::new()
    } else {
        format!(": {}", reasons.join(", "))
    }
}

/// Bytes reserved for a crash kernel: as sysfs has them, else as /proc/iomem has them.
pub fn crash_size(host: &Snapshot) -> Option<u64> {
    let sysfs = host.kexec.crash_size.known().copied();
    sysfs.or_else(|| {
        let regions = host.crash_regions();
        let regions = regions.known()?.iter();
        Some(regions.fold(0, |sum: u64, r| sum.saturating_add(r.len())))
    })
}

/// Bytes of the part of that memory which takes an image: the highest
/// (`kexec_plan::crash::CrashRegions::window`). With `crashkernel=SIZE,high` there is another
/// part below 4 GiB, for devices only. `None` where the parts are unknown.
pub(crate) fn crash_window(host: &Snapshot) -> Option<u64> {
    let regions = host.crash_regions();
    let highest = regions.known()?.iter().max_by_key(|region| region.start);
    highest.map(MemoryRange::len)
}

/// ` (4 MiB and 8 MiB)`: the KHO scratch areas, where they are known.
pub(super) fn scratch(host: &Snapshot) -> String {
    let areas = host.kexec.kho_scratch.known().map(|areas| {
        let sizes: Vec<String> = areas.iter().map(|r| Memory(r.len()).to_string()).collect();
        sizes.join(" and ")
    });
    match areas {
        Some(areas) if !areas.is_empty() => format!(" ({areas})"),
        _ => String::new(),
    }
}

/// The command line's length and what is left for it, both with the NUL, when it
/// is longer; the x86 loader is the one that checks.
pub(super) fn cmdline_over(c: &CallContext<'_>) -> Option<(usize, usize)> {
    let arch = c.host.arch.filter(|a| *a == Arch::X86_64)?;
    let max = arch
        .command_line_size()
        .saturating_sub(1)
        .saturating_sub(ELFCOREHDR_ROOM);
    let len = c.image?.cmdline_len;
    (len > max).then_some((len, max))
}

/// The build option that the call needs; unloading does with either.
pub(super) fn need(c: &CallContext<'_>) -> Option<&'static str> {
    match c.call {
        KernelCall::FileLoad(_) => Some("CONFIG_KEXEC_FILE"),
        KernelCall::ClassicLoad(_) => Some("CONFIG_KEXEC"),
        KernelCall::Unload(_) | KernelCall::Reboot => None,
    }
}

/// The option for the other system call, when the kernel has that one.
pub(super) fn left(c: &CallContext<'_>) -> Option<&'static str> {
    let (config, option) = match c.call {
        KernelCall::FileLoad(_) => ("CONFIG_KEXEC", "-c"),
        KernelCall::ClassicLoad(_) => ("CONFIG_KEXEC_FILE", "-s"),
        KernelCall::Unload(_) | KernelCall::Reboot => return None,
    };
    (c.host.built_with(config) == Some(true)).then_some(option)
}

/// Which of the facts behind EPERM could not be looked at.
pub(super) fn unseen(host: &Snapshot) -> String {
    fn look<T>(name: &str, fact: &Fact<T>) -> Option<String> {
        fact.reason().map(|reason| format!("{name}: {reason}"))
    }
    let unseen: Vec<String> = [
        look("capabilities", &host.security.cap_sys_boot),
        look("user namespace", &host.security.user_namespace),
        look("kexec_load_disabled", &host.kexec.load_disabled),
        look("kexec_load_limit_reboot", &host.kexec.load_limit_reboot),
        look("kexec_load_limit_panic", &host.kexec.load_limit_panic),
        look("lockdown", &host.security.lockdown),
    ]
    .into_iter()
    .flatten()
    .collect();
    if unseen.is_empty() {
        String::new()
    } else {
        format!("; unknown: {}", unseen.join(", "))
    }
}
