//! The command line of a crash kernel whose initrd is that of a service.

use kexec_image::cpio;
use kexec_reboot::steps::Selection;

use super::*;
use crate::request::CrashRequest;

/// A machine with Debian's kdump-tools, whose configuration has these lines.
fn debian(config: &str) -> Fixture {
    let fixture = Fixture::new();
    let root = fixture.root.path();
    put(root, "sys/kernel/kexec_crash_size", "268435456\n");
    let region = 0x2000_0000..0x3000_0000;
    fixture.kernel.change(|m| m.crash_region = Some(region));
    // What the builder of test images says that it is.
    put(root, "proc/sys/kernel/osrelease", "6.12.0-test\n");
    let image = fs::read(fixture.path("one")).unwrap();
    put(root, "boot/vmlinuz-6.12.0-test", image);
    put(
        root,
        "proc/cmdline",
        "root=/dev/vda1 quiet crashkernel=256M\n",
    );
    let init = cpio::File {
        path: "init".into(),
        mode: 0o755,
        content: Default::default(),
    };
    let initrd = cpio::archive(&[init]).unwrap();
    put(root, "var/lib/kdump/initrd.img-6.12.0-test", initrd);
    put(root, "usr/lib/systemd/system/kdump-tools-dump.service", "");
    put(root, "etc/default/kdump-tools", config);
    fixture
}

/// The line that is loaded.
fn line(fixture: &Fixture, append: Option<&str>) -> String {
    let mut selection = Selection::new(LoadRequest {
        slot: Slot::Crash,
        syscall: SyscallChoice::File,
        ..LoadRequest::new("")
    });
    selection.load.cmdline.append = append.map(Cmdline::from);
    let request = CrashRequest::Load {
        selection,
        dry_run: false,
        json: false,
        by_unit: false,
    };
    let code = crash::verb(&fixture.world(), &request);
    assert_eq!(code, exit::DONE);
    let image = fixture.kernel.crash().unwrap();
    String::from_utf8(image.cmdline().unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn what_kdump_tools_sets_is_used_with_its_initrd() {
    let plain = line(&debian("USE_KDUMP=1\n"), None);
    assert!(
        plain.starts_with("root=/dev/vda1 nr_cpus=1 ")
            && plain.ends_with(" systemd.unit=kdump-tools-dump.service"),
        "{plain}"
    );
    let config = "KDUMP_CMDLINE_APPEND=\"reset_devices nr_cpus=4 usbcore.nousb panic=1\"\n";
    let set = line(&debian(config), Some("panic=60"));
    for word in ["nr_cpus=4", "usbcore.nousb", "panic=60", "reset_devices"] {
        assert_eq!(set.split(' ').filter(|w| *w == word).count(), 1, "{set}");
    }
    for word in ["nr_cpus=1", "panic=1", "panic=10", "quiet"] {
        assert!(!set.split(' ').any(|w| w == word), "{set}");
    }
    let base = line(&debian("KDUMP_CMDLINE='root=/dev/vdb1 ro quiet'\n"), None);
    assert!(base.starts_with("root=/dev/vdb1 ro nr_cpus=1 "), "{base}");
    // Only a shell knows it.
    let shell = line(&debian("KDUMP_CMDLINE_APPEND=\"$OTHER nr_cpus=4\"\n"), None);
    assert_eq!(shell, plain);
}
