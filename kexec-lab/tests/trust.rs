//! Whose word counts: somebody who sits at the machine attaches copies of its boot
//! file system that start another program as init, and mounts what he likes. Whatever
//! the boot loader would have read stays what is loaded, also at the end of a shutdown.

// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Guest, Lab, kexec_binary, modules};

/// What the copies add to every command line.
const EVIL: &str = "init=/home/u/x";

/// Shell functions: `forge` makes a copy of the disk's first 201 MiB, which hold the
/// partition table and the boot file system, as long as the disk itself; `attach` is
/// what udisks does for whoever sits at the machine; `nobody` mounts a FUSE file system
/// by the name of a disk, for which no program answers: who enters it waits for ever.
const ATTACKS: &str = r#"
forge() {
	sync
	blockdev --flushbufs /dev/vda
	echo 3 > /proc/sys/vm/drop_caches
	dd if=/dev/vda of=/root/evil bs=1M count=201 conv=sparse status=none
	truncate -s "$(blockdev --getsize64 /dev/vda)" /root/evil
}
attach() {
	modprobe loop
	losetup -P /dev/loop0 /root/evil
	udevadm settle
	mkdir -p /media/u/x
	mount -o nosuid,nodev /dev/loop0p1 /media/u/x
	for file in /media/u/x/loader/entries/*.conf /media/u/x/grub/grub.cfg; do
		if [ -e "$file" ]; then
			sed -i -e 's,^options .*,& init=/home/u/x,' -e 's,^[[:space:]]*linux[[:space:]].*,& init=/home/u/x,' "$file"
			grep -c init=/home/u/x "$file"
		fi
	done
	sync
}
nobody() {
	modprobe fuse
	mkdir -p /media/u/f
	exec 9<>/dev/fuse
	LIBMOUNT_FORCE_MOUNT2=always mount -i -t fuse -o fd=9,rootmode=40000,user_id=1000,group_id=1000 "$1" /media/u/f
}
"#;

/// The honest load beside every kind of attack that does not need hardware.
fn the_boot_loader_is_believed(suite: Suite, layout: SystemLayout) -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, suite, layout).product()?;
    let (default, other) = machine.kernels()?;
    // Asleep or not mounted again, as far as the layout allows.
    let asleep = match layout {
        SystemLayout::EfiSystemdBoot => "umount /efi\n",
        SystemLayout::BiosGrubAutomount => "sleep 5\n",
        _ => "",
    };
    let trial = machine
        .file("lab/attacks", ATTACKS)
        .stage(
            "before",
            &format!(
                ". /lab/attacks\n{}\
                 run honest kexec list\n{asleep}\
                 run forge forge\nrun attach attach\nrun nobody nobody /dev/vda1\n\
                 run table cat /proc/self/mountinfo\n\
                 run links ls -l /dev/disk/by-uuid /dev/disk/by-partuuid\n\
                 run list timeout 60 kexec list\n\
                 run check timeout 60 kexec check\n\
                 run json timeout 60 kexec check --json\n\
                 run mounted cat /proc/self/mountinfo\n\
                 umount -l /media/u/f; exec 9>&-\n\
                 jump kexec reboot --append trial=one\n",
                layout.change_default(&other)
            ),
        )
        .stage(
            "after",
            ". /lab/attacks\nrun attach attach\n\
             run enable kexec enable preload\n\
             run status kexec status\n\
             jump systemctl reboot\n",
        )
        .stage("last", "run status kexec status\n")
        .run()?;
    let before = trial.stage("before")?;
    for label in [
        "honest", "attach", "table", "links", "list", "check", "mounted",
    ] {
        let run = before.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
    }
    println!("all: {:.1} s", trial.seconds());
    assert_eq!(before.report.release, default);
    for label in ["change", "forge", "attach", "nobody", "list", "check"] {
        let run = before.run(label)?;
        ensure!(run.code == 0, "{label}: {}{}", run.out(), run.err());
    }
    ensure!(before.run("table")?.out().contains("fuse /dev/vda1"));
    // Both are named, and the believed one with its device and its file system.
    let list = before.run("list")?.out().replace("\n          ", " ");
    ensure!(!list.contains(EVIL) && !list.contains("/media/"), "{list}");
    ensure!(list.contains("loop0p1 has the UUID"), "{list}");
    // With EFI and GRUB, /boot is on the root file system.
    let believed = match layout {
        SystemLayout::EfiGrub => "/dev/vda2 (",
        _ => "/dev/vda1 (",
    };
    ensure!(list.contains(believed), "{list}");
    let json = before.run("json")?.out();
    ensure!(
        json.contains("boot-source") && json.contains(believed),
        "{json}"
    );
    // Nothing of the copy was mounted where the machine's own belongs.
    let mounted = before.run("mounted")?.out();
    let copies = mounted.lines().filter(|line| line.contains("/dev/loop0p1"));
    assert_eq!(copies.count(), 1, "{mounted}");

    for name in ["after", "last"] {
        let stage = trial.stage(name)?;
        let line = stage.report.command_line().to_owned();
        println!("{name}: {}: {line}", stage.report.release);
        assert_eq!(trial.started_by(name)?, StartedBy::Kexec, "{name}");
        assert_eq!(stage.report.release, other, "{name}");
        ensure!(!line.contains(EVIL), "{name}: {line}");
    }
    ensure!(
        trial
            .stage("after")?
            .report
            .command_line()
            .contains("trial=one")
    );
    for label in ["attach", "enable"] {
        let run = trial.stage("after")?.run(label)?;
        ensure!(run.code == 0, "{label}: {}{}", run.out(), run.err());
    }
    Ok(())
}

kexec_lab::cells! {
    the_boot_loader_is_believed;
    trixie_efi_systemd_boot: Trixie, EfiSystemdBoot;
    trixie_bios_grub_noauto: Trixie, BiosGrubNoauto;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_bios_grub_automount: Trixie, BiosGrubAutomount;
    #[ignore = "a cell of cargo xtask test --all"]
    bookworm_bios_grub_boot: Bookworm, BiosGrubBoot;
    #[ignore = "a cell of cargo xtask test --all"]
    sid_efi_systemd_boot: Sid, EfiSystemdBoot;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_efi_uki: Trixie, EfiUki;
    #[ignore = "a cell of cargo xtask test --all"]
    trixie_efi_grub: Trixie, EfiGrub;
}

/// An ext4 with boot files, always with the same UUID and label.
fn image(folder: &Path, name: &str, line: &str) -> Result<PathBuf> {
    let files = folder.join(format!("{name}.files"));
    std::fs::create_dir_all(files.join("extlinux"))?;
    let config =
        format!("DEFAULT a\nLABEL a\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND {line}\n");
    std::fs::write(files.join("extlinux/extlinux.conf"), config)?;
    std::fs::write(files.join("vmlinuz"), name)?;
    std::fs::write(files.join("initrd"), name)?;
    let image = folder.join(name);
    std::fs::File::create(&image)?.set_len(16 << 20)?;
    let made = Command::new("mkfs.ext4")
        .args([
            "-q",
            "-F",
            "-L",
            "boot",
            "-U",
            "6b657865-6300-4c61-8000-00000000000b",
        ])
        .args(["-O", "^orphan_file,^metadata_csum", "-d"])
        .args([&files, &image])
        .output()
        .context("starting mkfs.ext4 (package e2fsprogs)")?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(image)
}

/// A real disk on USB: its path in sysfs is what tells it from the machine's own.
/// Beside that one, in its place, and as what the machine runs from.
#[test]
fn a_disk_on_usb() -> Result<()> {
    let lab = Lab::open()?;
    let scratch = tempfile::tempdir()?;
    let own = image(scratch.path(), "own", "root=/dev/own")?;
    let stick = image(scratch.path(), "stick", &format!("root=/dev/own {EVIL}"))?;
    let kernel = lab.generic_kernel()?;
    let wanted = [
        "virtio_pci",
        "virtio_blk",
        "crc32c_generic",
        "ext4",
        "xhci_pci",
        "usb_storage",
        "sd_mod",
    ];
    let mut script = String::from("cd /lab\n");
    let drive =
        |id: &str, image: &Path| format!("if=none,format=raw,id={id},file={}", image.display());
    let (own, stick) = (drive("own", &own), drive("stick", &stick));
    let mut guest = Guest::new(&lab, &kernel)
        .program("bin/kexec", std::fs::read(kexec_binary()?)?)
        .qemu_arguments(&[
            "-drive",
            &own,
            "-device",
            "virtio-blk-pci,drive=own,id=disk",
        ])
        .qemu_arguments(&["-device", "qemu-xhci", "-drive", &stick])
        .qemu_arguments(&["-device", "usb-storage,drive=stick"]);
    for (name, bytes) in modules::load_order(&kernel.modules, &wanted)? {
        guest = guest.file(&format!("lab/{name}.ko"), bytes);
        script += &format!("insmod {name}.ko\n");
    }
    let uuid = "UUID=6b657865-6300-4c61-8000-00000000000b";
    script += &format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/sda ] || sleep 1; done\n\
         mkdir -p /boot /media/x /etc\n\
         run path readlink /sys/class/block/sda\n\
         echo {uuid} /boot ext4 noauto 0 0 > /etc/fstab\n\
         run both kexec list\n\
         echo LABEL=boot /boot ext4 noauto 0 0 > /etc/fstab\n\
         run label kexec list\n\
         mount -t ext4 -o nosuid,nodev /dev/sda /media/x\n\
         run users kexec list\n\
         umount /media/x\n\
         mount -t ext4 /dev/sda /boot\n\
         run wrong kexec list\n\
         umount /boot\n\
         echo 1 > /sys/class/block/vda/device/../remove\n\
         for i in 1 2 3 4 5; do [ ! -e /dev/vda ] || sleep 1; done\n\
         run gone kexec list\n\
         run mounts cat /proc/mounts\n\
         mount -t ext4 -o ro /dev/sda /boot\n\
         run runs kexec list\n"
    );
    let outcome = guest.script(&script).run()?;
    let stage = outcome.stage("first")?;
    let said = |label: &str| -> Result<String> {
        let run = stage.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        Ok((run.out() + &run.err()).replace("\n          ", " "))
    };
    ensure!(said("path")?.contains("/usb"));
    for label in ["both", "label", "users", "wrong"] {
        let text = said(label)?;
        ensure!(
            text.contains("vda (not mounted): /vmlinuz"),
            "{label}: {text}"
        );
        ensure!(
            !text.contains(EVIL) && !text.contains("/media"),
            "{label}: {text}"
        );
        ensure!(
            text.contains("sda has the UUID") && text.contains("by USB"),
            "{text}"
        );
    }
    let gone = said("gone")?;
    ensure!(!gone.contains(EVIL) && gone.contains("by USB"), "{gone}");
    ensure!(!said("mounts")?.contains("/dev/sd"));
    // Root mounted it at /boot, and there is no other: this machine's own.
    let runs = said("runs")?;
    ensure!(runs.contains(EVIL), "{runs}");
    ensure!(
        runs.contains("the running system has its own /boot on that disk"),
        "{runs}"
    );
    Ok(())
}
