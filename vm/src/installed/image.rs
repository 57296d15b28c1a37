//! Disk images of installed systems: a base system, a layout, a small
//! initramfs, written as partitions without loop devices.

use super::base::{self, Base};
use super::files::{self, call, fingerprint};
use super::layout::{CONSOLE, Layout, Side};
use super::{initrd, installer};
use crate::lab::Lab;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// To be raised when what this file makes changes in a way that its inputs do
/// not show.
const VERSION: u32 = 1;
/// File-system identifiers, the same in every image, so that command lines can
/// be compared.
pub(super) const ROOT_UUID: &str = "6b657865-6300-4c61-8000-000000000001";
const BOOT_UUID: &str = "6b657865-6300-4c61-8000-000000000002";
const ESP_SERIAL: &str = "6B657865";
const MIB: u64 = 1 << 20;
/// Sizes of the partitions, MiB; what is not used takes no space.
const ROOT_MB: u64 = 1024;
const SIDE_MB: u64 = 200;
const SECTOR: u64 = 512;

/// Which initramfs images a system boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initrd {
    /// The lab's own small one.
    Fast,
    /// What the distribution's generator makes.
    Distribution,
}

/// A finished image in the cache.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The disk.
    pub(super) disk: PathBuf,
    /// Where its root file system begins, bytes.
    pub(super) root_offset: u64,
}

/// A partition of the disk, MiB.
struct Partition {
    start: u64,
    size: u64,
}

/// The image of a base system in a layout, made if it is not in the cache.
pub(super) fn prepare(lab: &Lab, base: &Base, layout: Layout, initrd: Initrd) -> Result<Image> {
    let about = format!(
        "{VERSION} {} {layout} {initrd:?} {:?} {:?} {CONSOLE}",
        base.key,
        layout.side(),
        layout.options()
    );
    let own = files::recipe(base.init, layout)?;
    let parts = [
        about.as_bytes(),
        layout.chroot_script().as_bytes(),
        initrd::INIT.as_bytes(),
        &own,
    ];
    let folder = lab.folder().join("images");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let key = fingerprint(&parts);
    let disk = folder.join(format!("{}-{layout}-{key:016x}.raw", base.key));
    let (root, side) = partitions(layout);
    if !disk.exists() {
        eprintln!("lab: making the image {}", disk.display());
        let partial = disk.with_extension(format!("partial-{}", std::process::id()));
        let made = make(lab, base, layout, initrd, &partial, &root, side.as_ref());
        if made.is_err() {
            let _ = fs::remove_file(&partial);
        }
        made.with_context(|| format!("making an image of {} as {layout}", base.key))?;
        fs::rename(&partial, &disk).with_context(|| format!("moving {}", disk.display()))?;
    }
    Ok(Image {
        disk,
        root_offset: root.start.saturating_mul(MIB),
    })
}

/// The root's partition, and that of what stands beside it, which comes first.
fn partitions(layout: Layout) -> (Partition, Option<Partition>) {
    // GRUB's core image lies in the first MiB of a BIOS disk.
    let first = |size| Partition { start: 1, size };
    match layout.side() {
        None => (first(ROOT_MB), None),
        Some(_) => (
            Partition {
                start: 1 + SIDE_MB,
                size: ROOT_MB,
            },
            Some(first(SIDE_MB)),
        ),
    }
}

fn make(
    lab: &Lab,
    base: &Base,
    layout: Layout,
    initrd: Initrd,
    disk: &Path,
    root: &Partition,
    side: Option<&Partition>,
) -> Result<()> {
    base::require_root()?;
    let scratch = tempfile::tempdir().context("making a folder for the image's files")?;
    let tree = scratch.path().join("root");
    fs::create_dir(&tree).context("making a folder for the root file system")?;
    call(
        Command::new("tar")
            .arg("-xf")
            .arg(&base.tar)
            .arg("-C")
            .arg(&tree),
    )?;
    if initrd == Initrd::Fast {
        for release in &base.kernels {
            let archive = initrd::build(lab, &tree.join("usr/lib/modules").join(release))
                .with_context(|| format!("making an initramfs for {release}"))?;
            fs::write(tree.join(format!("boot/initrd.img-{release}")), archive)
                .context("writing an initramfs")?;
        }
    }
    files::write(&tree, &files::of(base.init, layout))?;
    configure(&tree, layout, &base.kernels)?;
    write_disk(&tree, scratch.path(), layout, disk, root, side)?;
    if !layout.guest_script().is_empty() {
        let kernel = |name: &str| -> Result<PathBuf> {
            let release = base.kernels.first().context("the base has no kernel")?;
            Ok(tree.join(format!("boot/{name}-{release}")))
        };
        let archive = scratch.path().join("installer");
        let release = base.kernels.first().context("the base has no kernel")?;
        fs::write(
            &archive,
            initrd::build(lab, &tree.join("usr/lib/modules").join(release))?,
        )?;
        installer::run(lab, layout, disk, &kernel("vmlinuz")?, &archive)?;
        // The image is written to without its journal: there must be nothing in it.
        call(Command::new("e2fsck").args(["-f", "-n"]).arg(format!(
            "{}?offset={}",
            disk.display(),
            root.start.saturating_mul(MIB)
        )))?;
    }
    Ok(())
}

