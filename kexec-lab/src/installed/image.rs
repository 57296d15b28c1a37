//! Disk images of installed systems: a base system in a layout, with its
//! initramfs images and its boot loader.

use super::base::{self, Base};
use super::files::{self, call, fingerprint, one_maker};
use super::layout::{CONSOLE, ExtraFileSystem, SystemLayout};
use super::partitions::{BOOT_UUID, ESP_UUID, Partitions, ROOT_UUID};
use super::{initrd, installer};
use crate::lab::Lab;
use crate::qemu::GuestSlot;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// To be raised when what this file makes changes in a way that its inputs do
/// not show.
const VERSION: u32 = 1;

/// Which initramfs images a system boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Initrd {
    /// The lab's own small one, which boots faster.
    Fast,
    /// What the distribution's generator makes.
    Distribution,
}

/// A finished image in the cache.
#[derive(Debug)]
pub(super) struct DiskImage {
    /// The raw image of the whole disk.
    pub(super) disk: PathBuf,
    /// Where its root file system begins, bytes.
    pub(super) root_offset: u64,
    /// The turn that its installation took, if there was one now.
    pub(super) slot: Option<GuestSlot>,
}

/// The image of a base system in a layout, made if it is not in the cache. Its
/// fstab is that of [`SystemLayout::disk`].
pub(super) fn prepare(
    lab: &Lab,
    base: &Base,
    layout: SystemLayout,
    initrd: Initrd,
) -> Result<DiskImage> {
    let layout = layout.disk();
    let partitions = Partitions::of(layout);
    let about = format!(
        "{VERSION} {} {layout} {initrd:?} {partitions:?} {:?} {CONSOLE}",
        base.key,
        layout.options()
    );
    let parts = [
        about.as_bytes(),
        layout.chroot_script().as_bytes(),
        initrd::INIT.as_bytes(),
        &files::of(base.init, layout).build()?,
    ];
    let folder = lab.folder().join("images");
    let name = format!("{}-{layout}-{:016x}", base.key, fingerprint(&parts));
    let disk = folder.join(format!("{name}.raw"));
    let _one_maker = one_maker(&folder, &name)?;
    let mut slot = None;
    if !disk.exists() {
        eprintln!("lab: making the disk image {name}");
        let partial = disk.with_extension(format!("partial-{}", std::process::id()));
        let made = make(lab, base, layout, initrd, &partial);
        if made.is_err() {
            let _ = fs::remove_file(&partial);
        }
        slot = made.with_context(|| format!("making the disk image {name}"))?;
        fs::rename(&partial, &disk).with_context(|| format!("moving {}", disk.display()))?;
    }
    Ok(DiskImage {
        disk,
        root_offset: partitions.root.offset(),
        slot,
    })
}

fn make(
    lab: &Lab,
    base: &Base,
    layout: SystemLayout,
    initrd: Initrd,
    disk: &Path,
) -> Result<Option<GuestSlot>> {
    base::require_root()?;
    let scratch = tempfile::tempdir().context("making a folder for the image's files")?;
    let tree = scratch.path().join("root");
    fs::create_dir(&tree).context("making a folder for the root file system")?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&base.tar).arg("-C").arg(&tree);
    call(&mut unpack)?;
    if initrd == Initrd::Fast {
        for release in &base.kernels {
            let archive = initrd::build(lab, &modules(&tree, release))
                .with_context(|| format!("making an initramfs for {release}"))?;
            fs::write(tree.join(format!("boot/initrd.img-{release}")), archive)
                .context("writing an initramfs")?;
        }
    }
    // The layout's script may move them.
    let release = base.kernels.first().context("the base has no kernel")?;
    let kernel = scratch.path().join("vmlinuz");
    fs::copy(tree.join(format!("boot/vmlinuz-{release}")), &kernel)
        .context("copying the installer's kernel")?;
    let archive = scratch.path().join("initrd");
    fs::write(&archive, initrd::build(lab, &modules(&tree, release))?)
        .context("writing the installer's initramfs")?;

    files::write(&tree, &files::of(base.init, layout))?;
    configure(&tree, layout, &base.kernels)?;
    let partitions = Partitions::of(layout);
    partitions.write(&tree, scratch.path(), disk)?;
    let slot = match layout.guest_script() {
        "" => None,
        _ => Some(installer::run(lab, layout, disk, &kernel, &archive)?),
    };
    // Trials write to the image without its journal: nothing may be left there.
    call(Command::new("e2fsck").args(["-f", "-n"]).arg(format!(
        "{}?offset={}",
        disk.display(),
        partitions.root.offset()
    )))?;
    Ok(slot)
}

/// The folder of a kernel's modules.
fn modules(tree: &Path, release: &str) -> PathBuf {
    tree.join("usr/lib/modules").join(release)
}

/// The content of /etc/fstab for this layout.
pub(super) fn fstab(layout: SystemLayout) -> String {
    let mut fstab = format!("UUID={ROOT_UUID} / ext4 errors=remount-ro 0 0\n");
    if let (Some(side), Some(options)) = (layout.side(), layout.options()) {
        let (uuid, kind) = match side {
            ExtraFileSystem::Boot => (BOOT_UUID, "ext4"),
            ExtraFileSystem::Esp(_) => (ESP_UUID, "vfat"),
        };
        let place = side.mount_point();
        let _ = writeln!(fstab, "UUID={uuid} {place} {kind} {options} 0 0");
    }
    fstab
}

/// What the layout changes in the system's files.
fn configure(tree: &Path, layout: SystemLayout, kernels: &[String]) -> Result<()> {
    if let Some(side) = layout.side() {
        fs::create_dir_all(tree.join(side.mount_point().trim_start_matches('/')))
            .context("making a mount point")?;
    }
    let cmdline = format!("root=UUID={ROOT_UUID} ro {CONSOLE}\n");
    let grub = format!(
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_TERMINAL=console\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX=\"{CONSOLE}\"\n\
         GRUB_DISABLE_OS_PROBER=true\n"
    );
    for (name, text) in [
        ("etc/fstab", fstab(layout)),
        ("etc/kernel/cmdline", cmdline),
        ("etc/default/grub", grub),
    ] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap_or(tree))
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {name} of the image"))?;
    }
    let script = layout.chroot_script();
    if script.is_empty() {
        return Ok(());
    }
    let path = tree.join("lab/configure");
    fs::write(&path, script).context("writing the layout's script")?;
    // A mount namespace of its own: what is mounted in it goes with it.
    call(
        Command::new("unshare")
            .args(["--mount", "--fork", "chroot"])
            .arg(tree)
            .args(["/bin/sh", "-eu", "/lab/configure"])
            .args(kernels)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    )?;
    fs::remove_file(&path).context("removing the layout's script")
}
