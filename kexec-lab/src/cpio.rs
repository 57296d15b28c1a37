//! What is in an initramfs of the lab, by name.

use std::collections::BTreeMap;

pub use kexec_image::cpio::CpioError;
use kexec_image::cpio::{Member, Writer};

/// One member of an archive, apart from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveMember {
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

/// The archive of `members`, uncompressed.
///
/// Names have no leading slash. A map in name order lists a directory before
/// what is in it, as the kernel needs it; missing directories are not added.
/// The same members give the same bytes.
///
/// # Errors
/// As [`Writer::add`].
pub fn newc(members: &BTreeMap<String, ArchiveMember>) -> Result<Vec<u8>, CpioError> {
    let mut writer = Writer::new();
    for (name, entry) in members {
        let member = match entry {
            ArchiveMember::Directory => Member::Directory { mode: 0o755 },
            ArchiveMember::File { mode, data } => Member::File {
                mode: *mode,
                content: data,
            },
            ArchiveMember::Symlink(target) => Member::Symlink { target },
            ArchiveMember::CharDevice { major, minor } => Member::CharDevice {
                mode: 0o600,
                major: *major,
                minor: *minor,
            },
        };
        writer.add(name, &member)?;
    }
    Ok(writer.finish())
}
