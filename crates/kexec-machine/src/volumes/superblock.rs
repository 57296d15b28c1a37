//! What kind of file system a device holds, by the first bytes of it. udev
//! knows it already where it runs; this is for machines without it, and for what
//! udev does not tell.

use kexec_image::fields::{u16_at, u32_at};

/// How many bytes of a device are looked at: the btrfs superblock is the one
/// farthest in.
pub const LEN: usize = BTRFS + 0x1000;

/// ext2, ext3, ext4 (Documentation/filesystems/ext4/super.rst): the superblock
/// is 1024 bytes in; offsets are from there.
const EXT: usize = 1024;
const EXT_MAGIC: u16 = 0xef53;
/// `s_feature_compat`: the file system has a journal.
const HAS_JOURNAL: u32 = 0x4;
/// `s_feature_incompat`: the device is the journal of another one.
const JOURNAL_DEV: u32 = 0x8;
/// `s_feature_incompat` that ext3 has: filetype, recover, meta_bg.
const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
/// `s_feature_ro_compat` that ext3 has: sparse_super, large_file, btree_dir.
const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
/// `s_feature_ro_compat`: the orphan file is not empty.
const ORPHAN_PRESENT: u32 = 0x1_0000;

/// btrfs: the first superblock is 64 KiB in (btrfs.readthedocs.io, "On-disk
/// format", "Superblock").
const BTRFS: usize = 0x1_0000;

/// What is on a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSystemIdentity {
    /// `ext4`, `crypto_LUKS`, ... as udev and mount(8) call it.
    pub kind: Option<String>,
    /// Its UUID, as udev writes it.
    pub uuid: Option<String>,
    /// Its label, without the blanks behind it.
    pub label: Option<String>,
}

/// What the first [`LEN`] bytes of a device say; fewer say less. `None` is
/// anything that is not a file system this program looks into.
pub fn content(head: &[u8]) -> Option<FileSystemIdentity> {
    ext(head)
        .or_else(|| btrfs(head))
        .or_else(|| xfs(head))
        .or_else(|| fat(head))
}

/// Whether the kernel would write to an ext2, ext3 or ext4 file system although
/// it is mounted read-only without its journal: it removes files that were
/// deleted while they were open.
pub fn has_orphans(head: &[u8]) -> bool {
    let Some(block) = head
        .get(EXT..)
        .filter(|block| u16_at(block, 0x38) == Some(EXT_MAGIC))
    else {
        return false;
    };
    let file = u32_at(block, 0x64).is_some_and(|features| features & ORPHAN_PRESENT != 0);
    file || u32_at(block, 0xe8).is_some_and(|first| first != 0)
}

fn ext(head: &[u8]) -> Option<FileSystemIdentity> {
    let block = head.get(EXT..)?;
    if u16_at(block, 0x38)? != EXT_MAGIC {
        return None;
    }
    let (compat, incompat, ro) = (
        u32_at(block, 0x5c)?,
        u32_at(block, 0x60)?,
        u32_at(block, 0x64)?,
    );
    if incompat & JOURNAL_DEV != 0 {
        return None;
    }
    let newer = incompat & !EXT3_INCOMPAT != 0 || ro & !EXT3_RO_COMPAT != 0;
    let kind = match (newer, compat & HAS_JOURNAL != 0) {
        (true, _) => "ext4",
        (false, true) => "ext3",
        (false, false) => "ext2",
    };
    Some(found(
        kind,
        uuid(block.get(0x68..0x78)?),
        text(block.get(0x78..0x88)?),
    ))
}

/// xfs: `sb_uuid` and `sb_fname` (xfs_filesystem_structure.pdf, "Superblocks").
fn xfs(head: &[u8]) -> Option<FileSystemIdentity> {
    let block = head.strip_prefix(b"XFSB").and(Some(head))?;
    Some(found(
        "xfs",
        uuid(block.get(32..48)?),
        text(block.get(108..120)?),
    ))
}

fn btrfs(head: &[u8]) -> Option<FileSystemIdentity> {
    let block = head.get(BTRFS..)?;
    if block.get(0x40..0x48)? != b"_BHRfS_M" {
        return None;
    }
    Some(found(
        "btrfs",
        uuid(block.get(0x20..0x30)?),
        text(block.get(0x12b..0x22b)?),
    ))
}

/// FAT (Microsoft "FAT32 File System Specification", "Boot Sector"): the volume
/// serial number is the UUID; the label is the one in the boot sector.
fn fat(head: &[u8]) -> Option<FileSystemIdentity> {
    let sector = head.get(..512)?;
    let jump = matches!(sector.first()?, 0xeb | 0xe9);
    if !jump || sector.get(510..)? != [0x55, 0xaa] {
        return None;
    }
    let at = if sector.get(82..90)? == b"FAT32   " {
        67
    } else if sector.get(54..57)? == b"FAT" {
        39
    } else {
        return None;
    };
    let serial = u32_at(sector, at)?;
    let uuid = format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff);
    let label = text(sector.get(at.checked_add(4)?..)?.get(..11)?);
    let label = label.filter(|label| label != "NO NAME");
    Some(found("vfat", Some(uuid), label))
}

