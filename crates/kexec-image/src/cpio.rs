//! The cpio format "newc", of which kernels make their first root file system:
//! how a member is written, and what its head says. Whoever walks through an
//! initrd brings the walk; the numbers are here.
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::fields;

/// `c_magic` of a member without a checksum.
pub const MAGIC: &[u8] = b"070701";
/// `c_magic` of a member with a checksum, which kernels pass over.
pub const MAGIC_CHECKSUM: &[u8] = b"070702";
/// The name of the member that ends an archive.
pub const TRAILER: &str = "TRAILER!!!";
/// Bytes of a member's head: the magic and thirteen numbers of eight
/// hexadecimal digits.
pub const HEAD_LEN: usize = 110;
/// Bytes of the longest name that kernels take, its NUL included (`PATH_MAX`).
pub const MAX_NAME: u64 = 4096;
/// A head with its name, and a content, are padded to a multiple of this.
const ALIGNMENT: usize = 4;
/// Bytes of a number in the head.
const DIGITS: usize = 8;

/// File type bits of `c_mode` (inode(7)).
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// What is wrong with an archive, or with a member that is to be in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpioError {
    /// No head begins here.
    #[error("a file in the archive does not begin with 070701 or 070702")]
    Magic,
    /// A field of the head is not hexadecimal.
    #[error("a number in the head of a file is none")]
    Number,
    /// The format cannot hold this member.
    #[error("cannot put {name:?} into a cpio archive: {reason}")]
    Member {
        /// The path that it was to have.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What the head of a member says of the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the name, with the NUL at its end (`c_namesize`).
    pub name_len: usize,
    /// Bytes of the content (`c_filesize`).
    pub size: u64,
}

impl Head {
    /// Reads the [`HEAD_LEN`] bytes of a head.
    ///
    /// # Errors
    /// When they are none.
    pub fn parse(bytes: &[u8]) -> Result<Head, CpioError> {
        if !(bytes.starts_with(MAGIC) || bytes.starts_with(MAGIC_CHECKSUM)) {
            return Err(CpioError::Magic);
        }
        let number = |index: usize| {
            let at = MAGIC.len().checked_add(index.checked_mul(DIGITS)?)?;
            let digits = bytes.get(at..at.checked_add(DIGITS)?)?;
            // from_str_radix would take a sign, which kernels do not.
            let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
            u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (Some(size), Some(len)) = (number(6), number(11)) else {
            return Err(CpioError::Number);
        };
        let name_len = usize::try_from(len).map_err(|_| CpioError::Number)?;
        Ok(Head { name_len, size })
    }

    /// Whether kernels skip the member and go on with the next one, because it has no
    /// name or a longer one than they take.
    pub fn is_skipped(&self) -> bool {
        !(1..=MAX_NAME).contains(&u64::try_from(self.name_len).unwrap_or(u64::MAX))
    }
}

/// Where what follows a name or a content that ends at `at` begins, counted from
/// the beginning of the archive.
pub fn aligned(at: u64) -> u64 {
    at.checked_next_multiple_of(fields::len_u64(ALIGNMENT))
        .unwrap_or(at)
}

/// A name as it stands in an archive, without the NUL at its end.
pub fn name(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\0").unwrap_or(bytes)
}

/// Whether the member with this [`name`] ends its archive.
pub fn is_trailer(name: &[u8]) -> bool {
    name == TRAILER.as_bytes()
}

/// A member to be, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// A directory.
    Directory {
        /// Permission bits; the type is added.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Permission bits; the type is added.
        mode: u32,
        /// All bytes of the file.
        content: &'a [u8],
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: &'a str,
    },
    /// A character device.
    CharDevice {
        /// Permission bits; the type is added.
        mode: u32,
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
}

/// Writes an archive, member after member. The same members give the same
/// bytes: inode numbers count up, times and owners are 0.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    inode: u32,
}

