//! The items that the first boot loader or the EFI stub handed to the running
//! kernel besides `boot_params`.

use serde::{Deserialize, Serialize};

use super::hexadecimal;
use crate::Fact;
use crate::Root;
use crate::numbered::numbered;

const FOLDER: &str = "/sys/kernel/boot_params/setup_data";

/// A machine has an item for each PCI card with a ROM, and a few more.
pub(super) const MAX_ITEMS: usize = 1024;
/// All data together. The largest are the ROMs of PCI cards, some hundred KB
/// each.
pub(super) const MAX_DATA: usize = 4 << 20;

/// Items whose data is kept in a redacted snapshot: a memory map
/// (SETUP_E820_EXT) and addresses that the firmware chose (SETUP_EFI). The
/// others hold seeds (SETUP_RNG_SEED, SETUP_DTB), pointers into memory
/// (SETUP_IMA, SETUP_CC_BLOB, SETUP_KEXEC_KHO, SETUP_INDIRECT) or whatever a
/// vendor put there. Types: arch/x86/include/uapi/asm/setup_data.h.
const KEPT: &[u32] = &[1, 4];

/// One item of /sys/kernel/boot_params/setup_data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupData {
    /// `type`: one of `SETUP_*`.
    pub kind: u32,
    /// `data` in hexadecimal.
    pub data: Fact<String>,
}

impl SetupData {
    /// The same with data that is nobody's business as zeros, of the same
    /// length.
    pub(super) fn redact(&mut self) {
        if !KEPT.contains(&self.kind)
            && let Fact::Known(data) = &mut self.data
        {
            *data = "0".repeat(data.len());
        }
    }
}

pub(super) fn read(root: &Root) -> Fact<Vec<SetupData>> {
    numbered(root, FOLDER, MAX_ITEMS).and_then(|numbers| {
        let mut left = MAX_DATA;
        let mut items = Vec::with_capacity(numbers.len());
        for number in numbers {
            let folder = format!("{FOLDER}/{number}");
            let kind = root.parse(&format!("{folder}/type"), "a number such as 0x9", kind);
            let kind = match kind {
                Fact::Known(kind) => kind,
                Fact::Absent => return Fact::Unreadable(format!("{folder}/type does not exist")),
                Fact::Unreadable(reason) => return Fact::Unreadable(reason),
            };
            items.push(SetupData {
                kind,
                data: data(root, &format!("{folder}/data"), &mut left),
            });
        }
        Fact::Known(items)
    })
}

fn data(root: &Root, path: &str, left: &mut usize) -> Fact<String> {
    root.bytes(path)
        .and_then(|bytes| match left.checked_sub(bytes.len()) {
            Some(rest) => {
                *left = rest;
                Fact::Known(hexadecimal(&bytes))
            }
            None => Fact::Unreadable(format!(
                "{path}: {} bytes; with the items before it more than {MAX_DATA}",
                bytes.len()
            )),
        })
}

/// `0x9`, or a plain number.
fn kind(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => super::memory::hex(digits)?.try_into().ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_numbers() {
        assert_eq!(kind("0x9"), Some(9));
        assert_eq!(kind("9"), Some(9));
        assert_eq!(kind("0x80000005"), Some(0x8000_0005));
        for broken in ["", "0x", "0x100000000", "-1", "x"] {
            assert_eq!(kind(broken), None, "{broken}");
        }
    }

    #[test]
    fn items_are_read_in_order_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER.trim_start_matches('/'));
        let put = |number: u32, kind: &str, data: &[u8]| {
            let entry = folder.join(number.to_string());
            std::fs::create_dir_all(&entry).unwrap();
            std::fs::write(entry.join("type"), kind).unwrap();
            std::fs::write(entry.join("data"), data).unwrap();
        };
        put(0, "0x9\n", &[0xab, 0x01]);
        put(2, "0x3\n", &vec![1; 3 << 20]);
        put(10, "0x3\n", &vec![2; 3 << 20]);
        put(11, "0x1\n", &[]);
        let root = Root::new(dir.path());
        let items = read(&root);
        let items = items.known().unwrap();
        let kinds: Vec<u32> = items.iter().map(|i| i.kind).collect();
        assert_eq!(kinds, [9, 3, 3, 1]);
        assert_eq!(items[0].data, Fact::Known("ab01".to_owned()));
        assert!(items[1].data.known().is_some());
        assert!(items[2].data.reason().unwrap().contains("more than"));
        assert_eq!(items[3].data, Fact::Known(String::new()));
        put(1, "nine\n", &[]);
        assert!(read(&root).reason().unwrap().contains("setup_data/1/type"));
    }

    #[test]
    fn only_harmless_data_survives() {
        for kind in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x8000_0001, 77] {
            let mut item = SetupData {
                kind,
                data: Fact::Known("1234".to_owned()),
            };
            item.redact();
            let kept = item.data == Fact::Known("1234".to_owned());
            assert_eq!(kept, kind == 1 || kind == 4, "{kind}");
            assert_eq!(item.data.known().unwrap().len(), 4);
        }
    }
}
