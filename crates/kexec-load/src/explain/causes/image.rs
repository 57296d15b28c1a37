//! Does the kernel take this image, and has it the call?

use kexec_plan::size::Memory;
use kexec_sys::Errno;

use super::super::say::{DMESG, inside, left, need, signed_by, why_enforced};
use super::super::{CallContext, ErrnoCause, KernelCall};

pub(super) const CAUSES: &[ErrnoCause] = &[
    // ENOEXEC: not an image for this machine.
    ErrnoCause {
        errno: Errno::ENOEXEC,
        when: |c| foreign(c).is_some(),
        why: |c| {
            let (image, host) = foreign(c).unwrap_or_default();
            format!("the kernel was built for {image}, the machine is {host}")
        },
        remedy: |_| "use the kernel package for this machine's architecture".into(),
    },
    ErrnoCause {
        errno: Errno::ENOEXEC,
        when: |c| {
            matches!(c.call, KernelCall::FileLoad(_))
                && c.host.firmware.efi_bits.known() == Some(&32)
        },
        why: |_| {
            "the firmware is 32-bit EFI, and a 64-bit kernel that uses its runtime services \
             accepts no image through kexec_file_load(2)"
                .into()
        },
        remedy: |_| {
            "use -c: kexec_load(2) can load it; the next kernel then has no EFI runtime services"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::ENOEXEC,
        when: |c| {
            c.host.firmware.la57.is_true() && c.image.is_some_and(|i| i.format.ends_with("bzImage"))
        },
        why: |_| {
            "the running kernel does not accept this image; it uses 5-level paging, and an image \
             without support for that (XLF_5LEVEL) is refused"
                .into()
        },
        remedy: |_| {
            "use the other system call (-c), whose purgatory switches 5-level paging off first; \
             or boot this kernel with no5lvl"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::ENOEXEC,
        when: |_| true,
        why: |c| {
            format!(
                "the running kernel's kexec_file_load(2) does not accept this image ({})",
                c.image.map_or("unknown format", |i| &i.format)
            )
        },
        remedy: |_| {
            "use the kernel that the boot loader boots (on x86_64 a 64-bit bzImage: \
             /boot/vmlinuz-RELEASE); -c takes other formats"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EOPNOTSUPP,
        when: |_| true,
        why: |c| {
            format!(
                "the running kernel ({}) cannot do this on this machine: no loader for the image, or hardware that a kexec would leave in a bad state (some TDX hosts)",
                c.host.release
            )
        },
        remedy: |_| format!("{DMESG}; try the other system call (-c or -s)"),
    },
    // The signature.
    ErrnoCause {
        errno: Errno::ENODATA,
        when: |c| signed_by(c).is_some(),
        why: |c| {
            format!(
                "the kernel found no signature where it looks for one, although there is one by {}",
                signed_by(c).unwrap_or_default()
            )
        },
        remedy: |_| {
            "reinstall the kernel; an x86 kernel carries its signature as a PE certificate (sbverify --list FILE)".into()
        },
    },
    ErrnoCause {
        errno: Errno::ENODATA,
        when: |_| true,
        why: |c| {
            format!(
                "this kernel is not signed{}, and the running one accepts only signed kernels{}",
                inside(c),
                why_enforced(c.host)
            )
        },
        remedy: |_| {
            "use a signed kernel, such as the distribution's own, or sign it with a key that the \
             machine trusts (sbsign, mokutil --import)"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::ENOKEY,
        when: |_| true,
        why: |c| {
            format!(
                "the running kernel has no key for the signature ({}){}",
                signed_by(c).unwrap_or("signer unknown"),
                if c.host.security.secure_boot.is_true() {
                    ""
                } else {
                    ": without Secure Boot the keys of the firmware and of shim are not available"
                }
            )
        },
        remedy: |_| {
            "use a kernel of the running distribution, or enrol the signer's key (mokutil \
             --import CERT, then reboot); see keyctl show %:.platform and %:.machine"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EKEYREJECTED,
        when: |_| true,
        why: |_| {
            "the signature does not match these bytes, or its key or digest is on the revocation \
             list (dbx, MokListX)"
                .into()
        },
        remedy: |_| {
            "install the kernel again, or a newer one: a revoked kernel is always refused \
             (mokutil --dbx)"
                .into()
        },
    },
    ErrnoCause {
        errno: Errno::EKEYREVOKED,
        when: |_| true,
        why: |_| "the key that signed this kernel has been revoked".into(),
        remedy: |_| "install a newer kernel, signed with a valid key".into(),
    },
    ErrnoCause {
        errno: Errno::EKEYEXPIRED,
        when: |_| true,
        why: |_| "the key that signed this kernel has expired".into(),
        remedy: |_| "check the clock (date); install a newer kernel".into(),
    },
    ErrnoCause {
        errno: Errno::ELIBBAD,
        when: |_| true,
        why: |_| "the PE headers or the signature table of this kernel are damaged".into(),
        remedy: |_| "install the kernel again; look at it with sbverify --list FILE".into(),
    },
    ErrnoCause {
        errno: Errno::EBADMSG,
        when: |_| true,
        why: |_| "the signature in this kernel is damaged: it is not a PKCS#7 message".into(),
        remedy: |_| "install the kernel again, or sign it again (sbsign)".into(),
    },
    ErrnoCause {
        errno: Errno::EMSGSIZE,
        when: |_| true,
        why: |_| "the signature in this kernel is longer or shorter than its header says".into(),
        remedy: |_| "install the kernel again, or sign it again (sbsign)".into(),
    },
    ErrnoCause {
        errno: Errno::ENOPKG,
        when: |_| true,
        why: |c| {
            format!(
                "kernel {} was built without an algorithm that the signature ({}) uses",
                c.host.release,
                signed_by(c).unwrap_or("signer unknown")
            )
        },
        remedy: |_| "sign with RSA and SHA-256, or load the module of the algorithm".into(),
    },
    // ENOSYS: is the call there?
    ErrnoCause {
        errno: Errno::ENOSYS,
        when: |c| need(c).is_some_and(|option| c.host.built_with(option) == Some(false)),
        why: |c| {
            format!(
                "the running kernel ({}) was built without {}",
                c.host.release,
                need(c).unwrap_or_default()
            )
        },
        remedy: |c| match left(c) {
            Some(option) => format!("use the other system call, which this kernel has: {option}"),
            None => "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE".into(),
        },
    },
    ErrnoCause {
        errno: Errno::ENOSYS,
        when: |c| c.host.security.seccomp.is_true(),
        why: |_| {
            "a seccomp filter on this process hides the system call (a container, or SystemCallFilter= of a service)".into()
        },
        remedy: |_| "run it outside the container, or allow @reboot in the filter".into(),
    },
    ErrnoCause {
        errno: Errno::ENOSYS,
        when: |_| true,
        why: |c| {
            format!(
                "the running kernel ({}) has no such system call; it comes with {}",
                c.host.release,
                need(c).unwrap_or("CONFIG_KEXEC or CONFIG_KEXEC_FILE")
            )
        },
        remedy: |_| "try the other system call (-c or -s), or boot a kernel that has it".into(),
    },
    // Reading the files.
    ErrnoCause {
        errno: Errno::EFBIG,
        when: |_| true,
        why: |c| {
            let larger = c.image.map_or(0, |i| i.kernel_len.max(i.initrd_len));
            format!(
                "a file is larger than the 2 GiB that the kernel reads; the largest here is {}",
                Memory::of(larger)
            )
        },
        remedy: |_| "use a smaller initrd, or -c, which does not have this limit".into(),
    },
    ErrnoCause {
        errno: Errno::ETXTBSY,
        when: |_| true,
        why: |_| "another program has the kernel file open for writing".into(),
        remedy: |_| "wait until it is written (a package installation?) and try again".into(),
    },
    ErrnoCause {
        errno: Errno::EIO,
        when: |_| true,
        why: |_| "the kernel could not read a file whole".into(),
        remedy: |_| format!("check the disk it is on; {DMESG}"),
    },
];

/// The architectures of image and machine, when the one does not run on the
/// other.
fn foreign(c: &CallContext<'_>) -> Option<(&'static str, &'static str)> {
    let (image, host) = (c.image?.arch?, c.host.arch?);
    (!image.boots_on(host)).then(|| (image.name(), host.name()))
}