impl Writer {
    /// An archive with nothing in it yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Adds a member. A directory has to come before what is in it.
    ///
    /// # Errors
    /// When `name` is not a path inside of an archive (relative, without empty
    /// parts, `.` and `..`), or the content has 4 GiB or more.
    pub fn add(&mut self, name: &str, member: &Member<'_>) -> Result<(), CpioError> {
        let bad = |reason| CpioError::Member {
            name: name.to_owned(),
            reason,
        };
        check(name).map_err(bad)?;
        let (mode, links, content, device) = match *member {
            Member::Directory { mode } => (S_IFDIR | mode & 0o7777, 2, &[][..], (0, 0)),
            Member::File { mode, content } => (S_IFREG | mode & 0o7777, 1, content, (0, 0)),
            Member::Symlink { target } => (S_IFLNK | 0o777, 1, target.as_bytes(), (0, 0)),
            Member::CharDevice { mode, major, minor } => {
                (S_IFCHR | mode & 0o7777, 1, &[][..], (major, minor))
            }
        };
        let size = u32::try_from(content.len()).map_err(|_| bad("it has 4 GiB or more"))?;
        self.inode = self.inode.wrapping_add(1);
        self.head(name, [self.inode, mode, links, size], device);
        self.out.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// The archive with its trailer.
    pub fn finish(mut self) -> Vec<u8> {
        self.head(TRAILER, [0, 0, 1, 0], (0, 0));
        self.out
    }

    /// A head and the name behind it.
    fn head(&mut self, name: &str, [inode, mode, links, size]: [u32; 4], device: (u32, u32)) {
        let (major, minor) = device;
        // No longer than MAX_NAME.
        let name_len = u32::try_from(name.len().saturating_add(1)).unwrap_or(u32::MAX);
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor
        // rdevminor namesize check
        let numbers = [
            inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_len, 0,
        ];
        self.out.extend_from_slice(MAGIC);
        for number in numbers {
            self.out
                .extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.pad();
    }

    fn pad(&mut self) {
        fields::pad(&mut self.out, ALIGNMENT);
    }
}

/// What is wrong with a path.
fn check(name: &str) -> Result<(), &'static str> {
    let is_bad = |part: &str| matches!(part, "" | "." | "..");
    if name.is_empty() {
        Err("the name is empty")
    } else if name.starts_with('/') {
        Err("the name starts with a slash")
    } else if name.split('/').any(is_bad) {
        Err("a part of the name is empty, . or ..")
    } else if name.contains('\0') {
        Err("the name contains a NUL byte")
    } else if is_trailer(name.as_bytes()) {
        Err("this name ends an archive")
    } else if fields::len(name.as_bytes()) >= MAX_NAME {
        Err("the name is longer than kernels take")
    } else {
        Ok(())
    }
}

/// A regular file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, without a slash in front: `.extra/os-release`.
    pub path: String,
    /// Permission bits; the type is added.
    pub mode: u32,
    /// All bytes of the file.
    pub content: Bytes,
}

