//! The double: leaving the machine, its interfaces, and the files that show its
//! state.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use kexec_sys::double::{Call, Double, Interface, JUMPED, Lockdown, Machine};
use kexec_sys::{Errno, Kernel, LoadFlags, Segment, Slot};

const SEGMENT: Segment<'static> = Segment {
    bytes: b"code",
    mem: 0x10_0000,
    memsz: 0x1000,
};

fn load(kernel: &dyn Kernel) {
    kernel
        .load(SEGMENT.mem, &[SEGMENT], LoadFlags::EMPTY)
        .unwrap();
}

#[test]
fn the_order_of_a_departure_is_recorded() {
    let kernel = Double::default();
    load(&kernel);
    kernel.sync();
    for name in kernel.interfaces().unwrap() {
        if name != "lo" {
            assert_eq!(kernel.set_interface(&name, false), Ok(true));
        }
    }
    assert_eq!(kernel.reboot_kexec(), Err(JUMPED));
    assert!(Arc::ptr_eq(
        &kernel.jumped().unwrap(),
        &kernel.normal().unwrap()
    ));
    assert_eq!(
        kernel.calls()[1..],
        [
            Call::Sync,
            Call::Interfaces,
            Call::SetInterface {
                name: "eth0".to_owned(),
                up: false,
                result: Ok(true),
            },
            Call::Reboot { result: Ok(()) },
        ]
    );
}

#[test]
fn no_errno_of_a_kernel_is_the_mark_of_a_jump() {
    assert_eq!(JUMPED.name(), None);
    assert!(JUMPED.raw() > 4095);
}

#[test]
fn why_a_jump_does_not_happen() {
    type Row = (&'static str, fn(&mut Machine), bool, Errno);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("nothing loaded", |_| (), false, Errno::EINVAL),
        ("no CAP_SYS_BOOT", |m| m.cap_sys_boot = false, true, Errno::EPERM),
        ("no CAP_SYS_BOOT comes first", |m| m.cap_sys_boot = false, false, Errno::EPERM),
        ("busy", |m| m.busy = true, true, Errno::EBUSY),
        ("the kernel cannot leave", |m| m.reboot_fails = Some(Errno::EIO), true, Errno::EIO),
    ];
    for (what, change, loaded, errno) in rows {
        let kernel = Double::default();
        if *loaded {
            load(&kernel);
        }
        kernel.change(change);
        assert_eq!(kernel.reboot_kexec(), Err(*errno), "{what}");
        assert!(kernel.jumped().is_none(), "{what}");
        assert_eq!(
            kernel.normal().is_some(),
            *loaded,
            "{what}: it stays loaded"
        );
        assert_eq!(
            kernel.calls().last(),
            Some(&Call::Reboot {
                result: Err(*errno)
            })
        );
    }
    // The sysctl stops loading, not jumping.
    let kernel = Double::default();
    load(&kernel);
    kernel.change(|m| m.load_disabled = true);
    assert_eq!(kernel.reboot_kexec(), Err(JUMPED));
}

/// KEXEC_PRESERVE_CONTEXT: the call returns when the other kernel jumps back.
#[test]
fn a_jump_that_preserves_the_context_comes_back() {
    let kernel = Double::default();
    let flags = LoadFlags::PRESERVE_CONTEXT;
    kernel.load(SEGMENT.mem, &[SEGMENT], flags).unwrap();
    assert_eq!(kernel.reboot_kexec(), Ok(()));
    assert!(kernel.jumped().is_some());
    let old = Double::default();
    old.change(|m| m.has_jump = false);
    let refused = old.load(SEGMENT.mem, &[SEGMENT], flags);
    assert_eq!(refused, Err(Errno::EINVAL));
}

#[test]
fn a_crash_image_is_not_what_reboot_jumps_into() {
    let kernel = Double::new(Machine {
        crash_region: Some(0x10_0000..0x20_0000),
        ..Machine::default()
    });
    kernel
        .load(SEGMENT.mem, &[SEGMENT], LoadFlags::ON_CRASH)
        .unwrap();
    assert_eq!(kernel.reboot_kexec(), Err(Errno::EINVAL));
}

