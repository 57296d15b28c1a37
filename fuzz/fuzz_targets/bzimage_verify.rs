//! bzImages with damage anywhere: a payload that is proven has the size that is
//! written behind it.
#![no_main]

use bytes::Bytes;
use kexec_image::testing::{bzimage::BzImageBuilder, codec, patched};
use kexec_image::{Kernel, Options, Proof, recognise, verify};
use libfuzzer_sys::fuzz_target;

const CONTENT: &[u8] = b"\x7fELF: what the decompressor would run";

fn base() -> Vec<u8> {
    let stream = codec::zstd(CONTENT);
    BzImageBuilder::new()
        .payload(stream, CONTENT.len(), "zstd")
        .build()
}

fuzz_target!(|data: &[u8]| {
    let file = Bytes::from(patched(base, data));
    let Ok(image) = recognise(file, &Options::default()) else {
        return;
    };
    let Ok(proofs) = verify(&image) else { return };
    let Kernel::BzImage(kernel) = &image.kernel else {
        return;
    };
    assert!(kernel.setup_len() < image.bytes.len());
    if let [Proof::Payload { len, .. }] = proofs[..] {
        let size = image.bytes[..kernel.payload.as_ref().unwrap().range.end].last_chunk::<4>();
        assert_eq!(len, u32::from_le_bytes(*size.unwrap()).into());
    }
});
