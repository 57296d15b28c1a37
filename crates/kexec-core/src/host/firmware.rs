//! What the firmware and the boot loader left behind.

use std::fmt::Write as _;

use super::root::Root;
use super::{Fact, Firmware};

/// The size of struct boot_params (Documentation/arch/x86/zero-page.rst: one
/// page).
const BOOT_PARAMS_LEN: usize = 4096;

/// How much of /proc/cpuinfo is read: the first CPU's paragraph is enough, and
/// all of it can be megabytes.
const CPUINFO_HEAD: u64 = 64 << 10;

pub(super) fn read(root: &Root) -> Firmware {
    let cpuinfo = root
        .head("/proc/cpuinfo", CPUINFO_HEAD)
        .map(|b| String::from_utf8_lossy(&b).into_owned());
    let flags = cpuinfo.as_ref().and_then(|text| cpu_flags(text));
    Firmware {
        efi: root.exists("/sys/firmware/efi"),
        efi_bits: root.parse("/sys/firmware/efi/fw_platform_size", "32 or 64", |text| {
            text.parse().ok().filter(|bits| matches!(bits, 32 | 64))
        }),
        boot_params: boot_params(root),
        // The kernel takes the flag away when it runs with four levels, so that
        // it means what runs and not what the CPU could
        // (Documentation/arch/x86/x86_64/5level-paging.rst).
        la57: flags.as_ref().map(|flags| has(flags, "la57")),
        hypervisor: hypervisor(root, flags.as_ref()),
    }
}

/// The `flags` line of the first CPU; absent on architectures without it.
fn cpu_flags(cpuinfo: &str) -> Fact<String> {
    for line in cpuinfo.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.trim_end() == "flags"
        {
            return Fact::Known(value.trim().to_owned());
        }
    }
    Fact::Absent
}

fn has(flags: &str, name: &str) -> bool {
    flags.split_ascii_whitespace().any(|flag| flag == name)
}

fn boot_params(root: &Root) -> Fact<String> {
    let path = "/sys/kernel/boot_params/data";
    root.bytes(path).and_then(|bytes| {
        if bytes.len() != BOOT_PARAMS_LEN {
            return Fact::Unreadable(format!(
                "{path}: {} bytes, expected {BOOT_PARAMS_LEN}",
                bytes.len()
            ));
        }
        let mut text = String::with_capacity(2 * BOOT_PARAMS_LEN);
        for byte in bytes {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Fact::Known(text)
    })
}

/// What the machine runs on, the most telling sign first: confidential guests
/// have a device to ask for reports, Xen a folder of its own
/// (Documentation/ABI/stable/sysfs-hypervisor-xen), the others a clock.
fn hypervisor(root: &Root, flags: Fact<&String>) -> Fact<String> {
    let flag = |name: &str| flags.known().is_some_and(|flags| has(flags, name));
    if root.exists("/dev/tdx_guest") || flag("tdx_guest") {
        return Fact::Known("tdx".to_owned());
    }
    if root.exists("/dev/sev-guest") {
        return Fact::Known("sev-snp".to_owned());
    }
    match root.text("/sys/hypervisor/type") {
        Fact::Known(kind) if kind == "xen" => return Fact::Known(xen(root)),
        Fact::Known(kind) if !kind.is_empty() => return Fact::Known(kind),
        _ => {}
    }
    let clocks = root.text("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    let clock = |name: &str| clocks.known().is_some_and(|clocks| has(clocks, name));
    if clock("kvm-clock") {
        Fact::Known("kvm".to_owned())
    } else if clock("hyperv_clocksource_tsc_page") || clock("hyperv_clocksource_msr") {
        Fact::Known("hyperv".to_owned())
    } else if flag("hypervisor") {
        Fact::Known("unnamed".to_owned())
    } else {
        match flags {
            Fact::Unreadable(reason) => Fact::Unreadable(reason),
            _ => Fact::Absent,
        }
    }
}

/// `xen-dom0`, or with the kind of guest: `xen-pv`, `xen-hvm`, `xen-pvh`.
fn xen(root: &Root) -> String {
    let capabilities = root.text("/proc/xen/capabilities");
    if capabilities
        .known()
        .is_some_and(|c| c.contains("control_d"))
    {
        return "xen-dom0".to_owned();
    }
    match root.text("/sys/hypervisor/guest_type") {
        Fact::Known(kind) => format!("xen-{}", kind.to_ascii_lowercase()),
        _ => "xen".to_owned(),
    }
}
