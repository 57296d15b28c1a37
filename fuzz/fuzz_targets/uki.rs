//! UKIs, from damaged headers to damaged profiles.
#![no_main]

use bytes::Bytes;
use kexec_image::formats::{Opened, uki};
use kexec_image::{Options, testing};
use libfuzzer_sys::fuzz_target;

fn base() -> Vec<u8> {
    testing::PeBuilder::new()
        .section(".text", vec![0x90; 64])
        .section(".linux", b"kernel".to_vec())
        .section(".cmdline", b"quiet\n".to_vec())
        .section(".ucode", b"ucode".to_vec())
        .section(".initrd", b"first".to_vec())
        .section(".initrd", b"second".to_vec())
        .section(".profile", b"ID=a\nTITLE=\"A\"\n".to_vec())
        .section(".profile", b"ID=b\n".to_vec())
        .section(".cmdline", b"debug".to_vec())
        .build()
}

fuzz_target!(|data: &[u8]| {
    let file = Bytes::from(testing::patched(base, data));
    let options = Options {
        profile: data.last().map(|b| usize::from(b % 4)),
        max_output: 1 << 20,
    };
    if let Ok(Opened::Wrapped(wrapped)) = (uki::FORMAT.open)(&file, &options) {
        let parts = wrapped.uki.iter().flat_map(|u| u.initrd_parts());
        let taken: usize = parts.map(|(_, bytes)| bytes.len()).sum();
        assert!(wrapped.inner.len() + taken <= file.len());
    }
    if let Ok(image) = kexec_image::recognise(file, &options) {
        let _ = kexec_image::verify(&image);
    }
});
