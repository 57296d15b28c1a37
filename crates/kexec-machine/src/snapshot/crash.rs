//! What the running kernel shows for a crash kernel: where the notes of its processors and
//! of itself are, where it is in memory, and what it follows by itself.

use serde::{Deserialize, Serialize};

use super::memory::hex;
use super::{MachineMemory, MemoryRange};
use crate::{Fact, Root};

/// No machine has more processors than this: numbers go up to 8191 in the largest
/// configuration (`NR_CPUS` in arch/x86/Kconfig).
pub(super) const MAX_CPUS: usize = 1 << 16;

/// Where processors are listed.
const CPUS: &str = "/sys/devices/system/cpu";

/// Why nothing was looked up.
const UNRESERVED: &str = "not looked up: no memory is reserved for a crash kernel";

/// The start of the addresses at which x86_64 kernels map themselves, and their end
/// (Documentation/arch/x86/x86_64/mm.rst, "kernel text mapping": 1 GiB with modules behind
/// it).
const KERNEL_MAP: std::ops::Range<u64> = 0xffff_ffff_8000_0000..0xffff_ffff_c000_0000;

/// What the running kernel shows for a crash kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashState {
    /// Where each processor leaves its registers (`crash_notes` and `crash_notes_size` of
    /// /sys/devices/system/cpu/cpuN), by number; those without an address are left out.
    pub cpu_notes: Fact<Vec<CpuNote>>,
    /// Where the running kernel's description of itself is (/sys/kernel/vmcoreinfo).
    pub vmcoreinfo: Fact<NotePlace>,
    /// Where the running kernel maps itself and physical memory (/proc/kcore, x86_64).
    pub kernel_map: Fact<KernelMap>,
    /// How many keys of an encrypted dump target are kept for the crash kernel
    /// (/sys/kernel/config/crash_dm_crypt_keys/count, since Linux 6.16).
    pub dump_keys: Fact<u64>,
}

/// Where one processor leaves its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuNote {
    /// The number of the processor.
    pub cpu: u32,
    /// Where the note is.
    #[serde(flatten)]
    pub place: NotePlace,
}

/// Where a note is in physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotePlace {
    /// Its first byte.
    pub address: u64,
    /// How many bytes.
    pub size: u64,
}

/// Where the running kernel maps itself and physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMap {
    /// The virtual address of physical address 0 (`PAGE_OFFSET`).
    pub page_offset: u64,
    /// The first virtual address of the kernel's text.
    pub text: u64,
    /// Its first physical address.
    pub physical: u64,
    /// Bytes from the start of the text to the end of the kernel.
    pub len: u64,
}

impl Default for CrashState {
    fn default() -> CrashState {
        CrashState {
            cpu_notes: Fact::not_recorded(),
            vmcoreinfo: Fact::not_recorded(),
            kernel_map: Fact::not_recorded(),
            dump_keys: Fact::not_recorded(),
        }
    }
}

/// Reads it. `memory` has the place of the running kernel. Where no memory is reserved for a
/// crash kernel, what takes longest to look up is left out.
pub(super) fn read(root: &Root, memory: &MachineMemory) -> CrashState {
    let reserved = memory.iomem.as_ref().and_then(|ranges| {
        match ranges.iter().any(|r| r.kind == "Crash kernel") {
            true => Fact::Known(ranges.as_slice()),
            false => Fact::Unreadable(UNRESERVED.to_owned()),
        }
    });
    CrashState {
        cpu_notes: reserved.clone().and_then(|_| cpu_notes(root)),
        vmcoreinfo: root.parse(
            "/sys/kernel/vmcoreinfo",
            "an address and a size, hexadecimal",
            vmcoreinfo,
        ),
        kernel_map: reserved.and_then(|iomem| kernel_map(root, iomem)),
        dump_keys: root.parse(
            "/sys/kernel/config/crash_dm_crypt_keys/count",
            "a number of keys",
            |text| text.parse().ok(),
        ),
    }
}

/// Two hexadecimal numbers without 0x (Documentation/ABI/testing/sysfs-kernel-vmcoreinfo).
pub fn vmcoreinfo(text: &str) -> Option<NotePlace> {
    let (address, size) = text.split_once(' ')?;
    let number = |text: &str| hex(text.trim().strip_prefix("0x").unwrap_or(text.trim()));
    note_place(number(address)?, number(size)?)
}

/// A place that is memory at all.
fn note_place(address: u64, size: u64) -> Option<NotePlace> {
    let fits = address.checked_add(size).is_some();
    (address != 0 && size != 0 && fits).then_some(NotePlace { address, size })
}

fn cpu_notes(root: &Root) -> Fact<Vec<CpuNote>> {
    root.entries(CPUS).and_then(|names| {
        let number = |name: &String| {
            let digits = name.strip_prefix("cpu")?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u32>().ok())?
        };
        let mut cpus: Vec<u32> = names.iter().filter_map(number).collect();
        cpus.sort_unstable();
        if cpus.len() > MAX_CPUS {
            return Fact::Unreadable(format!("{CPUS}: more than {MAX_CPUS} processors"));
        }
        let mut notes = Vec::with_capacity(cpus.len());
        for cpu in cpus {
            match note(root, cpu) {
                Fact::Known(Some(place)) => notes.push(CpuNote { cpu, place }),
                // Not brought up yet: it leaves no registers either.
                Fact::Known(None) | Fact::Absent => {}
                Fact::Unreadable(reason) => return Fact::Unreadable(reason),
            }
        }
        match notes.is_empty() {
            true => Fact::Absent,
            false => Fact::Known(notes),
        }
    })
}

