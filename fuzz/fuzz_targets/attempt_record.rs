//! What is remembered of a kexec that was asked for, and how the next boot judges it.
#![no_main]

use kexec_reboot::record::boot::{BootFacts, ClockReading};
use kexec_reboot::record::{Attempt, judge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(attempt) = Attempt::parse(bytes) else {
        return;
    };
    let text = serde_json::to_vec(&attempt).expect("what was read can be written");
    assert_eq!(Attempt::parse(&text).as_ref(), Ok(&attempt));
    for token in [None, Some(attempt.token.clone())] {
        let boot = BootFacts {
            boot_id: "now".to_owned(),
            release: "7.3.0".to_owned(),
            token,
            now: ClockReading {
                realtime: 1_800_000_000_000,
                uptime: 2_000,
                cycles: Some(9_000_000),
            },
            cycles_per_ms: Some(1_000),
            jumped: Some(6_000_000),
            userspace: Some(400),
            init: Default::default(),
        };
        let _ = judge(&attempt, &boot);
    }
});
