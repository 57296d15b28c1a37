//! May this be done, and now?

use kexec_image::Arch;
use kexec_sys::{Errno, Slot};

use super::super::say::{DMESG, inside, limit, limit_name, lockdown_mode, signed_by, unseen};
use super::super::{ErrnoCause, KernelCall};
use kexec_machine::Fact;

pub(super) const CAUSES: &[ErrnoCause] = &[
    // EPERM: may this be done at all?
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| c.host.security.cap_sys_boot == Fact::Known(false),
        why: |_| "this process does not have the capability CAP_SYS_BOOT".into(),
        remedy: |_| "run it as root (sudo); in a service or container, grant CAP_SYS_BOOT".into(),
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| c.host.security.user_namespace.is_true(),
        why: |_| {
            "this process runs in its own user namespace (a container), where no capability \
             counts for kexec"
                .into()
        },
        remedy: |_| "run it on the host, outside the container".into(),
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| c.call != KernelCall::Reboot && c.host.kexec.load_disabled.is_true(),
        why: |_| {
            "loading was switched off for as long as this kernel runs: kernel.kexec_load_disabled is 1".into()
        },
        remedy: |_| {
            "reboot through the firmware; find what sets kernel.kexec_load_disabled: grep -r \
             kexec_load_disabled /etc/sysctl* /usr/lib/sysctl.d. What was loaded before can still \
             be started with kexec -e"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| c.call != KernelCall::Reboot && limit(c) == Some(0),
        why: |c| {
            format!(
                "no loads are left for this slot: {} is 0 (unloads and failed loads count too)",
                limit_name(c.call.slot())
            )
        },
        remedy: |c| {
            format!(
                "reboot through the firmware: the limit cannot be raised again; find what sets \
                 it: grep -r {} /etc/sysctl* /usr/lib/sysctl.d",
                limit_name(c.call.slot())
            )
        },
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, KernelCall::ClassicLoad(_)) && c.host.locked_down(),
        why: |c| {
            format!(
                "the running kernel is locked down ({}), and kexec_load(2) cannot give it a \
                 signed file",
                lockdown_mode(c.host)
            )
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c, with a signed kernel".into(),
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, KernelCall::Unload(_)) && c.host.locked_down(),
        why: |c| {
            format!(
                "the running kernel is locked down ({}) and refuses kexec_load(2), for unloading too",
                lockdown_mode(c.host)
            )
        },
        remedy: |_| "unload with kexec_file_load(2): kexec -s -u".into(),
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| {
            matches!(c.call, KernelCall::FileLoad(_))
                && c.host.locked_down()
                && signed_by(c).is_none()
        },
        why: |c| {
            format!(
                "the running kernel is locked down ({}) and accepts only signed kernels; no \
                 signature was found in this one{}",
                lockdown_mode(c.host),
                inside(c)
            )
        },
        remedy: |_| {
            "give a kernel that is signed with a key this kernel trusts, such as the distribution's own".into()
        },
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, KernelCall::FileLoad(_)) && c.host.locked_down(),
        why: |c| {
            format!(
                "the running kernel is locked down ({}) and has no key to verify the signature ({}) with{}",
                lockdown_mode(c.host),
                signed_by(c).unwrap_or("signer unknown"),
                if c.host.security.secure_boot.is_true() {
                    ""
                } else {
                    ": the keys of the firmware and of shim are available only when Secure Boot \
                     is on"
                }
            )
        },
        remedy: |_| {
            "boot with Secure Boot on, so that the keys are available (mokutil --sb-state, keyctl \
             show %:.platform), or without lockdown="
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |c| c.host.security.seccomp.is_true(),
        why: |_| {
            "a seccomp filter is on this process and may refuse the system call (a container, or SystemCallFilter= of a service)".into()
        },
        remedy: |_| "run it outside the container, or allow @reboot in the filter".into(),
    },
    ErrnoCause {
        errno: Errno::EPERM,
        when: |_| true,
        why: |c| {
            format!(
                "not permitted, and none of the usual causes was found{}",
                unseen(c.host)
            )
        },
        remedy: |_| format!("a security module may be the cause (LoadPin, SELinux): {DMESG}"),
    },
    // EACCES: IMA and security modules.
    ErrnoCause {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, KernelCall::ClassicLoad(_) | KernelCall::Unload(_))
                && c.host.security.secure_boot.is_true()
        },
        why: |_| {
            "Secure Boot is on, and IMA refuses kexec_load(2), which gives it no file to verify"
                .into()
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c".into(),
    },
    ErrnoCause {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, KernelCall::ClassicLoad(_) | KernelCall::Unload(_))
                && c.host.security.ima_appraises_kexec.is_true()
        },
        why: |_| {
            "the IMA policy appraises kernels (func=KEXEC_KERNEL_CHECK), and kexec_load(2) gives \
             it no file"
                .into()
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c".into(),
    },
    ErrnoCause {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, KernelCall::FileLoad(_))
                && c.host.security.ima_appraises_kexec.is_true()
                && c.image.is_some_and(|i| !i.bare)
        },
        why: |c| {
            format!(
                "the IMA policy requires a signature on the kernel file itself (security.ima); \
                 this kernel was unpacked from a wrapper ({}), and the copy in memory has none",
                c.image.map_or("", |i| &i.format)
            )
        },
        remedy: |_| {
            "use a plain kernel file that needs no unpacking, signed with evmctl ima_sign".into()
        },
    },
    ErrnoCause {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, KernelCall::FileLoad(_))
                && c.host.security.ima_appraises_kexec.is_true()
        },
        why: |_| {
            "the IMA policy requires a good signature on the kernel file (security.ima), and this \
             file has none"
                .into()
        },
        remedy: |_| {
            "look at it with getfattr -m security.ima -d FILE; sign the file with evmctl ima_sign, or reinstall the package".into()
        },
    },
    ErrnoCause {
        errno: Errno::EACCES,
        when: |c| c.host.security.selinux_enforcing.is_true(),
        why: |_| "SELinux is enforcing and its policy refuses it".into(),
        remedy: |_| {
            "look for the denial with ausearch -m avc -ts recent; restorecon FILE repairs a \
             kernel file with a wrong label"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EACCES,
        when: |_| true,
        why: |c| {
            let ima = c.host.security.ima_appraises_kexec.reason();
            let ima = ima.map(|reason| format!("; whether IMA has a rule is unknown: {reason}"));
            format!(
                "a security module or IMA refused it{}",
                ima.unwrap_or_default()
            )
        },
        remedy: |_| {
            format!(
                "{DMESG}; look for denials in the audit log. Where kexec_load(2) was refused, -s \
                 may work"
            )
        },
    },
    // EBUSY
    ErrnoCause {
        errno: Errno::EBUSY,
        when: |c| {
            c.host.arch == Some(Arch::Arm64) && c.call.is_load() && c.call.slot() == Slot::Normal
        },
        why: |_| {
            "another kexec operation is under way, or some CPUs cannot be stopped (firmware \
             without PSCI, a CPU that failed to start)"
                .into()
        },
        remedy: |_| {
            "try again; if it fails again, look in dmesg for \"CPUs are stuck in the kernel\": \
                then this machine cannot kexec, and needs a reboot or other firmware"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EBUSY,
        when: |_| true,
        why: |_| "another kexec operation is under way".into(),
        remedy: |_| {
            "try again in a moment; if it fails again, find the program that is loading (kdump \
             service, init)"
                .into()
        },
    },
];
