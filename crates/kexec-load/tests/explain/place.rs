//! EBUSY, EADDRNOTAVAIL, ENOMEM, EINVAL: is there a time and a place for it?

use crate::*;

#[allow(clippy::too_many_lines)]
pub(super) fn cases() -> Vec<Case> {
    use Errno as E;
    vec![
        case(
            E::EBUSY,
            CLASSIC,
            |m| m.cpus_stuck = true,
            |h| h.arch = Some(Arch::Arm64),
            "CPUs cannot be stopped",
            "CPUs are stuck in the kernel",
        ),
        case(
            E::EBUSY,
            FILE,
            |m| m.busy = true,
            |_| {},
            "another kexec operation",
            "try again",
        ),
        case(
            E::EBUSY,
            KernelCall::Reboot,
            |m| m.busy = true,
            |_| {},
            "another kexec operation",
            "try again",
        ),
        case(
            E::EADDRNOTAVAIL,
            FILE,
            |m| m.kho_scratch = Some(0x1000),
            |h| {
                h.kexec.kho = Fact::Known(true);
                h.kexec.kho_scratch = Fact::Known(vec![kexec_machine::snapshot::MemoryRange {
                    start: 0,
                    end: 0x1000,
                    kind: "KHO scratch".to_owned(),
                    depth: 0,
                }]);
            },
            "scratch memory (4 KiB); they need 8 KiB",
            "kho_scratch=",
        ),
        case(
            E::EADDRNOTAVAIL,
            CRASH,
            |_| {},
            |h| h.kexec.crash_size = Fact::Known(0),
            "reserved no memory",
            "crashkernel=",
        ),
        case(
            E::EADDRNOTAVAIL,
            CRASH,
            |m| m.crash_region = Some(0x2000_0000..0x2000_2000),
            |h| h.kexec.crash_size = Fact::Known(0x2000),
            "do not fit into the reserved memory of 8 KiB; the files alone need 8 KiB",
            "raise crashkernel=",
        ),
        case(
            E::EADDRNOTAVAIL,
            FILE,
            |m| m.ram = vec![0..0x1000, 0x10_0000..0x10_2000],
            |_| {},
            "no free range of memory",
            "smaller initrd",
        ),
        case(
            E::EADDRNOTAVAIL,
            KernelCall::ClassicLoad(Slot::Normal),
            |m| m.load_denied = Some(Errno::EADDRNOTAVAIL),
            |_| {},
            "page boundary",
            "report",
        ),
        case(
            E::ENOMEM,
            FILE,
            |m| m.free_pages = 1,
            |_| {},
            "the files are 8 KiB, 793.3 MiB were available",
            "smaller initrd",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |_| {},
            |h| h.security.pid_namespace = Fact::Known(true),
            "PID namespace",
            "on the host",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |_| {},
            |_| {},
            "no kernel is loaded",
            "kexec -l",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |m| {
                m.has_load = false;
                m.has_file_load = false;
            },
            |h| h.kexec.loaded = Fact::Absent,
            "was built without kexec",
            "CONFIG_KEXEC",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |_| {},
            |h| h.kexec.loaded = Fact::Unreadable("no /sys".to_owned()),
            "no kernel is loaded",
            "dmesg",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |_| {},
            |h| h.kexec.loaded = Fact::Known(true),
            "the running kernel abandoned the jump",
            "dmesg",
        ),
        case(
            E::EINVAL,
            KernelCall::Reboot,
            |_| {},
            |h| {
                h.kexec.loaded = Fact::Unreadable("sysfs is not mounted on /sys".to_owned());
                h.cmdline = Fact::Absent;
            },
            "the cause is unknown: sysfs is not mounted on /sys, and /proc is not mounted",
            "mount -t proc proc /proc",
        ),
        case(
            E::EINVAL,
            FILE,
            |_| {},
            |_| {},
            "command line of 2018 bytes is too long: the kernel keeps part of the room for \
             itself, and 2017 bytes are left",
            "1 bytes shorter",
        )
        .with(|i| i.cmdline = 2017),
        case(
            E::EINVAL,
            CLASSIC,
            |m| m.has_jump = false,
            |_| {},
            "that needs CONFIG_KEXEC_JUMP",
            "CONFIG_KEXEC_JUMP",
        )
        .with(|i| i.preserve = true),
        case(
            E::EINVAL,
            FILE,
            |m| m.ram_pages = 0x1000,
            |h| h.memory.total = Fact::Known(16 << 20),
            "(9.0 MiB) are more than half of the machine's memory (16 MiB)",
            "smaller initrd",
        )
        .with(|i| i.initrd = 9 << 20),
        case(
            E::EINVAL,
            FILE,
            |m| m.arch = double::Arch::Aarch64,
            |h| h.arch = Some(Arch::Arm64),
            "arm64 kernels report that as EINVAL",
            "arm64 Image",
        ),
        // In memory a kernel is larger than its file.
        case(
            E::EINVAL,
            FILE,
            |m| m.ram_pages = 0x100,
            |h| {
                h.memory.total = Fact::Known(1 << 20);
                h.release = "6.1.0-50-amd64".to_owned();
            },
            "may take half of the RAM (512 KiB); the files are 8 KiB; this kernel does not \
             support the debug flag",
            "dmesg",
        ),
        case(
            E::EINVAL,
            CLASSIC,
            |m| m.ram_pages = 1,
            |_| {},
            "more than half of the RAM",
            "report",
        ),
    ]
}
