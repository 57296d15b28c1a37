//! `systemctl list-jobs`: where a shutdown goes.
#![no_main]

use kexec_reboot::handover::shutdown_request::target_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Some(target) = target_of(&text) {
        assert!(text.contains(target) && target.ends_with(".target"));
    }
});
