//! Writing cpio archives in the "newc" format, the one that the kernel
//! unpacks as an initramfs.
//!
//! Source of the format: the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeMap;

/// `c_magic` of a newc header without checksums.
const MAGIC: &str = "070701";
/// Name of the member that ends an archive.
const TRAILER: &str = "TRAILER!!!";
/// File type bits of `st_mode`, inode(7).
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// One member of an archive, apart from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory, mode 0755.
    Directory,
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Content.
        data: Vec<u8>,
    },
    /// A symbolic link to this target.
    Symlink(String),
    /// A character device, mode 0600.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// A member that the format cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpioError {
    /// Name of the member.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl std::fmt::Display for CpioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cannot put {:?} into a cpio archive: {}",
            self.name, self.reason
        )
    }
}

impl std::error::Error for CpioError {}

/// The archive of `members`, uncompressed.
///
/// Names have no leading slash. A map in name order lists a directory before
/// what is in it, as the kernel needs it; missing directories are not added.
/// The same members give the same bytes: inode numbers count up, all times
/// and owners are 0.
///
/// # Errors
/// A member of 4 GiB or more, or a name that is empty, absolute, contains a
/// NUL byte or is the name of the trailer.
pub fn newc(members: &BTreeMap<String, Entry>) -> Result<Vec<u8>, CpioError> {
    let mut out = Vec::new();
    let mut inode = 0_u32;
    for (name, entry) in members {
        inode = inode.wrapping_add(1);
        check_name(name)?;
        let (mode, data, device): (u32, &[u8], (u32, u32)) = match entry {
            Entry::Directory => (S_IFDIR | 0o755, &[], (0, 0)),
            Entry::File { mode, data } => (S_IFREG | (mode & 0o7777), data, (0, 0)),
            Entry::Symlink(target) => (S_IFLNK | 0o777, target.as_bytes(), (0, 0)),
            Entry::CharDevice { major, minor } => (S_IFCHR | 0o600, &[], (*major, *minor)),
        };
        append(&mut out, inode, mode, name, data, device)?;
    }
    append(&mut out, 0, 0, TRAILER, &[], (0, 0))?;
    Ok(out)
}

fn check_name(name: &str) -> Result<(), CpioError> {
    let reason = if name.is_empty() {
        "the name is empty"
    } else if name.starts_with('/') {
        "the name starts with a slash"
    } else if name.contains('\0') {
        "the name contains a NUL byte"
    } else if name == TRAILER {
        "this name ends an archive"
    } else {
        return Ok(());
    };
    Err(CpioError {
        name: name.to_owned(),
        reason,
    })
}

fn append(
    out: &mut Vec<u8>,
    inode: u32,
    mode: u32,
    name: &str,
    data: &[u8],
    (major, minor): (u32, u32),
) -> Result<(), CpioError> {
    let too_large = |reason| CpioError {
        name: name.to_owned(),
        reason,
    };
    let size = u32::try_from(data.len()).map_err(|_| too_large("4 GiB or more"))?;
    // The size of the name counts its terminating NUL.
    let name_size =
        u32::try_from(name.len().saturating_add(1)).map_err(|_| too_large("name too long"))?;
    let links = if mode & S_IFDIR == S_IFDIR { 2 } else { 1 };
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor
    // rdevminor namesize check
    let fields = [
        inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0,
    ];
    out.extend_from_slice(MAGIC.as_bytes());
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(data);
    pad(out);
    Ok(())
}

/// Header with name, and data, each end on a multiple of four bytes.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(header: &[u8], index: usize) -> usize {
        let text = std::str::from_utf8(&header[6 + index * 8..14 + index * 8]).unwrap();
        usize::from_str_radix(text, 16).unwrap()
    }

    /// A reader of its own, so that the writer is not its own judge.
    fn read(mut bytes: &[u8]) -> Vec<(String, usize, Vec<u8>, usize, usize)> {
        let mut members = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let (mode, size, name_size) = (field(bytes, 1), field(bytes, 6), field(bytes, 11));
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            assert_eq!(bytes[110 + name_size - 1], 0);
            let start = (110 + name_size).next_multiple_of(4);
            let data = bytes[start..start + size].to_vec();
            if name == "TRAILER!!!" {
                assert_eq!(bytes.len(), start, "nothing follows the trailer");
                return members;
            }
            members.push((name, mode, data, field(bytes, 9), field(bytes, 10)));
            bytes = &bytes[(start + size).next_multiple_of(4)..];
        }
    }

    fn members() -> BTreeMap<String, Entry> {
        BTreeMap::from([
            ("bin".to_owned(), Entry::Directory),
            (
                "bin/sh".to_owned(),
                Entry::Symlink("busybox-of-five".to_owned()),
            ),
            (
                "bin/tool".to_owned(),
                Entry::File {
                    mode: 0o755,
                    data: b"12345".to_vec(),
                },
            ),
            (
                "console".to_owned(),
                Entry::CharDevice { major: 5, minor: 1 },
            ),
            (
                "empty".to_owned(),
                Entry::File {
                    mode: 0o644,
                    data: Vec::new(),
                },
            ),
        ])
    }

    #[test]
    fn round_trip() {
        let archive = newc(&members()).unwrap();
        assert_eq!(archive.len() % 4, 0);
        let want = vec![
            ("bin".to_owned(), 0o040_755, Vec::new(), 0, 0),
            (
                "bin/sh".to_owned(),
                0o120_777,
                b"busybox-of-five".to_vec(),
                0,
                0,
            ),
            ("bin/tool".to_owned(), 0o100_755, b"12345".to_vec(), 0, 0),
            ("console".to_owned(), 0o020_600, Vec::new(), 5, 1),
            ("empty".to_owned(), 0o100_644, Vec::new(), 0, 0),
        ];
        assert_eq!(read(&archive), want);
    }

    #[test]
    fn every_length_of_name_and_data_is_padded() {
        for length in 0..9 {
            let name = "n".repeat(length + 1);
            let data = vec![7; length];
            let one = BTreeMap::from([(
                name.clone(),
                Entry::File {
                    mode: 0o600,
                    data: data.clone(),
                },
            )]);
            assert_eq!(read(&newc(&one).unwrap()), [(name, 0o100_600, data, 0, 0)]);
        }
    }

    #[test]
    fn same_members_same_bytes() {
        assert_eq!(newc(&members()), newc(&members()));
    }

    #[test]
    fn names_that_the_format_cannot_hold() {
        for name in ["", "/init", "a\0b", "TRAILER!!!"] {
            let one = BTreeMap::from([(name.to_owned(), Entry::Directory)]);
            assert_eq!(newc(&one).unwrap_err().name, name);
        }
    }
}
