//! Taking out of a snapshot what is nobody's business, in such a way that every
//! plan and every check still answers the same: lengths stay, words stay words,
//! the layout of memory stays.

use std::ops::Range;

use kexec_image::formats::bzimage::vmlinux::START_KERNEL_MAP;
use kexec_plan::Cmdline;

use super::{KernelMap, SetupData};
use crate::{Fact, Snapshot};

/// Kernel parameters whose values are kept. Everything else may hold a secret
/// (keys, tokens, host names, addresses) or name a machine (UUIDs, serials): its
/// name stays, its value becomes as many `x`. The names are those of
/// Documentation/admin-guide/kernel-parameters.txt, kernel-command-line(7) and
/// dracut.cmdline(7).
const KEPT: &[&str] = &[
    // Boot loader and image.
    "BOOT_IMAGE",
    "initrd",
    "rootfstype",
    "rootdelay",
    "rootwait",
    "init",
    "rdinit",
    "panic",
    "reboot",
    "loglevel",
    "log_buf_len",
    "splash",
    // Kexec, crash dumps, handover.
    "crashkernel",
    "elfcorehdr",
    "acpi_rsdp",
    "kho",
    "kho_scratch",
    "liveupdate",
    "reserve_mem",
    "kexec_file",
    // Consoles and pictures.
    "console",
    "earlycon",
    "earlyprintk",
    "keep_bootcon",
    "video",
    "vga",
    "fbcon",
    "consoleblank",
    // Memory.
    "mem",
    "memmap",
    "memblock",
    "cma",
    "swiotlb",
    "hugepages",
    "hugepagesz",
    "default_hugepagesz",
    "transparent_hugepage",
    "movablecore",
    "kernelcore",
    "movable_node",
    "numa",
    "numa_balancing",
    "init_on_alloc",
    "init_on_free",
    "page_poison",
    "mem_encrypt",
    // CPUs.
    "maxcpus",
    "nr_cpus",
    "possible_cpus",
    "isolcpus",
    "nohz",
    "nohz_full",
    "rcu_nocbs",
    "idle",
    "mitigations",
    "nosmt",
    "spectre_v2",
    "l1tf",
    "mds",
    "retbleed",
    "intel_idle.max_cstate",
    "processor.max_cstate",
    "intel_pstate",
    "amd_pstate",
    "cpufreq.default_governor",
    "clocksource",
    "tsc",
    "hpet",
    "nmi_watchdog",
    "watchdog",
    "skew_tick",
    // Devices and firmware.
    "acpi",
    "acpi_osi",
    "pci",
    "pcie_aspm",
    "pcie_ports",
    "iommu",
    "intel_iommu",
    "amd_iommu",
    "iommu.passthrough",
    "iommu.strict",
    "efi",
    "usbcore.autosuspend",
    "nvme_core.default_ps_max_latency_us",
    "nvme_core.io_timeout",
    "net.ifnames",
    "biosdevname",
    "ipv6.disable",
    // Security.
    "lockdown",
    "lsm",
    "security",
    "selinux",
    "enforcing",
    "apparmor",
    "audit",
    "audit_backlog_limit",
    "ima_policy",
    "ima_appraise",
    "ima_hash",
    "module.sig_enforce",
    "random.trust_cpu",
    "random.trust_bootloader",
    // Units.
    "cgroup_disable",
    "cgroup_no_v1",
    "psi",
    "printk.time",
    "printk.devkmsg",
    "systemd.unit",
    "systemd.unified_cgroup_hierarchy",
    "systemd.log_level",
    "systemd.log_target",
    "systemd.show_status",
    "rd.break",
    "rd.debug",
    "rd.shell",
];

/// Children of System RAM in /proc/iomem that tell where KASLR put the running
/// kernel. They are left out; a planner may use that memory like the rest.
const KERNEL_ROWS: &[&str] = &["Kernel code", "Kernel rodata", "Kernel data", "Kernel bss"];

