//! Configurations by the real grub-mkconfig: our default, and what the real GRUB
//! then boots.

use crate::{default, found, machine, plain};
use anyhow::{Context, Result, ensure};
use kexec_entries::entry::BootEntry;
use kexec_lab::apt::Suite;
use kexec_lab::grub::{self, Grub, Mkconfig, UUID};
use kexec_lab::{GuestSlot, Lab};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Kernels in /boot, by release; all the same file. The guest's busybox cannot
/// sort versions, so grub-mkconfig has them in this order.
const RELEASES: [&str; 3] = ["6.1.0-10-amd64", "6.1.0-9-amd64", "6.12.1+deb13-amd64"];

/// Entries behind those of the kernels.
const CUSTOM: &str = "menuentry 'Custom one' --id custom-one {
	search --no-floppy --fs-uuid --set=root UUID
	linux /boot/vmlinuz-6.1.0-9-amd64 console=ttyS0 marker=one 'two words' \"q=$grub_platform\" back\\\\slash
	initrd /boot/initrd.img-6.1.0-9-amd64
}
submenu 'More' --id more {
	menuentry 'Custom two' --id custom-two {
		linux ($root)/boot/vmlinuz-6.1.0-10-amd64 console=ttyS0 marker=two chosen=$chosen
		initrd /boot/initrd.img-6.1.0-10-amd64
	}
}
";

/// What the first program of a started kernel does.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec > /dev/ttyS0 2>&1
echo
echo \"@booted $(/bin/busybox cat /proc/cmdline)\"
/bin/busybox poweroff -f
";

/// A configuration and what is in the environment block with it.
struct Case {
    name: &'static str,
    default: &'static str,
    custom: bool,
    block: &'static str,
    /// Words that the command line of the right entry has.
    boots: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "number",
        default: "GRUB_DEFAULT=2",
        custom: true,
        block: "",
        boots: &["marker=one"],
    },
    Case {
        name: "submenu",
        default: "GRUB_DEFAULT=\"1>2\"",
        custom: false,
        block: "",
        boots: &["BOOT_IMAGE=/boot/vmlinuz-6.1.0-9-amd64"],
    },
    Case {
        name: "id",
        default: "GRUB_DEFAULT=\"gnulinux-advanced-UUID>gnulinux-6.1.0-10-amd64-recovery-UUID\"",
        custom: false,
        block: "",
        boots: &["BOOT_IMAGE=/boot/vmlinuz-6.1.0-10-amd64", "single"],
    },
    Case {
        name: "title",
        default: "GRUB_DEFAULT=\"More>Custom two\"",
        custom: true,
        block: "",
        boots: &["marker=two", "chosen=more>custom-two"],
    },
    Case {
        name: "saved",
        default: "GRUB_DEFAULT=saved",
        custom: false,
        block: "saved_entry=gnulinux-advanced-UUID>gnulinux-6.1.0-10-amd64-advanced-UUID\n",
        boots: &["BOOT_IMAGE=/boot/vmlinuz-6.1.0-10-amd64"],
    },
    Case {
        name: "next",
        default: "GRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=true",
        custom: true,
        block: "saved_entry=0\nnext_entry=custom-one\n",
        boots: &["marker=one"],
    },
    Case {
        name: "plain",
        default: "GRUB_DEFAULT=0",
        custom: false,
        block: "",
        boots: &["BOOT_IMAGE=/boot/vmlinuz-6.1.0-10-amd64"],
    },
    Case {
        name: "nothing-fits",
        default: "GRUB_DEFAULT=\"No such entry\"",
        custom: true,
        block: "",
        boots: &["BOOT_IMAGE=/boot/vmlinuz-6.1.0-10-amd64"],
    },
];

fn with_uuid(text: &str) -> String {
    text.replace("UUID", UUID)
}

/// Kernels and initrds.
fn boot_files(lab: &Lab, root: &Path) -> Result<()> {
    let kernel = lab.kernel("6.1")?;
    let mut initramfs = lab.initramfs("grub")?;
    initramfs.program("init", INIT);
    let initrd = initramfs.build()?;
    let boot = root.join("boot");
    fs::create_dir_all(boot.join("grub"))?;
    for release in RELEASES {
        fs::copy(&kernel.path, boot.join(format!("vmlinuz-{release}")))?;
        fs::write(boot.join(format!("initrd.img-{release}")), &initrd)?;
    }
    Ok(())
}

