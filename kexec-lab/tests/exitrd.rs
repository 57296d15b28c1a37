//! Shutdown images: what systemd changes into when the root file system has to be
//! let go, and what has to end in a kexec from there, with and without our hook.

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use serde_json::Value;
use std::time::Duration;

const DPKG: &str = "run dpkg env DEBIAN_FRONTEND=noninteractive \
    sh -c 'dpkg -i /lab/debs/*.deb'\nrun preload kexec enable preload\n";
const AFTER: &str = "run status kexec status --json\nrun says kexec status\n";

/// What `kexec status` says of the last reboot.
fn last_outcome(trial: &Trial, stage: &str) -> Result<String> {
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
/// logical volume. Without our module it has no kexec and takes ours from the old
/// root, so that `kexec enable exitrd` has nothing to do; with the module it brings it.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn dracut() -> Result<()> {
    let lab = Lab::open()?;
    let machine = InstalledMachine::new(&lab, Suite::Sid, SystemLayout::FedoraLike)
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
                SystemLayout::FedoraLike.change_default(&default),
                SystemLayout::FedoraLike.change_default(&other)
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
                SystemLayout::FedoraLike.change_default(&default)
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
    let enable = trial.stage("with")?.run("exitrd")?.out();
    ensure!(enable.contains("exitrd is not needed"), "{enable}");
    must(&trial, "with", &unpacked)?;
    for (stage, release) in [("with", &other), ("after", &default)] {
        assert_eq!(
            trial.started_by(stage)?,
            StartedBy::Kexec,
            "{}",
            trial.summary()
        );
        assert_eq!(&trial.stage(stage)?.report.release, release);
        assert_eq!(
            trial.stage(stage)?.file_system_errors()?,
            Vec::<String>::new()
        );
        assert_eq!(last_outcome(&trial, stage)?, "kexec");
    }
    let entered = trial.console().matches("Entering exitrd").count();
    assert_eq!(entered, 2, "{}", trial.summary());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// What stands in for mkinitcpio, which Debian does not have: it makes of the hooks in
/// its configuration what mkinitcpio 41 makes of them, a root in memory with
/// systemd-shutdown or a script as /shutdown. Written for this test after how that one
/// behaves.
const MKINITCPIO: &str = r#"#!/bin/bash
set -e
while [ $# -gt 1 ]; do
	case $1 in -c) . "$2" ;; -d) to=$2 ;; esac
	shift
done
mount -t tmpfs -o mode=0755 shutdown "$to"
mkdir -p "$to"/usr/bin "$to"/usr/sbin "$to"/usr/lib "$to"/usr/lib64 "$to"/oldroot "$to"/proc
for name in bin sbin lib lib64; do ln -s usr/$name "$to"/$name; done
libraries() {
	cp -L --parents $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*') "$to" || true
}
for hook in "${HOOKS[@]}"; do
	case $hook in
	sd-shutdown)
		cp /usr/lib/systemd/systemd-shutdown "$to"/shutdown
		libraries "$to"/shutdown
		libraries /usr/lib/x86_64-linux-gnu/libmount.so.1
		cp -L --parents /usr/lib/x86_64-linux-gnu/libmount.so.1 "$to"
		if type -P kexec >/dev/null; then
			cp /usr/sbin/kexec "$to"/usr/sbin
			libraries /usr/sbin/kexec
		fi
		;;
	shutdown)
		cp /root/busybox "$to"/usr/bin/busybox
		for name in sh cp mount umount reboot poweroff; do
			ln -s busybox "$to"/usr/bin/$name
		done
		cp /usr/lib/initcpio/shutdown "$to"/shutdown
		;;
	esac
done
"#;
/// The script of its hook `shutdown`: it takes the program along, and jumps.
const SCRIPT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin
for at in proc sys dev run; do
	mkdir -p /$at
	mount --move /oldroot/$at /$at
done
for at in usr/sbin usr/bin sbin bin; do
	type kexec >/dev/null 2>&1 || cp /oldroot/$at/kexec /usr/bin/kexec 2>/dev/null
done
umount /oldroot || umount -l /oldroot
case $1 in
poweroff | halt) poweroff -f ;;
*) type kexec >/dev/null 2>&1 && kexec -e ;;
esac
reboot -f
"#;
const GENERATE: &str = "[Unit]\nDescription=Make the shutdown image\nDefaultDependencies=no\n\
    Before=shutdown.target\nConditionPathExists=/run/initramfs/mkinitcpio-shutdown.conf\n\
    ConditionFileIsExecutable=!/run/initramfs/shutdown\n\
    [Service]\nType=oneshot\n\
    ExecStart=/usr/bin/mkinitcpio -c /run/initramfs/mkinitcpio-shutdown.conf -d /run/initramfs\n";

/// A shutdown: a name, the hooks, what is put at /usr/sbin/kexec, and how it ends.
struct ShutdownImage {
    name: &'static str,
    hooks: &'static str,
    before: &'static str,
    arrives: StartedBy,
}

const OURS: &str = "cp /root/ours /usr/sbin/kexec";
const DEBIANS: &str = "cp /root/debians /usr/sbin/kexec";
const NONE: &str = "rm -f /usr/sbin/kexec";
/// A script from before it took the program along.
const OLD: &str =
    "cp /root/ours /usr/sbin/kexec; sed -i 's/type kexec .* cp .*/:/' /usr/lib/initcpio/shutdown";

