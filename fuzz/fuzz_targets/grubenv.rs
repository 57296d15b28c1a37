//! GRUB's environment block.
#![no_main]

use kexec_entries::grub::grubenv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = grubenv::parse(bytes);
    let block = [grubenv::SIGNATURE, bytes].concat();
    match grubenv::parse(&block) {
        Ok(variables) => {
            let length: usize = variables
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum();
            // A byte that is no UTF-8 is kept as a character of four.
            assert!(length <= block.len() * 4);
        }
        Err(_) => assert!(block.len() > grubenv::MAX_SIZE),
    }
});
