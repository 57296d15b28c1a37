//! What the firmware and the boot loader left behind.

use super::{Firmware, efi, hexadecimal, setup_data};
use crate::Fact;
use crate::Root;

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
        la57_possible: asked(root, kexec_sys::has_five_levels),
        sme_possible: asked(root, kexec_sys::has_memory_encryption),
        encrypted_guest: asked(root, kexec_sys::has_encrypted_guest_memory),
        hypervisor: hypervisor(root, flags.as_ref()),
        efi_runtime: efi::read(root),
        setup_data: setup_data::read(root),
        tsc_khz: tsc_khz(root, &cpuinfo),
    }
}

/// What the processor itself says, which is that of this machine.
fn asked(root: &Root, question: fn() -> Option<bool>) -> Fact<bool> {
    let answer = question().filter(|_| root.is_machine());
    answer.map_or(Fact::Absent, Fact::Known)
}

/// No time-stamp counter runs faster than this many kHz.
const TSC_KHZ_MAX: u64 = 100_000_000;

/// How fast the time-stamp counter runs, from the best source there is. Where
/// none is exact the guess is rather too high: a message then stays a little
/// longer.
fn tsc_khz(root: &Root, cpuinfo: &Fact<String>) -> Fact<u64> {
    let believed = |khz: &u64| (1..=TSC_KHZ_MAX).contains(khz);
    let file = |path: &str| {
        root.parse(path, "a frequency in kHz", |text| {
            text.parse().ok().filter(believed)
        })
    };
    // Some kernels tell; the nominal frequency is that of the counter.
    let cpu = "/sys/devices/system/cpu/cpu0";
    let exact = [
        file(&format!("{cpu}/tsc_freq_khz")),
        file(&format!("{cpu}/cpufreq/base_frequency")),
    ];
    if let Some(Fact::Known(khz)) = exact.into_iter().find(|f| f.known().is_some()) {
        return Fact::Known(khz);
    }
    // `Xeon(R) CPU E5-2680 v4 @ 2.40GHz`: the nominal frequency too. What
    // `cpu MHz` says is the counter's in a virtual machine, and elsewhere the
    // momentary one, which may be far lower; then the highest one bounds it.
    let named = |text: &str| {
        let (_, speed) = field(text, "model name")?.rsplit_once("@ ")?;
        thousandths(speed.strip_suffix("GHz")?)?.checked_mul(1000)
    };
    let guessed = |text: &str| {
        let now = thousandths(field(text, "cpu MHz")?)?;
        let most = file(&format!("{cpu}/cpufreq/cpuinfo_max_freq"));
        Some(now.max(most.known().copied().unwrap_or(0)))
    };
    cpuinfo.as_ref().and_then(|text| {
        let khz = named(text).filter(believed);
        match khz.or_else(|| guessed(text).filter(believed)) {
            Some(khz) => Fact::Known(khz),
            None => Fact::Absent,
        }
    })
}

/// `2.4` as 2400, without going through a floating-point number.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digit = |c: char| c.to_digit(10).map(u64::from);
    let mut digits = part.chars().chain("000".chars());
    let mut value: u64 = whole.parse().ok()?;
    for _ in 0..3 {
        value = value.checked_mul(10)?.checked_add(digit(digits.next()?)?)?;
    }
    Some(value)
}

/// The `flags` line of the first CPU; absent on architectures without it.
fn cpu_flags(cpuinfo: &str) -> Fact<String> {
    match field(cpuinfo, "flags") {
        Some(flags) => Fact::Known(flags.to_owned()),
        None => Fact::Absent,
    }
}

/// The value of the first line `NAME : VALUE` of /proc/cpuinfo.
fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(n, _)| n.trim_end() == name)?;
    Some(value.trim())
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
        Fact::Known(hexadecimal(&bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_frequency_is_the_nominal_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        let cpu = dir.path().join("sys/devices/system/cpu/cpu0");
        std::fs::create_dir_all(cpu.join("cpufreq")).unwrap();
        let put = |name: &str, text: &str| std::fs::write(cpu.join(name), text).unwrap();
        let of = |cpuinfo: &str| tsc_khz(&root, &Fact::Known(cpuinfo.to_owned()));
        assert_eq!(of(""), Fact::Absent);
        assert_eq!(of("cpu MHz\t\t: 2445.426\n"), Fact::Known(2_445_426));
        assert_eq!(of("cpu MHz\t\t: 0.000\n"), Fact::Absent);
        assert_eq!(of("cpu MHz : nan\n"), Fact::Absent);
        assert_eq!(of("cpu MHz : 999999999999999999.1\n"), Fact::Absent);
        // An idle CPU of an AMD machine.
        put("cpufreq/cpuinfo_max_freq", "4200000\n");
        assert_eq!(of("cpu MHz : 400.000\n"), Fact::Known(4_200_000));
        let intel = "model name : Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu MHz : 800.0\n";
        assert_eq!(of(intel), Fact::Known(2_200_000));
        put("cpufreq/base_frequency", "2100000\n");
        assert_eq!(of(intel), Fact::Known(2_100_000));
        put("tsc_freq_khz", "2112000\n");
        assert_eq!(of(intel), Fact::Known(2_112_000));
        put("tsc_freq_khz", "0\n");
        assert_eq!(of(intel), Fact::Known(2_100_000));
    }

    #[test]
    fn thousandths_are_exact() {
        assert_eq!(thousandths("2.4"), Some(2400));
        assert_eq!(thousandths("2445.426999"), Some(2_445_426));
        assert_eq!(thousandths("3"), Some(3000));
        for broken in ["", ".5", "1.x", "-1.0", "1.2.3", "99999999999999999999"] {
            assert_eq!(thousandths(broken), None, "{broken}");
        }
    }
}
