//! Boot files on file systems that nobody has mounted, on a machine without
//! udev: `kexec list` finds them, shows nobody that it looked, and leaves every
//! byte of the disks as it was.

// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::indexing_slicing)]

use kexec_lab::programs::StartProgram;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::{Guest, Lab, kexec_binary, modules};
use serde_json::Value;

const CONFIG: &str =
    "DEFAULT a\nLABEL a\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND root=/dev/x\n";

/// A program out of a Debian package, with the package's own libraries.
fn tool(lab: &Lab, package: &str, program: &str) -> Result<Command> {
    let tree = lab.package(Suite::Bookworm, package, Keep::Closure)?.path;
    let libraries = ["lib", "usr/lib"].map(|l| tree.join(l).join("x86_64-linux-gnu"));
    let path: Vec<String> = libraries.iter().map(|l| l.display().to_string()).collect();
    let loader = libraries
        .iter()
        .map(|l| l.join("ld-linux-x86-64.so.2"))
        .find(|l| l.exists());
    let places = ["sbin", "usr/sbin", "bin", "usr/bin"];
    let program = places
        .iter()
        .map(|p| tree.join(p).join(program))
        .find(|p| p.exists());
    let mut command = Command::new(loader.context("no program loader")?);
    command.args(["--library-path", &path.join(":")]);
    command.arg(program.with_context(|| format!("{package} has no such program"))?);
    command
        .env("MKE2FS_CONFIG", tree.join("etc/mke2fs.conf"))
        .env("MTOOLS_SKIP_CHECK", "1");
    Ok(command)
}

fn call(command: &mut Command) -> Result<()> {
    let output = command.start_output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Disks with the boot files in `folder`, one file system each.
struct Disks<'a> {
    lab: &'a Lab,
    folder: &'a Path,
    scratch: &'a Path,
}

impl Disks<'_> {
    fn image(&self, name: &str, mb: u64) -> Result<PathBuf> {
        let image = self.scratch.join(name);
        std::fs::File::create(&image)?.set_len(mb << 20)?;
        Ok(image)
    }

    /// With a journal; `debugfs` makes it look as if it had not been unmounted.
    fn ext4(&self, name: &str, damage: &str) -> Result<PathBuf> {
        let image = self.image(name, 16)?;
        let mut mkfs = tool(self.lab, "e2fsprogs", "mke2fs")?;
        call(
            mkfs.args(["-q", "-F", "-t", "ext4", "-d"])
                .arg(self.folder)
                .arg(&image),
        )?;
        let mut debugfs = tool(self.lab, "e2fsprogs", "debugfs")?;
        call(debugfs.args(["-w", "-R", damage]).arg(&image))?;
        Ok(image)
    }

    fn btrfs(&self) -> Result<PathBuf> {
        let image = self.image("btrfs", 128)?;
        let mut mkfs = tool(self.lab, "btrfs-progs", "mkfs.btrfs")?;
        call(mkfs.args(["-q", "--rootdir"]).arg(self.folder).arg(&image))?;
        Ok(image)
    }

    fn xfs(&self) -> Result<PathBuf> {
        let image = self.image("xfs", 320)?;
        // A prototype file (mkfs.xfs(8)): mode, owner and group of each member.
        let at = |name: &str| self.folder.join(name).display().to_string();
        let prototype = self.scratch.join("prototype");
        let text = format!(
            "/\n0 0\nd--755 0 0\nextlinux d--755 0 0\nextlinux.conf ---644 0 0 {}\n$\n\
             vmlinuz ---644 0 0 {}\ninitrd ---644 0 0 {}\n$\n",
            at("extlinux/extlinux.conf"),
            at("vmlinuz"),
            at("initrd")
        );
        std::fs::write(&prototype, text)?;
        let mut mkfs = tool(self.lab, "xfsprogs", "mkfs.xfs")?;
        call(mkfs.arg("-q").arg("-p").arg(&prototype).arg(&image))?;
        Ok(image)
    }

    fn fat(&self, name: &str, config: &str) -> Result<PathBuf> {
        let image = self.image(name, 8)?;
        call(tool(self.lab, "dosfstools", "mkfs.fat")?.arg(&image))?;
        let mut path = String::from("::");
        let (folders, _) = config.rsplit_once('/').context("a path")?;
        for folder in folders.split('/') {
            path = format!("{path}/{folder}");
            call(
                tool(self.lab, "mtools", "mmd")?
                    .arg("-i")
                    .arg(&image)
                    .arg(&path),
            )?;
        }
        for (from, to) in [
            ("extlinux/extlinux.conf", config),
            ("vmlinuz", "vmlinuz"),
            ("initrd", "initrd"),
        ] {
            let mut copy = tool(self.lab, "mtools", "mcopy")?;
            copy.arg("-i")
                .arg(&image)
                .arg(self.folder.join(from))
                .arg(format!("::/{to}"));
            call(&mut copy)?;
        }
        Ok(image)
    }

    /// A disk whose first partition is an ESP with that file system.
    fn partitioned(&self, content: &Path) -> Result<PathBuf> {
        const FIRST: usize = 2048;
        let content = std::fs::read(content)?;
        let sectors = u32::try_from(content.len() / 512)?;
        let mut disk = vec![0; FIRST * 512];
        disk[446 + 4] = 0xef;
        disk[446 + 8..446 + 12].copy_from_slice(&u32::try_from(FIRST)?.to_le_bytes());
        disk[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk.extend(content);
        let image = self.scratch.join("partitioned");
        std::fs::write(&image, disk)?;
        Ok(image)
    }
}

