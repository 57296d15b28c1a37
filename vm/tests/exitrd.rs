//! Shutdown images: what systemd changes into when the root file system has to be
//! let go, and what has to end in a kexec from there, with and without our hook.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use vm::Lab;
use vm::apt::{Keep, Suite};
use vm::installed::{Arrival, Layout, Machine, Trial};

const DPKG: &str = "run dpkg env DEBIAN_FRONTEND=noninteractive \
    sh -c 'dpkg -i /lab/debs/*.deb'\nrun preload kexec enable preload\n";
const AFTER: &str = "run status kexec status --json\nrun says kexec status\n";

/// What `kexec status` says of the last reboot.
fn last(trial: &Trial, stage: &str) -> Result<String> {
    let run = trial.stage(stage)?.run("status")?;
    let status: Value = serde_json::from_str(&run.out()).with_context(|| run.err())?;
    let what = status.pointer("/last/outcome/what").and_then(Value::as_str);
    Ok(what.unwrap_or("nothing").to_owned())
}

fn must(trial: &Trial, stage: &str, labels: &[&str]) -> Result<()> {
    for label in labels {
        let run = trial.stage(stage)?.run(label)?;
        let said = format!("{}{}", run.out(), run.err());
        println!("# {stage}: {label}: {}\n{said}", run.code);
        ensure!(run.code == 0, "{label} ended with {}: {said}", run.code);
    }
    Ok(())
}

/// dracut 112 demands its mark in the folder that it unpacks into, and 3cpio 0.14
/// unpacks into no folder with files unless it is told to: on a machine that has
/// 3cpio there is no image until one of the two is mended. The folder is asked for
/// here as dracut means it.
const UNPACK: &str = "#!/bin/sh\n\
    case \" $* \" in *' --force '*) ;; *' --extract '*) set -- --force \"$@\" ;; esac\n\
    exec /usr/bin/3cpio \"$@\"\n";

/// dracut's image, unpacked by its own unit as on a machine whose root is on a
/// logical volume. Without the hook it has no kexec and takes ours from the old
/// root; with the hook it brings it.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn dracut() -> Result<()> {
    let lab = Lab::open()?;
    let machine = Machine::new(&lab, Suite::Sid, Layout::FedoraLike)
        .product_deb()?
        .program("usr/local/bin/3cpio", UNPACK);
    let (default, other) = machine.kernels()?;
    // As dracut's hooks for logical volumes and multipath say it.
    let wanted = "mkdir -p /run/initramfs\ntouch /run/initramfs/.need_shutdown\n\
                  run unit systemctl is-active dracut-shutdown.service\n\
                  run unpack systemctl stop dracut-shutdown.service\n\
                  run log journalctl -b -u dracut-shutdown -o cat --no-pager\n\
                  run there test -x /run/initramfs/shutdown\n";
    let trial = machine
        .stage(
            "without",
            &format!(
                "{}{DPKG}{}{wanted}\
                 run has sh -c 'lsinitrd /boot/initramfs-{default}.img | grep -c bin/kexec'\n\
                 jump systemctl reboot\n",
                // By its title; as it was installed, only Fedora's GRUB knows its meaning.
                Layout::FedoraLike.change_default(&default),
                Layout::FedoraLike.change_default(&other)
            ),
        )
        // The running kernel's image is free to be made small: the next one is the
        // other's.
        .stage(
            "with",
            &format!(
                "{AFTER}{}run exitrd kexec enable exitrd\n\
                 run make dracut --force --no-kernel --modules 'base shutdown kexec' \
                 /boot/initramfs-{other}.img {other}\n\
                 {wanted}run has sh -c 'lsinitrd /boot/initramfs-{other}.img | grep -c bin/kexec'\n\
                 jump systemctl reboot\n",
                Layout::FedoraLike.change_default(&default)
            ),
        )
        .stage("after", AFTER)
        .timeout(Duration::from_secs(500))
        .run()?;
    let unpacked = ["unit", "unpack", "log", "there"];
    must(&trial, "without", &["change", "dpkg", "preload"])?;
    must(&trial, "without", &unpacked)?;
    assert_eq!(trial.stage("without")?.run("has")?.out(), "0\n");
    must(&trial, "with", &["change", "exitrd", "make", "has"])?;
    must(&trial, "with", &unpacked)?;
    for (stage, release) in [("with", &other), ("after", &default)] {
        assert_eq!(trial.arrival(stage)?, Arrival::Kexec, "{}", trial.story());
        assert_eq!(&trial.stage(stage)?.report.release, release);
        assert_eq!(trial.stage(stage)?.unclean()?, Vec::<String>::new());
        assert_eq!(last(&trial, stage)?, "kexec");
    }
    let entered = trial.console().matches("Entering exitrd").count();
    assert_eq!(entered, 2, "{}", trial.story());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// What mkinitcpio's unit makes at shutdown: a small root in memory whose shutdown
