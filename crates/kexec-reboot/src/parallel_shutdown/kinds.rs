//! Kinds of devices: which of them are unbound at all. Everything else stays as it is:
//! consoles, bridges, memory, IOMMUs and TPMs are needed until the very end, and others gain
//! nothing.

use super::{Bus, Device};

/// What a device is for, of those that are looked at further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Disks, or their controller.
    Storage,
    /// Network interfaces, which stay.
    Network,
    /// Something that has neither.
    Other,
}

/// Classes of PCI devices, by base class and, where that matters, subclass (PCI Code and ID
/// Assignment Specification, Revision 1.11, chapter 1).
const PCI: &[(u32, Option<u32>, Result<Kind, &str>)] = &[
    (0x00, Some(0x01), Err("it is a display")),
    (0x00, None, Ok(Kind::Other)),
    (0x01, None, Ok(Kind::Storage)),
    (0x02, None, Ok(Kind::Network)),
    (0x03, None, Err("it is a display")),
    (0x04, None, Err("multimedia devices stay")),
    (0x05, None, Err("it is memory")),
    (0x06, None, Err("it is a bridge")),
    (0x07, None, Err("it may carry a console")),
    (
        0x08,
        None,
        Err("it is a part of the system (IOMMU, timer, interrupts)"),
    ),
    (0x09, None, Err("it is an input device")),
    (0x0a, None, Err("it is a docking station")),
    (0x0b, None, Err("it is a processor")),
    (
        0x0c,
        Some(0x03),
        Err("USB may carry a keyboard or a console"),
    ),
    (0x0c, Some(0x04), Ok(Kind::Storage)),
    (0x0c, Some(0x06), Ok(Kind::Network)),
    (0x0c, None, Err("it is a serial bus")),
    (0x0d, None, Ok(Kind::Network)),
    (0x10, None, Err("it is a security processor")),
    (0x12, None, Ok(Kind::Other)),
    (0xff, None, Ok(Kind::Other)),
];

/// Virtio devices (Virtual I/O Device Version 1.3, chapter 5 "Device Types").
const VIRTIO: &[(u32, Result<Kind, &str>)] = &[
    (1, Ok(Kind::Network)),
    (2, Ok(Kind::Storage)),
    (3, Err("it is a console")),
    (4, Err("it has nothing to shut down")),
    (5, Err("it is the machine's memory")),
    (8, Ok(Kind::Storage)),
    (16, Err("it is a display")),
    (18, Err("it is an input device")),
    (23, Err("it is an IOMMU")),
    (24, Err("it is the machine's memory")),
];

/// Drivers whose devices belong to somebody else, or have no work of their own
/// (drivers/vfio/pci, drivers/pci/pci-stub.c, drivers/xen/xen-pciback, drivers/pci/pcie).
const DRIVERS: &[&str] = &[
    "vfio-pci",
    "pci-stub",
    "pciback",
    "pcieport",
    // Its disks are not below it (drivers/xen/platform-pci.c).
    "xen-platform-pci",
];

/// Classes of sysfs whose objects are needed until the end, and what their device then is.
pub(super) const NEEDED: &[(&str, &str)] = &[
    ("tty", "the terminal"),
    ("graphics", "the framebuffer"),
    ("drm", "the display"),
    ("watchdog", "the watchdog"),
    ("tpm", "the TPM"),
    ("iommu", "the IOMMU"),
    ("input", "the input device"),
];

/// Classes of sysfs that make their device one of the network.
pub(super) const NETWORK: &[&str] = &["net", "infiniband"];

/// What a device is for, or why it keeps its driver whatever uses it.
pub(super) fn kind(device: &Device) -> Result<Kind, String> {
    let Some(code) = device.kind else {
        return Err("its class cannot be read".to_owned());
    };
    if let Some(driver) = device
        .driver
        .as_deref()
        .filter(|name| DRIVERS.contains(name))
    {
        return Err(format!("{driver} holds it for others"));
    }
    let unknown = |what: String| Err(format!("nothing is known about {what}"));
    match device.bus {
        Bus::Pci => {
            let (base, sub) = (code >> 16, (code >> 8) & 0xff);
            let mut rows = PCI.iter();
            let row = rows.find(|row| row.0 == base && row.1.is_none_or(|only| only == sub));
            row.map_or_else(
                || unknown(format!("class {code:#08x}")),
                |row| row.2.map_err(str::to_owned),
            )
        }
        Bus::Virtio => {
            let row = VIRTIO.iter().find(|row| row.0 == code);
            row.map_or_else(
                || unknown(format!("virtio devices of type {code}")),
                |row| row.1.map_err(str::to_owned),
            )
        }
    }
}
