//! Devices that nothing uses any more, unbound from their drivers side by side before the
//! jump. `reboot(2)` calls the `->shutdown` of one driver after the other
//! (`device_shutdown()` in drivers/base/core.c), and a device without a driver has none: a
//! machine with many slow devices then waits for the slowest of them, not for their sum.
//!
//! [`Devices::read`] reads sysfs and what is in use, [`choose`] decides, [`unbind_all`] acts.

mod choice;
mod kinds;
mod read;
mod unbind;
pub mod uses;
mod worker;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

pub use choice::choose;
pub use unbind::{Processes, Unbinder, Unbound, UnboundResult, Work, unbind_all};
pub use uses::{MountUse, Uses};
pub use worker::{WorkStep, carry_out, parse};

/// How long all devices together may take, in seconds, unless the caller says otherwise.
pub const TIMEOUT: u64 = 10;

/// The file that exists while the feature is on: without it, the hook does nothing.
pub const SWITCH: &str = "/etc/kexec-rs.parallel-shutdown";

/// How `kexec parallel-shutdown` was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParallelShutdown {
    /// The shutdown ends in a kexec.
    pub acts: bool,
    /// How long all devices together may take.
    pub timeout: Duration,
    /// `--dry-run`: nothing is unbound.
    pub dry_run: bool,
}

/// A bus whose devices can be unbound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bus {
    /// PCI and PCI Express.
    Pci,
    /// Virtio, over PCI or another transport.
    Virtio,
}

impl Bus {
    /// Both of them.
    pub const ALL: [Bus; 2] = [Bus::Pci, Bus::Virtio];

    /// The name of its folder in /sys/bus.
    pub fn name(self) -> &'static str {
        match self {
            Bus::Pci => "pci",
            Bus::Virtio => "virtio",
        }
    }

    /// The bus with this folder in /sys/bus.
    pub fn from_name(name: &str) -> Option<Bus> {
        Bus::ALL.into_iter().find(|bus| bus.name() == name)
    }
}

/// What sysfs and the kernel's tables show of the devices, and of what uses them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// Every PCI and virtio device.
    pub devices: Vec<Device>,
    /// Every block device, partitions too.
    pub disks: Vec<Disk>,
    /// What else belongs to devices: network interfaces, terminals, watchdogs.
    pub parts: Vec<Part>,
    /// What is in use.
    pub uses: Uses,
}

/// A device of a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its bus.
    pub bus: Bus,
    /// Its name there: `0000:00:04.0`, `virtio2`.
    pub name: String,
    /// Its folder below /sys/devices, without links.
    pub path: String,
    /// The driver that is bound to it.
    pub driver: Option<String>,
    /// The class code of a PCI device (24 bits), or the device ID of a virtio device; `None`
    /// where it cannot be read.
    pub kind: Option<u32>,
    /// It is a function of SR-IOV, or has such functions, whose removal is a step of its own.
    pub virtual_functions: bool,
}

/// A block device: a disk, a partition, or what is made of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name in /sys/class/block: `nvme0n1p1`.
    pub name: String,
    /// `MAJOR:MINOR`; empty where it has none.
    pub number: String,
    /// The folders below /sys/devices that it depends on: its own, and those of the
    /// controllers of an NVMe disk with several paths.
    pub paths: Vec<String>,
    /// What is built on it: `dm-0`, `md0`, `bcache0`.
    pub holders: Vec<String>,
    /// The file behind a loop device, or another reason why it is connected.
    pub backing: Option<String>,
    /// It has no file in /dev: one path of an NVMe disk with several.
    pub hidden: bool,
}

/// An object of a class of sysfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `net`, `tty`, `watchdog`, ...
    pub class: String,
    /// `eth0`, `ttyS0`, ...
    pub name: String,
    /// Its folder below /sys/devices, without links.
    pub path: String,
}

/// What is unbound, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// Devices that are unbound.
    pub unbind: Vec<Unbinding>,
    /// Devices that keep their driver.
    pub kept: Vec<Kept>,
}

/// A device that is unbound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unbinding {
    /// Its name on its bus.
    pub device: String,
    /// The driver that is bound to it now.
    pub driver: String,
    /// Why it can be unbound.
    pub why: String,
    /// What is unbound, in this order: a virtio device before its PCI device.
    pub steps: Vec<UnbindStep>,
    /// Its block devices, which must not be in use at that moment either.
    pub disks: Vec<String>,
}

/// One device of a bus that loses its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnbindStep {
    /// The bus.
    pub bus: Bus,
    /// The name of the device on it.
    pub device: String,
}

/// A device that keeps its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kept {
    /// Its name on its bus.
    pub device: String,
    /// Why.
    pub why: String,
}

/// Whether a name of a device or block device can be written to sysfs and is shown to a
/// user: what buses and drivers call theirs. No separator, no control character.
pub(crate) fn is_plain(name: &str) -> bool {
    const LONGEST: usize = 64;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":._-!".contains(c);
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.chars().all(allowed)
}