/// program jumps if it finds a kexec, and goes through the firmware if not. Written
/// for this test after how that one behaves.
const MAKE: &str = r#"#!/bin/sh
set -e
mkdir -p /run/initramfs
mount -t tmpfs -o mode=0755 shutdown /run/initramfs
mkdir -p /run/initramfs/usr/bin /run/initramfs/oldroot /run/initramfs/proc
cp /root/busybox /run/initramfs/usr/bin/busybox
for name in sh mount umount reboot poweroff sleep; do
	ln -s busybox /run/initramfs/usr/bin/$name
done
ln -s usr/bin /run/initramfs/bin
cp /root/image-shutdown /run/initramfs/shutdown
"#;
const SHUTDOWN: &str = r#"#!/bin/sh
export PATH=/usr/bin
for at in proc sys dev run; do
	mkdir -p /$at
	mount --move /oldroot/$at /$at
done
umount /oldroot || umount -l /oldroot
case $1 in
poweroff | halt) poweroff -f ;;
*) type kexec && kexec -e ;;
esac
reboot -f
"#;
const GENERATE: &str = "[Unit]\nDescription=Make the shutdown image\nDefaultDependencies=no\n\
    Before=shutdown.target\nConditionPathExists=!/run/initramfs/shutdown\n\
    [Service]\nType=oneshot\nExecStart=/root/make-image\n";

/// mkinitcpio's image: without the hook it goes through the firmware whatever is
/// loaded, and preloading is refused; with the hook it jumps.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn like_mkinitcpio() -> Result<()> {
    let lab = Lab::open()?;
    let busybox = lab
        .package(Suite::Bookworm, "busybox-static", Keep::Named(&["busybox"]))?
        .path
        .join("bin/busybox");
    let unit = "mkinitcpio-generate-shutdown-ramfs.service";
    let mut wanted = vm::Initramfs::new();
    for target in ["reboot", "kexec", "poweroff"] {
        wanted.symlink(
            &format!("etc/systemd/system/{target}.target.wants/{unit}"),
            &format!("/etc/systemd/system/{unit}"),
        );
    }
    let machine = Machine::new(&lab, Suite::Trixie, Layout::BiosGrub)
        .product_deb()?
        .program("root/busybox", std::fs::read(&busybox)?)
        .program("root/make-image", MAKE)
        .program("root/image-shutdown", SHUTDOWN)
        .file(&format!("etc/systemd/system/{unit}"), GENERATE)
        .file("usr/lib/initcpio/init", "")
        .with(&wanted);
    let (default, _) = machine.kernels()?;
    let trial = machine
        .cold_boots(1)
        .stage(
            "without",
            &format!(
                "{DPKG}run load kexec -l /boot/vmlinuz-{default} \
                 --initrd=/boot/initrd.img-{default} --reuse-cmdline\n\
                 jump systemctl kexec\n"
            ),
        )
        .stage(
            "with",
            "run exitrd kexec enable exitrd\nrun preload kexec enable preload\n\
             jump systemctl reboot\n",
        )
        .stage("after", AFTER)
        .run()?;
    must(&trial, "without", &["dpkg", "load"])?;
    let refused = trial.stage("without")?.run("preload")?;
    assert_eq!(refused.code, 1);
    ensure!(
        refused.err().contains("it has no kexec"),
        "{}",
        refused.err()
    );
    assert_eq!(trial.arrival("with")?, Arrival::Cold);
    must(&trial, "with", &["exitrd", "preload"])?;
    assert_eq!(trial.arrival("after")?, Arrival::Kexec);
    assert_eq!(last(&trial, "after")?, "kexec");
    let entered = trial.console().matches("Entering exitrd").count();
    assert_eq!(entered, 2, "{}", trial.story());
    assert_eq!(trial.stage("after")?.unclean()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
