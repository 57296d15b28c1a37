//! `boot_params` as a kernel got them, by the names of its documents.

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::collections::BTreeMap;

/// The size of `struct boot_params` (Documentation/arch/x86/zero-page.rst: one
/// page).
pub const LEN: usize = 4096;

/// `/sys/kernel/boot_params`: what a kernel was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootParams {
    /// `data`, [`LEN`] bytes.
    pub data: Vec<u8>,
    /// `version`: the boot protocol's, as the kernel shows it.
    pub version: String,
    /// `setup_data/N`, in the order of N.
    pub setup_data: Vec<ReportedSetupData>,
}

/// One item of the list that `setup_data` points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedSetupData {
    /// `type`, `SETUP_*`.
    pub kind: u32,
    /// `data`. The kernel leaves a seed (`SETUP_RNG_SEED`) with no data.
    pub data: Vec<u8>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldContent {
    /// A little-endian number of 1, 2, 4 or 8 bytes, or any bytes.
    Bytes,
    /// The low half of an address or size; the offset of its high half.
    Wide(usize),
    /// Told with another field: the high half of an address, the length of the map.
    Elsewhere,
    /// The memory map, told by its entries.
    Map,
}

use FieldContent::{Bytes, Elsewhere, Map, Wide};

/// Offset, length, name, content. Sources: Documentation/arch/x86/zero-page.rst;
/// for 0x1f1 to 0x26b Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
/// Header"; for what is behind a dot the kernel's exported headers
/// `linux/screen_info.h` and `asm/bootparam.h`.
const FIELDS: &[(usize, usize, &str, FieldContent)] = &[
    (0x000, 2, "screen_info.orig_x_y", Bytes),
    (0x002, 2, "screen_info.ext_mem_k", Bytes),
    (0x004, 2, "screen_info.orig_video_page", Bytes),
    (0x006, 1, "screen_info.orig_video_mode", Bytes),
    (0x007, 1, "screen_info.orig_video_cols", Bytes),
    (0x008, 2, "screen_info.flags", Bytes),
    (0x00a, 4, "screen_info.orig_video_ega_bx", Bytes),
    (0x00e, 1, "screen_info.orig_video_lines", Bytes),
    (0x00f, 1, "screen_info.orig_video_isVGA", Bytes),
    (0x010, 2, "screen_info.orig_video_points", Bytes),
    (0x012, 2, "screen_info.lfb_width", Bytes),
    (0x014, 2, "screen_info.lfb_height", Bytes),
    (0x016, 2, "screen_info.lfb_depth", Bytes),
    (0x018, 4, "screen_info.lfb_base", Bytes),
    (0x01c, 4, "screen_info.lfb_size", Bytes),
    (0x020, 4, "screen_info.cl_magic", Bytes),
    (0x024, 2, "screen_info.lfb_linelength", Bytes),
    (0x026, 8, "screen_info.colours", Bytes),
    (0x02e, 4, "screen_info.vesapm", Bytes),
    (0x032, 4, "screen_info.pages", Bytes),
    (0x036, 4, "screen_info.capabilities", Bytes),
    (0x03a, 6, "screen_info.ext_lfb_base", Bytes),
    (0x040, 0x14, "apm_bios_info", Bytes),
    (0x058, 8, "tboot_addr", Bytes),
    (0x060, 0x10, "ist_info", Bytes),
    (0x070, 8, "acpi_rsdp_addr", Bytes),
    (0x080, 0x10, "hd0_info", Bytes),
    (0x090, 0x10, "hd1_info", Bytes),
    (0x0a0, 0x10, "sys_desc_table", Bytes),
    (0x0b0, 0x10, "olpc_ofw_header", Bytes),
    (0x0c0, 4, "ext_ramdisk_image", Elsewhere),
    (0x0c4, 4, "ext_ramdisk_size", Elsewhere),
    (0x0c8, 4, "ext_cmd_line_ptr", Elsewhere),
    (0x13c, 4, "cc_blob_address", Bytes),
    (0x140, 0x80, "edid_info", Bytes),
    (0x1c0, 4, "efi_info.efi_loader_signature", Bytes),
    (0x1c4, 4, "efi_info.efi_systab", Wide(0x1d8)),
    (0x1c8, 4, "efi_info.efi_memdesc_size", Bytes),
    (0x1cc, 4, "efi_info.efi_memdesc_version", Bytes),
    (0x1d0, 4, "efi_info.efi_memmap", Wide(0x1dc)),
    (0x1d4, 4, "efi_info.efi_memmap_size", Bytes),
    (0x1d8, 4, "efi_info.efi_systab_hi", Elsewhere),
    (0x1dc, 4, "efi_info.efi_memmap_hi", Elsewhere),
    (0x1e0, 4, "alt_mem_k", Bytes),
    (0x1e4, 4, "scratch", Bytes),
    (0x1e8, 1, "e820_entries", Elsewhere),
    (0x1e9, 1, "eddbuf_entries", Bytes),
    (0x1ea, 1, "edd_mbr_sig_buf_entries", Bytes),
    (0x1eb, 1, "kbd_status", Bytes),
    (0x1ec, 1, "secure_boot", Bytes),
    (0x1ef, 1, "sentinel", Bytes),
    (0x1f1, 1, "setup_sects", Bytes),
    (0x1f2, 2, "root_flags", Bytes),
    (0x1f4, 4, "syssize", Bytes),
    (0x1f8, 2, "ram_size", Bytes),
    (0x1fa, 2, "vid_mode", Bytes),
    (0x1fc, 2, "root_dev", Bytes),
    (0x1fe, 2, "boot_flag", Bytes),
    (0x200, 2, "jump", Bytes),
    (0x202, 4, "header", Bytes),
    (0x206, 2, "version", Bytes),
    (0x208, 4, "realmode_swtch", Bytes),
    (0x20c, 2, "start_sys_seg", Bytes),
    (0x20e, 2, "kernel_version", Bytes),
    (0x210, 1, "type_of_loader", Bytes),
    (0x211, 1, "loadflags", Bytes),
    (0x212, 2, "setup_move_size", Bytes),
    (0x214, 4, "code32_start", Bytes),
    (0x218, 4, "ramdisk_image", Wide(0x0c0)),
    (0x21c, 4, "ramdisk_size", Wide(0x0c4)),
    (0x220, 4, "bootsect_kludge", Bytes),
    (0x224, 2, "heap_end_ptr", Bytes),
    (0x226, 1, "ext_loader_ver", Bytes),
    (0x227, 1, "ext_loader_type", Bytes),
    (0x228, 4, "cmd_line_ptr", Wide(0x0c8)),
    (0x22c, 4, "initrd_addr_max", Bytes),
    (0x230, 4, "kernel_alignment", Bytes),
    (0x234, 1, "relocatable_kernel", Bytes),
    (0x235, 1, "min_alignment", Bytes),
    (0x236, 2, "xloadflags", Bytes),
    (0x238, 4, "cmdline_size", Bytes),
    (0x23c, 4, "hardware_subarch", Bytes),
    (0x240, 8, "hardware_subarch_data", Bytes),
    (0x248, 4, "payload_offset", Bytes),
    (0x24c, 4, "payload_length", Bytes),
    (0x250, 8, "setup_data", Bytes),
    (0x258, 8, "pref_address", Bytes),
    (0x260, 4, "init_size", Bytes),
    (0x264, 4, "handover_offset", Bytes),
    (0x268, 4, "kernel_info_offset", Bytes),
    (0x290, 0x40, "edd_mbr_sig_buffer", Bytes),
    (0x2d0, 0xa00, "e820_table", Map),
    (0xd00, 0x1ec, "eddbuf", Bytes),
];

