//! ELF files: whatever is accepted can be loaded without another check; and what a
//! program needs to run.
#![no_main]

use kexec_image::ElfKernel;
use kexec_image::formats::elf::Needs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first byte chooses class and order of bytes, so that no input is
    // spent on getting the magic right.
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let ident = [
        0x7f,
        b'E',
        b'L',
        b'F',
        1 + (which & 1),
        1 + (which >> 1 & 1),
        1,
    ];
    let file = [&ident[..], rest].concat();
    let _ = Needs::parse(&file);
    if let Ok(elf) = ElfKernel::parse(&file) {
        for segment in &elf.segments {
            assert!(segment.bytes(&file).is_some());
            assert!(segment.memsz >= segment.filesz);
            assert!(
                segment
                    .paddr
                    .checked_add(segment.memsz.saturating_sub(1))
                    .is_some()
            );
        }
    }
});
