//! Modules of a kernel that a guest loads one by one, without modprobe.

use crate::files::read;
use anyhow::{Context, Result, bail};
use kexec_image::decompress;
use std::path::{Path, PathBuf};

/// No module is larger than this.
const LARGEST_MODULE: u64 = 16 << 20;

/// The modules of these names in a kernel's folder, unpacked, and everything
/// that they need, in the order in which they load. What is built in is left
/// out.
///
/// # Errors
/// If the folder or a module cannot be read.
pub fn load_order(folder: &Path, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
    let files = module_files(folder)?;
    let mut order = Vec::new();
    for name in names {
        add(&files, name, &mut order)?;
    }
    Ok(order)
}

/// Adds a module behind those that it needs, unless it is there or built in.
fn add(files: &[PathBuf], name: &str, order: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let Some(path) = files.iter().find(|path| module_name(path) == name) else {
        return Ok(());
    };
    if order.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let content = unpack(path)?;
    for needed in dependencies(&content) {
        add(files, &needed, order)?;
    }
    order.push((name.to_owned(), content));
    Ok(())
}

/// The kernel's name of the module in this file: `-` counts as `_`.
fn module_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split(".ko").next().unwrap_or_default();
    stem.replace('-', "_")
}

/// Every module below this folder.
fn module_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains(".ko") {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The content of a module, unpacked if it is compressed.
pub(crate) fn unpack(path: &Path) -> Result<Vec<u8>> {
    let content = read(path)?;
    if content.starts_with(b"\x7fELF") {
        return Ok(content);
    }
    let codec = decompress::CODECS
        .iter()
        .find(|codec| (codec.probe)(&content));
    let Some(codec) = codec else {
        bail!(
            "looked at the module {}: neither ELF nor compressed",
            path.display()
        );
    };
    let unpacked = codec
        .decompress(&content, LARGEST_MODULE)
        .with_context(|| format!("unpacking {}", path.display()))?;
    Ok(unpacked.bytes)
}

/// The names in the "depends=" line of a module's `.modinfo` section, as
/// modinfo(8) shows it.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = module
        .get(at.saturating_add(KEY.len())..)
        .unwrap_or_default();
    let line = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(line)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_a_module() {
        assert_eq!(
            dependencies(b"\x7fELF..\0license=GPL\0depends=virtio-ring,virtio\0name=x\0"),
            ["virtio_ring", "virtio"]
        );
        assert!(dependencies(b"\0depends=\0").is_empty());
        assert!(dependencies(b"\x7fELF").is_empty());
    }

    #[test]
    fn names_of_modules() {
        assert_eq!(module_name(Path::new("/x/virtio-blk.ko.xz")), "virtio_blk");
        assert_eq!(module_name(Path::new("ext4.ko")), "ext4");
    }
}
