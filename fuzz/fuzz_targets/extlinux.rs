//! An extlinux.conf: its lines, what they come to, and the choice.
#![no_main]

use kexec_core::sources::extlinux::choose::{Chosen, choose};
use kexec_core::sources::extlinux::config::{Placed, assemble};
use kexec_core::sources::extlinux::parse::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lines = parse(&text).into_iter();
    let config = assemble(lines.map(|directive| Placed { file: 0, directive }));
    for x86 in [true, false] {
        if let Chosen::Label(index, _) = choose(&config, x86) {
            assert!(index < config.labels.len());
        }
    }
});