const fn shutdown(
    name: &'static str,
    hooks: &'static str,
    before: &'static str,
    arrives: StartedBy,
) -> ShutdownImage {
    ShutdownImage {
        name,
        hooks,
        before,
        arrives,
    }
}

const SHUTDOWNS: &[ShutdownImage] = &[
    shutdown("systemd, ours", "sd-shutdown", OURS, StartedBy::Kexec),
    shutdown("systemd, debians", "sd-shutdown", DEBIANS, StartedBy::Kexec),
    shutdown("systemd, none", "sd-shutdown", NONE, StartedBy::Kexec),
    shutdown("script, ours", "shutdown", OURS, StartedBy::Kexec),
    shutdown("script, debians", "shutdown", DEBIANS, StartedBy::Cold),
    shutdown("script, none", "shutdown", NONE, StartedBy::Cold),
    shutdown("old script, ours", "shutdown", OLD, StartedBy::Cold),
];

/// mkinitcpio's images: what `kexec reboot` foretells of each is what happens.
#[test]
#[ignore = "eight shutdowns: cargo xtask test --all"]
fn like_mkinitcpio() -> Result<()> {
    let lab = Lab::open()?;
    let busybox = lab
        .package(Suite::Bookworm, "busybox-static", Keep::Named(&["busybox"]))?
        .path
        .join("bin/busybox");
    let unit = "mkinitcpio-generate-shutdown-ramfs.service";
    let mut wanted = kexec_lab::Initramfs::new();
    for target in ["reboot", "kexec", "poweroff"] {
        wanted.symlink(
            &format!("etc/systemd/system/{target}.target.wants/{unit}"),
            &format!("/etc/systemd/system/{unit}"),
        );
    }
    let cold = SHUTDOWNS.iter().filter(|s| s.arrives == StartedBy::Cold);
    let mut machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .debs("kexec-tools")?
        .program("root/ours", std::fs::read(kexec_lab::kexec_binary()?)?)
        .program("root/busybox", std::fs::read(&busybox)?)
        .program("usr/bin/mkinitcpio", MKINITCPIO)
        .program("usr/lib/initcpio/shutdown", SCRIPT)
        .file(&format!("etc/systemd/system/{unit}"), GENERATE)
        .with(&wanted)
        .cold_boots(cold.count())
        .timeout(Duration::from_secs(900));
    let (default, _) = machine.kernels()?;
    let mut first = "for deb in /lab/debs/*.deb; do dpkg -x $deb /; done\n\
                     mv /usr/sbin/kexec /root/debians\n";
    let set = |shutdown: &ShutdownImage| {
        format!(
            "{}\nmkdir -p /run/initramfs\n\
             echo 'HOOKS=({})' >/run/initramfs/mkinitcpio-shutdown.conf\n\
             run foretold /root/ours reboot --dry-run\n",
            shutdown.before, shutdown.hooks
        )
    };
    for shutdown in SHUTDOWNS {
        let jump = match shutdown.arrives {
            StartedBy::Kexec => "jump /root/ours reboot\n".to_owned(),
            _ => format!(
                "run load /root/ours -l /boot/vmlinuz-{default} \
                 --initrd=/boot/initrd.img-{default} --reuse-cmdline\n\
                 jump systemctl start --no-block --job-mode=replace-irreversibly kexec.target\n"
            ),
        };
        let script = format!(
            "{first}{}run enable /root/ours enable exitrd --dry-run\n{jump}",
            set(shutdown)
        );
        machine = machine.stage(shutdown.name, &script);
        first = "";
    }
    let last = SHUTDOWNS.last().context("no shutdowns")?;
    let trial = machine
        .stage(
            "enabled",
            &format!(
                "{}run enable /root/ours enable exitrd\n\
                 run enabled /root/ours reboot --dry-run\njump /root/ours reboot\n",
                set(last)
            ),
        )
        .stage("after", "run status /root/ours status --json\n")
        .run()?;
    let mut names: Vec<&str> = SHUTDOWNS.iter().map(|shutdown| shutdown.name).collect();
    names.extend(["enabled", "after"]);
    for (shutdown, next) in SHUTDOWNS.iter().zip(names.iter().skip(1)) {
        let stage = trial.stage(shutdown.name)?;
        let foretold = stage.run("foretold")?;
        let said = format!("{}{}", foretold.out(), foretold.err());
        let started_by = trial.started_by(next)?;
        println!("# {}: {started_by:?}\n{said}", shutdown.name);
        assert_eq!(started_by, shutdown.arrives, "{}", trial.summary());
        let refused = foretold.code != 0 && said.contains("shutdown image");
        assert_eq!(
            refused,
            started_by == StartedBy::Cold,
            "{}: {said}",
            shutdown.name
        );
        let enable = stage.run("enable")?.out();
        let needed = !enable.contains("exitrd is not needed");
        assert_eq!(needed, refused, "{}: {enable}", shutdown.name);
    }
    must(&trial, "enabled", &["enable", "enabled"])?;
    assert_eq!(
        trial.started_by("after")?,
        StartedBy::Kexec,
        "{}",
        trial.summary()
    );
    assert_eq!(last_outcome(&trial, "after")?, "kexec");
    let entered = trial.console().matches("Entering exitrd").count();
    assert_eq!(entered, SHUTDOWNS.len() + 1, "{}", trial.summary());
    assert_eq!(
        trial.stage("after")?.file_system_errors()?,
        Vec::<String>::new()
    );
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