#[test]
fn interfaces_do_as_they_are_told_or_say_why_not() {
    let kernel = Double::new(Machine {
        interfaces: vec![
            Interface::up("eth0"),
            Interface {
                refuses: Some(Errno::EBUSY),
                ..Interface::up("wg0")
            },
        ],
        ..Machine::default()
    });
    assert_eq!(
        kernel.interfaces(),
        Ok(vec!["eth0".to_owned(), "wg0".to_owned()])
    );
    assert_eq!(kernel.set_interface("eth0", false), Ok(true));
    assert_eq!(kernel.set_interface("eth0", false), Ok(false));
    assert!(!kernel.machine().interfaces[0].up);
    assert_eq!(kernel.set_interface("eth0", true), Ok(false));
    assert_eq!(kernel.set_interface("wg0", false), Err(Errno::EBUSY));
    assert_eq!(
        kernel.set_interface("wg0", true),
        Ok(true),
        "nothing to change"
    );
    assert_eq!(kernel.set_interface("eth1", false), Err(Errno::ENODEV));
    kernel.change(|m| m.cap_net_admin = false);
    assert_eq!(kernel.set_interface("eth0", false), Err(Errno::EPERM));
    assert_eq!(
        kernel.set_interface("eth0", true),
        Ok(true),
        "nothing to change"
    );
}

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn the_files_below_a_root_follow_every_call() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let kernel = Double::new(Machine {
        limit_reboot: Some(3),
        ..Machine::default()
    })
    .with_sysfs(root)
    .unwrap();
    let loaded = || text(root, "sys/kernel/kexec_loaded");
    let limit = || text(root, "proc/sys/kernel/kexec_load_limit_reboot");
    assert_eq!((loaded().as_str(), limit().as_str()), ("0\n", "3\n"));
    load(&kernel);
    assert_eq!((loaded().as_str(), limit().as_str()), ("1\n", "2\n"));
    kernel.unload(Slot::Normal).unwrap();
    assert_eq!((loaded().as_str(), limit().as_str()), ("0\n", "1\n"));
    assert_eq!(text(root, "sys/kernel/kexec_crash_loaded"), "0\n");
    assert_eq!(text(root, "proc/sys/kernel/kexec_load_limit_panic"), "-1\n");
    assert_eq!(text(root, "proc/sys/kernel/kexec_load_disabled"), "0\n");

    kernel.change(|m| {
        m.load_disabled = true;
        m.lockdown = Lockdown::Integrity;
        m.crash_region = Some(0x10_0000..0x20_0000);
    });
    assert_eq!(text(root, "proc/sys/kernel/kexec_load_disabled"), "1\n");
    assert_eq!(
        text(root, "sys/kernel/security/lockdown"),
        "none [integrity] confidentiality\n"
    );
    kernel.change(|m| {
        m.load_disabled = false;
        m.lockdown = Lockdown::None;
    });
    kernel
        .load(SEGMENT.mem, &[SEGMENT], LoadFlags::ON_CRASH)
        .unwrap();
    assert_eq!(text(root, "sys/kernel/kexec_crash_loaded"), "1\n");
}

#[test]
fn a_kernel_without_kexec_has_no_such_files() {
    let root = tempfile::tempdir().unwrap();
    let without = Machine {
        has_load: false,
        has_file_load: false,
        ..Machine::default()
    };
    let _kernel = Double::new(without).with_sysfs(root.path()).unwrap();
    assert!(!root.path().join("sys/kernel/kexec_loaded").exists());

    let root = tempfile::tempdir().unwrap();
    let old = Machine {
        release: (6, 1),
        ..Machine::default()
    };
    let _kernel = Double::new(old).with_sysfs(root.path()).unwrap();
    let limit = "proc/sys/kernel/kexec_load_limit_reboot";
    assert!(!root.path().join(limit).exists(), "new in 6.3");
}

#[test]
fn a_root_that_cannot_be_written_is_an_error_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Double::default().with_sysfs(file.path()).is_err());
}

#[test]
fn it_can_be_shared_by_threads_and_lent() {
    let kernel = Arc::new(Double::default());
    let other = Arc::clone(&kernel);
    thread::spawn(move || load(&*other)).join().unwrap();
    load(&&*kernel);
    assert_eq!(kernel.calls().len(), 2);
}
