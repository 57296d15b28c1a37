//! The kernel inside of a bzImage with damage anywhere, its table of relocations above all:
//! what is accepted changes only bytes of its segments when it is moved.
#![no_main]

use kexec_image::Vmlinux;
use kexec_image::testing::patched;
use kexec_image::testing::vmlinux::{LINKED, VmlinuxBuilder};
use libfuzzer_sys::fuzz_target;

fn base() -> Vec<u8> {
    let place = |offset| VmlinuxBuilder::place(VmlinuxBuilder::DATA + offset);
    VmlinuxBuilder {
        per_cpu: vec![0; 64],
        relocations: vec![
            vec![place(8), place(24)],
            vec![VmlinuxBuilder::place(VmlinuxBuilder::PER_CPU)],
            vec![place(40), place(44)],
        ],
        ..VmlinuxBuilder::default()
    }
    .build()
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut kernel) = Vmlinux::parse(patched(base, data), LINKED) else {
        return;
    };
    assert!(kernel.memory_len() > 0);
    let (elf, before) = kernel.clone().into_bytes();
    kernel.relocate(0x1a00_0000);
    let (_, moved) = kernel.clone().into_bytes();
    let inside = |at: usize| {
        let at = at as u64;
        elf.segments
            .iter()
            .any(|s| (s.offset..s.offset + s.filesz).contains(&at))
    };
    for (at, (old, new)) in before.iter().zip(&moved).enumerate() {
        assert!(old == new || inside(at), "byte {at} changed");
    }
});
