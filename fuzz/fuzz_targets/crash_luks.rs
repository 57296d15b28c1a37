//! How much memory the header of an encrypted disk asks for.
#![no_main]

use kexec_crash::luks::memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = memory(bytes);
    // The fuzzer need not find out where the JSON area begins.
    let mut header = b"LUKS\xba\xbe\x00\x02".to_vec();
    header.resize(4096, 0);
    header.extend_from_slice(bytes);
    let _ = memory(&header);
});
