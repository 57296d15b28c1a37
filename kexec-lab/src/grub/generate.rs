//! Configurations that the real grub-mkconfig makes, in a guest: its grub-probe
//! wants to see the block device below `/`.

use super::{Grub, UUID, assemble, file_system};
use crate::cpio::ArchiveMember;
use crate::guest::Guest;
use crate::lab::Lab;
use crate::programs::StartProgram;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One run of grub-mkconfig.
#[derive(Debug, Clone)]
pub struct Mkconfig {
    /// Name of the result.
    pub name: &'static str,
    /// `/etc/default/grub`.
    pub default: String,
    /// `/etc/grub.d/40_custom`, without its first lines; empty keeps the
    /// package's.
    pub custom: String,
}

/// Folders of a merged `/usr`, where a release has one.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Runs grub-mkconfig in a guest for each of `wanted`, on a root file system with
/// GRUB's packages, busybox and the files of `folder`. What each wrote comes in
/// the order of `wanted`.
///
/// # Errors
/// If the guest cannot be made, or grub-mkconfig fails.
pub fn generate(lab: &Lab, grub: &Grub, folder: &Path, wanted: &[Mkconfig]) -> Result<Vec<String>> {
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("root");
    root_tree(lab, grub, folder, &root)?;
    let partition = scratch.path().join("partition");
    file_system(lab, &root, &partition)?;
    let image = scratch.path().join("disk");
    assemble(&[0; 440], &[], &partition, &image)?;

    let kernel = lab.kernel("6.12")?;
    let mut script = String::from(PREPARE);
    let mut guest = Guest::new(lab, &kernel);
    for one in wanted {
        let name = one.name;
        guest = guest.file(&format!("want/{name}.default"), one.default.as_str());
        if !one.custom.is_empty() {
            let custom = format!("#!/bin/sh\nexec tail -n +3 $0\n{}", one.custom);
            guest = guest.program(&format!("want/{name}.custom"), custom);
        }
        script.push_str(&format!(
            "run {name} generate {name}\nput_file {name}.cfg /mnt/tmp/{name}.cfg\n"
        ));
    }
    let drive = format!("format=raw,if=virtio,readonly=on,file={}", image.display());
    let outcome = guest
        .file("lab/virtio_blk.ko", kernel.module(crate::disk::MODULE)?)
        .qemu_arguments(&["-drive", &drive])
        .timeout(Duration::from_secs(600))
        .script(&script)
        .run()?;
    let stage = outcome.stage("first")?;
    let prepared = stage.run("prepare")?;
    if prepared.code != 0 {
        bail!(
            "preparing the guest ended with {}: {}",
            prepared.code,
            prepared.err()
        );
    }
    let mut configs = Vec::new();
    for one in wanted {
        let run = stage.run(one.name)?;
        if run.code != 0 {
            bail!(
                "grub-mkconfig for {} ended with {}: {}",
                one.name,
                run.code,
                run.err()
            );
        }
        let config = stage.files.get(&format!("{}.cfg", one.name));
        let config = config.with_context(|| format!("no result for {}", one.name))?;
        configs.push(String::from_utf8_lossy(config).into_owned());
    }
    Ok(configs)
}

/// What the guest runs first, and the function for one configuration.
const PREPARE: &str = r#"
prepare() (
	set -e
	insmod /lab/virtio_blk.ko
	mount -t ext4 -o ro /dev/vda1 /mnt
	for folder in proc sys dev; do mount -o bind /$folder /mnt/$folder; done
	for folder in tmp etc/default etc/grub.d; do
		mkdir -p /tmp/keep/$folder
		cp -a /mnt/$folder/. /tmp/keep/$folder/
		mount -t tmpfs tmp /mnt/$folder
	done
)
generate() {
	cp /want/$1.default /mnt/etc/default/grub
	rm -f /mnt/etc/grub.d/*
	cp -a /tmp/keep/etc/grub.d/. /mnt/etc/grub.d/
	[ -e /want/$1.custom ] && cp /want/$1.custom /mnt/etc/grub.d/40_custom
	chroot /mnt /bin/sh -c "PATH=/usr/sbin:/usr/bin:/sbin:/bin grub-mkconfig -o /tmp/$1.cfg"
}
run prepare prepare
"#;

/// A root file system: GRUB's packages with what they depend on, busybox for the
/// rest, and the files of `folder`.
fn root_tree(lab: &Lab, grub: &Grub, folder: &Path, root: &Path) -> Result<()> {
    copy(grub.tree(), root)?;
    for name in MERGED {
        let (top, below) = (root.join(name), root.join("usr").join(name));
        if !top.exists() && below.exists() {
            symlink(format!("usr/{name}"), &top)?;
        }
    }
    for name in ["proc", "sys", "dev", "tmp", "etc/default", "bin", "var/tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    // Whatever GRUB's packages do not bring is a name of busybox.
    let places = ["bin", "sbin", "usr/bin", "usr/sbin"];
    for (name, entry) in lab.busybox_files()?.members() {
        let applet = Path::new(name).file_name().unwrap_or_default();
        if places
            .iter()
            .any(|place| root.join(place).join(applet).exists())
        {
            continue;
        }
        let path = root.join(name);
        match entry {
            ArchiveMember::Symlink(target) => symlink(target, &path)?,
            ArchiveMember::File { data, mode } => {
                fs::write(&path, data)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
            }
            ArchiveMember::Directory | ArchiveMember::CharDevice { .. } => {}
        }
    }
    fs::write(
        root.join("etc/fstab"),
        format!("UUID={UUID} / ext4 defaults 0 1\n"),
    )?;
    fs::write(
        root.join("etc/os-release"),
        "NAME=Lab\nPRETTY_NAME=\"Lab\"\nID=lab\n",
    )?;
    copy(folder, root)
}

/// Copies what is in a folder into another one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let output = Command::new("cp")
        .args(["-a", "--no-preserve=ownership"])
        .arg(from.join("."))
        .arg(to)
        .start_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "cp -a of {} ended with {}: {said}",
            from.display(),
            output.status
        );
    }
    Ok(())
}
