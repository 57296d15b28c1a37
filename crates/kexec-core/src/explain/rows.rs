//! The table: errno, cause, remedy.
//!
//! Sources: kexec_load(2), kexec_file_load(2) and reboot(2), ERRORS;
//! kernel_lockdown(7); Documentation/admin-guide/sysctl/kernel.rst
//! (`kexec_load_disabled`, `kexec_load_limit_*`); Documentation/ABI/testing/
//! ima_policy; and what kernels from 6.1 to 7.x were seen to answer.

use kexec_image::Arch;
use kexec_sys::{Errno, Slot};

use super::say::{
    Bytes, DMESG, cmdline_over, crash_size, half_of_ram_exceeded, inside, left, limit, limit_name,
    lockdown_mode, need, needs, scratch, signed_by, unseen, why_enforced,
};
use super::{Call, Context, Row};
use crate::host::Fact;
use crate::jump_back::WITH_JUMP;

/// Every cause that is known, in the order in which they are tried: the first
/// row of an errno that applies is the answer, and the last of each applies
/// always. The kernel's own order of checks decides the order where one errno
/// has several causes.
pub const ROWS: &[Row] = &[
    // EPERM: may this be done at all?
    Row {
        errno: Errno::EPERM,
        when: |c| c.host.security.cap_sys_boot == Fact::Known(false),
        cause: |_| "this process does not have the capability CAP_SYS_BOOT".into(),
        remedy: |_| "run it as root (sudo); in a service or container, grant CAP_SYS_BOOT".into(),
    },
    Row {
        errno: Errno::EPERM,
        when: |c| c.host.security.user_namespace.is_true(),
        cause: |_| {
            "this process is in a user namespace of its own (a container), where no capability counts for kexec".into()
        },
        remedy: |_| "run it on the host, outside the container".into(),
    },
    Row {
        errno: Errno::EPERM,
        when: |c| c.call != Call::Reboot && c.host.kexec.load_disabled.is_true(),
        cause: |_| {
            "loading was switched off for as long as this kernel runs: kernel.kexec_load_disabled is 1".into()
        },
        remedy: |_| {
            "reboot through the firmware; find who sets kernel.kexec_load_disabled: grep -r kexec_load_disabled /etc/sysctl* /usr/lib/sysctl.d. What was loaded before can still be started with kexec -e".into()
        },
    },
    Row {
        errno: Errno::EPERM,
        when: |c| c.call != Call::Reboot && limit(c) == Some(0),
        cause: |c| {
            format!(
                "no load is left for this slot: {} is 0 (unloading and failed loads count too)",
                limit_name(c.call.slot())
            )
        },
        remedy: |c| {
            format!(
                "reboot through the firmware: the limit cannot be raised again; find who sets it: grep -r {} /etc/sysctl* /usr/lib/sysctl.d",
                limit_name(c.call.slot())
            )
        },
    },
    Row {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, Call::ClassicLoad(_)) && c.host.locked_down(),
        cause: |c| {
            format!(
                "the running kernel is locked down ({}), and kexec_load(2) cannot show it a signed file",
                lockdown_mode(c.host)
            )
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c, with a signed kernel".into(),
    },
    Row {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, Call::Unload(_)) && c.host.locked_down(),
        cause: |c| {
            format!(
                "the running kernel is locked down ({}) and refuses kexec_load(2), for unloading too",
                lockdown_mode(c.host)
            )
        },
        remedy: |_| "unload with kexec_file_load(2): kexec -s -u".into(),
    },
    Row {
        errno: Errno::EPERM,
        when: |c| {
            matches!(c.call, Call::FileLoad(_)) && c.host.locked_down() && signed_by(c).is_none()
        },
        cause: |c| {
            format!(
                "the running kernel is locked down ({}) and takes signed kernels only; no signature was found in this one{}",
                lockdown_mode(c.host),
                inside(c)
            )
        },
        remedy: |_| {
            "give a kernel that is signed with a key this kernel trusts, such as the distribution's own".into()
        },
    },
    Row {
        errno: Errno::EPERM,
        when: |c| matches!(c.call, Call::FileLoad(_)) && c.host.locked_down(),
        cause: |c| {
            format!(
                "the running kernel is locked down ({}) and has no key to verify the signature ({}) with{}",
                lockdown_mode(c.host),
                signed_by(c).unwrap_or("signer unknown"),
                if c.host.security.secure_boot.is_true() {
                    ""
                } else {
                    ": the keys of the firmware and of shim are there only when Secure Boot is on"
                }
            )
        },
        remedy: |_| {
            "boot with Secure Boot on, so that the keys are there (mokutil --sb-state, keyctl show %:.platform), or without lockdown=".into()
        },
    },
    Row {
        errno: Errno::EPERM,
        when: |c| c.host.security.seccomp.is_true(),
        cause: |_| {
            "a seccomp filter is on this process and may refuse the system call (a container, or SystemCallFilter= of a service)".into()
        },
        remedy: |_| "run it outside the container, or allow @reboot in the filter".into(),
    },
    Row {
        errno: Errno::EPERM,
        when: |_| true,
        cause: |c| {
            format!(
                "not permitted, and none of the usual causes was found{}",
                unseen(c.host)
            )
        },
        remedy: |_| format!("a security module may be the cause (LoadPin, SELinux): {DMESG}"),
    },
    // EACCES: IMA and security modules.
    Row {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, Call::ClassicLoad(_) | Call::Unload(_))
                && c.host.security.secure_boot.is_true()
        },
        cause: |_| {
            "Secure Boot is on, and IMA refuses kexec_load(2), which shows it no file to verify"
                .into()
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c".into(),
    },
    Row {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, Call::ClassicLoad(_) | Call::Unload(_))
                && c.host.security.ima_appraises_kexec.is_true()
        },
        cause: |_| {
            "the IMA policy appraises kernels (func=KEXEC_KERNEL_CHECK), and kexec_load(2) shows it no file".into()
        },
        remedy: |_| "use kexec_file_load(2): -s instead of -c".into(),
    },
    Row {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, Call::FileLoad(_))
                && c.host.security.ima_appraises_kexec.is_true()
                && c.image.is_some_and(|i| !i.bare)
        },
        cause: |c| {
            format!(
                "the IMA policy wants a signature on the kernel file itself (security.ima); this kernel came out of a wrapper ({}), and memory carries none",
                c.image.map_or("", |i| &i.format)
            )
        },
        remedy: |_| {
            "give the kernel as a plain file that the running kernel takes as it is, signed with evmctl ima_sign".into()
        },
    },
    Row {
        errno: Errno::EACCES,
        when: |c| {
            matches!(c.call, Call::FileLoad(_)) && c.host.security.ima_appraises_kexec.is_true()
        },
        cause: |_| {
            "the IMA policy wants a good signature on the kernel file (security.ima), and this file has none".into()
        },
        remedy: |_| {
            "look at it with getfattr -m security.ima -d FILE; sign the file with evmctl ima_sign, or reinstall the package".into()
        },
    },
    Row {
        errno: Errno::EACCES,
        when: |c| c.host.security.selinux_enforcing.is_true(),
        cause: |_| "SELinux is enforcing and its policy refuses it".into(),
        remedy: |_| {
            "look for the denial with ausearch -m avc -ts recent; a kernel file with a wrong label is repaired by restorecon FILE".into()
        },
    },
    Row {
        errno: Errno::EACCES,
        when: |_| true,
        cause: |c| {
            let ima = c.host.security.ima_appraises_kexec.reason();
            let ima = ima.map(|reason| format!("; whether IMA has a rule is not known: {reason}"));
            format!(
                "a security module or IMA refused it{}",
                ima.unwrap_or_default()
            )
        },
        remedy: |_| {
            format!(
                "{DMESG}; look for denials in the audit log. Where kexec_load(2) was refused, -s may do"
            )
        },
    },
    // EBUSY
    Row {
        errno: Errno::EBUSY,
        when: |c| {
            c.host.arch == Some(Arch::Arm64) && c.call.is_load() && c.call.slot() == Slot::Normal
        },
        cause: |_| {
            "another kexec operation is under way, or some CPUs cannot be taken out of this kernel (firmware without PSCI, a CPU that failed to start)".into()
        },
        remedy: |_| {
            "try again; if it stays, look in dmesg for \"CPUs are stuck in the kernel\": then this machine cannot kexec, and needs a reboot or other firmware".into()
        },
    },
    Row {
        errno: Errno::EBUSY,
        when: |_| true,
        cause: |_| "another kexec operation is under way".into(),
        remedy: |_| {
            "try again in a moment; if it stays, look which program is loading (kdump service, init)".into()
        },
    },
    // EADDRNOTAVAIL: no such place.
    Row {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call == Call::FileLoad(Slot::Normal) && c.host.kexec.kho.is_true(),
        cause: |c| {
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
    Row {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call.slot() == Slot::Crash && crash_size(c.host) == Some(0),
        cause: |_| "the running kernel has reserved no memory for a crash kernel".into(),
        remedy: |_| {
            "boot once with a reservation on the kernel command line, such as crashkernel=256M"
                .into()
        },
    },
    Row {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| c.call.slot() == Slot::Crash,
        cause: |c| {
            let size = crash_size(c.host);
            let region = size.map_or_else(String::new, |size| format!(" of {}", Bytes(size)));
            format!(
                "the crash kernel and its initrd do not fit into the reserved memory{region}; the files alone need {}",
                needs(c)
            )
        },
        remedy: |_| {
            "boot once with a larger crashkernel=, or make a smaller initrd for the crash kernel"
                .into()
        },
    },
    Row {
        errno: Errno::EADDRNOTAVAIL,
        when: |c| matches!(c.call, Call::FileLoad(_)),
        cause: |c| {
            format!(
                "the kernel found no free range of memory for the next kernel and its initrd ({} and more)",
                needs(c)
            )
        },
        remedy: |_| "use a smaller initrd, or -c: kexec_load(2) may place them elsewhere".into(),
    },
    Row {
        errno: Errno::EADDRNOTAVAIL,
        when: |_| true,
        cause: |_| {
            "a segment was to go where the kernel takes none: beyond the memory it can address, or not on a page boundary".into()
        },
        remedy: |_| {
            "this is a defect: please report it with `kexec plan ... --json` and `kexec status --snapshot FILE`".into()
        },
    },
    // ENOMEM
    Row {
        errno: Errno::ENOMEM,
        when: |_| true,
        cause: |c| {
            let available = c.host.memory.available.known().copied();
            format!(
                "the kernel could not get the memory: the files are {}{}",
                needs(c),
                available.map_or_else(String::new, |a| format!(", {} were available", Bytes(a)))
            )
        },
        remedy: |_| "stop what uses much memory, or use a smaller initrd, and try again".into(),
    },
    // EINVAL: the catch-all of both calls and of reboot(2).
    Row {
        errno: Errno::EINVAL,
        when: |c| c.call == Call::Reboot && c.host.security.pid_namespace.is_true(),
        cause: |_| {
            "this process is in a PID namespace of its own (a container), where reboot(2) knows no kexec".into()
        },
        remedy: |_| "run it on the host, outside the container".into(),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| c.call == Call::Reboot && c.host.kexec.loaded == Fact::Known(false),
        cause: |_| "no kernel is loaded".into(),
        remedy: |_| "load one first: kexec -l KERNEL --initrd=INITRD --reuse-cmdline".into(),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| {
            c.call == Call::Reboot
                && (c.host.kexec.loaded == Fact::Absent
                    || c.host.built_with("CONFIG_KEXEC_CORE") == Some(false))
        },
        cause: |c| {
            format!(
                "the running kernel ({}) was built without kexec",
                c.host.release
            )
        },
        remedy: |_| "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE".into(),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| c.call == Call::Reboot,
        cause: |_| {
            "the kernel has nothing to jump into, or the jump was given up on the way".into()
        },
        remedy: |_| format!("see kexec status; {DMESG}"),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, Call::FileLoad(_)) && cmdline_over(c).is_some(),
        cause: |c| {
            let (len, max) = cmdline_over(c).unwrap_or_default();
            format!(
                "the command line of {len} bytes is too long: with what the kernel keeps free on it, {max} are left"
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
    Row {
        errno: Errno::EINVAL,
        when: |c| {
            c.image.is_some_and(|i| i.preserve_context)
                && c.host.built_with("CONFIG_KEXEC_JUMP") != Some(true)
        },
        cause: |c| {
            format!(
                "the running kernel ({}) does not know the flag that keeps it in memory to be jumped back to: that takes CONFIG_KEXEC_JUMP, which many distributions leave out",
                c.host.release
            )
        },
        remedy: |_| WITH_JUMP.into(),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| c.call.is_load() && half_of_ram_exceeded(c),
        cause: |c| {
            let total = c.host.memory.total.known().copied().unwrap_or_default();
            format!(
                "the kernel and its initrd ({}) are more than half of the machine's memory ({}), which the kernel does not allow",
                needs(c),
                Bytes(total)
            )
        },
        remedy: |_| "use a smaller initrd, or give the machine more memory".into(),
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, Call::FileLoad(_)) && c.host.arch == Some(Arch::Arm64),
        cause: |c| {
            format!(
                "the running kernel does not take this image ({}): arm64 kernels say so with EINVAL",
                c.image.map_or("unknown format", |i| &i.format)
            )
        },
        remedy: |_| {
            "give an arm64 Image of the page size of this machine, not a vmlinux; -c takes other formats".into()
        },
    },
    Row {
        errno: Errno::EINVAL,
        when: |c| matches!(c.call, Call::FileLoad(_)),
        cause: |c| {
            format!(
                "the kernel found the request invalid: in memory all parts may take half of the RAM ({}); the files are {}{}",
                c.host
                    .memory
                    .total
                    .known()
                    .map_or_else(|| "size unknown".to_owned(), |t| Bytes(t / 2).to_string()),
                needs(c),
                if c.host.release_at_least(6, 8) == Some(false) {
                    "; this kernel does not know the debug flag of -d"
                } else {
                    ""
                }
            )
        },
        remedy: |_| format!("{DMESG}; try -c, or a smaller initrd"),
    },
    Row {
        errno: Errno::EINVAL,
        when: |_| true,
        cause: |c| {
            format!(
                "the kernel found the request invalid: segments that overlap, more than half of the RAM ({}), or a flag that kernel {} does not know",
                c.host
                    .memory
                    .total
                    .known()
                    .map_or_else(|| "size unknown".to_owned(), |t| Bytes(t / 2).to_string()),
                c.host.release
            )
        },
        remedy: |_| {
            "if the initrd is not very large, this is a defect: please report it with `kexec plan ... --json` and `kexec status --snapshot FILE`".into()
        },
    },
    // ENOEXEC: not an image for this machine.
    Row {
        errno: Errno::ENOEXEC,
        when: |c| foreign(c).is_some(),
        cause: |c| {
            let (image, host) = foreign(c).unwrap_or_default();
            format!("the kernel was built for {image}, the machine is {host}")
        },
        remedy: |_| "give the kernel package of this machine's architecture".into(),
    },
    Row {
        errno: Errno::ENOEXEC,
        when: |c| {
            c.host.firmware.la57.is_true() && c.image.is_some_and(|i| i.format.ends_with("bzImage"))
        },
        cause: |_| {
            "the running kernel does not take this image; it uses 5-level paging, and an image without support for that (XLF_5LEVEL) is refused".into()
        },
        remedy: |_| {
            "boot this kernel with no5lvl first, or give a kernel built with CONFIG_X86_5LEVEL"
                .into()
        },
    },
    Row {
        errno: Errno::ENOEXEC,
        when: |_| true,
        cause: |c| {
            format!(
                "the running kernel's kexec_file_load(2) does not take this image ({})",
                c.image.map_or("unknown format", |i| &i.format)
            )
        },
        remedy: |_| {
            "give the kernel that the boot loader boots (on x86_64 a 64-bit bzImage: /boot/vmlinuz-RELEASE); -c takes other formats".into()
        },
    },
    Row {
        errno: Errno::EOPNOTSUPP,
        when: |_| true,
        cause: |c| {
            format!(
                "the running kernel ({}) cannot do this on this machine: no loader for the image, or hardware that a kexec would leave in a bad state (some TDX hosts)",
                c.host.release
            )
        },
        remedy: |_| format!("{DMESG}; try the other system call (-c or -s)"),
    },
    // The signature.
    Row {
        errno: Errno::ENODATA,
        when: |c| signed_by(c).is_some(),
        cause: |c| {
            format!(
                "the kernel found no signature where it looks for one, although there is one by {}",
                signed_by(c).unwrap_or_default()
            )
        },
        remedy: |_| {
            "reinstall the kernel; an x86 kernel carries its signature as a PE certificate (sbverify --list FILE)".into()
        },
    },
    Row {
        errno: Errno::ENODATA,
        when: |_| true,
        cause: |c| {
            format!(
                "this kernel is not signed{}, and the running one takes signed kernels only{}",
                inside(c),
                why_enforced(c.host)
            )
        },
        remedy: |_| {
            "give a signed kernel, such as the distribution's own, or sign it with a key that the machine trusts (sbsign, mokutil --import)".into()
        },
    },
    Row {
        errno: Errno::ENOKEY,
        when: |_| true,
        cause: |c| {
            format!(
                "the running kernel has no key for the signature ({}){}",
                signed_by(c).unwrap_or("signer unknown"),
                if c.host.security.secure_boot.is_true() {
                    ""
                } else {
                    ": without Secure Boot the keys of the firmware and of shim are not there"
                }
            )
        },
        remedy: |_| {
            "give a kernel of the distribution that is running, or enrol the signer's key (mokutil --import CERT, then reboot); see keyctl show %:.platform and %:.machine".into()
        },
    },
    Row {
        errno: Errno::EKEYREJECTED,
        when: |_| true,
        cause: |_| {
            "the signature is not that of these bytes, or its key or digest is on the revocation list (dbx, MokListX)".into()
        },
        remedy: |_| {
            "install the kernel again, or a newer one: a revoked kernel stays refused (mokutil --dbx)".into()
        },
    },
    Row {
        errno: Errno::EKEYREVOKED,
        when: |_| true,
        cause: |_| "the key that signed this kernel has been revoked".into(),
        remedy: |_| "install a newer kernel, signed with a valid key".into(),
    },
    Row {
        errno: Errno::EKEYEXPIRED,
        when: |_| true,
        cause: |_| "the key that signed this kernel has expired".into(),
        remedy: |_| "check the clock (date); install a newer kernel".into(),
    },
    Row {
        errno: Errno::ELIBBAD,
        when: |_| true,
        cause: |_| "the PE headers or the signature table of this kernel are damaged".into(),
        remedy: |_| "install the kernel again; look at it with sbverify --list FILE".into(),
    },
    Row {
        errno: Errno::EBADMSG,
        when: |_| true,
        cause: |_| "the signature in this kernel is damaged: it is no PKCS#7 message".into(),
        remedy: |_| "install the kernel again, or sign it again (sbsign)".into(),
    },
    Row {
        errno: Errno::EMSGSIZE,
        when: |_| true,
        cause: |_| "the signature in this kernel is longer or shorter than it says".into(),
        remedy: |_| "install the kernel again, or sign it again (sbsign)".into(),
    },
    Row {
        errno: Errno::ENOPKG,
        when: |_| true,
        cause: |c| {
            format!(
                "kernel {} was built without an algorithm that the signature ({}) uses",
                c.host.release,
                signed_by(c).unwrap_or("signer unknown")
            )
        },
        remedy: |_| "sign with RSA and SHA-256, or load the module of the algorithm".into(),
    },
    // ENOSYS: is the call there?
    Row {
        errno: Errno::ENOSYS,
        when: |c| need(c).is_some_and(|option| c.host.built_with(option) == Some(false)),
        cause: |c| {
            format!(
                "the running kernel ({}) was built without {}",
                c.host.release,
                need(c).unwrap_or_default()
            )
        },
        remedy: |c| match left(c) {
            Some(option) => format!("use the other system call, which it has: {option}"),
            None => "boot a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE".into(),
        },
    },
    Row {
        errno: Errno::ENOSYS,
        when: |c| c.host.security.seccomp.is_true(),
        cause: |_| {
            "a seccomp filter on this process hides the system call (a container, or SystemCallFilter= of a service)".into()
        },
        remedy: |_| "run it outside the container, or allow @reboot in the filter".into(),
    },
    Row {
        errno: Errno::ENOSYS,
        when: |_| true,
        cause: |c| {
            format!(
                "the running kernel ({}) has no such system call; it comes with {}",
                c.host.release,
                need(c).unwrap_or("CONFIG_KEXEC or CONFIG_KEXEC_FILE")
            )
        },
        remedy: |_| "try the other system call (-c or -s), or boot a kernel that has it".into(),
    },
    // Reading the files.
    Row {
        errno: Errno::EFBIG,
        when: |_| true,
        cause: |c| {
            let larger = c.image.map_or(0, |i| i.kernel_len.max(i.initrd_len));
            format!(
                "a file is larger than the 2 GiB that the kernel reads; the largest here is {}",
                Bytes::of(larger)
            )
        },
        remedy: |_| "use a smaller initrd, or -c, which does not have this limit".into(),
    },
    Row {
        errno: Errno::ETXTBSY,
        when: |_| true,
        cause: |_| "another program has the kernel file open for writing".into(),
        remedy: |_| "wait until it is written (a package installation?) and try again".into(),
    },
    Row {
        errno: Errno::EIO,
        when: |_| true,
        cause: |_| "the kernel could not read a file whole".into(),
        remedy: |_| format!("check the disk it is on; {DMESG}"),
    },
];

/// The architectures of image and machine, when the one does not run on the
/// other.
fn foreign(c: &Context<'_>) -> Option<(&'static str, &'static str)> {
    let (image, host) = (c.image?.arch?, c.host.arch?);
    (!image.boots_on(host)).then(|| (image.name(), host.name()))
}

/// What is said about an errno that has no row.
pub(super) fn unknown(c: &Context<'_>, errno: Errno) -> (String, String) {
    if c.call == Call::Reboot && c.host.kexec.kho.is_true() {
        return (
            format!(
                "the jump was given up, most likely because live-update state could not be saved ({errno})"
            ),
            format!(
                "{DMESG}; the sessions' owner has to finish or give up (ls -l /proc/*/fd | grep luo_session)"
            ),
        );
    }
    (
        format!("the kernel gave a reason that is not known for this call: {errno}"),
        DMESG.to_owned(),
    )
}
