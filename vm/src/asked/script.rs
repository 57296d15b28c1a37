//! What happens on the machine of a cell.

use super::{Cell, Way};
use crate::Initramfs;
use crate::installed::Machine;
use anyhow::Result;

/// The stage that asks, and the one that sees what came of it.
pub(super) const BEFORE: &str = "before";
pub(super) const AFTER: &str = "after";
/// Labels of commands that have to succeed, or the cell says nothing.
pub(super) const PREPARED: [&str; 3] = ["install", "change", "links"];

const WIKI_START: &str = include_str!("units/wiki-1.service");
const WIKI_STOP: &str = include_str!("units/wiki-2.service");

/// `dpkg -i` of what is in /lab/debs.
const INSTALL: &str = "run install env DEBIAN_FRONTEND=noninteractive \
    sh -c 'dpkg -i /lab/debs/*.deb'\n";

/// Arch's names, which the wiki's units are made for: /boot/vmlinuz-linux and
/// /boot/initramfs-linux.img. /boot is mounted for it where it is not.
fn links(kernel: &str, initrd: &str) -> String {
    format!(
        "run links sh -euc 'mounted=; \
         if grep -q \" /boot .*noauto\" /etc/fstab && ! mountpoint -q /boot; \
         then mount /boot; mounted=yes; fi; \
         ln -s {kernel} /boot/vmlinuz-linux; ln -s {initrd} /boot/initramfs-linux.img; \
         [ -z \"$mounted\" ] || umount /boot'\n"
    )
}

/// What is asked, one after the other: the next if the one before was refused.
pub(super) fn commands(way: Way) -> &'static [&'static str] {
    match way {
        Way::Alone => &["systemctl kexec"],
        // What the wiki says, and what at least starts the units.
        Way::WikiStart | Way::WikiStop => {
            &["systemctl kexec", "systemctl --no-block start kexec.target"]
        }
    }
}

/// A template and its instance for `linux`, as `systemctl enable` leaves them.
/// They are there before the first boot, so that this one has started what it
/// would start.
fn enabled(unit: &str, target: &str) -> Initramfs {
    let folder = "etc/systemd/system";
    let mut files = Initramfs::new();
    files.file(&format!("{folder}/kexec-load@.service"), unit);
    files.symlink(
        &format!("{folder}/{target}.wants/kexec-load@linux.service"),
        &format!("/{folder}/kexec-load@.service"),
    );
    files
}

/// Puts the cell's files and stages on the machine. The kernel to arrive in is
/// `other`: the boot loader's default by then, and not the one that runs.
pub(super) fn write<'lab>(
    machine: Machine<'lab>,
    cell: &Cell,
    other: &str,
) -> Result<Machine<'lab>> {
    let mut machine = machine.debs("kexec-tools")?;
    let mut before = String::from(INSTALL);
    before.push_str(&cell.layout.change_default(other));
    match cell.way {
        Way::Alone => {}
        Way::WikiStart => machine = machine.with(&enabled(WIKI_START, "kexec.target")),
        Way::WikiStop => machine = machine.with(&enabled(WIKI_STOP, "basic.target")),
    }
    if cell.way != Way::Alone {
        let kernel = format!("vmlinuz-{other}");
        before.push_str(&links(&kernel, &cell.layout.initrd_name(other)));
        before.push_str("run unit systemctl status kexec-load@linux\n");
    }
    for command in commands(cell.way) {
        before.push_str(&format!("jump {command}\n"));
    }
    Ok(machine
        .stage(BEFORE, &before)
        .stage(AFTER, "run witness cat /var/lib/witness\n"))
}
