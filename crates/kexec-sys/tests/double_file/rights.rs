//! Who may load, whose signatures count, and what a crash load and an unload leave.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;

use kexec_sys::double::{Call, Double, Ima, Lockdown, Machine, Signatures, Signer, Verdict};
use kexec_sys::{Errno, FileFlags, Kernel, Slot};

use super::{MIB, attempt, bzimage, loaded, machine, sealed};

#[test]
fn who_may_load_and_in_which_order_it_is_asked() {
    type Row = (&'static str, fn(&mut Machine), FileFlags, Option<Errno>);
    let none = FileFlags::EMPTY;
    let bad = FileFlags::from_bits(0x40);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("root", |_| (), none, None),
        ("not built in", |m| m.has_file_load = false, none, Some(Errno::ENOSYS)),
        ("the other call is not built in", |m| m.has_load = false, none, None),
        ("no CAP_SYS_BOOT", |m| m.cap_sys_boot = false, none, Some(Errno::EPERM)),
        ("kexec_load_disabled", |m| m.load_disabled = true, none, Some(Errno::EPERM)),
        ("limit used up", |m| m.limit_reboot = Some(0), none, Some(Errno::EPERM)),
        ("limit not used up", |m| m.limit_reboot = Some(1), none, None),
        ("an unknown flag", |_| (), bad, Some(Errno::EINVAL)),
        ("rights come before flags", |m| m.cap_sys_boot = false, bad, Some(Errno::EPERM)),
        ("debug in 6.8", |m| m.release = (6, 8), FileFlags::DEBUG, None),
        ("debug in 6.7", |m| m.release = (6, 7), FileFlags::DEBUG, Some(Errno::EINVAL)),
        ("no CMA in 6.17", |m| m.release = (6, 17), FileFlags::NO_CMA, None),
        ("no CMA in 6.16", |m| m.release = (6, 16), FileFlags::NO_CMA, Some(Errno::EINVAL)),
        ("device tree in 6.18", |m| m.release = (6, 18), FileFlags::FORCE_DTB, None),
        ("device tree in 6.17", |m| m.release = (6, 17), FileFlags::FORCE_DTB, Some(Errno::EINVAL)),
        ("busy", |m| m.busy = true, none, Some(Errno::EBUSY)),
        ("stuck CPUs", |m| m.cpus_stuck = true, none, Some(Errno::EBUSY)),
        ("SELinux", |m| m.file_denied = Some(Errno::EACCES), none, Some(Errno::EACCES)),
        ("SELinux about the other call", |m| m.load_denied = Some(Errno::EACCES), none, None),
        ("memory short", |m| m.free_pages = 100, none, Some(Errno::ENOMEM)),
        ("little RAM", |m| m.ram_pages = 4000, none, Some(Errno::EINVAL)),
        ("no hole", |m| m.ram = vec![MIB..8 * MIB], none, Some(Errno::EADDRNOTAVAIL)),
        ("only low memory", |m| m.ram = vec![0..MIB], none, Some(Errno::EADDRNOTAVAIL)),
        ("a hole that just fits", |m| m.ram = vec![MIB..9 * MIB], none, None),
        ("KHO scratch too small", |m| m.kho_scratch = Some(8 * MIB - 1), none, Some(Errno::EADDRNOTAVAIL)),
        ("KHO scratch large enough", |m| m.kho_scratch = Some(8 * MIB), none, None),
    ];
    for (what, change, flags, expected) in rows {
        let found = attempt(change, &bzimage(8 << 20), None, "quiet", *flags);
        assert_eq!(found, *expected, "{what}");
    }
    // The initrd needs room beside the kernel.
    let initrd = vec![1; 1 << 20];
    let kho = |m: &mut Machine| m.kho_scratch = Some(8 * MIB);
    assert_eq!(
        attempt(kho, &bzimage(8 << 20), Some(&initrd), "", none),
        Some(Errno::EADDRNOTAVAIL)
    );
    let kho = |m: &mut Machine| m.kho_scratch = Some(9 * MIB);
    assert_eq!(
        attempt(kho, &bzimage(8 << 20), Some(&initrd), "", none),
        None
    );
}

#[test]
fn signatures() {
    use Signatures::{Checked, Enforced, NotBuilt};
    use Verdict::{Malformed, NoAlgorithm, Rejected, Trusted, UnknownKey, Unsigned};
    let off = Lockdown::None;
    let on = Lockdown::Integrity;
    let reasons = [
        (Unsigned, Errno::ENODATA),
        (UnknownKey, Errno::ENOKEY),
        (Rejected, Errno::EKEYREJECTED),
        (Malformed, Errno::ELIBBAD),
        (NoAlgorithm, Errno::ENOPKG),
    ];
    let found = |signatures, lockdown, verdict| {
        let change = |m: &mut Machine| {
            m.signatures = signatures;
            m.lockdown = lockdown;
            m.signer = Signer::Always(verdict);
        };
        attempt(change, &bzimage(8 << 20), None, "", FileFlags::EMPTY)
    };
    for (verdict, reason) in reasons {
        assert_eq!(found(NotBuilt, off, verdict), None);
        assert_eq!(
            found(NotBuilt, on, verdict),
            None,
            "lockdown asks those who can check"
        );
        assert_eq!(
            found(Checked, off, verdict),
            None,
            "looked at, and let through"
        );
        assert_eq!(
            found(Checked, on, verdict),
            Some(Errno::EPERM),
            "the reason is lost"
        );
        assert_eq!(found(Enforced, off, verdict), Some(reason));
        assert_eq!(found(Enforced, on, verdict), Some(reason));
    }
    for (signatures, lockdown) in [(Checked, on), (Enforced, off), (Enforced, on)] {
        assert_eq!(found(signatures, lockdown, Trusted), None);
    }
    // The format is looked at first.
    let enforced = |m: &mut Machine| m.signatures = Enforced;
    assert_eq!(
        attempt(enforced, b"text", None, "", FileFlags::EMPTY),
        Some(Errno::ENOEXEC)
    );
}

