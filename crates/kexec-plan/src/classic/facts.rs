//! What firmware and the first boot loader left on an x86 machine.

use bytes::Bytes;
use serde::Serialize;

use crate::Cmdline;

/// The size of `struct boot_params` (Documentation/arch/x86/zero-page.rst: one
/// page).
pub const BOOT_PARAMS_LEN: usize = 4096;

/// What firmware and the first boot loader left.
#[derive(Debug, Clone, Default)]
pub struct FirmwareFacts {
    /// /sys/kernel/boot_params/data: what the running kernel was started
    /// with, all [`BOOT_PARAMS_LEN`] bytes of it.
    pub boot_params: Option<Bytes>,
    /// Other items of /sys/kernel/boot_params/setup_data.
    pub setup_data: Vec<SetupItem>,
    /// The running kernel uses five-level paging.
    pub la57: bool,
    /// Where the ACPI RSDP is, when it is known from elsewhere than
    /// `boot_params` (`ACPI20=` of /sys/firmware/efi/systab).
    pub acpi_rsdp: Option<u64>,
    /// A copy of the RSDP, for multiboot 2 kernels.
    pub rsdp_copy: Option<Bytes>,
    /// EFI runtime services, if the running kernel uses them.
    pub efi: Option<EfiFacts>,
    /// Who drives the screen.
    pub display: Display,
    /// The measurements of IMA so far, if they are to be carried on.
    pub ima: Option<ImaList>,
    /// The running kernel's command line.
    pub running_cmdline: Cmdline,
}

/// One item of the list that `setup_data` points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupItem {
    /// Its type, `SETUP_*`.
    pub kind: u32,
    /// The bytes behind its header.
    pub data: Bytes,
}

/// What /sys/firmware/efi shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EfiFacts {
    /// `fw_vendor`: the address of the vendor's name.
    pub fw_vendor: u64,
    /// `runtime`: the address of the runtime services table.
    pub runtime: u64,
    /// `config_table`: the address of the configuration tables.
    pub config_table: u64,
    /// `SMBIOS=` of `systab`.
    pub smbios: Option<u64>,
    /// `runtime-map/N`, in the order of N.
    pub runtime_map: Vec<EfiDescriptor>,
}

/// One entry of /sys/firmware/efi/runtime-map
/// (Documentation/ABI/testing/sysfs-firmware-efi-runtime-map).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EfiDescriptor {
    /// `type`.
    pub kind: u32,
    /// `phys_addr`.
    pub physical: u64,
    /// `virt_addr`.
    pub virtual_address: u64,
    /// `num_pages`, of 4096 bytes.
    pub pages: u64,
    /// `attribute`.
    pub attribute: u64,
}

/// Who drives the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// Nobody could find out.
    #[default]
    Unknown,
    /// A driver that uses the firmware's linear framebuffer as it is:
    /// simpledrm, efifb, vesafb.
    Firmware(String),
    /// A driver of the graphics card itself, such as i915.
    Native(String),
    /// No framebuffer driver: VGA text, if anything.
    Text,
}

/// What the next kernel is told of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// This one, in words.
    HandedOn(String),
    /// The first kernel was given none, and no driver has come since.
    NoneThere,
    /// Nothing, though there is one, for this reason: the next kernel shows
    /// nothing until a driver of its own does.
    Withheld(String),
    /// Nothing, because this is not known.
    Unknown(String),
}

impl std::fmt::Display for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Screen::HandedOn(what) => write!(f, "screen: {what}"),
            Screen::NoneThere => f.write_str("no screen: the first kernel was given none"),
            Screen::Withheld(why) | Screen::Unknown(why) => write!(f, "no screen: {why}"),
        }
    }
}

/// The measurements of IMA so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImaList {
    /// /sys/kernel/security/ima/binary_runtime_measurements.
    pub measurements: Bytes,
    /// /sys/kernel/security/ima/runtime_measurements_count.
    pub count: u64,
}
