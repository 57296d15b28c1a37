//! EPERM and EACCES: may this be done at all?

use crate::*;

#[allow(clippy::too_many_lines)]
pub(super) fn cases() -> Vec<Case> {
    use Errno as E;
    let unload = KernelCall::Unload(Slot::Normal);
    vec![
        case(
            E::EPERM,
            FILE,
            |m| m.cap_sys_boot = false,
            |h| h.security.cap_sys_boot = Fact::Known(false),
            "CAP_SYS_BOOT",
            "root",
        ),
        // The flag alone does not count in a user namespace.
        case(
            E::EPERM,
            CLASSIC,
            |m| m.cap_sys_boot = false,
            |h| h.security.user_namespace = Fact::Known(true),
            "user namespace",
            "outside the container",
        ),
        case(
            E::EPERM,
            unload,
            |m| m.load_disabled = true,
            |h| h.kexec.load_disabled = Fact::Known(true),
            "kernel.kexec_load_disabled is 1",
            "sysctl",
        ),
        case(
            E::EPERM,
            FILE,
            |m| m.limit_reboot = Some(0),
            |h| h.kexec.load_limit_reboot = Fact::Known(0),
            "kernel.kexec_load_limit_reboot is 0",
            "kexec_load_limit_reboot",
        ),
        case(
            E::EPERM,
            CRASH,
            |m| m.limit_panic = Some(0),
            |h| h.kexec.load_limit_panic = Fact::Known(0),
            "kernel.kexec_load_limit_panic is 0",
            "kexec_load_limit_panic",
        ),
        // The limit of the other slot is no cause.
        case(
            E::EPERM,
            CLASSIC,
            locked,
            |h| {
                h.kexec.load_limit_panic = Fact::Known(0);
                sees_lockdown(h);
            },
            "locked down (integrity), and kexec_load(2) cannot",
            "-s instead of -c",
        ),
        case(
            E::EPERM,
            unload,
            locked,
            sees_lockdown,
            "for unloading too",
            "kexec -s -u",
        ),
        case(
            E::EPERM,
            FILE,
            locked,
            sees_lockdown,
            "no signature was found in this one",
            "signed",
        ),
        case(
            E::EPERM,
            FILE,
            locked,
            sees_lockdown,
            "the kernel inside is verified",
            "signed",
        )
        .with(|i| i.facts = |f| f.bare = false),
        // Debian's own kernel with lockdown= alone: its key comes with shim.
        case(
            E::EPERM,
            FILE,
            |m| {
                locked(m);
                m.signer = Signer::Always(Verdict::UnknownKey);
            },
            sees_lockdown,
            "no key to verify the signature (Debian Secure Boot Signer) with: the keys of the firmware",
            "mokutil",
        )
        .with(|i| i.facts = signed),
        case(
            E::EPERM,
            FILE,
            |m| m.file_denied = Some(Errno::EPERM),
            |h| h.security.seccomp = Fact::Known(true),
            "seccomp",
            "@reboot",
        ),
        case(
            E::EPERM,
            FILE,
            |m| m.file_denied = Some(Errno::EPERM),
            |h| {
                h.security.lockdown = Fact::Unreadable("securityfs is not mounted".to_owned());
            },
            "unknown: lockdown: securityfs is not mounted",
            "LoadPin",
        ),
        case(
            E::EACCES,
            CLASSIC,
            |m| {
                enforced(m);
                m.ima = Ima::Idle;
                m.lockdown = double::Lockdown::Integrity;
            },
            |h| {
                sees_secure_boot(h);
                sees_lockdown(h);
            },
            "Secure Boot is on, and IMA refuses kexec_load(2)",
            "-s",
        ),
        case(
            E::EACCES,
            CLASSIC,
            |m| m.ima = Ima::Appraise { files_pass: true },
            |h| h.security.ima_appraises_kexec = Fact::Known(true),
            "KEXEC_KERNEL_CHECK",
            "-s",
        ),
        case(
            E::EACCES,
            FILE,
            |m| m.ima = Ima::Appraise { files_pass: true },
            |h| h.security.ima_appraises_kexec = Fact::Known(true),
            "was unpacked from a wrapper (UKI > bzImage)",
            "a plain kernel file",
        )
        .with(|i| {
            i.facts = |f| {
                f.bare = false;
                f.format = "UKI > bzImage".to_owned();
            };
        }),
        case(
            E::EACCES,
            FILE,
            |m| m.ima = Ima::Appraise { files_pass: false },
            |h| h.security.ima_appraises_kexec = Fact::Known(true),
            "this file has none",
            "evmctl",
        )
        .with(|i| i.disk = true),
        case(
            E::EACCES,
            CLASSIC,
            |m| m.load_denied = Some(Errno::EACCES),
            |h| h.security.selinux_enforcing = Fact::Known(true),
            "SELinux",
            "ausearch",
        ),
        case(
            E::EACCES,
            FILE,
            |m| m.file_denied = Some(Errno::EACCES),
            |h| {
                h.security.ima_appraises_kexec = Fact::Unreadable("no policy".to_owned());
            },
            "whether IMA has a rule is unknown: no policy",
            "audit",
        ),
    ]
}