#[test]
fn a_test_can_judge_by_the_bytes() {
    let change = |m: &mut Machine| {
        m.signatures = Signatures::Enforced;
        m.signer = Signer::By(Arc::new(|image| {
            if image.ends_with(b"signed") {
                Verdict::Trusted
            } else {
                Verdict::Rejected
            }
        }));
        assert_eq!(format!("{:?}", m.signer), "By(..)");
    };
    let mut image = bzimage(8 << 20);
    assert_eq!(
        attempt(change, &image, None, "", FileFlags::EMPTY),
        Some(Errno::EKEYREJECTED)
    );
    image.extend(b"signed");
    assert_eq!(attempt(change, &image, None, "", FileFlags::EMPTY), None);
}

#[test]
fn ima_wants_the_file_itself() {
    let image = bzimage(8 << 20);
    let mut disk = tempfile::NamedTempFile::new().unwrap();
    disk.write_all(&image).unwrap();
    let disk = File::open(disk.path()).unwrap();
    let load = |ima, lockdown, memory: bool| {
        let kernel = Double::new(Machine {
            ima,
            lockdown,
            signatures: Signatures::Checked,
            ..Machine::default()
        });
        let copy = sealed(&image);
        let fd = if memory { copy.as_fd() } else { disk.as_fd() };
        kernel.file_load(fd, None, c"", FileFlags::EMPTY)
    };
    let good = Ima::Appraise { files_pass: true };
    let bad = Ima::Appraise { files_pass: false };
    assert_eq!(load(good, Lockdown::None, true), Err(Errno::EACCES));
    assert_eq!(load(good, Lockdown::None, false), Ok(()));
    assert_eq!(load(bad, Lockdown::None, false), Err(Errno::EACCES));
    assert_eq!(load(Ima::Idle, Lockdown::None, true), Ok(()));
    // Under lockdown an appraisal stands for a signature.
    assert_eq!(load(good, Lockdown::Integrity, false), Ok(()));
    assert_eq!(
        load(Ima::Idle, Lockdown::Integrity, false),
        Err(Errno::EPERM)
    );
}

#[test]
fn a_crash_load_drops_the_old_image_before_it_reads_the_new_one() {
    type Row = (&'static str, fn(&mut Machine), &'static [u8], Errno, bool);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("not a kernel", |_| (), b"text", Errno::ENOEXEC, false),
        ("empty", |_| (), b"", Errno::EINVAL, false),
        ("no region", |m| m.crash_region = None, b"", Errno::EINVAL, false),
        ("no right", |m| m.cap_sys_boot = false, b"text", Errno::EPERM, true),
        ("limit", |m| m.limit_panic = Some(0), b"text", Errno::EPERM, true),
        ("busy", |m| m.busy = true, b"text", Errno::EBUSY, true),
    ];
    for (what, change, image, errno, kept) in rows {
        let kernel = loaded(machine());
        kernel.change(change);
        let found = kernel.file_load(sealed(image).as_fd(), None, c"", FileFlags::ON_CRASH);
        assert_eq!(found, Err(*errno), "{what}");
        assert_eq!(kernel.crash().is_some(), *kept, "{what}");
        assert!(kernel.normal().is_some(), "{what}");
    }
    // The region has 64 MiB.
    let crash = FileFlags::ON_CRASH;
    assert_eq!(attempt(|_| (), &bzimage(64 << 20), None, "", crash), None);
    assert_eq!(
        attempt(|_| (), &bzimage((64 << 20) + 1), None, "", crash),
        Some(Errno::EADDRNOTAVAIL)
    );
    let none = |m: &mut Machine| m.crash_region = None;
    assert_eq!(
        attempt(none, &bzimage(8 << 20), None, "", crash),
        Some(Errno::EADDRNOTAVAIL)
    );
}

#[test]
fn unloading_with_the_file_syscall() {
    let kernel = loaded(machine());
    assert_eq!(kernel.file_unload(Slot::Crash), Ok(()));
    assert!(kernel.crash().is_none() && kernel.normal().is_some());
    kernel.change(|m| m.has_file_load = false);
    assert_eq!(kernel.file_unload(Slot::Normal), Err(Errno::ENOSYS));
    assert!(kernel.normal().is_some());
    assert_eq!(
        kernel.calls()[2..],
        [
            Call::FileUnload {
                slot: Slot::Crash,
                result: Ok(())
            },
            Call::FileUnload {
                slot: Slot::Normal,
                result: Err(Errno::ENOSYS)
            },
        ]
    );
}
