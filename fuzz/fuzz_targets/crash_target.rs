//! Where the dump goes and what the command line gets, as the configuration of each distribution's service names it.
#![no_main]

use kexec_crash::cmdline::derive_with;
use kexec_crash::settings::LineSettings;
use kexec_crash::target::{Service, Target, parse};
use kexec_machine::Fact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for service in Service::ALL {
        if let Fact::Known(Target::Folder(folder)) = parse(*service, &text) {
            assert!(folder.starts_with('/'));
        }
        let set = LineSettings::parse(*service, &text);
        let _ = derive_with(&"root=/dev/vda1 quiet".into(), &[], Some(&set), None);
    }
});