fn found(kind: &str, uuid: Option<String>, label: Option<String>) -> FileSystemIdentity {
    FileSystemIdentity {
        kind: Some(kind.to_owned()),
        uuid,
        label,
    }
}

/// In the order of the bytes; all zeros is none.
fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Some(text)
}

/// Up to the first NUL, without blanks at the end; nothing is none.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end)?);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: [u8; 16] = [
        0x7d, 0x1c, 0x7f, 0xb2, 0x6b, 0x0e, 0x4a, 0x3e, 0x9d, 0x2f, 0x0f, 0x4f, 0x3c, 0x3d, 0x2c,
        0x11,
    ];
    const SPELLED: &str = "7d1c7fb2-6b0e-4a3e-9d2f-0f4f3c3d2c11";

    fn put(head: &mut [u8], at: usize, bytes: &[u8]) {
        head[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn ext(features: [u32; 3]) -> Vec<u8> {
        let mut head = vec![0; LEN];
        put(&mut head, EXT + 0x38, &EXT_MAGIC.to_le_bytes());
        for (at, value) in [0x5c, 0x60, 0x64].into_iter().zip(features) {
            put(&mut head, EXT + at, &value.to_le_bytes());
        }
        put(&mut head, EXT + 0x68, &UUID);
        put(&mut head, EXT + 0x78, b"boot");
        head
    }

    fn fat32() -> Vec<u8> {
        let mut head = vec![0; 512];
        put(&mut head, 0, &[0xeb, 0x58, 0x90]);
        put(&mut head, 67, &0xabcd_1234_u32.to_le_bytes());
        put(&mut head, 71, b"ESP        FAT32   ");
        put(&mut head, 510, &[0x55, 0xaa]);
        head
    }

    fn seen(head: &[u8]) -> Option<[String; 3]> {
        let content = content(head)?;
        let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Some([content.kind, content.uuid, content.label].map(word))
    }

    #[test]
    fn every_file_system_is_told_by_its_superblock() {
        let said = |kind: &str, label: &str| Some([kind, SPELLED, label].map(str::to_owned));
        assert_eq!(seen(&ext([0x38, 0x2c2, 0x46b])), said("ext4", "boot"));
        assert_eq!(seen(&ext([0x3c, 0x6, 0x3])), said("ext3", "boot"));
        assert_eq!(seen(&ext([0x38, 0x2, 0x3])), said("ext2", "boot"));
        assert_eq!(seen(&ext([0x38, JOURNAL_DEV, 0x3])), None);
        let mut xfs = vec![0; 512];
        put(&mut xfs, 0, b"XFSB");
        put(&mut xfs, 32, &UUID);
        put(&mut xfs, 108, b"twelve chars");
        assert_eq!(seen(&xfs), said("xfs", "twelve chars"));
        let mut btrfs = vec![0; LEN];
        put(&mut btrfs, BTRFS + 0x20, &UUID);
        put(&mut btrfs, BTRFS + 0x40, b"_BHRfS_M");
        assert_eq!(seen(&btrfs), said("btrfs", "-"));
        let vfat = ["vfat", "ABCD-1234", "ESP"].map(str::to_owned);
        assert_eq!(seen(&fat32()), Some(vfat));
        let mut fat16 = fat32();
        put(&mut fat16, 39, &0x1_u32.to_le_bytes());
        put(&mut fat16, 43, b"NO NAME    FAT16   ");
        put(&mut fat16, 82, &[0; 8]);
        let vfat = ["vfat", "0000-0001", "-"].map(str::to_owned);
        assert_eq!(seen(&fat16), Some(vfat));
    }

    #[test]
    fn other_boot_sectors_and_cut_ones_are_nothing() {
        assert_eq!(seen(&[]), None);
        assert_eq!(seen(&vec![0; LEN]), None);
        let mut ntfs = fat32();
        put(&mut ntfs, 82, &[0; 8]);
        assert_eq!(seen(&ntfs), None);
        for whole in [ext([0x38, 0x2c2, 0x46b]), fat32()] {
            let enough = (0..whole.len()).find(|end| seen(&whole[..*end]).is_some());
            assert!(enough.is_none_or(|end| end >= 512), "{enough:?}");
        }
    }

    #[test]
    fn what_the_kernel_would_clean_up_is_seen() {
        let clean = ext([0x38, 0x2c2, 0x46b]);
        assert!(!has_orphans(&clean));
        let mut list = clean.clone();
        put(&mut list, EXT + 0xe8, &12_u32.to_le_bytes());
        assert!(has_orphans(&list));
        assert!(has_orphans(&ext([0x38, 0x2c2, 0x46b | ORPHAN_PRESENT])));
        assert!(!has_orphans(&fat32()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            head in proptest::collection::vec(any::<u8>(), 0..2000),
            magic in proptest::sample::select(vec![0_usize, 1, 2, 3]),
        ) {
            let mut head = head;
            let places: [(usize, &[u8]); 4] = [
                (0, b"XFSB"), (EXT + 0x38, &[0x53, 0xef]), (82, b"FAT32   "), (54, b"FAT"),
            ];
            let (at, bytes) = places[magic];
            if head.len() >= at + bytes.len() {
                put(&mut head, at, bytes);
            }
            let _ = (content(&head), has_orphans(&head));
        }
    }
}
