//! A limine.conf: its entries, and the choice.
#![no_main]

use kexec_entries::limine::choose::{LimineDefault, LimineVariables, choose};
use kexec_entries::limine::parse::{LiminePlatform, parse};
use kexec_entries::limine::version::LimineVersion;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for uefi in [true, false] {
        let platform = LiminePlatform {
            arch: "x86-64",
            uefi,
        };
        let Ok(config) = parse(&text, platform) else {
            return;
        };
        let asked = config.global("comment").map(|s| s.value.clone());
        let wishes = LimineVariables {
            one_shot: asked.clone(),
            default: asked.clone(),
            last: asked.map(String::into_bytes),
        };
        for info in ["", "Limine 10.3.0", "Limine 12.5.1"] {
            let version = LimineVersion::of(info);
            if let LimineDefault::Entry(index, _) = choose(&config, platform, &wishes, version) {
                assert!(index < config.entries.len());
                assert!(!config.is_folder(index));
            }
        }
    }
});
