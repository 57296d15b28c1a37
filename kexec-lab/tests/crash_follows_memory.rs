//! `kexec enable crash` when memory is plugged in: the running kernel follows that itself (6.12),
//! or udev has the crash kernel loaded again (6.1). And `-a -p` where the running kernel has no
//! `kexec_file_load(2)`, as a system call filter makes it look.

use anyhow::{Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Lab, Stage, monitor_port};
use serde_json::Value;
use std::time::Duration;

/// `plug ID`: a memory module of 256 MiB comes, and is used; fails where it does not.
/// `saved`: the ELF core header that is loaded.
const WORDS: &str = r#"
invocation() { systemctl show --property InvocationID --value kexec-crash.service; }
run_again() { # since the invocation in /run/before, within 30 seconds
	n=0
	until [ "$(invocation)" != "$(cat /run/before)" ] &&
		[ "$(systemctl is-active kexec-crash.service)" = inactive ]; do
		n=$((n + 1))
		[ $n -le 60 ] || return 1
		sleep 0.5
	done
	[ ! -e /run/kexec-crash-changed ]
}
not_again() { # within 5 seconds
	sleep 5
	[ "$(invocation)" = "$(cat /run/before)" ] && [ ! -e /run/kexec-crash-changed ]
}
total() { sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
plug() {
	stty -F /dev/ttyS2 raw -echo
	# What the monitor echoes has to be read, or it waits.
	cat /dev/ttyS2 > /run/monitor &
	reader=$! before=$(total) n=0
	echo "device_add pc-dimm,id=$1,memdev=$1" > /dev/ttyS2
	until [ "$(total)" -gt $((before + 200000)) ]; do
		n=$((n + 1))
		[ $n -le 60 ] || break
		sleep 0.5
		for state in /sys/devices/system/memory/memory*/state; do
			[ "$(cat $state)" != offline ] || echo online > $state
		done
	done
	kill $reader
	udevadm settle
	[ $n -le 60 ] || { cat /run/monitor >&2; return 1; }
}
saved() { loaded-core-header | base64 -w 0; }
"#;

const NEWER: &str = r#"
run enable kexec enable crash
run loaded kexec -S
run hotplug cat /sys/devices/system/memory/crash_hotplug
run header-before saved
invocation > /run/before
run plug plug one
run kernel-follows not_again
run header-after saved
run iomem cat /proc/iomem
line="--initrd /boot/initrd.img-$(uname -r) --reuse-cmdline --append nr_cpus=1"
filtered="systemd-run --quiet --wait --pipe -p SystemCallFilter=~kexec_file_load:ENOSYS"
run fallback $filtered kexec -a -p /boot/vmlinuz-$(uname -r) $line
run fallback-status kexec status --json
run file-only $filtered kexec -s -p /boot/vmlinuz-$(uname -r) $line
run still kexec -S
run unload $filtered kexec -p -u
run unloaded kexec -S
run reload systemctl restart kexec-crash.service
jump kexec reboot /boot/vmlinuz-OTHER --initrd /boot/initrd.img-OTHER --reuse-cmdline
"#;

const OLDER: &str = r#"
run at-boot kexec -S
run no-hotplug cat /sys/devices/system/memory/crash_hotplug
run header-before saved
invocation > /run/before
run plug plug two
run reloaded run_again
run again kexec -S
run header-after saved
run iomem cat /proc/iomem
run failed systemctl --failed --no-legend
"#;

/// The end of the last range that an ELF core header in base64 has.
fn last_address(stage: &Stage, label: &str) -> Result<u64> {
    let text = stage.good(label)?.out();
    let header = decoded(text.trim())?;
    let field = |at: usize, len: usize| -> u64 {
        let bytes = header.get(at..at + len).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let count = usize::try_from(field(56, 2))?;
    let ends = (0..count)
        .map(|entry| 64 + 56 * entry)
        .filter(|at| field(*at, 4) == 1)
        .map(|at| field(at + 24, 8) + field(at + 40, 8));
    Ok(ends.max().unwrap_or_default())
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut many) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|known| *known == byte);
        let digit = digit.ok_or_else(|| anyhow::anyhow!("no base64: {byte}"))?;
        bits = bits << 6 | u32::try_from(digit)?;
        many += 6;
        if many >= 8 {
            many -= 8;
            out.push(u8::try_from(bits >> many & 255)?);
        }
    }
    Ok(out)
}