/// What the layout changes in the system's files.
fn configure(tree: &Path, layout: Layout, kernels: &[String]) -> Result<()> {
    let mut fstab = format!("UUID={ROOT_UUID} / ext4 errors=remount-ro 0 0\n");
    if let Some(side) = layout.side() {
        fs::create_dir_all(tree.join(side.mount_point().trim_start_matches('/')))
            .context("making a mount point")?;
        if let Some(options) = layout.options() {
            let (device, kind) = match side {
                Side::Boot => (format!("UUID={BOOT_UUID}"), "ext4"),
                Side::Esp(_) => ("UUID=6B65-7865".to_owned(), "vfat"),
            };
            let _ = writeln!(
                fstab,
                "{device} {} {kind} {options} 0 0",
                side.mount_point()
            );
        }
    }
    let cmdline = format!("root=UUID={ROOT_UUID} ro {CONSOLE}\n");
    let grub = format!(
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_TERMINAL=console\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX=\"{CONSOLE}\"\n\
         GRUB_DISABLE_OS_PROBER=true\n"
    );
    for (name, text) in [
        ("etc/fstab", fstab),
        ("etc/kernel/cmdline", cmdline),
        ("etc/default/grub", grub),
    ] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap_or(tree))
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {name} of the image"))?;
    }
    let script = layout.chroot_script();
    if !script.is_empty() {
        let path = tree.join("lab/configure");
        fs::write(&path, script).context("writing the layout's script")?;
        // A mount namespace of its own: what is mounted in it goes with it.
        call(
            Command::new("unshare")
                .args(["--mount", "--fork", "chroot"])
                .arg(tree)
                .args(["/bin/sh", "-eu", "/lab/configure"])
                .args(kernels),
        )?;
        fs::remove_file(&path).context("removing the layout's script")?;
    }
    Ok(())
}

/// The partition table and the file systems.
fn write_disk(
    tree: &Path,
    scratch: &Path,
    layout: Layout,
    disk: &Path,
    root: &Partition,
    side: Option<&Partition>,
) -> Result<()> {
    let file = fs::File::create(disk).with_context(|| format!("creating {}", disk.display()))?;
    // A GPT has a second table behind the last partition.
    let end = root.start.saturating_add(root.size).saturating_add(1);
    file.set_len(end.saturating_mul(MIB))
        .with_context(|| format!("sizing {}", disk.display()))?;
    let table = scratch.join("table");
    fs::write(&table, partition_table(layout, root, side)).context("writing a partition table")?;
    call(
        Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(disk)
            .stdin(fs::File::open(&table)?),
    )?;
    if let (Some(side), Some(at)) = (layout.side(), side) {
        let inside = tree.join(side.mount_point().trim_start_matches('/'));
        let apart = scratch.join("side");
        fs::rename(&inside, &apart)
            .and_then(|()| fs::create_dir(&inside))
            .with_context(|| format!("taking {} out of the root", side.mount_point()))?;
        match side {
            Side::Boot => ext4(disk, at, &apart, "boot", BOOT_UUID)?,
            Side::Esp(_) => fat(disk, at, &apart)?,
        }
    }
    ext4(disk, root, tree, "root", ROOT_UUID)
}

/// What sfdisk reads. The types are those of the Discoverable Partitions
/// Specification (UAPI.2).
fn partition_table(layout: Layout, root: &Partition, side: Option<&Partition>) -> String {
    let (label, root_type) = match layout.side() {
        Some(Side::Esp(_)) => ("gpt", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
        _ => ("dos", "83"),
    };
    let side_type = match layout.side() {
        Some(Side::Esp(_)) => "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        _ => "83",
    };
    let mut text = format!("label: {label}\nlabel-id: 0x6b657865\n");
    if label == "gpt" {
        text = format!("label: {label}\n");
    }
    let mut line = |at: &Partition, kind: &str| {
        let _ = writeln!(
            text,
            "start={}MiB, size={}MiB, type={kind}",
            at.start, at.size
        );
    };
    if let Some(at) = side {
        line(at, side_type);
    }
    line(root, root_type);
    text
}

fn ext4(disk: &Path, at: &Partition, from: &Path, label: &str, uuid: &str) -> Result<()> {
    call(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-L", label, "-U", uuid])
            // What the oldest GRUB and e2fsprogs of the lab understand, and
            // nothing left for the guest's kernel to do later.
            .args(["-O", "^metadata_csum_seed,^orphan_file", "-N", "24000"])
            .arg("-E")
            .arg(format!(
                "offset={},lazy_itable_init=0,lazy_journal_init=0",
                at.start.saturating_mul(MIB)
            ))
            .arg("-d")
            .args([from, disk])
            .arg(format!("{}M", at.size)),
    )
}

fn fat(disk: &Path, at: &Partition, from: &Path) -> Result<()> {
    call(
        Command::new("mkfs.vfat")
            .args(["-F", "32", "-n", "ESP", "-i", ESP_SERIAL])
            .arg(format!(
                "--offset={}",
                at.start.saturating_mul(MIB) / SECTOR
            ))
            .arg(disk)
            .arg(at.size.saturating_mul(1024).to_string()),
    )?;
    let image = format!("{}@@{}M", disk.display(), at.start);
    let mut copy = Command::new("mcopy");
    copy.env("MTOOLS_SKIP_CHECK", "1")
        .args(["-i", &image, "-s", "-m", "-Q"]);
    let mut any = false;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        copy.arg(entry?.path());
        any = true;
    }
    if any { call(copy.arg("::/")) } else { Ok(()) }
}
