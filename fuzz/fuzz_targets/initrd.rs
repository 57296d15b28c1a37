//! What kind of initrd a file is, the names in it, whether it is all there, and whether a
//! kernel of some configuration unpacks it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = kexec_load::initrd::kind(bytes);
    let looked = kexec_load::initrd::intact::look_into(bytes, 1 << 20);
    if let Some(reads) = kexec_load::initrd::reads::Reads::of(&String::from_utf8_lossy(bytes)) {
        for part in &looked.packed {
            let _ = reads.lacks(part);
        }
    }
    let _ = kexec_image::decompress::xz_methods::methods(bytes);
    let mut finder = kexec_image::ikconfig::Finder::default();
    bytes.chunks(100).for_each(|piece| finder.look(piece));
    let _ = finder.text();
    let _ = kexec_load::initrd::members::members(bytes, 1 << 20, &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
});
