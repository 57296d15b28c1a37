//! A machine's files out of one text file: `NAME.tree` in tests/trees/manifests.
//!
//! ```text
//! # Lines before the first file are comments.
//! === /etc/fstab
//! UUID=... / ext4 defaults 0 1
//! === /boot/vmlinuz-6.12          an empty file stands for a kernel
//! === /boot/vmlinuz kernel 6.12.1  one that says in its header what it is
//! === /vmlinuz -> boot/vmlinuz-6.12
//! === /dev/vda3/
//! === /var/blob hex
//! 00 01 ff
//! === /sys/firmware/efi/efivars/LoaderInfo-4a67b082-... efi
//! systemd-boot 257.9
//! === /efi/EFI/Linux/arch.efi pe
//! .osrel ID=arch\nPRETTY_NAME="Arch Linux"
//! .linux kernel
//! ```
//!
//! `PATH hex` holds bytes; `PATH efi` an EFI variable: attributes 7, then the
//! line as UTF-16 with its NUL; `PATH efi hex` the same with bytes as value.
//! `PATH pe` is a PE file with one section per line, in which `\n` is a line end.
//! `PATH/` is an empty folder. A folder under /dev stands for the device: it
//! holds the files of a file system that is not mounted.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kexec_image::testing::PeBuilder;
use tempfile::TempDir;

const MARK: &str = "=== ";

/// Where the manifests are; `entries` is the way from the tested crate to
/// kexec-entries.
pub fn folder(entries: &str) -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join(entries).join("tests/trees/manifests")
}

/// Unpacks a manifest into a new folder.
pub fn unpack(manifest: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = manifest.lines().peekable();
    while lines.next_if(|line| !line.starts_with(MARK)).is_some() {}
    while let Some(head) = lines.next() {
        let head = head.strip_prefix(MARK).unwrap();
        let mut content = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with(MARK)) {
            content.push(line);
        }
        put(dir.path(), head, &content);
    }
    dir
}

fn put(root: &Path, head: &str, content: &[&str]) {
    if let Some((path, target)) = head.split_once(" -> ") {
        let path = place(root, path);
        return symlink(target, path).unwrap();
    }
    let mut words = head.split_whitespace();
    let path = words.next().unwrap();
    let place = place(root, path);
    if path.ends_with('/') {
        return std::fs::create_dir_all(place).unwrap();
    }
    let bytes = match words.collect::<Vec<_>>().as_slice() {
        ["hex"] => hex(content),
        ["efi"] => variable(&utf16(&content.join("\n"))),
        ["efi", "hex"] => variable(&hex(content)),
        ["kernel", release] => bzimage(release),
        ["pe"] => pe(content),
        // What is behind the path of an empty file is a comment.
        _ if content.is_empty() => Vec::new(),
        [] => (content.join("\n") + "\n").into_bytes(),
        other => panic!("{path}: what is {other:?}?"),
    };
    std::fs::write(place, bytes).unwrap();
}

fn place(root: &Path, path: &str) -> PathBuf {
    let place = root.join(path.strip_prefix('/').unwrap());
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    place
}

fn hex(content: &[&str]) -> Vec<u8> {
    let words = content.iter().flat_map(|line| line.split_whitespace());
    words
        .map(|word| u8::from_str_radix(word, 16).unwrap())
        .collect()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// The setup header of a bzImage (Documentation/arch/x86/boot.rst), with nothing
/// behind it.
fn bzimage(release: &str) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    let text = format!("{release} (builder@host) #1 SMP");
    bytes[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// Non-volatile, with boot and runtime access (UEFI specification, 8.2).
fn variable(value: &[u8]) -> Vec<u8> {
    [&[7, 0, 0, 0], value].concat()
}

/// A UKI or an addon.
fn pe(content: &[&str]) -> Vec<u8> {
    let sections = content.iter().map(|line| {
        let (name, text) = line.split_once(' ').unwrap_or((line, ""));
        (name, text.replace("\\n", "\n").into_bytes())
    });
    let file = sections.fold(PeBuilder::new(), |pe, (name, text)| pe.section(name, text));
    file.build()
}
