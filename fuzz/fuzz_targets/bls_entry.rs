//! Entries of the Boot Loader Specification, and their file names.
#![no_main]

use kexec_entries::bls::{entry, name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let entry = entry::parse(bytes);
    let _ = (entry.starts(), entry.profile());
    // No value is longer than the text it is out of, but for characters that
    // stand for bytes which are none.
    assert!(entry.options().len() <= bytes.len().saturating_mul(3));
    let named = [&entry.linux, &entry.uki, &entry.efi, &entry.devicetree];
    let values = named.into_iter().flatten();
    for value in values.chain(&entry.initrds).chain(&entry.extras) {
        if let Ok(path) = value.path() {
            assert!(path.starts_with('/'));
            assert!(
                path.split('/')
                    .skip(1)
                    .all(|part| !["", ".", ".."].contains(&part))
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        for suffix in [".conf", ".efi"] {
            if let Some(Ok(parsed)) = name::parse(text, suffix) {
                assert_eq!(parsed.tries.is_none(), parsed.id == text);
            }
        }
    }
});
