//! A disk for a guest: files that are too large for its initramfs, which
//! would take their size in memory, or that have to come from somewhere else
//! than memory.

use crate::apt::{Keep, Suite};
use crate::lab::Lab;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Where [`MODULE`] is in the guest.
pub(crate) const DRIVER: &str = "lab/virtio_blk.ko";
/// Shell: mounts the disk at /mnt.
pub(crate) const MOUNT: &str = "insmod /lab/virtio_blk.ko && mount -t ext4 -o ro /dev/vda /mnt\n";
/// The driver of a guest's disks, which Debian's kernels have as a module.
pub(crate) const MODULE: &str = "kernel/drivers/block/virtio_blk.ko";
/// What the file system needs beyond its files, MiB.
const SPARE_MB: u64 = 16;

impl Lab {
    /// Makes `image`: an ext4 file system with the files of `folder`.
    ///
    /// # Errors
    /// If the tool for it cannot be fetched, or fails.
    pub fn disk(&self, folder: &Path, image: &Path) -> Result<()> {
        let mut bytes = 0_u64;
        for entry in
            std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?
        {
            bytes = bytes.saturating_add(entry?.metadata()?.len());
        }
        // One part in 64 for inodes and the map of blocks.
        let mb = (bytes + bytes / 64)
            .div_ceil(1 << 20)
            .saturating_add(SPARE_MB);
        let tree = self
            .package(Suite::Trixie, "e2fsprogs", Keep::Closure)?
            .path;
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        // The tree's own loader, so that the host's C library does not matter.
        let output = Command::new(libraries.join("ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(&libraries)
            .arg(tree.join("usr/sbin/mke2fs"))
            .args([
                "-q",
                "-F",
                "-t",
                "ext4",
                "-m",
                "0",
                "-O",
                "^has_journal",
                "-d",
            ])
            .args([folder, image])
            .arg(format!("{mb}M"))
            // Its own /etc/mke2fs.conf, not the host's.
            .env("MKE2FS_CONFIG", tree.join("etc/mke2fs.conf"))
            .output()
            .context("starting mke2fs")?;
        if !output.status.success() {
            bail!(
                "mke2fs for {} ended with {}: {}",
                image.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}
