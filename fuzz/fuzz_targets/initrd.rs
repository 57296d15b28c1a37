//! What kind of initrd a file is, the names in it, and whether it is all there.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = kexec_load::initrd::kind(bytes);
    let _ = kexec_load::initrd::intact::intact(bytes, 1 << 20);
    let _ = kexec_load::initrd::members::members(bytes, 1 << 20, &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
});
