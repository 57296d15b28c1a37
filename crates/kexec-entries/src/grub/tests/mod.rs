//! Scripts and what GRUB made of them: every expectation in `language.txt` and
//! in the tables here was first seen at GRUB 2.06.

mod bls;
mod defaults;
mod hostile;
mod language;
mod unknown;

use super::*;

pub(super) fn facts() -> GrubPlatform {
    GrubPlatform {
        platform: "pc".to_owned(),
        cpu: "i386".to_owned(),
        long_mode: Some(true),
        firmware_setup: None,
    }
}

fn at(path: &str) -> FilePath {
    FilePath {
        device: Device("disk".into()),
        path: path.to_owned(),
    }
}

pub(super) fn start() -> Start {
    Start {
        config: at("/boot/grub/grub.cfg"),
        prefix: at("/boot/grub"),
        cmdpath: None,
        relative: false,
    }
}

/// Two file systems, and a configuration on the first.
pub(super) fn devices(config: &str) -> MemoryDevices {
    let mut devices = MemoryDevices::new();
    devices.add("disk", "/boot/grub/grub.cfg", config.as_bytes());
    for name in ["vmlinuz-1", "initrd-1", "vmlinuz-2", "initrd-2"] {
        devices.add("disk", &format!("/boot/{name}"), name.as_bytes());
    }
    devices.add("disk", "/empty", b"");
    devices.link("disk", "/link", b"");
    for name in ["a/one.cfg", "b/two.cfg"] {
        devices.add("disk", &format!("/w/{name}"), b"");
    }
    devices.name("1234", "disk");
    devices.name("5678", "other");
    devices.add("other", "/vmlinuz", b"MZ");
    devices
}

pub(super) fn run(config: &str) -> Evaluation {
    evaluate(&devices(config), &facts(), &start())
}

/// The environment block with these lines.
pub(super) fn block(lines: &str) -> Vec<u8> {
    let mut bytes = [grubenv::SIGNATURE, lines.as_bytes()].concat();
    bytes.resize(grubenv::SIZE, b'#');
    bytes
}
