//! What kind of initrd a file is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = kexec_core::initrd::kind(bytes);
});