/// Bytes of boot_params that say where the boot loader put things for the
/// running kernel, or identify its disks; no plan for another kernel uses them
/// (Documentation/arch/x86/zero-page.rst and boot.rst).
const BOOT_PARAMS_ZEROED: &[Range<usize>] = &[
    // ext_cmd_line_ptr
    0x0c8..0x0cc,
    // code32_start
    0x214..0x218,
    // cmd_line_ptr
    0x228..0x22c,
    // hardware_subarch_data
    0x240..0x248,
    // setup_data: a list that holds, among others, the seed of the random
    // number generator
    0x250..0x258,
    // edd_mbr_sig_buffer: signatures of disks
    0x290..0x2d0,
];

impl Snapshot {
    /// The same without values that may be secret or tell where KASLR put the
    /// kernel.
    #[must_use]
    pub fn redact(&self) -> Snapshot {
        let mut redacted = self.clone();
        redacted.redacted = true;
        if let Fact::Known(line) = &mut redacted.cmdline {
            *line = cmdline(line);
        }
        if let Fact::Known(ranges) = &mut redacted.memory.iomem {
            ranges.retain(|r| !KERNEL_ROWS.contains(&r.kind.as_str()));
        }
        // Its folder may name a user or a container.
        if let Fact::Known(group) = &mut redacted.memory.group_limit {
            let name = group.file.rsplit('/').next().unwrap_or_default();
            group.file = format!("/sys/fs/cgroup/.../{name}");
        }
        if let Fact::Known(map) = &mut redacted.crash.kernel_map {
            *map = kernel_map(*map, redacted.firmware.la57.is_true());
        }
        if let Fact::Known(params) = &mut redacted.firmware.boot_params {
            *params = boot_params(params);
        }
        if let Fact::Known(items) = &mut redacted.firmware.setup_data {
            items.iter_mut().for_each(SetupData::redact);
        }
        redacted
    }
}

/// Where the kernel would be without KASLR (Documentation/arch/x86/x86_64/mm.rst, "direct
/// mapping of all physical memory" and "kernel text mapping"; `PHYSICAL_START` in
/// arch/x86/Kconfig).
fn kernel_map(map: KernelMap, five_level: bool) -> KernelMap {
    const PHYSICAL: u64 = 0x100_0000;
    KernelMap {
        page_offset: match five_level {
            true => 0xff11_0000_0000_0000,
            false => 0xffff_8880_0000_0000,
        },
        text: START_KERNEL_MAP | PHYSICAL,
        physical: PHYSICAL,
        len: map.len,
    }
}

fn boot_params(digits: &str) -> String {
    let secret = |at: usize| BOOT_PARAMS_ZEROED.iter().any(|r| r.contains(&(at / 2)));
    let kept = digits.chars().enumerate();
    kept.map(|(at, c)| if secret(at) { '0' } else { c })
        .collect()
}

/// The same words at the same places, with values that are not known to be
/// harmless written over.
pub fn cmdline(line: &Cmdline) -> Cmdline {
    let bytes = line.as_bytes();
    let mut redacted = Vec::with_capacity(bytes.len());
    let mut of_init = false;
    for word in line.words() {
        // White space in front of the word, as it was.
        let from = redacted.len();
        let gap = bytes.get(from..).unwrap_or_default();
        let gap = gap.iter().take_while(|b| b.is_ascii_whitespace());
        redacted.extend(gap);
        of_init |= word == b"--";
        let equals = word.iter().position(|b| *b == b'=');
        let (name, value) = match equals {
            Some(at) => word.split_at(at.saturating_add(1)),
            None => (word, &[][..]),
        };
        if of_init && word != b"--" {
            // Arguments of init: of no kernel parameter, so nothing is known.
            redacted.extend(word.iter().map(|b| crossed_out(*b)));
            continue;
        }
        redacted.extend(name.iter().map(|b| printable(*b)));
        let bare = name.strip_prefix(b"\"").unwrap_or(name);
        let bare = bare.strip_suffix(b"=").unwrap_or(bare);
        let shown = KEPT.iter().any(|k| k.as_bytes() == bare) || harmless_root(bare, value);
        redacted.extend(value.iter().map(|b| match shown {
            true => printable(*b),
            false => crossed_out(*b),
        }));
    }
    let rest = bytes.get(redacted.len()..).unwrap_or_default();
    redacted.extend_from_slice(rest);
    Cmdline::exact(&redacted)
}

