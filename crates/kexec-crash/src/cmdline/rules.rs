//! The rules: one row for each parameter.

/// What a rule does with its parameter.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// It is removed.
    Remove,
    /// It is removed where its value says so.
    RemoveIf(fn(&str) -> bool),
    /// Every parameter whose name begins so is removed.
    RemovePrefix,
    /// It gets this value; any other is removed.
    Set(&'static str),
    /// It is added, and others of its name stay: they name other things.
    Add(&'static str),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The parameter, without its value.
    pub name: &'static str,
    /// What becomes of it.
    pub deed: Deed,
    /// Why.
    pub reason: &'static str,
    /// The document, and where it helps the section.
    pub source: &'static str,
}

/// Documentation/admin-guide/kernel-parameters.txt.
const PARAMETERS: &str = "Documentation/admin-guide/kernel-parameters.txt";
/// Documentation/admin-guide/kdump/kdump.rst.
const KDUMP: &str = "Documentation/admin-guide/kdump/kdump.rst, \"Load the Dump-capture Kernel\"";
/// Documentation/admin-guide/mm/hugetlbpage.rst.
const HUGETLB: &str = "Documentation/admin-guide/mm/hugetlbpage.rst";
/// Documentation/admin-guide/mm/zswap.rst.
const ZSWAP: &str = "Documentation/admin-guide/mm/zswap.rst";
/// Documentation/admin-guide/mm/kho.rst.
const KHO: &str = "Documentation/admin-guide/mm/kho.rst";

/// What distributions give their crash kernels; the kernel's documents do not have it.
const SYSCONFIG: &str = "kdump-utils, /etc/sysconfig/kdump, KDUMP_COMMANDLINE_APPEND";

/// It would take memory that the crash kernel needs.
const MEMORY: &str = "it reserves memory, of which the crash kernel has little";
/// It makes a panic of what a crash kernel meets: devices in the state of the crash, and
/// warnings of drivers that reset them.
const PANICS: &str = "it would end the crash kernel by what the crash left behind";
/// It names processors that the crash kernel does not start.
const PROCESSORS: &str = "it names processors, of which the crash kernel starts one";

pub(super) const fn remove(name: &'static str, reason: &'static str, source: &'static str) -> Rule {
    Rule {
        name,
        deed: Deed::Remove,
        reason,
        source,
    }
}

pub(super) const fn set(
    name: &'static str,
    value: &'static str,
    reason: &'static str,
    source: &'static str,
) -> Rule {
    Rule {
        name,
        deed: Deed::Set(value),
        reason,
        source,
    }
}

/// Every rule. What is added comes in this order.
pub const RULES: &[Rule] = &[
    remove(
        "BOOT_IMAGE",
        "the boot loader wrote it, about the file that it booted",
        "GRUB manual, \"linux\"",
    ),
    remove(
        "initrd",
        "it is for the kernel's EFI stub, which does not run",
        "Documentation/admin-guide/efi-stub.rst, \"The initrd= option\"",
    ),
    remove(
        "kexec.id",
        "it identifies the boot of the running kernel",
        "kexec-reboot(8)",
    ),
    remove(
        "kexec.at",
        "it is the time of the jump into the running kernel",
        "kexec-reboot(8)",
    ),
    remove("crashkernel", MEMORY, PARAMETERS),
    remove(
        "elfcorehdr",
        "it describes the memory of an earlier crash; the loader adds the new one",
        KDUMP,
    ),
    remove("hugepages", MEMORY, HUGETLB),
    remove("hugepagesz", MEMORY, HUGETLB),
    remove("default_hugepagesz", MEMORY, HUGETLB),
    remove("hugetlb_cma", MEMORY, HUGETLB),
    remove("reserve_mem", MEMORY, PARAMETERS),
    remove("kho", MEMORY, KHO),
    remove("kho_scratch", MEMORY, KHO),
    remove("liveupdate", MEMORY, KHO),
    remove("swiotlb", MEMORY, PARAMETERS),
    remove("log_buf_len", MEMORY, PARAMETERS),
    remove("slub_debug", "it makes every allocation larger", PARAMETERS),
    remove("slab_debug", "it makes every allocation larger", PARAMETERS),
    remove("page_owner", "it takes memory for each page", PARAMETERS),
    Rule {
        name: "zswap.",
        deed: Deed::RemovePrefix,
        reason: "a crash kernel has no swap, and its pool takes memory",
        source: ZSWAP,
    },
    remove(
        "mem",
        "it limits the memory of the running kernel; the crash kernel has its region",
        PARAMETERS,
    ),
    Rule {
        name: "memmap",
        deed: Deed::RemoveIf(adds_memory),
        reason: "it adds or limits memory, and memory of the crashed kernel is what is to be saved",
        source: PARAMETERS,
    },
    remove(
        "kernelcore",
        "it divides the memory of the running kernel",
        PARAMETERS,
    ),
    remove(
        "movablecore",
        "it divides the memory of the running kernel",
        PARAMETERS,
    ),
    remove("maxcpus", PROCESSORS, PARAMETERS),
    remove("possible_cpus", PROCESSORS, PARAMETERS),
    remove("isolcpus", PROCESSORS, PARAMETERS),
    remove("nohz_full", PROCESSORS, PARAMETERS),
    remove("rcu_nocbs", PROCESSORS, PARAMETERS),
    remove("irqaffinity", PROCESSORS, PARAMETERS),
    remove(
        "resume",
        "resuming from hibernation would overwrite the system that crashed",
        PARAMETERS,
    ),
    remove(
        "resume_offset",
        "resuming from hibernation would overwrite the system that crashed",
        PARAMETERS,
    ),
    remove(
        "quiet",
        "the messages of a crash kernel that fails are all that is left of it",
        PARAMETERS,
    ),
    remove(
        "splash",
        "a splash screen takes memory and hides messages",
        "plymouth(8)",
    ),
    remove(
        "rhgb",
        "a splash screen takes memory and hides messages",
        "plymouth(8)",
    ),
    remove("panic_on_warn", PANICS, PARAMETERS),
    remove("unknown_nmi_panic", PANICS, PARAMETERS),
    remove("softlockup_panic", PANICS, PARAMETERS),
    remove("hardlockup_panic", PANICS, PARAMETERS),
    remove("hung_task_panic", PANICS, PARAMETERS),
    Rule {
        name: "nmi_watchdog",
        deed: Deed::RemoveIf(panics),
        reason: PANICS,
        source: PARAMETERS,
    },
    set(
        "nr_cpus",
        "1",
        "one processor saves the dump, and others take memory",
        KDUMP,
    ),
    Rule {
        name: "reset_devices",
        deed: Deed::Set(""),
        reason: "the devices were in use when the kernel crashed; drivers reset them",
        source: KDUMP,
    },
    Rule {
        name: "irqpoll",
        deed: Deed::Set(""),
        reason: "drivers start although an interrupt that they share is stuck",
        source: KDUMP,
    },
    set(
        "panic",
        "10",
        "a crash kernel that panics reboots instead of staying down",
        PARAMETERS,
    ),
    Rule {
        name: "novmcoredd",
        deed: Deed::Set(""),
        reason: "dumps of devices take memory that the crash kernel does not have",
        source: PARAMETERS,
    },
    Rule {
        name: "cgroup_disable",
        deed: Deed::Add("memory"),
        reason: "accounting for control groups takes memory for each page",
        source: PARAMETERS,
    },
    set(
        "mce",
        "off",
        "a machine check that the crash left behind would end the crash kernel",
        PARAMETERS,
    ),
    set(
        "numa",
        "off",
        "one node is enough, and each takes memory",
        PARAMETERS,
    ),
    Rule {
        name: "acpi_no_memhotplug",
        deed: Deed::Set(""),
        reason: "memory that ACPI adds would be memory of the crashed kernel",
        source: PARAMETERS,
    },
    set(
        "memhp_default_state",
        "offline",
        "memory that a driver adds (CXL, DAX) may be memory of the crashed kernel",
        PARAMETERS,
    ),
    set(
        "transparent_hugepage",
        "never",
        "large pages waste memory in a small region",
        "Documentation/admin-guide/mm/transhuge.rst",
    ),
    Rule {
        name: "hest_disable",
        deed: Deed::Set(""),
        reason: "errors that the firmware reports belong to the crash",
        source: SYSCONFIG,
    },
    set(
        "pcie_ports",
        "compat",
        "services of PCIe ports (hotplug, error reports) are not needed",
        PARAMETERS,
    ),
    set("cma", "0", "no memory is set aside for devices", PARAMETERS),
];

/// `nmi_watchdog=panic`, `nmi_watchdog=nopanic`: one word of the list (kernel-parameters.txt,
/// "nmi_watchdog=").
fn panics(value: &str) -> bool {
    value.split(',').any(|word| word == "panic")
}

/// `memmap=` with `$` or `#` takes memory away from the kernel, which firmware may need;
/// every other form adds memory or limits it (kernel-parameters.txt, "memmap=").
fn adds_memory(value: &str) -> bool {
    !value
        .split(',')
        .all(|part| part.contains('$') || part.contains('#'))
}
