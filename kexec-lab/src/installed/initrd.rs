//! A small initramfs for installed systems, in place of the distribution's:
//! a busybox, the modules for disk and file systems, and a short script. It
//! saves most of the time that an interpreted guest needs to boot.

use crate::initramfs::Initramfs;
use crate::lab::Lab;
use crate::modules;
use anyhow::Result;
use std::path::Path;

/// The `/init` of that image.
pub(super) const INIT: &str = include_str!("scripts/initrd.sh");
/// Drivers that the root file system is behind; some kernels have them built in.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];

/// The archive for the kernel whose modules are in this folder.
pub(super) fn build(lab: &Lab, folder: &Path) -> Result<Vec<u8>> {
    let mut root = Initramfs::new();
    for folder in ["proc", "sys", "dev", "run", "mnt", "modules"] {
        root.directory(folder);
    }
    root.char_device("dev/console", 5, 1);
    root.merge(&lab.busybox_files()?);
    root.program("init", INIT);
    let mut list = String::new();
    for (name, module) in modules::load_order(folder, &MODULES)? {
        root.file(&format!("modules/{name}.ko"), module);
        list.push_str(&format!("{name}.ko\n"));
    }
    root.file("modules/list", list);
    Ok(root.build()?)
}
