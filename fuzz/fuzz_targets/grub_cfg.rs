//! GRUB configurations: the input is one file after the other, with a NUL byte
//! between them, then perhaps an environment block and boot entries.
#![no_main]

use kexec_entries::grub::{Device, GrubPlatform, FilePath, MemoryDevices, Start, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = |path: &str| FilePath {
        device: Device("disk".into()),
        path: path.to_owned(),
    };
    let names = [
        "/boot/grub/grub.cfg",
        "/boot/grub/a.cfg",
        "/boot/grub/grubenv",
        "/loader/entries/a-1-2.conf",
        "/loader/entries/a-1-10.conf",
    ];
    let mut devices = MemoryDevices::new();
    for (name, content) in names.iter().zip(bytes.split(|byte| *byte == 0)) {
        devices.add("disk", name, content);
    }
    devices.add("disk", "/vmlinuz", b"MZ");
    devices.name("u", "disk");
    let facts = GrubPlatform {
        platform: "efi".to_owned(),
        cpu: "x86_64".to_owned(),
        long_mode: Some(true),
        firmware_setup: Some(true),
    };
    let start = Start {
        config: at("/boot/grub/grub.cfg"),
        prefix: at("/boot/grub"),
        cmdpath: None,
        relative: bytes.first() == Some(&b' '),
    };
    let first = evaluate(&devices, &facts, &start);
    // Once more for short ones only: a real configuration takes some milliseconds.
    if bytes.len() < 1024 {
        assert_eq!(first, evaluate(&devices, &facts, &start));
    }
});