/// `root=/dev/vda1` tells nothing; a UUID or a network address does.
fn harmless_root(name: &[u8], value: &[u8]) -> bool {
    name == b"root" && value.starts_with(b"/dev/") && !value.starts_with(b"/dev/disk/")
}

/// Quotes decide where words end, so they stay.
fn crossed_out(byte: u8) -> u8 {
    if byte == b'"' { byte } else { b'x' }
}

/// Bytes that would change their length when written as text.
fn printable(byte: u8) -> u8 {
    if byte.is_ascii() { byte } else { b'x' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(text: &str) -> String {
        cmdline(&Cmdline::from(text)).to_string()
    }

    #[test]
    fn values_that_may_be_secret_are_crossed_out_in_place() {
        assert_eq!(
            redacted("BOOT_IMAGE=/vmlinuz root=UUID=12-ab ro quiet luks.key=s3cret"),
            "BOOT_IMAGE=/vmlinuz root=xxxxxxxxxx ro quiet luks.key=xxxxxx"
        );
        assert_eq!(redacted("root=/dev/vda1"), "root=/dev/vda1");
        assert_eq!(
            redacted("root=/dev/disk/by-uuid/1"),
            "root=xxxxxxxxxxxxxxxxxxx"
        );
        assert_eq!(
            redacted("  a=\"my secret\"  \"b=also secret\" c="),
            "  a=\"xxxxxxxxx\"  \"b=xxxxxxxxxxx\" c="
        );
        assert_eq!(redacted("quiet -- token s=1"), "quiet -- xxxxx xxx");
        assert_eq!(redacted(""), "");
    }

    #[test]
    fn a_name_that_only_begins_like_a_kept_one_is_not_kept() {
        assert_eq!(redacted("consoles=abc mem2=1"), "consoles=xxx mem2=x");
        assert_eq!(redacted("KHO=on"), "KHO=xx");
    }

    #[test]
    fn names_are_listed_once() {
        let mut names = KEPT.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEPT.len());
    }

    #[test]
    fn boot_params_lose_pointers_and_keep_the_rest() {
        let all = "f".repeat(8192);
        let kept = boot_params(&all);
        assert_eq!(kept.len(), 8192);
        assert_eq!(&kept[2 * 0x250..2 * 0x258], "0".repeat(16));
        assert_eq!(&kept[2 * 0x258..2 * 0x25a], "ffff");
        assert_eq!(&kept[2 * 0x1ec..2 * 0x1ed], "ff");
        let zeroed: usize = BOOT_PARAMS_ZEROED.iter().map(ExactSizeIterator::len).sum();
        assert_eq!(kept.matches('0').count(), 2 * zeroed);
    }

    proptest! {
        #[test]
        fn length_and_words_stay(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = Cmdline::new(&bytes);
            let after = cmdline(&line);
            prop_assert_eq!(after.as_bytes().len(), line.as_bytes().len());
            prop_assert_eq!(after.words().count(), line.words().count());
            // What is written is read back the same.
            prop_assert_eq!(Cmdline::exact(after.to_string().as_bytes()), after.clone());
            // Twice is once.
            prop_assert_eq!(cmdline(&after), after);
        }

        #[test]
        fn no_value_survives(value in "[a-z0-9]{4,20}", name in "[A-Z]{3,8}") {
            prop_assume!(!value.bytes().all(|b| b == b'x'));
            let line = format!("quiet {name}={value} \"{name}={value} {value}\" -- {value}");
            prop_assert!(!redacted(&line).contains(&value));
        }
    }
}
