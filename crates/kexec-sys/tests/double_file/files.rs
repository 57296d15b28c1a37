//! What was read from the files, and which files and images the kernel takes.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;

use kexec_sys::double::{Arch, Call, Double, Machine};
use kexec_sys::{Errno, FileFlags, Kernel};

use super::{MIB, attempt, bzimage, loaded, machine, sealed};

fn arm64_image(image_size: u64) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x10..0x18].copy_from_slice(&image_size.to_le_bytes());
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
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
