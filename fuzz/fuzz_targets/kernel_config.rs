//! A kernel's configuration.
#![no_main]

use kexec_machine::snapshot::{OPTIONS, kernel_options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for (name, value) in kernel_options(&text) {
        assert!(OPTIONS.contains(&name.as_str()));
        assert!(text.contains(&value));
    }
});
