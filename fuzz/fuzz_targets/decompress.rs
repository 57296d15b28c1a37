//! Every codec on bytes that its probe takes: the cap holds, and no more is
//! consumed than there is.
#![no_main]

use std::sync::LazyLock;

use kexec_image::decompress::CODECS;
use kexec_image::testing::{codec::COMPRESSORS, patched};
use libfuzzer_sys::fuzz_target;

const CAP: u64 = 1 << 20;

static STREAMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let content = b"What a kernel unpacks to. ".repeat(40);
    COMPRESSORS.iter().map(|c| (c.compress)(&content)).collect()
});

fuzz_target!(|data: &[u8]| {
    // The first byte chooses a good stream to damage; above, the bytes as such.
    let Some((which, data)) = data.split_first() else {
        return;
    };
    let stream = match STREAMS.get(usize::from(*which)) {
        Some(good) => patched(|| good.clone(), data),
        None => data.to_vec(),
    };
    for codec in CODECS.iter().filter(|c| (c.probe)(&stream)) {
        if let Ok(decoded) = codec.decompress(&stream, CAP) {
            assert!(decoded.bytes.len() as u64 <= CAP);
            assert!(decoded.consumed <= stream.len());
        }
    }
});
