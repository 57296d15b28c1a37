//! What udev's files of block devices say.
#![no_main]

use kexec_machine::volumes::udev;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (content, partition) = udev(&text);
    let values = [content.kind, content.uuid, content.label];
    let values = values.into_iter().chain([partition.uuid, partition.label]);
    for value in values.flatten() {
        // A byte that is no UTF-8 is shown as three.
        assert!(value.len() <= text.len() * 3);
    }
});
