//! A machine's snapshot that somebody sent: read, redacted, read again.
#![no_main]

use kexec_machine::Snapshot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(snapshot) = Snapshot::from_json(text) {
        let redacted = snapshot.to_json(true);
        assert!(Snapshot::from_json(&redacted).is_ok(), "{redacted}");
    }
});
