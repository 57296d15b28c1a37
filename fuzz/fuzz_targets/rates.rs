//! How fast the machine was measured to be.
#![no_main]

use kexec_reboot::record::MeasuredRates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(measured) = MeasuredRates::parse(bytes) {
        let text = serde_json::to_vec(&measured).expect("what was read can be written");
        assert_eq!(MeasuredRates::parse(&text), Ok(measured));
    }
});
