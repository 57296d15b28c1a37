//! EFI runtime services across kexec: `efi_info`, the runtime memory map and
//! the `SETUP_EFI` item.
//!
//! The running kernel has given the firmware new addresses, which can be done
//! once only; the next kernel has to use the same ones and learns them here.

use super::layout::{at, efi_info, setup};
use super::setup_data::Item;
use crate::classic::{EfiDescriptor, EfiFacts};
use crate::memory::{Range, Resource};
use kexec_image::fields::{array, halves, put, u32_at};

/// The length of one descriptor as it is written here (`EFI_MEMORY_DESCRIPTOR`,
/// UEFI specification 2.10, 7.2.3).
const DESCRIPTOR_LEN: u32 = 40;
/// `EFI_MEMORY_DESCRIPTOR_VERSION`, the only one there is.
const DESCRIPTOR_VERSION: u32 = 1;
/// The unit of `NumberOfPages`.
const EFI_PAGE: u64 = 4096;
/// `EfiRuntimeServicesCode` and `EfiRuntimeServicesData` (UEFI specification
/// 2.10, 7.2.1, "EFI_MEMORY_TYPE").
const RUNTIME_KINDS: [u32; 2] = [5, 6];
/// `EFI_MEMORY_RUNTIME` (7.2.3, `Attribute`): the firmware needs the range while
/// the system runs.
const MEMORY_RUNTIME: u64 = 1 << 63;
/// Reserved words at the end of the `SETUP_EFI` data.
const SETUP_RESERVED: usize = 8;

/// What goes into the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Efi {
    info: [u8; efi_info::LEN],
    /// The runtime memory map.
    pub memmap: Vec<u8>,
    /// The `SETUP_EFI` item.
    pub setup: Item,
}

/// Whether the machine was started by EFI.
pub(super) fn is_efi(running: Option<&[u8]>, facts: Option<&EfiFacts>) -> bool {
    let signature = running.and_then(|r| u32_at(r, at::EFI_INFO + efi_info::SIGNATURE));
    facts.is_some() || signature.is_some_and(|s| s != 0)
}

/// What the firmware's runtime services use. Most of it is reserved in every
/// memory map; memory of the boot services that the running kernel keeps
/// for them (the memory attributes table, ESRT) is System RAM in both
/// /proc/iomem and the firmware's map; it has the attribute all the same.
///
/// Under 32-bit firmware a 64-bit kernel lists all its memory, since firmware and
/// kernel pass each other pointers into it: what the firmware does not need is
/// free like any other.
pub(super) fn runtime_memory(facts: Option<&EfiFacts>) -> Vec<Resource> {
    let map = facts.map_or(&[][..], |f| &f.runtime_map);
    map.iter()
        .filter(|d| RUNTIME_KINDS.contains(&d.kind) || d.attribute & MEMORY_RUNTIME != 0)
        .filter_map(|d| {
            Some(Resource {
                range: Range::sized(d.physical, d.pages.checked_mul(EFI_PAGE)?)?,
                name: format!("EFI runtime memory, type {}", d.kind),
                depth: 0,
            })
        })
        .collect()
}

/// What the next kernel is told, or why nothing.
pub(super) fn efi(running: Option<&[u8]>, facts: Option<&EfiFacts>) -> Result<Efi, &'static str> {
    let facts = facts.ok_or("the running kernel does not use EFI runtime services")?;
    let info = running.and_then(|r| array::<{ efi_info::LEN }>(r, at::EFI_INFO));
    let info = info.ok_or("the running kernel's boot_params are unknown")?;
    if array(&info, efi_info::SIGNATURE) == Some(*efi_info::EFI_32) {
        return Err("the firmware is 32-bit EFI, which no 64-bit kernel takes over after a kexec");
    }
    if array(&info, efi_info::SIGNATURE) != Some(*efi_info::EFI_64) {
        return Err("the firmware is not 64-bit EFI");
    }
    if u32_at(&info, efi_info::MEMDESC_VERSION) != Some(DESCRIPTOR_VERSION) {
        return Err("the firmware's memory descriptors have an unknown version");
    }
    if facts.runtime_map.is_empty() {
        return Err("the running kernel has no runtime memory map");
    }
    if facts.fw_vendor == 0 || facts.config_table == 0 {
        return Err("the addresses of the EFI tables are unknown");
    }
    let memmap: Vec<u8> = facts.runtime_map.iter().flat_map(descriptor).collect();
    Ok(Efi {
        info,
        memmap,
        setup: Item {
            kind: setup::EFI,
            data: setup_efi(facts),
        },
    })
}

impl Efi {
    /// `efi_info`, with the memory map at `memmap`.
    pub(super) fn info(&self, memmap: u64) -> [u8; efi_info::LEN] {
        let mut info = self.info;
        let (low, high) = halves(memmap);
        let len = u32::try_from(self.memmap.len()).unwrap_or(u32::MAX);
        put(
            &mut info,
            efi_info::MEMDESC_SIZE,
            &DESCRIPTOR_LEN.to_le_bytes(),
        );
        put(&mut info, efi_info::MEMMAP, &low.to_le_bytes());
        put(&mut info, efi_info::MEMMAP_SIZE, &len.to_le_bytes());
        put(&mut info, efi_info::MEMMAP_HI, &high.to_le_bytes());
        info
    }
}

