//! Disks that start the real GRUB: its BIOS image in front, one ext4 partition
//! behind it, made without loop devices and without privilege.

mod boot;
mod generate;

pub use boot::boot;
pub use generate::{Mkconfig, generate};

use crate::apt::{Keep, Suite};
use crate::files::read;
use crate::lab::Lab;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

/// UUID of the file system on every such disk.
pub const UUID: &str = "6b657865-6300-4772-8562-000000000001";
/// Label of the file system on every such disk.
pub const LABEL: &str = "grubroot";
/// Where the partition begins, in bytes.
const START: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// How much of boot.img is code; a partition table follows in the same sector.
const BOOT_CODE: usize = 440;
/// Modules in the core image: what finds `/boot/grub` and shows a menu there.
const CORE: [&str; 6] = [
    "biosdisk",
    "part_msdos",
    "ext2",
    "normal",
    "serial",
    "terminal",
];

/// GRUB of a Debian release.
#[derive(Debug, Clone)]
pub struct Grub {
    /// Version of the package `grub-pc-bin`.
    pub version: String,
    tree: PathBuf,
}

impl Lab {
    /// GRUB of a suite, with its tools and its BIOS modules.
    ///
    /// # Errors
    /// If the packages cannot be fetched.
    pub fn grub(&self, suite: Suite) -> Result<Grub> {
        let tree = self.package(suite, "grub-pc-bin", Keep::Closure)?;
        let version = tree.version("grub-pc-bin").map(str::to_owned);
        Ok(Grub {
            version: version.context("grub-pc-bin is not in its own closure")?,
            tree: tree.path,
        })
    }
}

impl Grub {
    /// The unpacked packages.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    fn modules(&self) -> PathBuf {
        self.tree.join("usr/lib/grub/i386-pc")
    }

    /// Makes a disk with the files of `folder`, which hold `/boot/grub/grub.cfg`;
    /// GRUB's own modules are added to them.
    ///
    /// # Errors
    /// If a tool fails.
    pub fn disk(&self, lab: &Lab, folder: &Path, image: &Path) -> Result<()> {
        self.disk_without(lab, &[], folder, image)
    }

    /// As [`disk`](Grub::disk), without some of the modules: a function may take the
    /// name of a command that is gone.
    ///
    /// # Errors
    /// If a tool fails.
    pub fn disk_without(
        &self,
        lab: &Lab,
        left_out: &[&str],
        folder: &Path,
        image: &Path,
    ) -> Result<()> {
        let modules = folder.join("boot/grub/i386-pc");
        fs::create_dir_all(&modules)?;
        for entry in fs::read_dir(self.modules()).context("listing GRUB's modules")? {
            let from = entry?.path();
            let kept = from
                .extension()
                .is_some_and(|end| end == "mod" || end == "lst");
            if let Some(name) = from.file_name().filter(|_| kept) {
                fs::copy(&from, modules.join(name))
                    .with_context(|| format!("copying {}", from.display()))?;
            }
        }
        for module in left_out {
            fs::remove_file(modules.join(format!("{module}.mod")))?;
            let path = modules.join("command.lst");
            let list = fs::read_to_string(&path)?;
            let of = format!(": {module}");
            let kept = list.lines().filter(|line| !line.ends_with(&of));
            fs::write(
                path,
                kept.map(|line| format!("{line}\n")).collect::<String>(),
            )?;
        }
        let scratch = tempfile::tempdir()?;
        let core = scratch.path().join("core.img");
        self.core_image(&core)?;
        let partition = scratch.path().join("partition");
        file_system(lab, folder, &partition)?;
        let boot = read(&self.modules().join("boot.img"))?;
        assemble(&boot, &read(&core)?, &partition, image)
    }

    fn core_image(&self, core: &Path) -> Result<()> {
        // The tree's own loader, so that the host's C library does not matter.
        let places = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let places = places.map(|place| self.tree.join(place));
        let loader = places
            .iter()
            .map(|place| place.join("ld-linux-x86-64.so.2"));
        let loader = loader.into_iter().find(|loader| loader.exists());
        let paths: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        let mut command = Command::new(loader.context("GRUB's tree has no dynamic loader")?);
        command
            .args(["--library-path", &paths.join(":")])
            .arg(self.tree.join("usr/bin/grub-mkimage"))
            .args(["-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub"])
            .arg("-d")
            .arg(self.modules())
            .arg("-o")
            .arg(core)
            .args(CORE);
        call(&mut command)
    }
}

/// Runs a tool; what it says is part of the error.
fn call(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// An ext4 file system of 256 MiB, without what GRUB 2.06 cannot read.
pub(in crate::grub) fn file_system(lab: &Lab, folder: &Path, partition: &Path) -> Result<()> {
    let tree = lab.package(Suite::Trixie, "e2fsprogs", Keep::Closure)?.path;
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(&libraries)
        .arg(tree.join("usr/sbin/mke2fs"))
        .args(["-q", "-F", "-t", "ext4", "-U", UUID, "-L", LABEL, "-m", "0"])
        .args(["-O", "^has_journal,^metadata_csum_seed,^orphan_file", "-d"])
        .args([folder, partition])
        .arg("256M")
        .env("MKE2FS_CONFIG", tree.join("etc/mke2fs.conf"));
    call(&mut command)
}

/// Boot code and partition table, the core image behind it, the partition.
pub(in crate::grub) fn assemble(
    boot: &[u8],
    core: &[u8],
    partition: &Path,
    image: &Path,
) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let sectors = fs::metadata(partition)?.len() / SECTOR;
    let start = u32::try_from(START / SECTOR)?;
    let mut first = [0u8; 512];
    let code = boot.get(..BOOT_CODE).context("boot.img is too short")?;
    first
        .get_mut(..BOOT_CODE)
        .context("a sector is too short")?
        .copy_from_slice(code);
    // One entry: active, type 0x83, no CHS addresses; then the signature.
    let mut entry = vec![0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff];
    entry.extend(start.to_le_bytes());
    entry.extend(u32::try_from(sectors)?.to_le_bytes());
    for (at, bytes) in [(446, entry.as_slice()), (510, &[0x55, 0xaa])] {
        let place = first.get_mut(at..at + bytes.len());
        place
            .context("a sector is too short")?
            .copy_from_slice(bytes);
    }
    if u64::try_from(core.len())? > START - SECTOR {
        bail!(
            "the core image of {} bytes does not fit before the partition",
            core.len()
        );
    }
    let disk = fs::File::create(image).with_context(|| format!("making {}", image.display()))?;
    disk.write_all_at(&first, 0)?;
    disk.write_all_at(core, SECTOR)?;
    disk.set_len(START + sectors * SECTOR)?;
    drop(disk);
    // Sparse: only what holds something is written.
    let mut from = BufReader::with_capacity(1 << 16, fs::File::open(partition)?);
    let disk = fs::OpenOptions::new().write(true).open(image)?;
    let mut at = START;
    loop {
        let block = from.fill_buf()?;
        if block.is_empty() {
            return Ok(());
        }
        if block.iter().any(|byte| *byte != 0) {
            disk.write_all_at(block, at)?;
        }
        let length = block.len();
        at += u64::try_from(length)?;
        from.consume(length);
    }
}
