//! A refind.conf: its stanzas, and the choice.
#![no_main]

use kexec_entries::refind::parse::{DefaultStanza, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let config = parse(&String::from_utf8_lossy(bytes));
    if let DefaultStanza::Stanza(index, _) = config.choose(&|_| vec!["ESP".to_owned()]) {
        assert!(!config.stanzas[index].disabled);
    }
});