/// The end of the last `System RAM` of /proc/iomem.
fn end_of_ram(stage: &Stage) -> Result<u64> {
    let iomem = stage.run("iomem")?.out();
    let lines = iomem.lines().filter(|line| line.contains("System RAM"));
    let last = lines
        .filter_map(|line| line.trim().split([' ', '-']).nth(1))
        .next_back();
    Ok(u64::from_str_radix(last.unwrap_or_default(), 16)? + 1)
}

fn show(stage: &Stage) {
    for run in &stage.runs {
        println!("# {} {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
}

#[test]
#[ignore = "an installed system and two boots: cargo xtask test --all"]
fn memory_that_is_plugged_in_is_in_the_dump() -> Result<()> {
    let lab = Lab::open()?;
    let folder = tempfile::tempdir()?;
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .program(
            "usr/bin/loaded-core-header",
            std::fs::read(env!("CARGO_BIN_EXE_loaded-core-header"))?,
        );
    let (_, other) = machine.kernels()?;
    let port = monitor_port(&folder.path().join("monitor"));
    let port: Vec<&str> = port.iter().map(String::as_str).collect();
    let trial = machine
        .timeout(Duration::from_secs(900))
        .qemu_arguments(&port)
        .qemu_arguments(&["-m", "slots=4,maxmem=8G"])
        .qemu_arguments(&["-object", "memory-backend-ram,id=one,size=256M"])
        .qemu_arguments(&["-object", "memory-backend-ram,id=two,size=256M"])
        .cold_boots(1)
        .stage(
            "reserve",
            "sed -i 's/ panic=-1/ panic=-1 crashkernel=256M/' /boot/grub/grub.cfg\n\
             jump systemctl reboot\n",
        )
        .stage(
            "newer",
            &format!("{WORDS}{}", NEWER.replace("OTHER", &other)),
        )
        .stage("older", &format!("{WORDS}{OLDER}"))
        .run()?;
    println!("{:.0} s", trial.seconds());
    let newer = trial.stage("newer")?;
    show(newer);
    for label in ["enable", "plug", "kernel-follows", "fallback", "unload"] {
        newer.good(label)?;
    }
    assert_eq!(newer.run("loaded")?.code, 1);
    assert_eq!(newer.run("hotplug")?.out().trim(), "1");
    let added = |stage: &Stage| -> Result<(u64, u64, u64)> {
        let header = |label| last_address(stage, label);
        Ok((
            header("header-before")?,
            header("header-after")?,
            end_of_ram(stage)?,
        ))
    };
    // The kernel itself has written the loaded header anew.
    let (before, after, end) = added(newer)?;
    println!("newer: {before:#x}, {after:#x}, {end:#x}");
    ensure!(before < after && after == end);
    // No file call at all: the other one, with the reason.
    let status: Value = serde_json::from_slice(&newer.good("fallback-status")?.stdout)?;
    let image = status.pointer("/crash/image");
    let method = image.and_then(|image| image.get("method")?.as_str());
    assert_eq!(method, Some("kexec_load"), "{status:#}");
    let file_only = newer.run("file-only")?;
    ensure!(file_only.code != 0, "{}", file_only.out());
    assert_eq!(newer.run("still")?.code, 1, "the image before it is gone");
    assert_eq!(newer.run("unloaded")?.code, 0);

    ensure!(trial.started_by("older")? == StartedBy::Kexec);
    let older = trial.stage("older")?;
    show(older);
    ensure!(older.report.release == other);
    assert_eq!(older.run("at-boot")?.code, 1);
    ensure!(older.run("no-hotplug")?.code != 0);
    for label in ["plug", "reloaded"] {
        older.good(label)?;
    }
    assert_eq!(older.run("again")?.code, 1);
    let (before, after, end) = added(older)?;
    println!("older: {before:#x}, {after:#x}, {end:#x}");
    ensure!(before < after && after == end);
    ensure!(older.run("failed")?.out().is_empty());
    Ok(())
}
