//! Loading ahead on a machine whose last kexec did not arrive.

use kexec_reboot::record::Outcome;
use kexec_reboot::record::outcome::ArrivalTimes;

use super::*;

fn cold() -> Outcome {
    Outcome::Cold {
        to: "7.3.0".to_owned(),
        at: 0,
        candidates: Vec::new(),
        jumped: false,
        firmware: None,
        kernel: None,
        initrd: None,
        userspace: None,
    }
}

fn arrived() -> Outcome {
    Outcome::Kexec(ArrivalTimes {
        to: "7.3.0".to_owned(),
        at: 0,
        shutdown: None,
        services: None,
        jump: None,
        counted: false,
        kernel: None,
        initrd: None,
        userspace: None,
    })
}

impl Fixture {
    /// An earlier boot's kexec into what is loaded now ended so; the slot is empty again.
    fn remembers(&self, outcome: Outcome) {
        let line = self.loaded().unwrap();
        let mut attempt = self.attempts(&line).pop().unwrap();
        assert!(self.well(Does::Unload));
        attempt.sequence = 0;
        attempt.token = record::new_token().unwrap();
        attempt.boot_id = "another".to_owned();
        attempt.preloaded = false;
        attempt.outcome = Some(outcome);
        attempt::write(Store::new(self.root.path()), &mut attempt).unwrap();
    }

    fn preload(&self, this_machine: bool) -> bool {
        let on = Mortal::new(&self.kernel, Fault::Killed, usize::MAX);
        let world = World {
            kernel: &self.kernel,
            root: self.root.path(),
            automounts: Automounts::Leave,
            files: &on,
            onlooker: &Terminal,
        };
        let how = PreloadOptions {
            target: PreloadTarget::Named("two".to_owned()),
            at_shutdown: false,
            if_enabled: false,
            this_machine,
            dry_run: false,
        };
        preload::verb(&world, &how, false) == exit::DONE
    }
}

#[test]
fn nothing_is_loaded_ahead_until_a_kexec_arrives_or_somebody_says_so() {
    let fixture = Fixture::new();
    assert!(fixture.well(Does::Preload("one")));
    fixture.remembers(cold());
    // No failure of the unit: it is a decision.
    assert!(fixture.preload(false));
    assert_eq!(fixture.loaded(), None);
    assert!(fixture.preload(true));
    assert!(fixture.loaded().is_some());
    // What somebody wanted is kept fresh without being asked again.
    assert!(fixture.preload(false));
    assert!(fixture.loaded().is_some());
    fixture.remembers(arrived());
    assert!(fixture.preload(false));
    assert!(fixture.loaded().is_some());
}

/// Somebody watches there.
#[test]
fn kexec_reboot_goes_on() {
    let fixture = Fixture::new();
    assert!(fixture.well(Does::Preload("one")));
    fixture.remembers(cold());
    fixture.well(Does::Reboot("two"));
    assert!(fixture.kernel.jumped().is_some());
}
