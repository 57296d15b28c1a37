//! Files that are written into a finished image: by debugfs, into the ext4
//! file system at its offset, so that nothing has to be mounted.

use crate::cpio::ArchiveMember;
use crate::initramfs::Initramfs;
use crate::programs::StartProgram;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How lines of debugfs, on standard error, begin that tell of a file which is
/// not there yet, or nothing (its version).
const EXPECTED: [&str; 2] = ["rm: File not found by ext2_lookup", "debugfs "];

/// Adds files to the root file system that begins at this offset of the disk.
pub(super) fn write(disk: &Path, offset: u64, files: &Initramfs, scratch: &Path) -> Result<()> {
    let folder = scratch.join("payload");
    std::fs::create_dir(&folder).context("making a folder for the files")?;
    let image = FileSystemImage {
        name: format!("{}?offset={offset}", disk.display()),
        script: folder.join("commands"),
    };
    let files = placed(files)?;
    let there = image.existing(&files)?;
    let (_, errors) = image.debugfs(&commands(&files, &there, &folder)?)?;
    let unexpected: Vec<_> = errors
        .lines()
        .filter(|line| !EXPECTED.iter().any(|known| line.starts_with(known)))
        .collect();
    // debugfs ends well whatever became of its commands: it has to be read.
    if !unexpected.is_empty() {
        bail!("debugfs said:\n{}", unexpected.join("\n"));
    }
    Ok(())
}

/// A file system in an image, for debugfs(8).
struct FileSystemImage {
    name: String,
    /// The file that debugfs reads its commands from.
    script: PathBuf,
}

impl FileSystemImage {
    /// Runs commands; both outputs.
    fn debugfs(&self, commands: &str) -> Result<(String, String)> {
        std::fs::write(&self.script, commands).context("writing the commands of debugfs")?;
        let output = Command::new("debugfs")
            .args(["-w", "-f"])
            .args([self.script.as_os_str(), self.name.as_ref()])
            .start_output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            bail!(
                "debugfs of {} ended with {}: {}",
                self.name,
                output.status,
                text(&output.stderr)
            );
        }
        Ok((text(&output.stdout), text(&output.stderr)))
    }

    /// Which of the folders are there. (Making one again would lose an inode.)
    fn existing(&self, files: &Initramfs) -> Result<BTreeSet<String>> {
        let mut request = String::new();
        for (name, _) in files
            .members()
            .filter(|(_, entry)| **entry == ArchiveMember::Directory)
        {
            let _ = writeln!(request, "stat \"/{name}\"");
        }
        let (answers, _) = self.debugfs(&request)?;
        // Each command is shown before its answer.
        let mut asked = None;
        let mut there = BTreeSet::new();
        for line in answers.lines() {
            if let Some(name) = line.strip_prefix("debugfs: stat \"/") {
                asked = name.strip_suffix('"');
            } else if line.starts_with("Inode:") {
                there.extend(asked.map(str::to_owned));
            }
        }
        Ok(there)
    }
}

/// Where a file really is in a system with a merged /usr: debugfs does not
/// follow the links.
fn merged(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&first) {
        format!("usr/{name}")
    } else {
        name.to_owned()
    }
}

/// The files where they belong.
fn placed(files: &Initramfs) -> Result<Initramfs> {
    let mut placed = Initramfs::new();
    for (name, entry) in files.members() {
        if name.contains(['"', '\n']) {
            bail!("cannot write a file with a quote or a line end in its name: {name:?}");
        }
        placed.put(&merged(name), entry.clone());
    }
    Ok(placed)
}

/// The commands, with the files' contents put into `folder`.
fn commands(files: &Initramfs, there: &BTreeSet<String>, folder: &Path) -> Result<String> {
    let mut text = String::new();
    for (number, (name, entry)) in files.members().enumerate() {
        match entry {
            ArchiveMember::Directory if there.contains(name) => {}
            ArchiveMember::Directory => {
                let _ = writeln!(text, "mkdir \"/{name}\"");
            }
            ArchiveMember::File { mode, data } => {
                let content = folder.join(number.to_string());
                std::fs::write(&content, data)
                    .with_context(|| format!("writing {}", content.display()))?;
                let _ = writeln!(
                    text,
                    "rm \"/{name}\"\nwrite \"{}\" \"/{name}\"\nsif \"/{name}\" mode 0{:o}\n\
                     sif \"/{name}\" uid 0\nsif \"/{name}\" gid 0",
                    content.display(),
                    0o100_000 | mode
                );
            }
            ArchiveMember::Symlink(target) => {
                let _ = writeln!(text, "rm \"/{name}\"\nsymlink \"/{name}\" \"{target}\"");
            }
            ArchiveMember::CharDevice { .. } => bail!("no devices can be written: {name}"),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One command of debugfs on the image; its standard output.
    fn ask(disk: &Path, request: &str) -> String {
        let output = Command::new("debugfs")
            .args(["-R", request])
            .arg(format!("{}?offset=1048576", disk.display()))
            .start_output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn files_in_an_image() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = scratch.path().join("disk");
        std::fs::File::create(&disk)
            .and_then(|file| file.set_len(8 << 20))
            .unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "offset=1048576"])
            .arg(&disk)
            .arg("6M")
            .start_status()
            .unwrap();
        assert!(made.success());
        let mut files = Initramfs::new();
        files.file("a/1", "first\n");
        files.file("a/1.name", "second\n");
        files.program("sbin/x", "program");
        files.symlink("a/link", "/a/1");
        write(&disk, 1 << 20, &files, scratch.path()).unwrap();
        assert_eq!(ask(&disk, "cat /a/1"), "first\n");
        assert_eq!(ask(&disk, "cat /a/1.name"), "second\n");
        assert_eq!(ask(&disk, "cat /usr/sbin/x"), "program");
        assert!(ask(&disk, "stat /usr/sbin/x").contains("Mode:  0755"));
        assert!(ask(&disk, "stat /a/link").contains("\"/a/1\""));
        let mut replaced = Initramfs::new();
        replaced.file("a/1", "other\n");
        std::fs::remove_dir_all(scratch.path().join("payload")).unwrap();
        write(&disk, 1 << 20, &replaced, scratch.path()).unwrap();
        assert_eq!(ask(&disk, "cat /a/1"), "other\n");
        let checked = Command::new("e2fsck")
            .args(["-f", "-n"])
            .arg(format!("{}?offset=1048576", disk.display()))
            .start_status()
            .unwrap();
        assert!(checked.success());
        // There is no file system at this place.
        std::fs::remove_dir_all(scratch.path().join("payload")).unwrap();
        let error = write(&disk, 4 << 20, &replaced, scratch.path()).unwrap_err();
        assert!(error.to_string().contains("debugfs"), "{error:#}");
    }
}
