//! ELF boot notes (`--args-elf`): what an ELF program is told that is neither
//! Linux nor multiboot, as boot loaders of the coreboot family do it.
//!
//! A header of signature, length of everything, Internet checksum and number of
//! notes; then notes as the System V gABI has them ("Note Section"), of no
//! owner. That is what a 64-bit program was seen to be handed by kexec-tools
//! 2.0.32, with the address in RDI; there is no newer description than
//! etherboot's `elf_boot.h` of 2003. A 32-bit program looks for the signature in
//! EAX and for the address in EBX, as mkelfImage's does (kexec-tools on x86_64
//! was seen to leave 0 in both).

use crate::Cmdline;
use kexec_image::fields::{pad, put};

/// `b_signature`; in EAX too for a 32-bit program.
pub(super) const SIGNATURE: u32 = 0x0e1f_b007;
/// Where `b_checksum` is.
const CHECKSUM_AT: usize = 8;
/// The length of the header.
const HEAD: usize = 12;

/// Types of notes.
mod note {
    /// `EBN_BOOTLOADER_NAME`.
    pub const LOADER_NAME: u32 = 2;
    /// `EBN_BOOTLOADER_VERSION`.
    pub const LOADER_VERSION: u32 = 3;
    /// `EBN_COMMAND_LINE`.
    pub const COMMAND_LINE: u32 = 4;
}

/// The notes. They know no address of their own.
pub(super) fn build(cmdline: &Cmdline) -> Vec<u8> {
    let notes: [(u32, &[u8]); 3] = [
        (note::LOADER_NAME, b"kexec-rs"),
        (note::LOADER_VERSION, env!("CARGO_PKG_VERSION").as_bytes()),
        (note::COMMAND_LINE, cmdline.as_bytes()),
    ];
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut all = vec![0; HEAD];
    for (kind, text) in notes {
        all.extend(word(0));
        all.extend(word(text.len().saturating_add(1)));
        all.extend(kind.to_le_bytes());
        all.extend(text);
        all.push(0);
        pad(&mut all, 4);
    }
    let len = all.len();
    put(&mut all, 0, &SIGNATURE.to_le_bytes());
    put(&mut all, 4, &word(len));
    let count = u16::try_from(notes.len()).unwrap_or(u16::MAX);
    put(&mut all, 10, &count.to_le_bytes());
    let sum = checksum(&all);
    put(&mut all, CHECKSUM_AT, &sum.to_le_bytes());
    all
}

/// RFC 1071 over words of 16 bits, the lower byte first.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [low, high] => u64::from(u16::from_le_bytes([*low, *high])),
        [low] => u64::from(*low),
        _ => 0,
    });
    let mut sum = words.fold(0_u64, u64::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kexec-tools 2.0.32 wrote for `--append="hello world"`.
    const SEEN: &str = "07b01f0e4c000000fa180300\
        0000000006000000020000006b65786563000000\
        000000000700000003000000322e302e33320000\
        000000000c0000000400000068656c6c6f20776f726c6400";

    fn seen() -> Vec<u8> {
        let pairs = SEEN.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        pairs.map(|pair| byte(pair).unwrap()).collect()
    }

    /// The notes behind a header: type and text.
    fn read(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), SIGNATURE);
        assert_eq!(usize::try_from(word(4)).unwrap(), bytes.len());
        assert_eq!(checksum(bytes), 0, "with the checksum in it");
        let mut notes = Vec::new();
        let mut at = HEAD;
        while at < bytes.len() {
            let len = usize::try_from(word(at + 4)).unwrap();
            assert_eq!(word(at), 0, "no owner");
            let text = &bytes[at + 12..at + 12 + len];
            notes.push((word(at + 8), text.to_vec()));
            at += 12 + len.next_multiple_of(4);
        }
        assert_eq!(u16::from_le_bytes([bytes[10], bytes[11]]), 3);
        notes
    }

    #[test]
    fn the_same_notes_as_those_that_were_seen() {
        let line = Cmdline::from("hello world");
        let (theirs, ours) = (read(&seen()), read(&build(&line)));
        let kinds = |notes: &[(u32, Vec<u8>)]| notes.iter().map(|n| n.0).collect::<Vec<_>>();
        assert_eq!(kinds(&ours), kinds(&theirs));
        assert_eq!(ours[2], theirs[2]);
        assert_eq!(ours[0].1, b"kexec-rs\0");
    }

    #[test]
    fn command_lines_of_any_length() {
        for len in [0, 1, 2, 3, 4, 5000] {
            let line = Cmdline::from("x".repeat(len).as_str());
            let notes = read(&build(&line));
            assert_eq!(notes[2].1.len(), len + 1);
        }
    }
}