/// An archive of these files and the folders above them, which nobody can write
/// to but root.
///
/// # Errors
/// As [`Writer::add`].
pub fn archive(files: &[File]) -> Result<Vec<u8>, CpioError> {
    let mut writer = Writer::new();
    let mut folders = BTreeSet::new();
    for file in files {
        for (at, _) in file.path.match_indices('/') {
            let folder = file.path.get(..at).unwrap_or_default();
            if folders.insert(folder) {
                writer.add(folder, &Member::Directory { mode: 0o555 })?;
            }
        }
        let member = Member::File {
            mode: file.mode,
            content: &file.content,
        };
        writer.add(&file.path, &member)?;
    }
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn file(path: &str, mode: u32, content: &'static [u8]) -> File {
        File {
            path: path.to_owned(),
            mode,
            content: Bytes::from_static(content),
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Found {
        path: String,
        mode: u32,
        content: Vec<u8>,
        device: (u32, u32),
    }

    /// Members, read by the description of the format and not by what the writer
    /// and [`Head`] do, so that they are not their own judge.
    fn members(archive: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&archive[at..at + 6], b"070701", "at {at}");
            let field = |n: usize| {
                let digits = &archive[at + 6 + 8 * n..at + 14 + 8 * n];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let head = Head::parse(&archive[at..]).unwrap();
            assert_eq!((head.name_len, head.size), (name_size, size as u64));
            let name = &archive[at + 110..at + 110 + name_size];
            let name = name.strip_suffix(b"\0").unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            if name == b"TRAILER!!!" {
                assert_eq!(data, archive.len());
                return found;
            }
            found.push(Found {
                path: String::from_utf8(name.to_vec()).unwrap(),
                mode: field(1),
                content: archive[data..data + size].to_vec(),
                device: (field(9), field(10)),
            });
            at = (data + size).next_multiple_of(4);
        }
    }

    #[test]
    fn folders_stand_before_what_is_in_them_and_once() {
        let files = [
            file(".extra/credentials/a.cred", 0o400, b"secret"),
            file(".extra/credentials/b.cred", 0o400, b""),
            file(".extra/os-release", 0o444, b"ID=x\n"),
        ];
        let found = members(&archive(&files).unwrap());
        let rows: Vec<_> = found
            .iter()
            .map(|m| (m.path.as_str(), m.mode, m.content.as_slice()))
            .collect();
        assert_eq!(
            rows,
            [
                (".extra", 0o040_555, &b""[..]),
                (".extra/credentials", 0o040_555, b""),
                (".extra/credentials/a.cred", 0o100_400, b"secret"),
                (".extra/credentials/b.cred", 0o100_400, b""),
                (".extra/os-release", 0o100_444, b"ID=x\n"),
            ]
        );
        assert_eq!(archive(&files), archive(&files));
    }

    #[test]
    fn every_kind_of_member() {
        let mut writer = Writer::new();
        let target = "busybox-of-five";
        let console = Member::CharDevice {
            mode: 0o600,
            major: 5,
            minor: 1,
        };
        writer
            .add("bin", &Member::Directory { mode: 0o755 })
            .unwrap();
        writer.add("bin/sh", &Member::Symlink { target }).unwrap();
        writer.add("console", &console).unwrap();
        let found = members(&writer.finish());
        let rows: Vec<_> = found
            .iter()
            .map(|m| (m.path.as_str(), m.mode, m.content.as_slice(), m.device))
            .collect();
        assert_eq!(
            rows,
            [
                ("bin", 0o040_755, &b""[..], (0, 0)),
                ("bin/sh", 0o120_777, target.as_bytes(), (0, 0)),
                ("console", 0o020_600, b"", (5, 1)),
            ]
        );
    }

    #[test]
    fn every_length_of_name_and_content_is_padded() {
        for len in 0..9 {
            let path = "n".repeat(len + 1);
            let one = File {
                content: vec![7; len].into(),
                ..file(&path, 0o600, b"")
            };
            let [found] = members(&archive(&[one]).unwrap()).try_into().unwrap();
            assert_eq!((found.path, found.content), (path, vec![7; len]));
        }
    }

    #[test]
    fn paths_out_of_the_archive_are_refused() {
        let long = "n".repeat(4096);
        let paths = [
            "",
            "/a",
            "a//b",
            "../a",
            "a/..",
            ".",
            "TRAILER!!!",
            "a\0b",
            &long,
        ];
        for path in paths {
            let refused = archive(&[file(path, 0o444, b"")]);
            assert!(
                matches!(refused, Err(CpioError::Member { .. })),
                "{path:?}: {refused:?}"
            );
        }
        assert!(archive(&[file(&long[1..], 0o444, b"")]).is_ok());
    }

    #[test]
    fn what_is_no_head() {
        let head = |name_len: &str| {
            let zeros = "00000000";
            let numbers: String = (0..13)
                .map(|n| if n == 11 { name_len } else { zeros })
                .collect();
            Head::parse(format!("070701{numbers}").as_bytes())
        };
        assert_eq!(
            head("00001000"),
            Ok(Head {
                name_len: 4096,
                size: 0
            })
        );
        // No name, and a longer one than kernels take.
        let skipped = |digits| head(digits).map(|h| h.is_skipped());
        for (digits, is) in [
            ("00000000", true),
            ("00000001", false),
            ("00001000", false),
            ("00001001", true),
        ] {
            assert_eq!(skipped(digits), Ok(is), "{digits}");
        }
        assert_eq!(head("0000000g"), Err(CpioError::Number));
        assert_eq!(head("+0000010"), Err(CpioError::Number));
        assert_eq!(Head::parse(b"070701"), Err(CpioError::Number));
        assert_eq!(Head::parse(b"070707"), Err(CpioError::Magic));
    }

    /// Another reader of the format, where the machine has one.
    #[test]
    fn cpio_reads_it() {
        let bytes = archive(&[file(".extra/os-release", 0o444, b"ID=x\n")]).unwrap();
        let listing = Command::new("cpio")
            .args(["--extract", "--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = listing else {
            println!("skipped: there is no cpio here");
            return;
        };
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b".extra\n.extra/os-release\n");
    }
}