/// `e820_entries`.
const E820_ENTRIES: usize = 0x1e8;
/// The size of `struct boot_e820_entry`: address, size, type
/// (`asm/bootparam.h`).
const E820_ENTRY: usize = 20;

/// `SETUP_EFI`, and the words of its data: `struct efi_setup_data` of the
/// kernel. The second was the runtime services table until Linux 5.6 and is not
/// read any more.
const SETUP_EFI: u32 = 4;
const SETUP_EFI_FIELDS: &[&str] = &["fw_vendor", "runtime", "tables", "smbios"];

/// Names of the items (`asm/setup_data.h`).
const KINDS: &[(u32, &str)] = &[
    (1, "SETUP_E820_EXT"),
    (2, "SETUP_DTB"),
    (3, "SETUP_PCI"),
    (4, "SETUP_EFI"),
    (5, "SETUP_APPLE_PROPERTIES"),
    (6, "SETUP_JAILHOUSE"),
    (7, "SETUP_CC_BLOB"),
    (8, "SETUP_IMA"),
    (9, "SETUP_RNG_SEED"),
    (10, "SETUP_KEXEC_KHO"),
];

impl BootParams {
    /// Every field by its name, with its value as text: numbers of up to eight
    /// bytes as such, the halves of an address together, other fields and all
    /// bytes without a name as hexadecimal digits (nothing where they are
    /// zero), the memory map by its entries, setup_data by its items and, as
    /// far as they have names, their fields.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        facts.insert("/version".to_owned(), self.version.clone());
        let mut unnamed = self.data.clone();
        for (at, len, name, holds) in FIELDS {
            let bytes = self.bytes(*at, *len);
            if let Some(known) = unnamed.get_mut(*at..at.saturating_add(*len)) {
                known.fill(0);
            }
            let value = match holds {
                Bytes if *len <= 8 => format!("{:#x}", number(bytes)),
                Bytes => digits(bytes),
                Wide(high) => {
                    let high = number(self.bytes(*high, 4)) << 32;
                    format!("{:#x}", high | number(bytes))
                }
                Map => self.map(bytes),
                Elsewhere => continue,
            };
            facts.insert((*name).to_owned(), value);
        }
        facts.insert("bytes without a name".to_owned(), digits(&unnamed));
        for (index, item) in self.setup_data.iter().enumerate() {
            let known = KINDS.iter().find(|(kind, _)| *kind == item.kind);
            let name = known.map_or_else(
                || format!("setup_data {:#x}", item.kind),
                |(_, n)| (*n).to_owned(),
            );
            // Of one kind there may be several.
            let before = self.setup_data.get(..index).unwrap_or_default();
            let nth = before.iter().filter(|i| i.kind == item.kind).count();
            let name = if nth == 0 {
                name
            } else {
                format!("{name} {nth}")
            };
            facts.extend(item.facts(&name));
        }
        facts
    }

    /// `screen_info` as it is.
    #[must_use]
    pub fn screen_info(&self) -> &[u8] {
        self.bytes(0, 0x40)
    }

    /// The value of a field that [`BootParams::facts`] shows as a number.
    ///
    /// # Errors
    /// If there is no such field or it is no number.
    pub fn number(&self, name: &str) -> Result<u64> {
        let facts = self.facts();
        let text = facts
            .get(name)
            .with_context(|| format!("boot_params have no {name}"))?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        u64::from_str_radix(digits, 16).with_context(|| format!("{name} is {text:?}"))
    }

    fn bytes(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len);
        self.data.get(at..end).unwrap_or_default()
    }

    fn map(&self, table: &[u8]) -> String {
        let count = usize::try_from(number(self.bytes(E820_ENTRIES, 1))).unwrap_or(0);
        let entries = table.chunks_exact(E820_ENTRY).take(count);
        let line = |entry: &[u8]| {
            let field = |at: usize, len: usize| {
                number(entry.get(at..at.saturating_add(len)).unwrap_or_default())
            };
            let (start, size) = (field(0, 8), field(8, 8));
            format!(
                "{start:#x}-{:#x} {}",
                start.wrapping_add(size),
                field(16, 4)
            )
        };
        entries.map(line).collect::<Vec<_>>().join("\n")
    }
}

