//! Signed PE files: headers, certificate tables, DER.
#![no_main]

use std::sync::LazyLock;

use kexec_image::{authenticode, testing};
use libfuzzer_sys::fuzz_target;

const SIGNED: &[u8] = include_bytes!("../../crates/kexec-image/tests/fixtures/signed-twice.efi");

/// The digests of the good file. A damaged file never has another one that
/// was compared, because nobody finds a second file for a digest.
static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let signatures = authenticode::check(SIGNED).unwrap_or_default();
    signatures.into_iter().map(|s| s.digest).collect()
});

fuzz_target!(|data: &[u8]| {
    let file = testing::patched(|| SIGNED.to_vec(), data);
    let raw = file.as_slice() == data;
    for signature in authenticode::check(&file).unwrap_or_default() {
        assert!(raw || signature.unchecked.is_some() || GOOD.contains(&signature.digest));
    }
});