/// `Type`, four bytes of padding, `PhysicalStart`, `VirtualStart`,
/// `NumberOfPages`, `Attribute`.
fn descriptor(d: &EfiDescriptor) -> Vec<u8> {
    let words = [
        u64::from(d.kind),
        d.physical,
        d.virtual_address,
        d.pages,
        d.attribute,
    ];
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// `fw_vendor`, the runtime table (not read any more), the configuration
/// tables, SMBIOS, and reserved words: the kernel's `struct efi_setup_data`.
fn setup_efi(facts: &EfiFacts) -> Vec<u8> {
    let words = [
        facts.fw_vendor,
        facts.runtime,
        facts.config_table,
        facts.smbios.unwrap_or(0),
    ];
    let reserved = [0_u64; SETUP_RESERVED];
    let all = words.iter().chain(&reserved);
    all.flat_map(|w| w.to_le_bytes()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use kexec_image::fields::u64_at;

    pub(in super::super) fn facts() -> EfiFacts {
        let entry = |physical| EfiDescriptor {
            kind: 5,
            physical,
            virtual_address: 0xffff_fffe_0000_0000 | physical,
            pages: 16,
            attribute: 0x8000_0000_0000_000f,
        };
        EfiFacts {
            fw_vendor: 0x7f5e_d018,
            runtime: 0x7f5e_db98,
            config_table: 0x7f5e_c018,
            smbios: Some(0x7f5a_0000),
            runtime_map: vec![entry(0x7f50_0000), entry(0x7f60_0000)],
        }
    }

    pub(in super::super) fn running() -> Vec<u8> {
        let mut params = vec![0; 4096];
        put(&mut params, at::EFI_INFO, efi_info::EFI_64);
        put(
            &mut params,
            at::EFI_INFO + 4,
            &0x7f5e_c018_u32.to_le_bytes(),
        );
        put(&mut params, at::EFI_INFO + 8, &48_u32.to_le_bytes());
        put(&mut params, at::EFI_INFO + 12, &1_u32.to_le_bytes());
        params
    }

    #[test]
    fn runtime_map_and_tables() {
        let efi = efi(Some(&running()), Some(&facts())).unwrap();
        assert_eq!(efi.memmap.len(), 80);
        assert_eq!(u32_at(&efi.memmap, 40), Some(5));
        assert_eq!(u64_at(&efi.memmap, 48), Some(0x7f60_0000));
        assert_eq!(u64_at(&efi.memmap, 56), Some(0xffff_fffe_7f60_0000));
        assert_eq!(u64_at(&efi.memmap, 72), Some(0x8000_0000_0000_000f));
        assert_eq!(efi.setup.data.len(), 96);
        assert_eq!(u64_at(&efi.setup.data, 16), Some(0x7f5e_c018));
        let info = efi.info(0x12_3456_7000);
        assert_eq!(u32_at(&info, efi_info::MEMDESC_SIZE), Some(40));
        assert_eq!(u32_at(&info, efi_info::MEMMAP), Some(0x3456_7000));
        assert_eq!(u32_at(&info, efi_info::MEMMAP_HI), Some(0x12));
        assert_eq!(u32_at(&info, efi_info::MEMMAP_SIZE), Some(80));
        assert_eq!(u32_at(&info, 4), Some(0x7f5e_c018));
    }

    /// As a 64-bit kernel under 32-bit firmware shows it.
    #[test]
    fn only_what_the_firmware_needs_stays() {
        let entry = |kind, physical, attribute| EfiDescriptor {
            kind,
            physical,
            pages: 16,
            attribute,
            ..EfiDescriptor::default()
        };
        let mixed = EfiFacts {
            runtime_map: vec![
                entry(7, 0x10_0000, 0xf),
                entry(2, 0x20_0000, 0xf),
                entry(1, 0x30_0000, 0xf),
                entry(4, 0x40_0000, 0x8000_0000_0000_000f),
                entry(5, 0x50_0000, 0x8000_0000_0000_000f),
                // Firmware that forgets the attribute.
                entry(6, 0x60_0000, 0xf),
                entry(11, 0xffc0_0000, 0x8000_0000_0000_0001),
            ],
            ..facts()
        };
        let stays = runtime_memory(Some(&mixed));
        let starts: Vec<u64> = stays.iter().map(|r| r.range.start).collect();
        assert_eq!(starts, [0x40_0000, 0x50_0000, 0x60_0000, 0xffc0_0000]);
        let mut firmware = running();
        put(&mut firmware, at::EFI_INFO, efi_info::EFI_32);
        let reason = efi(Some(&firmware), Some(&mixed)).unwrap_err();
        assert!(reason.contains("32-bit EFI"), "{reason}");
    }

    #[test]
    fn reasons_why_not() {
        let none =
            |running: Option<&[u8]>, facts: Option<&EfiFacts>| efi(running, facts).unwrap_err();
        let good = running();
        assert!(none(Some(&good), None).contains("does not use"));
        assert!(none(None, Some(&facts())).contains("boot_params"));
        assert!(none(Some(&vec![0; 4096]), Some(&facts())).contains("64-bit"));
        let mut version = good.clone();
        version[at::EFI_INFO + 12] = 2;
        assert!(none(Some(&version), Some(&facts())).contains("version"));
        let mut empty = facts();
        empty.runtime_map.clear();
        assert!(none(Some(&good), Some(&empty)).contains("runtime memory map"));
        assert!(is_efi(Some(&good), None) && !is_efi(Some(&vec![0; 4096]), None));
    }
}
