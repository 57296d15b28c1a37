//! GRUB: what the evaluator says, and what the real ones do.

mod blscfg;
mod generated;
mod language;

use anyhow::{Context, Result};
use kexec_entries::entry::BootEntry;
use kexec_entries::facts::Facts;
use kexec_entries::survey;
use kexec_entries::{BootMenu, BootedMachine, Choice};
use kexec_lab::grub::UUID;
use kexec_machine::Snapshot;
use kexec_machine::volumes::Volumes;
use std::fs;
use std::path::Path;

/// A line without the terminal's control sequences.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                let _ = chars.find(|c| c.is_ascii_alphabetic());
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

/// Puts files of a machine into a folder: its root file system is the first
/// partition of its only disk.
fn machine(root: &Path) -> Result<()> {
    let files = [
        (
            "proc/cmdline",
            "BOOT_IMAGE=/boot/vmlinuz-1 console=ttyS0\n".to_owned(),
        ),
        ("proc/sys/kernel/arch", "x86_64\n".to_owned()),
        ("proc/sys/kernel/osrelease", "1\n".to_owned()),
        (
            "proc/self/mountinfo",
            "28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n".to_owned(),
        ),
        ("sys/class/block/vda/dev", "254:0\n".to_owned()),
        ("sys/class/block/vda1/dev", "254:1\n".to_owned()),
        ("sys/class/block/vda1/partition", "1\n".to_owned()),
        (
            "run/udev/data/b254:1",
            format!(
                "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID={UUID}\nE:ID_PART_ENTRY_DISK=254:0\n\
                 E:ID_PART_ENTRY_NUMBER=1\n"
            ),
        ),
    ];
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// What the product finds of GRUB below a folder.
fn found(root: &Path) -> Result<BootMenu> {
    let volumes = Volumes::read(root);
    let facts = Facts::read(&Snapshot::read(root), &volumes);
    let machine = BootedMachine {
        volumes: &volumes,
        facts: &facts,
    };
    let survey = survey(&machine);
    let answer = survey.answer.context("nothing answers")?;
    assert_eq!(answer.source, "grub", "{answer:?}");
    let listed = survey.sources.into_iter().nth(answer.index);
    Ok(listed.context("the answer is not listed")?.found)
}

/// The default and why it is that.
fn default(found: &BootMenu) -> Result<(&BootEntry, &str)> {
    match &found.choice {
        Choice::Entry { index, why } => {
            let entry = found
                .entries
                .get(*index)
                .context("the default is not listed")?;
            Ok((entry, why))
        }
        other => anyhow::bail!("no default: {other:?}"),
    }
}
