//! How initrds are put one behind the other, so that kernels find each of them.

use kexec_image::cpio::{HEAD_LEN, Head, aligned};

/// Initrds that are joined start at a multiple of this many bytes, because the
/// kernel looks for the next archive there (Documentation/driver-api/
/// early-userspace/buffer-format.rst: cpio members and archives are padded to
/// four bytes).
pub const INITRD_ALIGN: usize = 4;

/// Zeros behind lz4's legacy frame. Kernels take what follows its last block for the
/// size of the next one, and only the size zero ends the frame.
const LZ4_END: usize = 4;

/// The most zeros that stand behind an initrd that is joined with another one.
pub const INITRD_PADDING: usize = LZ4_END + INITRD_ALIGN - 1;

/// The magic number of lz4's legacy frame.
const LZ4_LEGACY: &[u8] = &[0x02, 0x21, 0x4c, 0x18];

/// Zeros between `initrd` and the next one.
pub(super) fn padding(initrd: &[u8]) -> usize {
    let aligns = initrd.len().next_multiple_of(INITRD_ALIGN) - initrd.len();
    match has_lz4(initrd) {
        true => aligns + LZ4_END,
        false => aligns,
    }
}

/// Whether the first part that is compressed is lz4 in its legacy frame. What is in
/// front of it are archives, which say how long they are.
fn has_lz4(initrd: &[u8]) -> bool {
    let mut at = 0_usize;
    loop {
        let rest = initrd.get(at..).unwrap_or_default();
        let zeros = rest.iter().take_while(|b| **b == 0).count();
        at = at.saturating_add(zeros);
        let rest = rest.get(zeros..).unwrap_or_default();
        if rest.starts_with(LZ4_LEGACY) {
            return true;
        }
        let Some(Ok(head)) = rest.get(..HEAD_LEN).map(Head::parse) else {
            return false;
        };
        let len = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let name_end = len(at)
            .saturating_add(len(HEAD_LEN))
            .saturating_add(len(head.name_len));
        let end = aligned(aligned(name_end).saturating_add(head.size));
        at = usize::try_from(end).unwrap_or(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use kexec_image::cpio;

    use super::*;

    #[test]
    fn a_zero_word_ends_lz4() {
        let file = cpio::File {
            path: "init".to_owned(),
            mode: 0o755,
            content: vec![7; 33].into(),
        };
        let archive = cpio::archive(&[file]).unwrap();
        assert_eq!(padding(b""), 0);
        assert_eq!(padding(&archive), 0);
        assert_eq!(padding(b"\x1f\x8b\x08gz"), 3);
        for (len, zeros) in [(8, 4), (9, 7), (10, 6), (11, 5)] {
            let mut lz4 = LZ4_LEGACY.to_vec();
            lz4.resize(len, b'x');
            assert_eq!(padding(&lz4), zeros);
            // Behind early archives, and zeros.
            let early = [&archive[..], &[0; 512], &archive, &lz4].concat();
            assert_eq!(padding(&early), zeros);
            assert!(zeros <= INITRD_PADDING);
        }
        // Cut in a member.
        assert_eq!(padding(&archive[..120]), 0);
        assert_eq!(padding(&archive[..100]), 0);
    }
}
