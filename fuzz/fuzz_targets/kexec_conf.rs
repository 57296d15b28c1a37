//! /etc/kexec-rs.conf: what is accepted is a number of the range, and reads the same when it
//! is written again.
#![no_main]

use kexec_reboot::preload::cold_every::{LARGEST, SMALLEST, parse, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(given) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(Some(every)) = parse(given) {
        assert!((SMALLEST..=LARGEST).contains(&every));
        assert_eq!(parse(&text(every)), Ok(Some(every)));
    }
});