/// Where one processor leaves its registers; `None` where it has an address of 0.
fn note(root: &Root, cpu: u32) -> Fact<Option<NotePlace>> {
    let folder = format!("{CPUS}/cpu{cpu}");
    let address = root.parse(
        &format!("{folder}/crash_notes"),
        "a hexadecimal address",
        hex,
    );
    let size = root.parse(
        &format!("{folder}/crash_notes_size"),
        "a number of bytes",
        |text| text.parse::<u64>().ok(),
    );
    address.and_then(|address| size.map(|size| note_place(address, size)))
}

/// Where the running kernel is mapped, out of the program headers of /proc/kcore: an ELF
/// file whose entries have virtual and, where there is memory behind them, physical
/// addresses. Its content is not read.
fn kernel_map(root: &Root, iomem: &[MemoryRange]) -> Fact<KernelMap> {
    const KCORE: &str = "/proc/kcore";
    let unreadable = |reason: String| Fact::Unreadable(format!("{KCORE}: {reason}"));
    let code = iomem.iter().find(|r| r.kind == "Kernel code");
    let Some(code) = code.map(|r| r.start) else {
        return Fact::Unreadable("/proc/iomem has no \"Kernel code\"".to_owned());
    };
    root.head(KCORE, kcore::EHDR_LEN).and_then(|head| {
        let len = match kcore::headers_end(&head) {
            Ok(len) => len,
            Err(reason) => return unreadable(reason),
        };
        root.head(KCORE, len)
            .and_then(|bytes| match kcore::kernel_map(&bytes, code, iomem) {
                Ok(map) => Fact::Known(map),
                Err(reason) => unreadable(reason),
            })
    })
}

/// The program headers of /proc/kcore (System V gABI 4.1, ELF64).
pub mod kcore {
    use kexec_image::fields::{u16_at, u32_at, u64_at};

    use super::{KERNEL_MAP, KernelMap};
    use crate::snapshot::MemoryRange;

    /// The length of the ELF header.
    pub const EHDR_LEN: u64 = 64;
    /// The length of a program header.
    const PHDR_LEN: u64 = 56;
    /// `PT_LOAD`.
    const LOAD: u32 = 1;

    /// Where the program headers end.
    ///
    /// # Errors
    /// Why there are none.
    pub fn headers_end(head: &[u8]) -> Result<u64, String> {
        if head.get(..5) != Some(&[0x7f, b'E', b'L', b'F', 2]) {
            return Err("it is not an ELF64 file".to_owned());
        }
        let at = u64_at(head, 32).ok_or("it is cut short")?;
        let size = u16_at(head, 54).ok_or("it is cut short")?;
        let count = u16_at(head, 56).ok_or("it is cut short")?;
        if u64::from(size) != PHDR_LEN || at != EHDR_LEN {
            return Err(format!(
                "program headers of {size} bytes at {at}, expected {PHDR_LEN} at {EHDR_LEN}"
            ));
        }
        Ok(u64::from(count).saturating_mul(PHDR_LEN).saturating_add(at))
    }

    /// Where the kernel is, whose code begins at the physical address `code`, and where it
    /// maps the memory of `iomem`.
    ///
    /// # Errors
    /// Why it does not follow from the headers.
    pub fn kernel_map(bytes: &[u8], code: u64, iomem: &[MemoryRange]) -> Result<KernelMap, String> {
        let mut text = None;
        let mut offset = None;
        let headers = bytes.get(64..).unwrap_or_default().chunks_exact(56);
        for header in headers {
            let field = |at| u64_at(header, at).unwrap_or(0);
            if u32_at(header, 0) != Some(LOAD) {
                continue;
            }
            let (start, physical, len) = (field(16), field(24), field(40));
            let Some(end) = start.checked_add(len) else {
                continue;
            };
            // Where there is no memory behind an entry, its physical address is all ones,
            // in older kernels 0.
            if KERNEL_MAP.contains(&start) && end <= KERNEL_MAP.end && physical == code {
                text = Some(KernelMap {
                    page_offset: 0,
                    text: start,
                    physical,
                    len,
                });
            } else if start < KERNEL_MAP.start && is_memory(iomem, physical, len) {
                let base = start.checked_sub(physical).ok_or_else(|| {
                    format!("memory at {physical:#x} is mapped below its own address")
                })?;
                match offset {
                    None => offset = Some(base),
                    Some(before) if before == base => {}
                    Some(_) => return Err("memory is mapped in two different ways".to_owned()),
                }
            }
        }
        let text = text.ok_or("no entry for the kernel's text")?;
        let page_offset = offset.ok_or("no entry for memory")?;
        Ok(KernelMap {
            page_offset,
            ..text
        })
    }

