//! Scripts and what GRUB made of them: every expectation in `language.txt` and
//! in the tables here was first seen at GRUB 2.06.

mod bls;
mod defaults;
mod hostile;
mod language;
mod unknown;

use super::*;

pub(super) fn facts() -> Facts {
    Facts {
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
pub(super) fn world(config: &str) -> MemoryWorld {
    let mut world = MemoryWorld::new();
    world.add("disk", "/boot/grub/grub.cfg", config.as_bytes());
    for name in ["vmlinuz-1", "initrd-1", "vmlinuz-2", "initrd-2"] {
        world.add("disk", &format!("/boot/{name}"), name.as_bytes());
    }
    world.add("disk", "/empty", b"");
    world.link("disk", "/link", b"");
    for name in ["a/one.cfg", "b/two.cfg"] {
        world.add("disk", &format!("/w/{name}"), b"");
    }
    world.name("1234", "disk");
    world.name("5678", "other");
    world.add("other", "/vmlinuz", b"MZ");
    world
}

pub(super) fn run(config: &str) -> Outcome {
    evaluate(&world(config), &facts(), &start())
}

/// The environment block with these lines.
pub(super) fn block(lines: &str) -> Vec<u8> {
    let mut bytes = [grubenv::SIGNATURE, lines.as_bytes()].concat();
    bytes.resize(grubenv::SIZE, b'#');
    bytes
}
