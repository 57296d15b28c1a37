//! What is remembered of a slot of the kernel.
#![no_main]

use kexec_reboot::record::LoadRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = LoadRecord::parse(bytes) {
        let text = serde_json::to_vec(&record).expect("what was read can be written");
        assert_eq!(LoadRecord::parse(&text), Ok(record));
    }
});
