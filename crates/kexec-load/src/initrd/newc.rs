//! Writing small cpio archives in the "newc" format, which kernels unpack.
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;

use bytes::Bytes;

/// `c_magic`: without checksums.
const MAGIC: &str = "070701";
/// The name of the member that ends an archive.
pub(super) const TRAILER: &str = "TRAILER!!!";
/// File type bits of `c_mode` (inode(7)).
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
/// Bytes of a member's head: the magic and thirteen numbers of eight digits.
pub(super) const HEAD: usize = 110;
/// No name is longer (PATH_MAX of the kernel).
pub(super) const MAX_NAME: u64 = 4096;

/// The size of a member and of its name, from its head.
///
/// # Errors
/// When it is none.
pub(super) fn sizes(head: &[u8]) -> Result<(u64, u64), String> {
    // With checksums, which the kernel passes over, and without.
    if !(head.starts_with(b"070701") || head.starts_with(b"070702")) {
        return Err("a file in the archive does not begin with 070701 or 070702".to_owned());
    }
    let number = |field: usize| {
        let at = 6 + field * 8;
        let digits = std::str::from_utf8(head.get(at..at + 8)?).ok()?;
        u64::from_str_radix(digits, 16).ok()
    };
    let sizes = number(6).zip(number(11));
    sizes.ok_or_else(|| "a number in the head of a file is none".to_owned())
}

/// Everything begins at a multiple of this many bytes.
const ALIGNMENT: usize = 4;

/// A regular file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, without a slash in front: `.extra/os-release`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub content: Bytes,
}

/// An archive of these files and the folders above them, which only root can
/// write. The same files give the same bytes: times and owners are 0.
///
/// # Errors
/// When a path is not of this format, or a file is too large for it.
pub fn archive(files: &[File]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut folders = BTreeSet::new();
    let mut inode = 0_u32;
    let mut member = |path: &str, mode: u32, content: &[u8]| -> Result<(), String> {
        inode = inode.saturating_add(1);
        let size = u32::try_from(content.len()).map_err(|_| {
            format!(
                "{path}: {} bytes, a cpio file has less than 4 GiB",
                content.len()
            )
        })?;
        write(&mut out, inode, mode, path, size);
        out.extend_from_slice(content);
        pad(&mut out);
        Ok(())
    };
    for file in files {
        check(&file.path)?;
        for (at, _) in file.path.match_indices('/') {
            let folder = file.path.get(..at).unwrap_or_default();
            if folders.insert(folder.to_owned()) {
                member(folder, S_IFDIR | 0o555, &[])?;
            }
        }
        member(&file.path, S_IFREG | file.mode & 0o7777, &file.content)?;
    }
    write(&mut out, 0, 0, TRAILER, 0);
    Ok(out)
}

/// Paths are relative, have no empty parts, do not go up, and do not end the
/// archive.
fn check(path: &str) -> Result<(), String> {
    let bad = |part: &str| matches!(part, "" | "." | "..");
    if path.split('/').any(bad) || path.contains('\0') || path == TRAILER {
        return Err(format!("{path:?} is no path inside of a cpio archive"));
    }
    Ok(())
}

/// A header and the name behind it.
fn write(out: &mut Vec<u8>, inode: u32, mode: u32, name: &str, size: u32) {
    let links = 1;
    let name_size = u32::try_from(name.len().saturating_add(1)).unwrap_or(u32::MAX);
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    out.extend_from_slice(MAGIC.as_bytes());
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
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

    /// Members as (path, mode, content), read by the description of the format
    /// and not by what the writer does.
    fn members(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&archive[at..at + 6], b"070701", "at {at}");
            let field = |n: usize| {
                let digits = &archive[at + 6 + 8 * n..at + 14 + 8 * n];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = &archive[at + 110..at + 110 + name_size];
            let name = name.strip_suffix(b"\0").unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            if name == b"TRAILER!!!" {
                assert_eq!(data, archive.len());
                return found;
            }
            let content = archive[data..data + size].to_vec();
            found.push((String::from_utf8(name.to_vec()).unwrap(), mode, content));
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
            .map(|(path, mode, content)| (path.as_str(), *mode, content.as_slice()))
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
    }

    #[test]
    fn paths_out_of_the_archive_are_refused() {
        for path in ["", "/a", "a//b", "../a", "a/..", ".", "TRAILER!!!", "a\0b"] {
            assert!(archive(&[file(path, 0o444, b"")]).is_err(), "{path:?}");
        }
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
