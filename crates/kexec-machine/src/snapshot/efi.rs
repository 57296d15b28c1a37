//! What the running kernel knows of EFI, so that the next one can go on using
//! the firmware's runtime services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::memory::{MAX_RANGES, hex};
use crate::Fact;
use crate::Root;
use crate::numbered::numbered;

const FOLDER: &str = "/sys/firmware/efi";

/// `systab` names a handful of tables.
const MAX_TABLES: usize = 64;

/// /sys/firmware/efi (Documentation/ABI/testing/sysfs-firmware-efi): physical
/// addresses of the firmware's tables, which the firmware chose, not the
/// kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EfiRuntime {
    /// `fw_vendor`: where the name of the vendor is.
    pub fw_vendor: Fact<u64>,
    /// `runtime`: where the runtime services table is.
    pub runtime: Fact<u64>,
    /// `config_table`: where the configuration tables are.
    pub config_table: Fact<u64>,
    /// `systab`: addresses of configuration tables by name, such as `ACPI20`
    /// and `SMBIOS`.
    pub systab: Fact<BTreeMap<String, u64>>,
    /// `runtime-map/N` in the order of N; absent when the runtime services are
    /// not in use.
    pub runtime_map: Fact<Vec<EfiRange>>,
}

/// One entry of /sys/firmware/efi/runtime-map
/// (Documentation/ABI/testing/sysfs-firmware-efi-runtime-map).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfiRange {
    /// `type`: the kind of memory, an `EFI_MEMORY_TYPE`.
    pub kind: u32,
    /// `phys_addr`: where the range begins.
    pub physical: u64,
    /// `virt_addr`: where the firmware was told to find it. On x86_64 that is
    /// at a place of its own, which KASLR does not move.
    pub virtual_address: u64,
    /// `num_pages`, of 4096 bytes.
    pub pages: u64,
    /// `attribute`: the `EFI_MEMORY_*` bits.
    pub attribute: u64,
}

impl Default for EfiRuntime {
    fn default() -> EfiRuntime {
        EfiRuntime {
            fw_vendor: Fact::not_recorded(),
            runtime: Fact::not_recorded(),
            config_table: Fact::not_recorded(),
            systab: Fact::not_recorded(),
            runtime_map: Fact::not_recorded(),
        }
    }
}

pub(super) fn read(root: &Root) -> EfiRuntime {
    let address = |name: &str| address(root, &format!("{FOLDER}/{name}"));
    EfiRuntime {
        fw_vendor: address("fw_vendor"),
        runtime: address("runtime"),
        config_table: address("config_table"),
        systab: root.parse(
            &format!("{FOLDER}/systab"),
            "lines of NAME=0xADDRESS",
            systab,
        ),
        runtime_map: runtime_map(root),
    }
}

fn address(root: &Root, path: &str) -> Fact<u64> {
    root.parse(path, "a number such as 0x1000", number)
}

/// A number as sysfs writes it: `0x1000`.
fn number(text: &str) -> Option<u64> {
    hex(text.strip_prefix("0x")?)
}

/// Lines of `ACPI20=0x7fb7e014`. Of a name that is there twice the first
/// counts: newer versions come first.
pub(super) fn systab(text: &str) -> Option<BTreeMap<String, u64>> {
    let mut tables = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.trim().split_once('=')?;
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric());
        if name.is_empty() || !plain || tables.len() == MAX_TABLES {
            return None;
        }
        let value = number(value)?;
        tables.entry(name.to_owned()).or_insert(value);
    }
    Some(tables)
}

fn runtime_map(root: &Root) -> Fact<Vec<EfiRange>> {
    let folder = format!("{FOLDER}/runtime-map");
    numbered(root, &folder, MAX_RANGES).and_then(|numbers| {
        let mut map = Vec::with_capacity(numbers.len());
        for number in numbers {
            match range(root, &format!("{folder}/{number}")) {
                Ok(range) => map.push(range),
                Err(reason) => return Fact::Unreadable(reason),
            }
        }
        Fact::Known(map)
    })
}

fn range(root: &Root, folder: &str) -> Result<EfiRange, String> {
    let field = |name: &str| match address(root, &format!("{folder}/{name}")) {
        Fact::Known(value) => Ok(value),
        Fact::Absent => Err(format!("{folder}/{name} does not exist")),
        Fact::Unreadable(reason) => Err(reason),
    };
    let kind = field("type")?;
    Ok(EfiRange {
        kind: u32::try_from(kind).map_err(|_| format!("{folder}/type: {kind:#x}"))?,
        physical: field("phys_addr")?,
        virtual_address: field("virt_addr")?,
        pages: field("num_pages")?,
        attribute: field("attribute")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables_have_names_and_addresses() {
        let tables = systab("ACPI20=0x7fb7e014\nACPI=0x7fb7e000\nSMBIOS=0x7f988000\nACPI=0x1");
        let tables = tables.unwrap();
        assert_eq!(tables.get("ACPI20"), Some(&0x7fb7_e014));
        assert_eq!(tables.get("ACPI"), Some(&0x7fb7_e000));
        assert_eq!(tables.len(), 3);
        assert_eq!(systab(""), Some(BTreeMap::new()));
        for broken in ["ACPI", "ACPI=1", "=0x1", "A B=0x1", "ACPI=0x", "ACPI=0x-1"] {
            assert_eq!(systab(broken), None, "{broken}");
        }
        let many: String = (0..100).map(|n| format!("T{n}=0x1\n")).collect();
        assert_eq!(systab(&many), None);
    }

    #[test]
    fn the_runtime_map_is_in_the_order_of_its_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sys/firmware/efi/runtime-map");
        for number in 0..12 {
            let entry = folder.join(number.to_string());
            std::fs::create_dir_all(&entry).unwrap();
            let put = |name: &str, text: String| std::fs::write(entry.join(name), text).unwrap();
            put("type", "0x5\n".into());
            put("phys_addr", format!("{:#x}\n", number << 12));
            put("virt_addr", format!("{:#x}\n", 0xffff_fffe_0000_0000_u64));
            put("num_pages", "0x1\n".into());
            put("attribute", "0x800000000000000f\n".into());
        }
        let root = Root::new(dir.path());
        let map = read(&root).runtime_map;
        let places: Vec<u64> = map.known().unwrap().iter().map(|r| r.physical).collect();
        let expected: Vec<u64> = (0..12).map(|n| n << 12).collect();
        assert_eq!(places, expected);
        std::fs::write(folder.join("11/type"), "0x100000000\n").unwrap();
        let reason = read(&root).runtime_map;
        assert_eq!(
            reason.reason(),
            Some("/sys/firmware/efi/runtime-map/11/type: 0x100000000")
        );
        std::fs::remove_file(folder.join("3/attribute")).unwrap();
        assert_eq!(
            read(&root).runtime_map.reason(),
            Some("/sys/firmware/efi/runtime-map/3/attribute does not exist")
        );
    }

    proptest! {
        #[test]
        fn a_systab_of_anything_does_not_panic(text in "([A-Z0-9]{0,8}=?(0x)?[0-9a-f]{0,18}\n?){0,5}\\PC{0,40}") {
            let _ = systab(&text);
        }
    }
}
