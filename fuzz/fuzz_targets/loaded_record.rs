//! What is remembered of a slot of the kernel.
#![no_main]

use kexec_reboot::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::parse(bytes) {
        let text = serde_json::to_vec(&record).expect("what was read can be written");
        assert_eq!(Record::parse(&text), Ok(record));
    }
});
