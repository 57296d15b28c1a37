//! The image, its signature, the system call itself, and reading the files.

use crate::*;

#[allow(clippy::too_many_lines)]
pub(super) fn cases() -> Vec<Case> {
    use Errno as E;
    let unload = KernelCall::Unload(Slot::Normal);
    vec![
        case(
            E::ENOEXEC,
            FILE,
            |_| {},
            |_| {},
            "built for arm64, the machine is x86_64",
            "architecture",
        )
        .with(|i| {
            i.garbage = true;
            i.facts = |f| f.arch = Some(Arch::Arm64);
        }),
        case(
            E::ENOEXEC,
            FILE,
            |m| m.five_level = true,
            |h| h.firmware.la57 = Fact::Known(true),
            "5-level paging",
            "no5lvl",
        ),
        case(
            E::ENOEXEC,
            FILE,
            |_| {},
            |h| h.firmware.efi_bits = Fact::Known(32),
            "the firmware is 32-bit EFI",
            "-c",
        )
        .with(|i| i.garbage = true),
        case(
            E::ENOEXEC,
            FILE,
            |_| {},
            |_| {},
            "does not accept this image (ELF)",
            "-c",
        )
        .with(|i| {
            i.garbage = true;
            i.facts = |f| f.format = "ELF".to_owned();
        }),
        case(
            E::EOPNOTSUPP,
            FILE,
            |m| m.file_denied = Some(Errno::EOPNOTSUPP),
            |_| {},
            "cannot do this on this machine",
            "other system call",
        ),
        case(
            E::ENODATA,
            FILE,
            enforced,
            sees_secure_boot,
            "although there is one by Debian",
            "sbverify",
        )
        .with(|i| i.facts = signed),
        case(
            E::ENODATA,
            FILE,
            enforced,
            sees_secure_boot,
            "is not signed, and the running one accepts only signed kernels: Secure Boot is on",
            "sbsign",
        ),
        case(
            E::ENODATA,
            FILE,
            enforced,
            |h| option(h, "CONFIG_KEXEC_SIG_FORCE", true),
            "built with CONFIG_KEXEC_SIG_FORCE",
            "sbsign",
        ),
        case(
            E::ENOKEY,
            FILE,
            |m| {
                enforced(m);
                m.signer = Signer::Always(Verdict::UnknownKey);
            },
            sees_secure_boot,
            "no key for the signature (Debian Secure Boot Signer)",
            "mokutil --import",
        )
        .with(|i| i.facts = signed),
        case(
            E::EKEYREJECTED,
            FILE,
            |m| {
                enforced(m);
                m.signer = Signer::Always(Verdict::Rejected);
            },
            sees_secure_boot,
            "revocation list",
            "install the kernel again",
        ),
        case(
            E::EKEYREVOKED,
            FILE,
            |m| m.file_denied = Some(Errno::EKEYREVOKED),
            |_| {},
            "revoked",
            "newer kernel",
        ),
        case(
            E::EKEYEXPIRED,
            FILE,
            |m| m.file_denied = Some(Errno::EKEYEXPIRED),
            |_| {},
            "expired",
            "clock",
        ),
        case(
            E::ELIBBAD,
            FILE,
            |m| {
                enforced(m);
                m.signer = Signer::Always(Verdict::Malformed);
            },
            sees_secure_boot,
            "PE headers",
            "sbverify",
        ),
        case(
            E::EBADMSG,
            FILE,
            |m| m.file_denied = Some(Errno::EBADMSG),
            |_| {},
            "PKCS#7",
            "sbsign",
        ),
        case(
            E::EMSGSIZE,
            FILE,
            |m| m.file_denied = Some(Errno::EMSGSIZE),
            |_| {},
            "longer or shorter",
            "sbsign",
        ),
        case(
            E::ENOPKG,
            FILE,
            |m| {
                enforced(m);
                m.signer = Signer::Always(Verdict::NoAlgorithm);
            },
            sees_secure_boot,
            "without an algorithm",
            "SHA-256",
        ),
        case(
            E::ENOSYS,
            FILE,
            |m| m.has_file_load = false,
            |h| option(h, "CONFIG_KEXEC_FILE", false),
            "was built without CONFIG_KEXEC_FILE",
            "which this kernel has: -c",
        ),
        case(
            E::ENOSYS,
            CLASSIC,
            |m| m.has_load = false,
            |h| option(h, "CONFIG_KEXEC", false),
            "was built without CONFIG_KEXEC",
            "which this kernel has: -s",
        ),
        case(
            E::ENOSYS,
            FILE,
            |m| m.has_file_load = false,
            |h| h.security.seccomp = Fact::Known(true),
            "seccomp",
            "@reboot",
        ),
        case(
            E::ENOSYS,
            unload,
            |m| m.has_load = false,
            |h| h.config = Fact::Absent,
            "comes with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
            "other system call",
        ),
        case(
            E::EFBIG,
            FILE,
            |m| m.file_denied = Some(Errno::EFBIG),
            |_| {},
            "the largest here is 3 GiB",
            "smaller initrd",
        )
        .with(|i| i.facts = |f| f.initrd_len = 3 << 30),
        case(
            E::ETXTBSY,
            FILE,
            |_| {},
            |_| {},
            "open for writing",
            "try again",
        )
        .with(|i| {
            i.disk = true;
            i.writing = true;
        }),
        case(
            E::EIO,
            FILE,
            |m| m.file_denied = Some(Errno::EIO),
            |_| {},
            "read a file whole",
            "disk",
        ),
        // Without a row.
        case(
            E::ESRCH,
            FILE,
            |m| m.file_denied = Some(Errno::ESRCH),
            |_| {},
            "unknown for this call: no such process (ESRCH)",
            "dmesg",
        ),
    ]
}
