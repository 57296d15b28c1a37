//! Is there a place for it, and does the request make sense?

use kexec_image::Arch;
use kexec_plan::crash::{RESERVE, RESERVE_MORE};
use kexec_plan::size::Memory;
use kexec_sys::{Errno, Slot};

use super::super::say::{
    DMESG, cmdline_over, crash_size, crash_window, half_of_ram_exceeded, needs, scratch,
};
use super::super::{CallContext, ErrnoCause, KernelCall};
use crate::explain::no_jump::WITH_JUMP;
use kexec_machine::Fact;

pub(super) const CAUSES: &[ErrnoCause] = &[
    // EADDRNOTAVAIL: no such place.
    ErrnoCause {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call == KernelCall::FileLoad(Slot::Normal) && c.host.kexec.kho.is_true(),
        why: |c| {
            format!(
                "kexec handover (KHO) is on, so the next kernel and its initrd must fit into the scratch memory{}; they need {} and more",
                scratch(c.host),
                needs(c)
            )
        },
        remedy: |_| {
            "boot once with a larger kho_scratch= (such as kho_scratch=512M,512M,0), use a smaller initrd, or do without live update (kho=off)".into()
        },
    },
    ErrnoCause {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call.slot() == Slot::Crash && crash_size(c.host) == Some(0),
        why: |_| "the running kernel has reserved no memory for a crash kernel".into(),
        remedy: |_| RESERVE.into(),
    },
    ErrnoCause {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call.slot() == Slot::Crash,
        why: |c| {
            let size = crash_window(c.host).or_else(|| crash_size(c.host));
            let region = size.map_or_else(String::new, |size| format!(" of {}", Memory(size)));
            format!(
                "the crash kernel and its initrd do not fit into the reserved memory{region}; the files alone need {}",
                needs(c)
            )
        },
        remedy: |_| RESERVE_MORE.into(),
    },
    ErrnoCause {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| matches!(c.call, KernelCall::FileLoad(_)),
        why: |c| {
            format!(
                "the kernel found no free range of memory for the next kernel and its initrd ({} and more)",
                needs(c)
            )
        },
        remedy: |_| "use a smaller initrd, or -c: kexec_load(2) may place them elsewhere".into(),
    },
    ErrnoCause {
        errno: Errno::EADDRNOTAVAIL,
        when: |_| true,
        why: |_| {
            "a segment was placed where the kernel accepts none: beyond the memory it can \
             address, or not on a page boundary"
                .into()
        },
        remedy: |_| {
            "this is a bug in kexec: please report it with `kexec plan ... --json` and `kexec \
             status --snapshot FILE`"
                .into()
        },
    },
    // ENOMEM
    ErrnoCause {
        errno: Errno::ENOMEM,
        when: |_| true,
        why: |c| {
            let available = c.host.memory.available.known().copied();
            format!(
                "the kernel could not get the memory: the files are {}{}",
                needs(c),
                available.map_or_else(String::new, |a| format!(", {} were available", Memory(a)))
            )
        },
        remedy: |_| "stop what uses much memory, or use a smaller initrd, and try again".into(),
    },
    // EINVAL: the catch-all of both calls and of reboot(2).
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| c.call == KernelCall::Reboot && c.host.security.pid_namespace.is_true(),
        why: |_| {
            "this process runs in its own PID namespace (a container), where reboot(2) does not \
             support kexec"
                .into()
        },
        remedy: |_| "run it on the host, outside the container".into(),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| c.call == KernelCall::Reboot && c.host.kexec.loaded == Fact::Known(false),
        why: |_| "no kernel is loaded".into(),
        remedy: |_| "load one first: kexec -l KERNEL --initrd=INITRD --reuse-cmdline".into(),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| {
            c.call == KernelCall::Reboot
                && (c.host.kexec.loaded == Fact::Absent
                    || c.host.built_with("CONFIG_KEXEC_CORE") == Some(false))
        },
        why: |c| {
            format!(
                "the running kernel ({}) was built without kexec",
                c.host.release
            )
        },
        remedy: |_| "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE".into(),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| c.call == KernelCall::Reboot && !unseen(c).is_empty(),
        why: |c| {
            format!(
                "no kernel is loaded, or the running kernel refuses the jump to this process; the \
                 cause is unknown: {}",
                unseen(c).join(", and ")
            )
        },
        remedy: |_| {
            format!(
                "mount both (mount -t proc proc /proc; mount -t sysfs sysfs /sys) and see kexec status; {DMESG}"
            )
        },
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| c.call == KernelCall::Reboot,
        why: |_| "no kernel is loaded, or the running kernel abandoned the jump".into(),
        remedy: |_| format!("see kexec status; {DMESG}"),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, KernelCall::FileLoad(_)) && cmdline_over(c).is_some(),
        why: |c| {
            let (len, max) = cmdline_over(c).unwrap_or_default();
            format!(
                "the command line of {len} bytes is too long: the kernel keeps part of the room \
                 for itself, and {max} bytes are left"
            )
        },
        remedy: |c| {
            let (len, max) = cmdline_over(c).unwrap_or_default();
            format!(
                "make the command line {} bytes shorter",
                len.saturating_sub(max)
            )
        },
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| {
            c.image.is_some_and(|i| i.preserve_context)
                && c.host.built_with("CONFIG_KEXEC_JUMP") != Some(true)
        },
        why: |c| {
            format!(
                "the running kernel ({}) does not support the flag that keeps it in memory for a \
                 jump back: that needs CONFIG_KEXEC_JUMP, which many distributions leave out",
                c.host.release
            )
        },
        remedy: |_| WITH_JUMP.into(),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| c.call.is_load() && half_of_ram_exceeded(c),
        why: |c| {
            let total = c.host.memory.total.known().copied().unwrap_or_default();
            format!(
                "the kernel and its initrd ({}) are more than half of the machine's memory ({}), which the kernel does not allow",
                needs(c),
                Memory(total)
            )
        },
        remedy: |_| "use a smaller initrd, or give the machine more memory".into(),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, KernelCall::FileLoad(_)) && c.host.arch == Some(Arch::Arm64),
        why: |c| {
            format!(
                "the running kernel does not accept this image ({}): arm64 kernels report that as \
                 EINVAL",
                c.image.map_or("unknown format", |i| &i.format)
            )
        },
        remedy: |_| {
            "use an arm64 Image with the page size of this machine, not a vmlinux; -c accepts \
             other formats"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, KernelCall::FileLoad(_)),
        why: |c| {
            format!(
                "the kernel rejected the request as invalid: in memory all parts may take half of \
                 the RAM ({}); the files are {}{}",
                c.host
                    .memory
                    .total
                    .known()
                    .map_or_else(|| "size unknown".to_owned(), |t| Memory(t / 2).to_string()),
                needs(c),
                if c.host.release_at_least(6, 8) == Some(false) {
                    "; this kernel does not support the debug flag of -d"
                } else {
                    ""
                }
            )
        },
        remedy: |_| format!("{DMESG}; try -c, or a smaller initrd"),
    },
    ErrnoCause {
        errno: Errno::EINVAL,
        when: |_| true,
        why: |c| {
            format!(
                "the kernel rejected the request as invalid: overlapping segments, more than half \
                 of the RAM ({}), or a flag that kernel {} does not support",
                c.host
                    .memory
                    .total
                    .known()
                    .map_or_else(|| "size unknown".to_owned(), |t| Memory(t / 2).to_string()),
                c.host.release
            )
        },
        remedy: |_| {
            "if the initrd is not very large, this is a bug in kexec: please report it with \
             `kexec plan ... --json` and `kexec status --snapshot FILE`"
                .into()
        },
    },
];

/// What keeps a refused jump from being explained.
fn unseen<'a>(c: &CallContext<'a>) -> Vec<&'a str> {
    let loaded = c.host.kexec.loaded.reason();
    let proc = (c.host.cmdline == Fact::Absent).then_some("/proc is not mounted");
    loaded.into_iter().chain(proc).collect()
}
