//! An entry that a boot loader was told to boot once. A boot loader forgets it
//! when it has booted it; after a kexec that is for us to do, once the new boot
//! is there, else the next start through the firmware boots it again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::IFlags;
use serde::{Deserialize, Serialize};

use kexec_entries::entry::BootEntry;
use kexec_entries::grub::NEXT_ENTRY;
use kexec_machine::volumes::Volumes;
use kexec_machine::{Fact, open};

/// Where the wish is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OneShot {
    /// `LoaderEntryOneShot` of the Boot Loader Interface: a file below
    /// /sys/firmware/efi/efivars.
    EfiVariable {
        /// The EFI variable, as a file.
        path: String,
        /// Its content, attributes and all: it is removed only while it is this.
        content: Vec<u8>,
    },
    /// A variable of GRUB's environment block.
    Grubenv {
        /// The file of the environment block.
        path: String,
        /// The variable: `next_entry`.
        variable: String,
        /// Its value; it is removed only while it is this.
        value: String,
    },
}

/// No variable and no environment block is larger than this many bytes.
const MAX_FILE: u64 = 1 << 20;

/// Size of GRUB's environment block (GRUB manual, "The GRUB environment block").
const GRUBENV_LEN: usize = 1024;

/// Where a one-shot entry of a Boot Loader Interface is written
/// (systemd-boot(7), "EFI Variables"). GRUB has its own block.
const VARIABLE: &str =
    "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The wish that booting `entry` fulfils, if it is one that is to be booted once.
pub fn of(entry: &BootEntry, volumes: &Volumes) -> Option<OneShot> {
    if !entry.marks.one_shot {
        return None;
    }
    let Some(block) = &entry.once_in else {
        return Some(OneShot::EfiVariable {
            path: VARIABLE.to_owned(),
            content: volumes.machine_bytes(VARIABLE).known()?.clone(),
        });
    };
    // What cannot be read now cannot be cleared later, and that is said then.
    let value = match volumes.text(block) {
        Fact::Known(text) => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == NEXT_ENTRY && !value.is_empty()).then(|| value.to_owned())
        })?,
        Fact::Absent | Fact::Unreadable(_) => String::new(),
    };
    Some(OneShot::Grubenv {
        path: block.shown.clone(),
        variable: NEXT_ENTRY.to_owned(),
        value,
    })
}

impl OneShot {
    /// The file that holds it.
    pub fn path(&self) -> &str {
        match self {
            OneShot::EfiVariable { path, .. } | OneShot::Grubenv { path, .. } => path,
        }
    }

    /// Forgets it. Returns whether it was still there.
    ///
    /// # Errors
    /// When it is there and cannot be removed or rewritten.
    pub fn clear(&self, root: &Path) -> io::Result<bool> {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        match self {
            OneShot::EfiVariable { path, content } => clear_variable(&below(path), content),
            OneShot::Grubenv {
                path,
                variable,
                value,
            } => clear_grubenv(&below(path), variable, value),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match open::contents(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn clear_variable(path: &Path, content: &[u8]) -> io::Result<bool> {
    if read(path)?.as_deref() != Some(content) {
        return Ok(false);
    }
    // The kernel marks variables immutable, so that nobody removes them by
    // accident (Documentation/filesystems/efivarfs.rst).
    let file = open::regular(path).map_err(io::Error::other)?;
    if let Ok(flags) = rustix::fs::ioctl_getflags(&file)
        && flags.contains(IFlags::IMMUTABLE)
    {
        rustix::fs::ioctl_setflags(&file, flags.difference(IFlags::IMMUTABLE))?;
    }
    fs::remove_file(path)?;
    Ok(true)
}

fn clear_grubenv(path: &Path, variable: &str, value: &str) -> io::Result<bool> {
    // Unlike a variable, its file is there whatever it says: not to find it means
    // that its file system is not mounted.
    let block = open::contents(path, MAX_FILE)?;
    let Some(new) = without(&block, variable, value) else {
        return Ok(false);
    };
    // In place: GRUB finds the block by the sectors of this very file.
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(&new)?;
    file.sync_all()?;
    Ok(true)
}

/// The block without this variable, filled up with `#` to its size; `None` when
/// the variable has another value or this is no such block.
fn without(block: &[u8], variable: &str, value: &str) -> Option<Vec<u8>> {
    if block.len() != GRUBENV_LEN || !block.starts_with(b"# GRUB Environment Block\n") {
        return None;
    }
    let line = format!("\n{variable}={value}\n");
    let at = block
        .windows(line.len())
        .position(|w| w == line.as_bytes())?;
    let mut new = block.get(..at)?.to_vec();
    new.extend_from_slice(block.get(at.checked_add(line.len())?.checked_sub(1)?..)?);
    new.resize(GRUBENV_LEN, b'#');
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &str) -> Vec<u8> {
        let mut block = format!("# GRUB Environment Block\n{lines}").into_bytes();
        block.resize(GRUBENV_LEN, b'#');
        block
    }

    fn grubenv(value: &str) -> OneShot {
        OneShot::Grubenv {
            path: "/boot/grub/grubenv".into(),
            variable: "next_entry".into(),
            value: value.into(),
        }
    }

    #[test]
    fn leaves_the_rest_of_the_block() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("boot/grub");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("grubenv");
        fs::write(
            &file,
            block("saved_entry=a\nnext_entry=1>2\nx=next_entry\n"),
        )
        .unwrap();
        assert!(!grubenv("2").clear(root.path()).unwrap());
        assert!(grubenv("1>2").clear(root.path()).unwrap());
        assert_eq!(
            fs::read(&file).unwrap(),
            block("saved_entry=a\nx=next_entry\n")
        );
        assert!(!grubenv("1>2").clear(root.path()).unwrap());
    }

    #[test]
    fn a_block_that_cannot_be_reached_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let error = grubenv("0").clear(root.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_block_is_left_alone() {
        assert_eq!(without(b"", "a", "b"), None);
        assert_eq!(without(&[b'#'; GRUBENV_LEN], "a", "b"), None);
        let mut long = block("a=b\n");
        long.push(b'#');
        assert_eq!(without(&long, "a", "b"), None);
    }

    #[test]
    fn a_variable_that_changed_stays() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("v")).unwrap();
        let file = root.path().join("v/LoaderEntryOneShot");
        fs::write(&file, b"\x07\0\0\0a\0\0\0").unwrap();
        let one = |content: &[u8]| OneShot::EfiVariable {
            path: "/v/LoaderEntryOneShot".into(),
            content: content.to_vec(),
        };
        assert!(!one(b"other").clear(root.path()).unwrap());
        assert!(file.exists());
        assert!(one(b"\x07\0\0\0a\0\0\0").clear(root.path()).unwrap());
        assert!(!file.exists());
        assert!(!one(b"x").clear(root.path()).unwrap());
    }
}
