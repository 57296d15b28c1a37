//! Initial RAM file systems: what a file is, and what is in it.

pub mod intact;
pub mod members;
pub mod reads;
pub mod unpack;

#[cfg(test)]
mod intact_tests;
mod stale;
mod walk;
mod xz;

pub(crate) use stale::{is_for_linux, stale};

use std::fmt;

use kexec_image::cpio;

/// What an initrd is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitrdKind {
    /// A cpio archive that is not compressed.
    Cpio,
    /// A compressed stream, by its codec.
    Compressed(&'static str),
    /// A file system image for a RAM disk.
    FileSystem(&'static str),
}

impl fmt::Display for InitrdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitrdKind::Cpio => f.write_str("cpio archive"),
            InitrdKind::Compressed(codec) => write!(f, "{codec} compressed archive"),
            InitrdKind::FileSystem(name) => write!(f, "{name} file system"),
        }
    }
}

/// What kernels unpack (Documentation/driver-api/early-userspace/
/// buffer-format.rst for cpio; Documentation/admin-guide/initrd.rst "Compressed
/// cpio images" and RAM disk images). The compression magics are those that the
/// kernel's decompressors look for: two bytes, and lz4 only in its legacy frame.
const MAGICS: &[(usize, &[u8], InitrdKind)] = &[
    (0, cpio::MAGIC, InitrdKind::Cpio),
    (0, cpio::MAGIC_CHECKSUM, InitrdKind::Cpio),
    (0, b"070707", InitrdKind::Cpio),
    (0, &[0x1f, 0x8b], InitrdKind::Compressed("gzip")),
    (0, &[0x1f, 0x9e], InitrdKind::Compressed("gzip")),
    (0, b"BZh", InitrdKind::Compressed("bzip2")),
    (0, &[0x5d, 0x00], InitrdKind::Compressed("lzma")),
    (
        0,
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        InitrdKind::Compressed("xz"),
    ),
    (0, &[0x89, b'L', b'Z', b'O'], InitrdKind::Compressed("lzo")),
    (0, &[0x02, 0x21, 0x4c, 0x18], InitrdKind::Compressed("lz4")),
    (0, &[0x28, 0xb5, 0x2f, 0xfd], InitrdKind::Compressed("zstd")),
    (0, b"hsqs", InitrdKind::FileSystem("squashfs")),
    (
        0,
        &[0x45, 0x3d, 0xcd, 0x28],
        InitrdKind::FileSystem("cramfs"),
    ),
    (0, b"-rom1fs-", InitrdKind::FileSystem("romfs")),
    (0x438, &[0x53, 0xef], InitrdKind::FileSystem("ext2")),
];

/// What these bytes are, if a kernel would unpack or mount them. Zero bytes in
/// front of an archive are padding, which the kernel skips in steps of four.
pub fn kind(bytes: &[u8]) -> Option<InitrdKind> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let archive = bytes.get(zeros - zeros % 4..).unwrap_or_default();
    let found = |bytes: &[u8]| {
        let mut magics = MAGICS.iter();
        let row = magics.find(|(at, magic, _)| {
            let part = bytes.get(*at..at.saturating_add(magic.len()));
            part == Some(*magic)
        });
        row.map(|(_, _, kind)| *kind)
    };
    found(bytes).or_else(|| found(archive).filter(|k| !matches!(k, InitrdKind::FileSystem(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_kernels_unpack() {
        assert_eq!(kind(b"070701000"), Some(InitrdKind::Cpio));
        assert_eq!(kind(b"\x00\x00\x00\x00070701000"), Some(InitrdKind::Cpio));
        assert_eq!(
            kind(&[0x28, 0xb5, 0x2f, 0xfd, 0]),
            Some(InitrdKind::Compressed("zstd"))
        );
        // The modern lz4 frame is not one the kernel unpacks.
        assert_eq!(kind(&[0x04, 0x22, 0x4d, 0x18]), None);
        assert_eq!(kind(b"\x7fELF"), None);
        assert_eq!(kind(b""), None);
        assert_eq!(kind(&[0; 64]), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = kind(&bytes);
        }
    }
}
