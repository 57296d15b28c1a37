//! Loading ahead where every second reboot goes through the firmware.

use kexec_reboot::record::Outcome;
use kexec_reboot::steps::kexecs_since_cold;

use super::*;

impl Fixture {
    /// The next boot, in whose slot nothing is; `line` is what it was started with.
    fn boots(&mut self, id: &str, line: &str) {
        let at = self.root.path();
        put(at, "proc/sys/kernel/random/boot_id", id);
        put(at, "proc/cmdline", line);
        fs::remove_dir_all(at.join("run/kexec")).unwrap();
        self.kernel = Double::new(Machine::default()).with_sysfs(at).unwrap();
    }

    fn kexecs(&self) -> Option<u64> {
        let on = Mortal::new(&self.kernel, Fault::Killed, usize::MAX);
        kexecs_since_cold(&World {
            kernel: &self.kernel,
            root: self.root.path(),
            automounts: Automounts::Leave,
            files: &on,
            onlooker: &Terminal,
        })
    }
}

#[test]
fn the_second_reboot_goes_through_the_firmware_and_the_third_does_not() {
    let mut fixture = Fixture::new();
    put(fixture.root.path(), "etc/kexec-rs.conf", "cold-every = 2\n");
    assert!(fixture.well(Does::Preload("one")));
    let line = fixture.loaded().unwrap();
    assert_eq!(fixture.kexecs(), Some(0));

    // Whoever loads ahead writes down that it arrived: maybe nobody else ever looks.
    fixture.boots("second\n", &format!("{line}\n"));
    assert!(fixture.well(Does::Preload("one")));
    assert_eq!(fixture.loaded(), None);
    assert_eq!(fixture.kexecs(), Some(1));
    if rustix::process::geteuid().is_root() {
        let written = fixture.attempts(&line).pop().unwrap();
        assert!(
            matches!(written.outcome, Some(Outcome::Kexec(_))),
            "{written:?}"
        );
        assert_eq!(written.next_boot.as_deref(), Some("second"));
    }

    fixture.boots("third\n", "quiet\n");
    assert!(fixture.well(Does::Preload("one")));
    assert_eq!(fixture.kexecs(), Some(0));
    assert!(fixture.loaded().is_some());
}

#[test]
fn an_explicit_request_is_a_kexec_even_then() {
    let mut fixture = Fixture::new();
    put(fixture.root.path(), "etc/kexec-rs.conf", "cold-every = 2\n");
    assert!(fixture.well(Does::Preload("one")));
    let line = fixture.loaded().unwrap();
    fixture.boots("second\n", &format!("{line}\n"));
    assert!(fixture.well(Does::Preload("one")));
    assert_eq!(fixture.loaded(), None);
    fixture.well(Does::Reboot("two"));
    assert!(fixture.kernel.jumped().is_some());
}

#[test]
fn nothing_is_loaded_ahead_while_the_setting_is_wrong() {
    let fixture = Fixture::new();
    put(
        fixture.root.path(),
        "etc/kexec-rs.conf",
        "cold-every = often\n",
    );
    assert!(fixture.well(Does::Preload("one")));
    assert_eq!(fixture.loaded(), None);
    put(fixture.root.path(), "etc/kexec-rs.conf", "");
    assert!(fixture.well(Does::Preload("one")));
    assert!(fixture.loaded().is_some());
}
