//! Any bytes at all, and changed beginnings of real formats, through the whole
//! of recognising and verifying.
#![no_main]

use bytes::Bytes;
use kexec_image::testing::{bzimage::BzImageBuilder, codec, patched};
use kexec_image::{Options, recognise, verify};
use libfuzzer_sys::fuzz_target;

fn base() -> Vec<u8> {
    let payload = codec::gzip(b"\x7fELF and so on");
    codec::lz4_legacy(&BzImageBuilder::new().payload(payload, 15, "gzip").build())
}

fuzz_target!(|data: &[u8]| {
    let options = Options {
        max_output: 1 << 20,
        ..Options::default()
    };
    for file in [data.to_vec(), patched(base, data)] {
        if let Ok(image) = recognise(Bytes::from(file), &options) {
            assert!(!image.describe().is_empty());
            let _ = verify(&image);
        }
    }
});