impl ReportedSetupData {
    /// That it is there, with the length of its data, and the data: by its
    /// fields where they have names.
    fn facts(&self, name: &str) -> Vec<(String, String)> {
        let length = format!("{} bytes", self.data.len());
        let mut facts = vec![(name.to_owned(), length)];
        if self.kind == SETUP_EFI {
            let mut words = self.data.chunks(8).map(number);
            for field in SETUP_EFI_FIELDS {
                let value = words.next().unwrap_or(0);
                facts.push((format!("{name}.{field}"), format!("{value:#x}")));
            }
            let rest: Vec<String> = words.map(|w| format!("{w:#x}")).collect();
            facts.push((format!("{name}.reserved"), rest.join(" ")));
        } else {
            facts.push((format!("{name}.data"), digits(&self.data)));
        }
        facts
    }
}

/// A little-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Rows of bytes that are not all zero, each with its offset.
fn digits(bytes: &[u8]) -> String {
    let rows = bytes.chunks(16).enumerate();
    let rows = rows.filter(|(_, row)| row.iter().any(|b| *b != 0));
    let text = rows.map(|(index, row)| {
        let hex: String = row.iter().map(|b| format!("{b:02x}")).collect();
        format!("{:#x}: {hex}", index.saturating_mul(16))
    });
    text.collect::<Vec<_>>().join("\n")
}

