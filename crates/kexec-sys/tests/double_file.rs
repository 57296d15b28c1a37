//! The double, asked with kexec_file_load(2): real descriptors, one table row
//! per rule of the kernel.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests too"
)]
#![allow(
    clippy::single_range_in_vec_init,
    reason = "a machine with one range of RAM is meant"
)]

use std::ffi::CString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use kexec_sys::double::{Arch, Call, Double, Ima, Lockdown, Machine, Signatures, Signer, Verdict};
use kexec_sys::{Errno, FileFlags, Kernel, SealedFile, Slot};

const MIB: u64 = 1 << 20;

/// The least that the x86 loader takes for a kernel: a header, and a payload of
/// a page that wants `init_size` bytes of memory.
fn bzimage(init_size: u32) -> Vec<u8> {
    let mut image = vec![0; 1024 + 4096];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1fe, &0xaa55_u16.to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x236, &0x7f_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x260, &init_size.to_le_bytes());
    image
}

fn arm64_image(image_size: u64) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x10..0x18].copy_from_slice(&image_size.to_le_bytes());
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
}

fn sealed(bytes: &[u8]) -> SealedFile {
    SealedFile::from_bytes(bytes, "test").unwrap()
}

fn machine() -> Machine {
    Machine {
        crash_region: Some(448 * MIB..512 * MIB),
        ..Machine::default()
    }
}

fn loaded(machine: Machine) -> Double {
    let kernel = Double::new(machine);
    let image = sealed(&bzimage(8 << 20));
    for flags in [FileFlags::EMPTY, FileFlags::ON_CRASH] {
        kernel
            .file_load(image.as_fd(), None, c"first", flags)
            .unwrap();
    }
    kernel
}

/// Loads `image` over an older one; the errno, if any, after checking that the
/// older image was kept or not as the kernel has it.
fn attempt(
    change: impl FnOnce(&mut Machine),
    image: &[u8],
    initrd: Option<&[u8]>,
    cmdline: &str,
    flags: FileFlags,
) -> Option<Errno> {
    let kernel = loaded(machine());
    kernel.change(change);
    let initrd = initrd.map(sealed);
    let cmdline = CString::new(cmdline).unwrap();
    let error = kernel
        .file_load(
            sealed(image).as_fd(),
            initrd.as_ref().map(AsFd::as_fd),
            &cmdline,
            flags,
        )
        .err();
    let first = |slot| {
        let image = kernel.loaded(slot);
        image.map(|image| image.cmdline() == Some(c"first"))
    };
    if flags.contains(FileFlags::ON_CRASH) {
        assert_eq!(
            first(Slot::Normal),
            Some(true),
            "the other slot was touched"
        );
    } else {
        assert_eq!(first(Slot::Crash), Some(true), "the other slot was touched");
        assert_eq!(first(Slot::Normal), Some(error.is_some()));
    }
    error
}

#[test]
fn what_was_read_is_what_the_files_hold_from_their_first_byte() {
    let kernel = Double::default();
    let image = bzimage(8 << 20);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&image).unwrap();
    let mut file = File::open(file.path()).unwrap();
    file.seek(SeekFrom::Start(100)).unwrap();
    let initrd = sealed(b"070701");
    kernel
        .file_load(
            file.as_fd(),
            Some(initrd.as_fd()),
            c"root=/dev/vda1",
            FileFlags::EMPTY,
        )
        .unwrap();
    let loaded = kernel.normal().unwrap();
    assert!(loaded.kernel() == Some(&image[..]));
    assert_eq!(loaded.initrd(), Some(&b"070701"[..]));
    assert_eq!(loaded.cmdline(), Some(c"root=/dev/vda1"));
    assert!(loaded.segments().is_empty());
    assert_eq!(
        format!("{loaded:?}"),
        "Files { kernel_bytes: 5120, kernel_in_memory: false, initrd_bytes: Some(6), \
         cmdline: \"root=/dev/vda1\", flags: 0 }"
    );
    assert_eq!(
        kernel.calls(),
        [Call::FileLoad {
            kernel_in_memory: false,
            initrd: true,
            cmdline: c"root=/dev/vda1".to_owned(),
            flags: FileFlags::EMPTY,
            result: Ok(()),
        }]
    );
}

#[test]
fn a_load_without_initrd_says_so_to_the_kernel() {
    let kernel = loaded(machine());
    assert!(matches!(
        kernel.calls()[..],
        [
            Call::FileLoad {
                flags: FileFlags::NO_INITRAMFS,
                initrd: false,
                kernel_in_memory: true,
                ..
            },
            Call::FileLoad { .. }
        ]
    ));
    let calls = kernel.calls();
    let Some(Call::FileLoad { flags, .. }) = calls.last() else {
        panic!("{calls:?}");
    };
    assert_eq!(*flags, FileFlags::NO_INITRAMFS | FileFlags::ON_CRASH);
}