    /// Whether all of it is memory, by one line of /proc/iomem, or several that touch.
    fn is_memory(iomem: &[MemoryRange], start: u64, len: u64) -> bool {
        let Some(end) = start.checked_add(len).filter(|_| len > 0) else {
            return false;
        };
        let ram = iomem.iter().filter(|r| r.kind.starts_with("System RAM"));
        ram.clone().any(|r| r.start <= start && start < r.end)
            && ram.clone().any(|r| r.start < end && end <= r.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn where_vmcoreinfo_is() {
        let place = |address, size| Some(NotePlace { address, size });
        assert_eq!(vmcoreinfo("1008a000 1024"), place(0x1008_a000, 0x1024));
        assert_eq!(vmcoreinfo("0x100b3000 1024"), place(0x100b_3000, 0x1024));
        for broken in [
            "",
            "1008a000",
            "0 1024",
            "1000 0",
            "+1 1",
            "x 1",
            "ffffffffffffffff 2",
        ] {
            assert_eq!(vmcoreinfo(broken), None, "{broken}");
        }
    }

    /// A header and these entries: type, virtual and physical address, length.
    fn core(entries: &[(u32, u64, u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 64];
        bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(entries.len()).unwrap();
        for (kind, virtual_start, physical, len) in entries {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 12]);
            for value in [*virtual_start, *physical, *len, *len, 0] {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    fn ram(start: u64, end: u64) -> MemoryRange {
        MemoryRange {
            start,
            end,
            kind: "System RAM".to_owned(),
            depth: 0,
        }
    }

    const CODE: u64 = 0x200_0000;
    const TEXT: (u32, u64, u64, u64) = (1, 0xffff_ffff_8200_0000, CODE, 0x100_0000);
    const BASE: u64 = 0xffff_8880_0000_0000;

    #[test]
    fn the_kernel_and_the_direct_mapping() {
        let iomem = [ram(0x1000, 0x9_fc00), ram(0x10_0000, 0x1_0000_0000)];
        let low = (1, BASE + 0x1000, 0x1000, 0x9_e000);
        let high = (1, BASE + 0x10_0000, 0x10_0000, 0xfff0_0000);
        // Not memory: without a physical address, or where none is.
        let others = [
            (1, 0xffff_c900_0000_0000, u64::MAX, 0x1000),
            (1, 0xffff_c900_0000_0000, 0, 0x1000),
            (1, BASE, 0x2_0000_0000, 0x1000),
            (1, u64::MAX - 1, CODE, 0x1000),
            (4, BASE + 1, 0x10_0000, 0x1000),
        ];
        let all: Vec<_> = others.into_iter().chain([low, TEXT, high]).collect();
        let map = kcore::kernel_map(&core(&all), CODE, &iomem).unwrap();
        let expected = KernelMap {
            page_offset: BASE,
            text: TEXT.1,
            physical: CODE,
            len: TEXT.3,
        };
        assert_eq!(map, expected);
        let failed = |entries: &[_], words: &str| {
            let error = kcore::kernel_map(&core(entries), CODE, &iomem).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        failed(&[low, high], "no entry for the kernel's text");
        failed(&[TEXT], "no entry for memory");
        failed(&[TEXT, low, (1, BASE, 0x10_0000, 0x1000)], "two different");
        failed(&[TEXT, (1, 5, 0x10_0000, 0x1000)], "below its own");
    }

    #[test]
    fn where_the_headers_end() {
        let bytes = core(&[TEXT, TEXT]);
        assert_eq!(kcore::headers_end(&bytes), Ok(64 + 2 * 56));
        for end in 0..64 {
            assert_eq!(
                kcore::headers_end(&bytes[..end]).is_err(),
                end < 58,
                "{end}"
            );
            let _ = kcore::kernel_map(&bytes[..end], CODE, &[]);
        }
        let mut narrow = bytes.clone();
        narrow[4] = 1;
        assert!(kcore::headers_end(&narrow).is_err());
        let mut elsewhere = bytes;
        elsewhere[33] = 1;
        assert!(
            kcore::headers_end(&elsewhere)
                .unwrap_err()
                .contains("expected 56 at 64")
        );
    }

    proptest! {
        #[test]
        fn anything_is_read(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..400),
                            code in any::<u64>(), start in any::<u64>()) {
            let _ = vmcoreinfo(&text);
            let iomem = [ram(start, start.saturating_add(0x1000))];
            let _ = kcore::headers_end(&bytes);
            let _ = kcore::kernel_map(&bytes, code, &iomem);
        }

        #[test]
        fn damaged_headers_are_read(at in 0..232_usize, value in any::<u8>()) {
            let mut bytes = core(&[TEXT, (1, BASE + 0x10_0000, 0x10_0000, 0x1000), TEXT]);
            bytes[at] = value;
            if let Ok(map) = kcore::kernel_map(&bytes, CODE, &[ram(0x10_0000, 0x1_0000_0000)]) {
                prop_assert!(KERNEL_MAP.contains(&map.text));
                prop_assert!(map.text.checked_add(map.len).is_some());
            }
        }
    }
}
