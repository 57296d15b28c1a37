//! Headers of encrypted disks: the JSON behind a binary header, or all of it.
#![no_main]

use kexec_reboot::arrival::keyslots;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = keyslots(bytes);
    // The fuzzer need not find out where the JSON area begins.
    let mut header = b"LUKS\xba\xbe".to_vec();
    header.resize(4096, 0);
    header.extend_from_slice(bytes);
    for slot in keyslots(&header) {
        assert!(slot.pcrs.len() <= bytes.len());
    }
});