#[test]
fn files_that_the_kernel_does_not_read() {
    let kernel = Double::default();
    let good = sealed(&bzimage(8 << 20));
    let load = |file: &dyn AsFd| kernel.file_load(file.as_fd(), None, c"", FileFlags::EMPTY);
    assert_eq!(load(&sealed(b"")), Err(Errno::EINVAL), "empty");
    assert_eq!(
        load(&File::open("/").unwrap()),
        Err(Errno::EINVAL),
        "a directory"
    );
    assert_eq!(
        load(&File::open("/dev/zero").unwrap()),
        Err(Errno::EINVAL),
        "a device"
    );
    assert_eq!(
        load(&std::io::pipe().unwrap().0),
        Err(Errno::EINVAL),
        "a pipe"
    );

    let mut disk = tempfile::NamedTempFile::new().unwrap();
    disk.write_all(&bzimage(8 << 20)).unwrap();
    let write_only = File::options().write(true).open(disk.path()).unwrap();
    assert_eq!(load(&write_only), Err(Errno::EBADF), "not readable");
    assert_eq!(load(&disk), Err(Errno::ETXTBSY), "open for writing");
    assert_eq!(
        load(&good),
        Ok(()),
        "a memory file, though it is open for both"
    );
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(1 << 31).unwrap();
    let large = File::open(large.path()).unwrap();
    assert_eq!(load(&large), Err(Errno::EFBIG), "2 GiB (of a hole)");

    let initrd =
        |file: &dyn AsFd| kernel.file_load(good.as_fd(), Some(file.as_fd()), c"", FileFlags::EMPTY);
    assert_eq!(initrd(&sealed(b"")), Err(Errno::EINVAL), "an empty initrd");
    assert_eq!(initrd(&write_only), Err(Errno::EBADF));
}

#[test]
fn images_that_the_x86_loader_does_not_take() {
    type Row = (&'static str, fn(&mut Vec<u8>), Option<Errno>);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("good", |_| (), None),
        ("setup_sects 0 means 4", |i| { i[0x1f1] = 0; }, None),
        ("no HdrS", |i| i[0x202] = b'h', Some(Errno::ENOEXEC)),
        ("no boot flag", |i| i[0x1fe] = 0, Some(Errno::ENOEXEC)),
        ("protocol 2.11", |i| i[0x206] = 0x0b, Some(Errno::ENOEXEC)),
        ("protocol 2.12", |i| i[0x206] = 0x0c, None),
        ("a zImage", |i| i[0x211] = 0, Some(Errno::ENOEXEC)),
        ("a 32-bit kernel", |i| i[0x236] = 0x7e, Some(Errno::ENOEXEC)),
        ("only below 4 GiB", |i| i[0x236] = 0x7d, Some(Errno::ENOEXEC)),
        ("without five levels", |i| i[0x236] = 0x03, None),
        ("text", |i| i.fill(b'x'), Some(Errno::ENOEXEC)),
        ("1023 bytes", |i| i.truncate(1023), Some(Errno::ENOEXEC)),
        ("cut in the setup", |i| { i[0x1f1] = 20; }, Some(Errno::ENOEXEC)),
        // The kernel's loader does not notice that the payload is cut short.
        ("cut in the payload", |i| i.truncate(1025), None),
        ("two bytes", |i| i.truncate(2), Some(Errno::ENOEXEC)),
        ("a payload larger than init_size", |i| i[0x260..0x264].fill(0), Some(Errno::EINVAL)),
    ];
    for (what, change, expected) in rows {
        let mut image = bzimage(8 << 20);
        change(&mut image);
        let found = attempt(|_| (), &image, None, "", FileFlags::EMPTY);
        assert_eq!(found, *expected, "{what}");
    }
    let mut old = bzimage(8 << 20);
    old[0x236] = 0x03;
    let found = attempt(|m| m.five_level = true, &old, None, "", FileFlags::EMPTY);
    assert_eq!(
        found,
        Some(Errno::ENOEXEC),
        "five levels on, a kernel that does not know them"
    );
}

#[test]
fn arm64_says_einval_where_x86_says_enoexec() {
    let arm = |m: &mut Machine| m.arch = Arch::Aarch64;
    let image = arm64_image(MIB);
    assert_eq!(attempt(arm, &image, None, "", FileFlags::EMPTY), None);
    let none = arm64_image(0);
    assert_eq!(
        attempt(arm, &none, None, "", FileFlags::EMPTY),
        Some(Errno::EINVAL)
    );
    let x86 = bzimage(8 << 20);
    assert_eq!(
        attempt(arm, &x86, None, "", FileFlags::EMPTY),
        Some(Errno::EINVAL)
    );
    assert_eq!(
        attempt(|_| (), &image, None, "", FileFlags::EMPTY),
        Some(Errno::ENOEXEC)
    );
    for huge in [u64::MAX, u64::MAX - 4095, 1 << 63] {
        let huge = arm64_image(huge);
        assert_eq!(
            attempt(arm, &huge, None, "", FileFlags::EMPTY),
            Some(Errno::EADDRNOTAVAIL)
        );
    }
    // Its loader has no limit for the command line.
    let long = "x".repeat(5000);
    assert_eq!(attempt(arm, &image, None, &long, FileFlags::EMPTY), None);
}

#[test]
fn the_command_line_fits_the_next_kernels_own_limit() {
    let image = bzimage(8 << 20);
    let load = |length: usize, reserve: usize| {
        attempt(
            |m| m.cmdline_reserve = reserve,
            &image,
            None,
            &"x".repeat(length),
            FileFlags::EMPTY,
        )
    };
    // cmdline_size is 2047 here; the NUL counts.
    assert_eq!(load(2046, 0), None);
    assert_eq!(load(2047, 0), Some(Errno::EINVAL));
    assert_eq!(load(2016, 30), None);
    assert_eq!(load(2017, 30), Some(Errno::EINVAL));
    assert_eq!(load(0, 30), None);
}

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