/// What the real GRUB boots from a folder: the second kernel's command line.
fn booted(lab: &Lab, slot: &GuestSlot, grub: &Grub, root: &Path) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("disk");
    grub.disk(lab, root, &image)?;
    let is_booted = |line: &str| line.contains("@booted ");
    let lines = grub::boot(lab, slot, &image, Duration::from_secs(150), is_booted)?;
    let last = lines.iter().rfind(|line| is_booted(line));
    let last = plain(last.with_context(|| format!("nothing booted: {lines:#?}"))?);
    let (_, line) = last.split_once("@booted ").context("no command line")?;
    let line = line.trim_end();
    // GRUB repeats the device where the script names one.
    let image = line.strip_prefix("BOOT_IMAGE=(");
    let image = image.and_then(|rest| rest.split_once(')'));
    Ok(image.map_or_else(|| line.to_owned(), |(_, rest)| format!("BOOT_IMAGE={rest}")))
}

/// What we say, in the same form.
fn ours(entry: &BootEntry) -> Result<String> {
    let target = entry.target().with_context(|| format!("{entry:?}"))?;
    let line = target.cmdline.as_ref().context("no command line")?;
    Ok(format!("BOOT_IMAGE={} {line}", target.kernel.path))
}

fn write_block(root: &Path, lines: &str) -> Result<()> {
    let mut block = format!("# GRUB Environment Block\n{}", with_uuid(lines)).into_bytes();
    block.resize(1024, b'#');
    fs::write(root.join("boot/grub/grubenv"), block)?;
    Ok(())
}

/// Puts a configuration on the disk, and compares.
fn compare(
    lab: &Lab,
    slot: &GuestSlot,
    grub: &Grub,
    root: &Path,
    name: &str,
    words: &[&str],
) -> Result<Option<String>> {
    let found = found(root)?;
    let (entry, why) = default(&found)?;
    let (ours, real) = (ours(entry)?, booted(lab, slot, grub, root)?);
    println!("{} {name}: {why}\n  {real}", grub.version);
    let right = words
        .iter()
        .all(|word| real.split_whitespace().any(|w| w == *word));
    Ok((ours != real || !right).then(|| {
        format!(
            "{} {name}: GRUB boots {real:?}, we say {ours:?}",
            grub.version
        )
    }))
}

/// Cases with files of the Boot Loader Specification, for a GRUB that has
/// `blscfg`. Behind the two entries of the kernels, the newest name is first.
const BLS_CASES: &[Case] = &[
    Case {
        name: "bls-saved",
        default: "GRUB_DEFAULT=saved",
        custom: true,
        block: "saved_entry=lab-6.1.0-9\nextra=from-the-block\n",
        boots: &["bls=6.1.0-9", "from-the-block"],
    },
    Case {
        name: "bls-number",
        default: "GRUB_DEFAULT=2",
        custom: true,
        block: "extra=x\n",
        boots: &["bls=6.1.0-10"],
    },
];

/// What asks for those entries.
const BLSCFG: &str = "insmod blsuki\nblscfg\n";

#[test]
fn generated_configurations_boot_what_we_say() -> Result<()> {
    let lab = Lab::open()?;
    let grub = lab.grub(Suite::Bookworm)?;
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    boot_files(&lab, &root)?;
    all(&lab, &grub, &root, CASES, CUSTOM)
}

#[test]
fn entries_of_blscfg_boot_what_we_say() -> Result<()> {
    let lab = Lab::open()?;
    // The first of Debian's that has the command.
    let grub = lab.grub(Suite::Sid)?;
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    boot_files(&lab, &root)?;
    let entries = root.join("loader/entries");
    fs::create_dir_all(&entries)?;
    for (version, sort_key) in [("6.1.0-10", "z"), ("6.1.0-9", "a")] {
        let text = format!(
            "title Lab {version}\nversion {version}\nsort-key {sort_key}\n\
             linux /boot/vmlinuz-{version}-amd64\ninitrd /boot/initrd.img-{version}-amd64\n\
             options console=ttyS0 bls={version} $extra\n"
        );
        fs::write(entries.join(format!("lab-{version}.conf")), text)?;
    }
    all(&lab, &grub, &root, BLS_CASES, BLSCFG)
}

/// Generates the configurations of all cases and compares what each boots.
fn all(lab: &Lab, grub: &Grub, root: &Path, cases: &[Case], custom: &str) -> Result<()> {
    machine(root)?;
    let wanted: Vec<Mkconfig> = cases
        .iter()
        .map(|case| Mkconfig {
            name: case.name,
            default: format!(
                "{}\nGRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX=\"console=ttyS0 quiet\"\n\
                 GRUB_DISABLE_OS_PROBER=true\nGRUB_TERMINAL=console\n",
                with_uuid(case.default)
            ),
            custom: if case.custom {
                with_uuid(custom)
            } else {
                String::new()
            },
        })
        .collect();
    let configs = grub::generate(lab, grub, root, &wanted)?;
    let mut wrong = Vec::new();
    let slot = GuestSlot::wait()?;
    for (case, config) in cases.iter().zip(configs) {
        fs::write(root.join("boot/grub/grub.cfg"), &config)?;
        write_block(root, case.block)?;
        wrong.extend(compare(lab, &slot, grub, root, case.name, case.boots)?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
