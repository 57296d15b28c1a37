//! What happens on the machine of a cell.

use super::{Cell, RebootCommand, Setup};
use crate::Initramfs;
use crate::installed::{InstalledMachine, SystemLayout};
use anyhow::Result;

/// The stages: one that installs, where that needs a boot of its own, the one that
/// requests the reboot, and the one after it.
pub(super) const INSTALL: &str = "install";
pub(super) const BEFORE: &str = "before";
pub(super) const AFTER: &str = "after";
/// Labels of commands that have to succeed, or the cell says nothing.
pub(super) const PREPARED: [&str; 4] = ["dpkg", "enable", "change", "links"];

const WIKI_START: &str = include_str!("units/wiki-1.service");
const WIKI_STOP: &str = include_str!("units/wiki-2.service");

/// Installs what is in /lab/debs.
const DPKG: &str = "run dpkg env DEBIAN_FRONTEND=noninteractive \
    sh -c 'dpkg -i /lab/debs/*.deb'\n";
/// Shows what the wiki's unit is doing.
const UNIT: &str = "run unit systemctl status kexec-load@linux\n";
/// The units do their work in the boot after this one, which has to be a cold one.
const ENABLE_PRELOAD: &str = "run enable kexec enable preload\njump coldreboot\n";
/// And here without a boot in between: what people type next comes a moment later.
const ENABLE_TEMPLATE: &str = "run enable systemctl enable kexec-load@linux\n\
    run wait sh -c 'for n in $(seq 100); do grep -q 1 /sys/kernel/kexec_loaded && exit; \
    sleep 0.2; done; exit 1'\n";
/// What a boot with the units has to show before the reboot is requested.
const LOADED: &str = "run loaded cat /sys/kernel/kexec_loaded\nrun preloaded kexec status\n";
/// What the boot after it has to show. kexec-tools know no status.
const AFTERWARDS: &str = "run witness cat /var/lib/witness\nrun status kexec status --json\n\
    run failed systemctl --failed --plain --no-legend\n";

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

/// The commands that request the reboot: the next one if the one before was refused.
pub(super) fn commands(setup: Setup) -> &'static [&'static str] {
    match setup {
        Setup::KexecToolsAlone
        | Setup::KexecRs(RebootCommand::SystemctlKexec | RebootCommand::Template) => {
            &["systemctl kexec"]
        }
        Setup::KexecRs(RebootCommand::SystemctlReboot) => &["systemctl reboot"],
        Setup::KexecRs(RebootCommand::Reboot) => &["reboot"],
        Setup::KexecRs(RebootCommand::Shutdown) => &["shutdown -r now"],
        // What the wiki says, and what at least starts the units.
        Setup::WikiStart | Setup::WikiStop => {
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
/// `other`: not the one that runs, and the boot loader's default by then, but for
/// the template, which has its own.
pub(super) fn write<'lab>(
    machine: InstalledMachine<'lab>,
    cell: &Cell,
    other: &str,
) -> Result<InstalledMachine<'lab>> {
    let change = cell.layout.change_default(other);
    let links = links(&format!("vmlinuz-{other}"), &cell.layout.initrd_name(other));
    let asks: String = commands(cell.setup)
        .iter()
        .map(|command| format!("jump {command}\n"))
        .collect();
    // As that one is installed, its default means one thing to Fedora's GRUB and
    // another to everybody else's.
    let by_title = match cell.layout {
        SystemLayout::FedoraLike => cell.layout.change_default(&machine.kernels()?.0),
        _ => String::new(),
    };
    let machine = match cell.setup {
        Setup::KexecToolsAlone => machine
            .debs("kexec-tools")?
            .stage(BEFORE, &format!("{DPKG}{change}{asks}")),
        Setup::WikiStart => wiki(machine, WIKI_START, "kexec.target")?
            .stage(BEFORE, &format!("{DPKG}{change}{links}{UNIT}{asks}")),
        Setup::WikiStop => wiki(machine, WIKI_STOP, "basic.target")?
            .stage(BEFORE, &format!("{DPKG}{change}{links}{UNIT}{asks}")),
        Setup::KexecRs(RebootCommand::Template) => machine.product_deb()?.stage(
            BEFORE,
            &format!("{DPKG}{links}{ENABLE_TEMPLATE}{LOADED}{asks}"),
        ),
        // Loaded at boot, and the default is another by the time that somebody asks.
        Setup::KexecRs(_) => machine
            .product_deb()?
            .stage(INSTALL, &format!("{by_title}{DPKG}{ENABLE_PRELOAD}"))
            .stage(BEFORE, &format!("{LOADED}{change}{asks}")),
    };
    Ok(machine.stage(AFTER, AFTERWARDS))
}

fn wiki<'lab>(
    machine: InstalledMachine<'lab>,
    unit: &str,
    target: &str,
) -> Result<InstalledMachine<'lab>> {
    Ok(machine.debs("kexec-tools")?.with(&enabled(unit, target)))
}
