//! The real kernel, as far as it can be asked without changing the machine.

use std::os::fd::AsFd;

use kexec_sys::{Errno, FileFlags, Kernel, Linux, LoadFlags, SealedFile, Segment};

#[test]
fn interfaces_of_this_machine_are_named() {
    // A sandbox may have no interface at all, or no netlink; then the error has
    // a name.
    match Linux.interfaces() {
        Ok(names) => {
            for name in &names {
                assert!(!name.is_empty() && name.len() < 16, "{name:?}");
            }
        }
        Err(errno) => assert!(errno.name().is_some(), "{errno}"),
    }
}

#[test]
fn an_interface_that_does_not_exist_is_enodev() {
    let error = Linux.set_interface("nosuchif0", false).unwrap_err();
    // (EAFNOSUPPORT: a sandbox without netlink.)
    assert!(
        [Errno::ENODEV, Errno::EAFNOSUPPORT].contains(&error),
        "{error}"
    );
    assert_eq!(
        Linux.set_interface("a-name-that-is-far-too-long", false),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_loopback_that_is_up_is_left_alone_when_asked_up() {
    let Ok(names) = Linux.interfaces() else {
        return;
    };
    if !names.iter().any(|name| name == "lo") {
        return;
    }
    // Only a no-op is asked for: what is down stays down.
    let up = std::fs::read_to_string("/sys/class/net/lo/flags")
        .ok()
        .and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok())
        .is_some_and(|flags| flags & 1 == 1);
    if up {
        assert_eq!(Linux.set_interface("lo", true), Ok(true));
    }
}

/// No file is a kernel here, so that whatever the rights and the kernel, nothing
/// can be loaded; the errors are those of kexec_load(2).
#[test]
fn what_is_no_kernel_is_refused_with_an_errno() {
    let empty = SealedFile::from_bytes(b"", "empty").unwrap();
    let text = SealedFile::from_bytes(&[b'x'; 4096], "text").unwrap();
    for file in [&empty, &text] {
        let error = Linux
            .file_load(file.as_fd(), None, c"quiet", FileFlags::EMPTY)
            .unwrap_err();
        assert!(
            [
                Errno::EPERM,
                Errno::ENOSYS,
                Errno::EINVAL,
                Errno::ENOEXEC,
                Errno::EBUSY
            ]
            .contains(&error),
            "{error}"
        );
    }
    // A flag that no kernel has.
    let error = Linux
        .file_load(text.as_fd(), None, c"", FileFlags::from_bits(0x4000_0000))
        .unwrap_err();
    assert!(
        [Errno::EPERM, Errno::ENOSYS, Errno::EINVAL].contains(&error),
        "{error}"
    );
}

#[test]
fn a_segment_off_the_page_is_refused_and_none_at_all_is_no_unload() {
    let error = Linux
        .load(
            0x10_0000,
            &[Segment {
                bytes: b"x",
                mem: 0x10_0001,
                memsz: 1,
            }],
            LoadFlags::EMPTY,
        )
        .unwrap_err();
    assert!(
        [
            Errno::EPERM,
            Errno::ENOSYS,
            Errno::EADDRNOTAVAIL,
            Errno::EACCES,
            Errno::EBUSY
        ]
        .contains(&error),
        "{error}"
    );
    assert_eq!(Linux.load(0, &[], LoadFlags::EMPTY), Err(Errno::EINVAL));
}
