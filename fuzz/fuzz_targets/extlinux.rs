//! An extlinux.conf: its lines, what they come to, and the choice.
#![no_main]

use kexec_entries::extlinux::choose::{ExtlinuxDefault, choose};
use kexec_entries::extlinux::config::{Placed, assemble};
use kexec_entries::extlinux::parse::{ConfigReader, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for reader in [ConfigReader::Syslinux, ConfigReader::UBoot] {
        let lines = parse(&text, reader).into_iter();
        let lines = lines.map(|directive| Placed { file: 0, directive });
        let config = assemble(lines, reader);
        if let ExtlinuxDefault::Label(index, _) = choose(&config) {
            assert!(index < config.labels.len());
        }
    }
});
