//! Where the dump goes, as the configuration of each distribution's service names it.
#![no_main]

use kexec_crash::target::{Service, Target, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for service in Service::ALL {
        if let Target::Folder(folder) = parse(*service, &text) {
            assert!(folder.starts_with('/'));
        }
    }
});
