//! /etc/kexec-rs.conf: what is accepted is a number of the range, and reads the same when it
//! is written again.
#![no_main]

use kexec_reboot::conf::parse;
use kexec_reboot::preload::cold_every::{LARGEST, SMALLEST, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(given) = str::from_utf8(bytes) else {
        return;
    };
    let every = |text| parse(text).map(|conf| conf.cold_every);
    if let Ok(Some(number)) = every(given) {
        assert!((SMALLEST..=LARGEST).contains(&number));
        assert_eq!(every(&text(number)), Ok(Some(number)));
    }
});