/// Reads what the guest's report has of it: the 4096 bytes, the version, and a
/// line `TYPE HEXDIGITS` for each item.
pub(super) fn parse(data: Vec<u8>, version: &str, items: &str) -> Result<BootParams> {
    ensure!(
        data.len() == LEN,
        "boot_params have {} bytes, expected {LEN}",
        data.len()
    );
    let item = |line: &str| {
        let (kind, data) = line.split_once(' ').unwrap_or((line, ""));
        let kind = u32::from_str_radix(kind.trim_start_matches("0x"), 16)
            .with_context(|| format!("reading the type of the setup_data {line:?}"))?;
        Ok(ReportedSetupData {
            kind,
            data: unhex(data).with_context(|| format!("reading setup_data {line:?}"))?,
        })
    };
    Ok(BootParams {
        data,
        version: version.trim().to_owned(),
        setup_data: items.lines().map(item).collect::<Result<_>>()?,
    })
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair)?;
            ensure!(pair.len() == 2, "an odd number of digits");
            Ok(u8::from_str_radix(pair, 16)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> BootParams {
        let mut data = vec![0; LEN];
        let mut put = |at: usize, bytes: &[u8]| data[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x0c0, &[2]);
        put(0x218, &[0, 0x10]);
        put(0x1e8, &[1]);
        put(0x2d0 + 8, &[0, 0, 0x10, 0, 0, 0, 0, 0, 1]);
        put(0x2d0 + 20, &[9; 20]);
        put(0xfff, &[7]);
        parse(data, "0x020f\n", "0x9 \n0x4 0102\n0x9 ff\n").unwrap()
    }

    #[test]
    fn fields_have_their_names() {
        let params = params();
        let facts = params.facts();
        assert_eq!(facts["/version"], "0x020f");
        assert_eq!(facts["ramdisk_image"], "0x200001000");
        assert_eq!(params.number("ramdisk_image").unwrap(), 0x2_0000_1000);
        assert_eq!(facts["e820_table"], "0x0-0x100000 1");
        assert_eq!(
            facts["bytes without a name"],
            "0xff0: 00000000000000000000000000000007"
        );
        assert_eq!(facts["SETUP_RNG_SEED"], "0 bytes");
        assert_eq!(facts["SETUP_EFI"], "2 bytes");
        assert_eq!(facts["SETUP_EFI.fw_vendor"], "0x201");
        assert_eq!(facts["SETUP_RNG_SEED 1.data"], "0x0: ff");
        assert_eq!(facts["eddbuf"], "");
        assert!(params.number("edid_info").is_err() && params.number("x").is_err());
    }

    #[test]
    fn no_two_fields_overlap() {
        let mut end = 0;
        for (at, len, name, _) in FIELDS {
            assert!(*at >= end, "{name}");
            end = at + len;
        }
        assert!(end <= LEN);
    }

    #[test]
    fn broken_reports() {
        assert!(parse(vec![0; 10], "", "").is_err());
        for items in ["x 00", "0x1 0", "0x1 0g", "0x1 é"] {
            assert!(parse(vec![0; LEN], "", items).is_err(), "{items}");
        }
    }
}
