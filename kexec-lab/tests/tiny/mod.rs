//! Programs of a few bytes in ELF files, to be started instead of a kernel.
#![allow(dead_code)]

/// Where they are linked to: 32 MiB.
const BASE: u32 = 0x200_0000;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or_default()
}

/// A 64-bit program: it begins with its first byte.
pub fn elf64(code: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 64 + 56;
    let size = HEADERS + len(code);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
    file.extend(words(&[1, BASE + HEADERS, 0, 64, 0, 0, 0, 0]));
    file.extend([64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend(words(&[
        1, 7, 0, 0, BASE, 0, BASE, 0, size, 0, size, 0, 0x1000, 0,
    ]));
    file.extend(code);
    file
}

/// A 32-bit program behind `head`, which is for boot loaders.
pub fn elf32(head: &[u8], code: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 52 + 32;
    let entry = HEADERS + len(head);
    let size = entry + len(code);
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
    file.extend(words(&[1, BASE + entry, 52, 0, 0]));
    file.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    file.extend(words(&[1, 0, BASE, BASE, size, size, 7, 0x1000]));
    file.extend(head);
    file.extend(code);
    file
}

/// Where the code of [`elf32`] is in memory, behind a head of that length.
pub fn code32(head: &[u8]) -> u32 {
    BASE + 52 + 32 + len(head)
}

/// Writes what (E)SI points to to the first serial port, until a zero byte.
pub const WRITE: &[u8] = &[
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, // lodsb, out, until zero
];

/// Writes (E)CX bytes from (E)SI on.
pub const WRITE_MANY: &[u8] = &[
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xac, 0xee, 0xe2, 0xfc, // lodsb, out, loop
];

/// Resets the machine: the keyboard controller, then hlt for ever.
pub const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd];
