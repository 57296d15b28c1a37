//! A disk as a file: partition table and file systems, written at their
//! offsets, without loop devices and without mounting anything.

use super::files::call;
use super::layout::{ExtraFileSystem, SystemLayout};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// File-system identifiers, the same in every image, so that command lines can
/// be compared.
pub(super) const ROOT_UUID: &str = "6b657865-6300-4c61-8000-000000000001";
pub(super) const BOOT_UUID: &str = "6b657865-6300-4c61-8000-000000000002";
/// The ESP's serial number as blkid writes it.
pub(super) const ESP_UUID: &str = "6B65-7865";
const ESP_SERIAL: &str = "6B657865";
pub(super) const MIB: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// Sizes of the partitions, MiB; what is not used takes no space.
const ROOT_MB: u64 = 1024;
const SIDE_MB: u64 = 200;
/// Partition types, of the Discoverable Partitions Specification (UAPI.2) and
/// of a DOS partition table.
const GPT_ROOT: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
const GPT_ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const DOS_LINUX: &str = "83";

/// The partitions of a layout.
#[derive(Debug)]
pub(super) struct Partitions {
    /// The partition of the root file system.
    pub(super) root: DiskPartition,
    /// What stands beside it, which comes first on the disk.
    side: Option<(ExtraFileSystem, DiskPartition)>,
}

/// A partition of the disk, MiB.
#[derive(Debug)]
pub(super) struct DiskPartition {
    start: u64,
    size: u64,
}

impl DiskPartition {
    /// Where it begins, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.start.saturating_mul(MIB)
    }
}

impl Partitions {
    /// The partitions that this layout has, one behind the other.
    pub(super) fn of(layout: SystemLayout) -> Self {
        // GRUB's core image lies in the first MiB of a BIOS disk.
        let first = |size| DiskPartition { start: 1, size };
        match layout.side() {
            None => Self {
                root: first(ROOT_MB),
                side: None,
            },
            Some(side) => Self {
                root: DiskPartition {
                    start: 1 + SIDE_MB,
                    size: ROOT_MB,
                },
                side: Some((side, first(SIDE_MB))),
            },
        }
    }

    /// Writes the disk. What belongs to the partition beside the root is taken
    /// out of `tree`.
    pub(super) fn write(&self, tree: &Path, scratch: &Path, disk: &Path) -> Result<()> {
        let file =
            fs::File::create(disk).with_context(|| format!("creating {}", disk.display()))?;
        // A GPT has a second table behind the last partition.
        let end = self
            .root
            .start
            .saturating_add(self.root.size)
            .saturating_add(1);
        file.set_len(end.saturating_mul(MIB))
            .with_context(|| format!("sizing {}", disk.display()))?;
        let table = scratch.join("table");
        fs::write(&table, self.table()).context("writing a partition table")?;
        call(
            Command::new("sfdisk")
                .args(["--quiet", "--no-reread", "--no-tell-kernel"])
                .arg(disk)
                .stdin(fs::File::open(&table)?),
        )?;
        if let Some((side, at)) = &self.side {
            let inside = tree.join(side.mount_point().trim_start_matches('/'));
            let apart = scratch.join("side");
            fs::rename(&inside, &apart)
                .and_then(|()| fs::create_dir(&inside))
                .with_context(|| format!("taking {} out of the root", side.mount_point()))?;
            match side {
                ExtraFileSystem::Boot => ext4(disk, at, &apart, "boot", BOOT_UUID)?,
                ExtraFileSystem::Esp(_) => fat(disk, at, &apart)?,
            }
        }
        ext4(disk, &self.root, tree, "root", ROOT_UUID)
    }

    /// The script that sfdisk(8) makes the partition table from.
    fn table(&self) -> String {
        let (label, side_type, root_type) = match self.side {
            Some((ExtraFileSystem::Esp(_), _)) => ("gpt", GPT_ESP, GPT_ROOT),
            _ => ("dos", DOS_LINUX, DOS_LINUX),
        };
        let mut text = format!("label: {label}\n");
        let mut line = |at: &DiskPartition, kind: &str| {
            let _ = writeln!(
                text,
                "start={}MiB, size={}MiB, type={kind}",
                at.start, at.size
            );
        };
        if let Some((_, at)) = &self.side {
            line(at, side_type);
        }
        line(&self.root, root_type);
        text
    }
}

fn ext4(disk: &Path, at: &DiskPartition, from: &Path, label: &str, uuid: &str) -> Result<()> {
    call(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-L", label, "-U", uuid])
            // What the oldest GRUB and e2fsprogs of the lab understand, and
            // nothing left for the guest's kernel to do later.
            .args(["-O", "^metadata_csum_seed,^orphan_file", "-N", "24000"])
            .arg("-E")
            .arg(format!(
                "offset={},lazy_itable_init=0,lazy_journal_init=0",
                at.offset()
            ))
            .arg("-d")
            .args([from, disk])
            .arg(format!("{}M", at.size)),
    )
}

fn fat(disk: &Path, at: &DiskPartition, from: &Path) -> Result<()> {
    call(
        Command::new("mkfs.vfat")
            // One sector a cluster: FAT with fewer than 65525 clusters is taken
            // for FAT16, whatever it says itself.
            .args(["-F", "32", "-s", "1", "-n", "ESP", "-i", ESP_SERIAL])
            .arg(format!("--offset={}", at.offset() / SECTOR))
            .arg(disk)
            .arg(at.size.saturating_mul(1024).to_string()),
    )?;
    let mut copy = Command::new("mcopy");
    copy.args(["-s", "-m", "-Q", "-i"])
        .arg(format!("{}@@{}M", disk.display(), at.start));
    let mut any = false;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        copy.arg(entry?.path());
        any = true;
    }
    if any { call(copy.arg("::/")) } else { Ok(()) }
}