/// The kernel that `kexec list --json` would take, as people see it, or why not.
fn default(json: &[u8]) -> Result<String> {
    let value: Value = serde_json::from_slice(json)?;
    let sources = value["sources"].as_array().context("sources")?;
    let entries = sources
        .iter()
        .flat_map(|s| s["found"]["entries"].as_array())
        .flatten();
    for entry in entries {
        if entry["marks"]["default"] == true {
            let shown = &entry["boots"]["target"]["kernel"]["shown"];
            let notes = &entry["boots"]["target"]["notes"];
            return Ok(match notes.as_array() {
                Some(notes) => format!("{shown} {notes:?}"),
                None => shown.to_string(),
            });
        }
    }
    bail!("no default in {value:#}")
}

#[test]
fn file_systems_that_are_not_mounted_are_read_and_left_alone() -> Result<()> {
    let lab = Lab::open()?;
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().join("files");
    std::fs::create_dir_all(folder.join("extlinux"))?;
    std::fs::write(folder.join("extlinux/extlinux.conf"), CONFIG)?;
    for name in ["vmlinuz", "initrd"] {
        std::fs::write(folder.join(name), name)?;
    }
    let disks = Disks {
        lab: &lab,
        folder: &folder,
        scratch: scratch.path(),
    };
    let esp = disks.fat("esp", "EFI/syslinux/syslinux.cfg")?;
    // In the order of their names in the guest: vda, vdb, ...
    let images = [
        disks.ext4("recovery", "feature needs_recovery")?,
        disks.ext4("orphan", "set_super_value last_orphan 12")?,
        disks.ext4("control", "feature needs_recovery")?,
        disks.fat("fat", "extlinux/extlinux.conf")?,
        disks.xfs()?,
        disks.btrfs()?,
        disks.partitioned(&esp)?,
    ];
    let before: Vec<Vec<u8>> = images.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let drives = images
        .iter()
        .map(|i| format!("format=raw,if=virtio,file={}", i.display()));
    let drives: Vec<String> = drives
        .flat_map(|drive| ["-drive".to_owned(), drive])
        .collect();
    let drives: Vec<&str> = drives.iter().map(String::as_str).collect();

    let kernel = lab.kernel("6.1")?;
    let wanted = [
        "virtio_pci",
        "virtio_blk",
        "nls_ascii",
        "nls_cp437",
        "vfat",
        "xfs",
        "btrfs",
    ];
    let mut script = String::from("cd /lab\n");
    let mut guest = Guest::new(&lab, &kernel)
        .program("bin/kexec", std::fs::read(kexec_binary()?)?)
        .file(
            "hidden/extlinux/extlinux.conf",
            CONFIG.replace("/vmlinuz", "/boot/vmlinuz"),
        )
        .qemu_arguments(&drives);
    let mut loaded = Vec::new();
    for (name, bytes) in modules::load_order(&kernel.modules, &wanted)? {
        guest = guest.file(&format!("lab/{name}.ko"), bytes);
        script += &format!("run {name} insmod {name}.ko\n");
        loaded.push(name);
    }
    script += "mkdir -p /boot /mnt /etc\nrun devices ls /dev /sys/class/block\n";
    for disk in ["vda", "vdb", "vdd", "vde", "vdf"] {
        script += &format!(
            "echo /dev/{disk} /boot auto noauto 0 0 > /etc/fstab\nrun {disk} kexec list --json\n"
        );
    }
    script += "rm /etc/fstab\nrun vdg kexec list --json\nrun mounts cat /proc/mounts\n\
               mount -t ext4 -o ro /dev/vdc /mnt && umount /mnt\n\
               cp -r /hidden/extlinux /extlinux\n\
               echo x > /boot/vmlinuz\necho x > /initrd\nmount -t tmpfs tmpfs /boot\n\
               run hidden kexec list --json\n";
    let outcome = guest.script(&script).run()?;

    let stage = outcome.stage("first")?;
    for module in &loaded {
        let run = stage.run(module)?;
        ensure!(run.code == 0, "{module}: {}", run.err());
    }
    println!("{}", stage.run("devices")?.out());
    let answer = |label: &str| -> Result<String> {
        let run = stage.run(label)?;
        ensure!(run.code == 0, "{label}: {}", run.err());
        default(&run.stdout).with_context(|| format!("{label}: {}", run.out()))
    };
    for disk in ["vda", "vdd", "vde", "vdf"] {
        assert_eq!(answer(disk)?, format!("\"{disk} (not mounted): /vmlinuz\""));
    }
    assert_eq!(answer("vdg")?, "\"vdg1 (not mounted): /vmlinuz\"");
    // The kernel would write to it: it is not opened, and that is said.
    let orphan = stage.run("vdb")?.out();
    assert!(
        orphan.contains("vdb (not mounted): it was not cleanly unmounted"),
        "{orphan}"
    );
    assert!(!stage.run("mounts")?.out().contains("/dev/vd"));
    assert_eq!(answer("hidden")?, "\"rootfs 0:2: /boot/vmlinuz\"");

    for ((image, before), control) in images.iter().zip(before).zip(0..) {
        let same = std::fs::read(image)? == before;
        // The control shows that an ordinary read-only mount does write.
        assert_eq!(same, control != 2, "{}", image.display());
    }
    Ok(())
}
