//! Xen by `kexec_load(2)`: a multiboot kernel with modules that reads most of
//! what multiboot can tell, and tells what it read.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::{Guest, GuestRun, Lab, MemmapEntry};
use std::path::PathBuf;

/// Words for Xen, on a machine with a BIOS: on others it finds neither its low
/// memory nor ACPI when another kernel starts it. Its messages go to the first serial port. `no-real-mode`: it
/// does not call the BIOS, whose state is not known when Linux ran on the
/// machine.
const XEN: &str = "com1=115200,8n1 console=com1 no-real-mode dom0_mem=512M";
/// Words for the kernel of dom0; Xen writes what it says on its own console.
const DOM0: &str = "console=hvc0 panic=-1 in=\"dom 0\"";

/// What Xen says when it is where it was linked to be.
const NOT_MOVED: &str = "(XEN) Xen image load base address: 0\r\n";

/// The one file of `folder` with this start and end of its name.
fn file(folder: PathBuf, start: &str, end: &str) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(start) && name.ends_with(end))
        })
        .with_context(|| format!("no {start}*{end} in {}", folder.display()))
}

fn xen(lab: &Lab) -> Result<PathBuf> {
    let keep = Keep::Named(&["xen-hypervisor-4"]);
    let tree = lab.package(Suite::Trixie, "xen-system-amd64", keep)?;
    file(tree.path.join("boot"), "xen-", ".gz")
}

/// A kernel that can be dom0 and its release. Debian's cloud kernels cannot
/// (CONFIG_XEN_DOM0 is off), and its other ones come without their modules only
/// from 7.x on.
fn dom0(lab: &Lab) -> Result<(PathBuf, String)> {
    let keep = Keep::Named(&["linux-binary-"]);
    let tree = lab.package(Suite::TrixieBackports, "linux-image-amd64", keep)?;
    let folder = file(tree.path.join("usr/lib/modules"), "", "-amd64")?;
    let release = folder.file_name().and_then(|name| name.to_str());
    let release = release.context("no release")?.to_owned();
    Ok((folder.join("vmlinuz"), release))
}

/// The memory map that Xen was given, in its words: start, end, what.
fn memory_map(console: &str) -> Vec<(u64, u64, &str)> {
    let lines = console
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "(XEN) Multiboot-e820 RAM map:")
        .skip(1);
    lines
        .map_while(|line| {
            let (range, kind) = line.strip_prefix("(XEN)  [")?.split_once("] (")?;
            let (start, end) = range.split_once(", ")?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(start)?, number(end)?, kind.strip_suffix(')')?))
        })
        .collect()
}

/// A range of the firmware's map in Xen's words.
fn in_xen_words(range: &MemmapEntry) -> (u64, u64, &str) {
    let kind = match range.kind.as_str() {
        "System RAM" => "usable",
        "Reserved" => "reserved",
        "ACPI Tables" => "ACPI data",
        "ACPI Non-volatile Storage" => "ACPI NVS",
        other => other,
    };
    (range.start, range.end, kind)
}

/// Xen's line with the place of the initrd: its length.
fn initrd_len(console: &str) -> Result<u64> {
    let line = console
        .lines()
        .find_map(|line| line.split_once("Init. ramdisk: "));
    let (start, end) = line
        .and_then(|(_, range)| range.trim().split_once("->"))
        .context("Xen has no initrd for dom0")?;
    Ok(u64::from_str_radix(end, 16)? - u64::from_str_radix(start, 16)?)
}

/// Boots Xen with a kernel and an initrd as modules, with these options of
/// `kexec`. dom0 must come up and have what it was given.
fn boots(options: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let (kernel, release) = dom0(&lab)?;
    let mut root = lab.initramfs("dom0")?;
    root.file("lab/script", "run hypervisor cat /sys/hypervisor/type\n");
    let initrd = root.build()?;
    let len = u64::try_from(initrd.len())?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(1536)
        .with(&lab.product()?.files)
        .file("boot/xen.gz", std::fs::read(xen(&lab)?)?)
        .file("boot/vmlinuz", std::fs::read(kernel)?)
        .file("boot/initrd", initrd)
        .script(&format!(
            "run load kexec -c -l /boot/xen.gz --command-line='{XEN}' \
             --module='/boot/vmlinuz {DOM0}' --module=/boot/initrd {options}\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));

    let console = &outcome.console;
    ensure!(console.contains("(XEN) Bootloader: kexec-rs"));
    ensure!(console.contains(&format!("(XEN) Command line: {XEN}\r\n")));
    assert_eq!(initrd_len(console)?, len);
    let told: Vec<_> = one.report.memmap.iter().map(in_xen_words).collect();
    assert_eq!(memory_map(console), told);

    let dom0 = outcome.stage("dom0")?;
    assert_eq!(dom0.report.release, release);
    assert_eq!(dom0.report.command_line(), DOM0);
    assert_eq!(dom0.run("hypervisor")?.out(), "xen\n");
    assert_eq!(dom0.report.acpi, one.report.acpi, "ACPI tables");
    Ok(outcome)
}

/// Xen has headers of both versions; the newer one counts. Only that one lets it
/// be moved, and it is told where it is.
#[test]
fn multiboot2() -> Result<()> {
    let outcome = boots("")?;
    ensure!(!outcome.console.contains(NOT_MOVED), "it was not moved");
    Ok(())
}

#[test]
fn multiboot1() -> Result<()> {
    let outcome = boots("--type=multiboot-x86")?;
    ensure!(outcome.console.contains(NOT_MOVED), "it was moved");
    Ok(())
}
