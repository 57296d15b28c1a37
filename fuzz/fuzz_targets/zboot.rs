//! EFI zboot files with every codec.
#![no_main]

use bytes::Bytes;
use kexec_image::formats::{Opened, zboot};
use kexec_image::{Options, testing};
use libfuzzer_sys::fuzz_target;

const STREAMS: [(&str, &[u8]); 5] = [
    (
        "gzip",
        include_bytes!("../../crates/kexec-image/tests/fixtures/payload.gz"),
    ),
    (
        "lz4",
        include_bytes!("../../crates/kexec-image/tests/fixtures/payload.lz4"),
    ),
    (
        "lzma",
        include_bytes!("../../crates/kexec-image/tests/fixtures/payload.lzma"),
    ),
    (
        "xzkern",
        include_bytes!("../../crates/kexec-image/tests/fixtures/payload.xz"),
    ),
    (
        "zstd22",
        include_bytes!("../../crates/kexec-image/tests/fixtures/payload.zst"),
    ),
];

/// No result may be larger; small, so that a bomb is quickly at its end.
const CAP: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let (name, stream) = STREAMS[data.last().map_or(0, |b| usize::from(*b)) % STREAMS.len()];
    let file = testing::patched(|| testing::zboot(name, stream, 0), data);
    let options = Options {
        profile: None,
        max_output: CAP,
    };
    if let Ok(Opened::Wrapped(wrapped)) = (zboot::FORMAT.open)(&Bytes::from(file), &options) {
        assert!(wrapped.inner.len() as u64 <= CAP);
    }
});
