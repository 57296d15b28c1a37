//! The files that are loaded: a kernel, the same one unpacked, and initrds; made once,
//! kept in the lab's folder, and on a disk for the guests.

use super::{InitrdSize, content, run};
use crate::apt::{Keep, Suite};
use crate::files::read;
use crate::lab::{Lab, LabKernel};
use crate::programs::StartProgram;
use crate::scripts;
use anyhow::{Context, Result, bail, ensure};
use kexec_image::formats::bzimage::BzImage;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The kernel as it is shipped, in a guest.
pub(super) const KERNEL: &str = "/mnt/vmlinuz";
/// The kernel as its decompressor would unpack it, in a guest.
pub(super) const UNPACKED_KERNEL: &str = "/mnt/vmlinux";
/// An unpacked kernel is not larger.
const LARGEST_KERNEL: u64 = 512 << 20;

/// What an initrd is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Raw,
    /// Zstandard, level 9, as initramfs-tools packs by default.
    Zstd,
    /// gzip, its default level.
    Gzip,
    /// xz with the check that kernels know, its default level.
    Xz,
    /// lz4 in the old frame, which is the one that kernels know, level 9.
    Lz4,
}

impl Packing {
    /// Every way to pack, with none before them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Zstd, Self::Gzip, Self::Xz, Self::Lz4];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
        }
    }

    /// The Debian package and the program in it, which packs and unpacks; none for
    /// what is not packed.
    fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Raw => None,
            Self::Zstd => Some(("zstd", "usr/bin/zstd")),
            Self::Gzip => Some(("gzip", "usr/bin/gzip")),
            Self::Xz => Some(("xz-utils", "usr/bin/xz")),
            Self::Lz4 => Some(("lz4", "usr/bin/lz4")),
        }
    }

    /// Packs standard input: the same bytes on every machine.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &[],
            Self::Zstd => &["-q", "-9", "-T0", "-c"],
            Self::Gzip => &["-n", "-c"],
            // The size of the blocks does not depend on the number of threads.
            Self::Xz => &["--check=crc32", "-6", "-T2", "-c"],
            Self::Lz4 => &["-q", "-l", "-9", "-c"],
        }
    }

    /// The program, started by its own tree's loader, so that the host's C library does
    /// not matter.
    fn command(self, lab: &Lab) -> Result<Command> {
        let (package, program) = self.program().context("raw has no program")?;
        let tree = lab.package(Suite::Trixie, package, Keep::Closure)?.path;
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(&libraries);
        command.arg(tree.join(program));
        Ok(command)
    }
}

/// The program, in C, that unpacks `file` to standard output, for comparisons.
///
/// # Errors
/// If it cannot be fetched, or the file is not packed.
pub fn reference_decoder(lab: &Lab, packing: Packing, file: &Path) -> Result<Command> {
    let mut command = packing.command(lab)?;
    command.args(["-d", "-q", "-c"]);
    if packing == Packing::Xz {
        // Newer ones take every processor, which kernels do not.
        command.arg("-T1");
    }
    command.arg(file);
    Ok(command)
}

/// The kernels and the initrds of one size, on a disk for guests.
#[derive(Debug)]
pub struct DowntimeFiles {
    /// The kernel that loads, and is loaded.
    pub kernel: LabKernel,
    /// Bytes of that kernel's file.
    pub kernel_bytes: u64,
    /// Bytes of the unpacked kernel.
    pub unpacked_kernel_bytes: u64,
    /// Bytes that the kernel's segment takes while it unpacks itself (`init_size`).
    pub init_size: u64,
    /// Bytes of each initrd.
    pub initrds: Vec<(Packing, u64)>,
    pub(super) tsc: Vec<u8>,
    pub(super) disk: PathBuf,
    folder: TempDir,
}

impl DowntimeFiles {
    /// Makes the files, but for what the lab's folder has already. `tsc` is the program
    /// of `src/bin/tsc.rs`.
    ///
    /// # Errors
    /// If something cannot be fetched, packed or written.
    pub fn prepare(
        lab: &Lab,
        kernel: &LabKernel,
        size: InitrdSize,
        packings: &[Packing],
        tsc: &[u8],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the initrds")?;
        let files = folder.path().join("files");
        std::fs::create_dir(&files).with_context(|| format!("making {}", files.display()))?;
        let write = |name: &str, data: &[u8]| {
            let path = files.join(name.trim_start_matches("/mnt/"));
            std::fs::write(&path, data).with_context(|| format!("writing {}", path.display()))
        };
        let bzimage = read(&kernel.path)?;
        let parsed = BzImage::parse(&bzimage).context("reading the kernel of the lab")?;
        let unpacked = parsed
            .unpack(&bzimage, LARGEST_KERNEL)
            .context("unpacking the kernel of the lab")?
            .context("the kernel of the lab has no payload that can be unpacked")?;
        write(KERNEL, &bzimage)?;
        write(UNPACKED_KERNEL, &unpacked.bytes)?;
        let payload = parsed.payload.as_ref().map(|payload| payload.range.clone());
        let stream = payload
            .and_then(|range| bzimage.get(range)?.get(..unpacked.consumed))
            .context("the payload of the kernel ends behind the kernel")?;
        let payload = folder.path().join("payload");
        std::fs::write(&payload, stream)
            .with_context(|| format!("writing {}", payload.display()))?;

        let tsc = loadable(tsc).context("the program tsc is not an ELF file")?;
        let mut root = lab.initramfs("second")?;
        root.program("init", tsc.as_slice());
        root.program("lab/init", scripts::INIT);
        root.file("lab/script", run::arrival());
        content::fill(&mut root, lab, kernel, size.bytes)?;
        let raw = root.build()?;
        drop(root);
        let mut initrds = Vec::new();
        for packing in packings {
            let name = Self::initrd(*packing);
            let bytes = match packing {
                Packing::Raw => {
                    write(&name, &raw)?;
                    raw.len()
                }
                packed => {
                    let packed = packed_once(lab, size.name, *packed, &raw)?;
                    write(&name, &packed)?;
                    packed.len()
                }
            };
            initrds.push((*packing, u64::try_from(bytes)?));
        }
        let disk = folder.path().join("disk");
        lab.disk(&files, &disk)?;
        Ok(Self {
            kernel: kernel.clone(),
            kernel_bytes: u64::try_from(bzimage.len())?,
            unpacked_kernel_bytes: u64::try_from(unpacked.bytes.len())?,
            init_size: u64::from(parsed.init_size),
            initrds,
            tsc,
            disk,
            folder,
        })
    }

    /// Bytes of the initrd that is packed like this.
    ///
    /// # Errors
    /// If there is none.
    pub fn initrd_bytes(&self, packing: Packing) -> Result<u64> {
        let found = self.initrds.iter().find(|(known, _)| *known == packing);
        let (_, bytes) =
            found.with_context(|| format!("no initrd was packed with {}", packing.name()))?;
        Ok(*bytes)
    }

    /// An initrd on the host.
    #[must_use]
    pub fn initrd_file(&self, packing: Packing) -> PathBuf {
        let name = Self::initrd(packing);
        let files = self.folder.path().join("files");
        files.join(name.trim_start_matches("/mnt/"))
    }

    /// The compressed kernel that is in the kernel's file, on the host.
    #[must_use]
    pub fn payload_file(&self) -> PathBuf {
        self.folder.path().join("payload")
    }

    /// An initrd in a guest.
    pub(super) fn initrd(packing: Packing) -> String {
        format!("/mnt/initrd.{}", packing.name())
    }
}

/// A program without what is behind its segments, as strip(1) does it (elf(5)): a test's
/// has ten times its size in debugging information there.
fn loadable(elf: &[u8]) -> Option<Vec<u8>> {
    let word = |at: u64, len: usize| {
        let at = usize::try_from(at).ok()?;
        let bytes = elf.get(at..at.checked_add(len)?)?;
        let mut value = [0; 8];
        value.get_mut(..len)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(value))
    };
    if !elf.starts_with(b"\x7fELF") {
        return None;
    }
    // e_phoff, e_phentsize, e_phnum; p_offset and p_filesz.
    let (table, entry, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
    let mut end = table.checked_add(entry.checked_mul(count)?)?;
    for number in 0..count {
        let header = table.checked_add(entry.checked_mul(number)?)?;
        let (offset, size) = (
            word(header.checked_add(8)?, 8)?,
            word(header.checked_add(32)?, 8)?,
        );
        end = end.max(offset.checked_add(size)?);
    }
    let mut short = elf.get(..usize::try_from(end).ok()?)?.to_vec();
    // e_shoff; e_shnum and e_shstrndx: no sections.
    short.get_mut(40..48)?.fill(0);
    short.get_mut(60..64)?.fill(0);
    Some(short)
}

/// The packed archive of this name, out of the lab's folder if it was packed before.
pub(crate) fn packed_once(lab: &Lab, name: &str, packing: Packing, raw: &[u8]) -> Result<Vec<u8>> {
    let cache = lab.folder().join("downtime");
    std::fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    // Not the same in every version of Rust; then it is packed again.
    let mut hasher = DefaultHasher::new();
    hasher.write(raw);
    for word in packing.arguments() {
        hasher.write(word.as_bytes());
    }
    let kind = format!("{name}.{}.", packing.name());
    let name = format!("{kind}{:016x}", hasher.finish());
    let path = cache.join(&name);
    if let Ok(packed) = std::fs::read(&path) {
        return Ok(packed);
    }
    eprintln!(
        "lab: packing an initrd ({} MB) with {}",
        raw.len() / 1_000_000,
        packing.name()
    );
    let unpacked = cache.join(format!(".{}-{name}.raw", std::process::id()));
    let partial = cache.join(format!(".{}-{name}", std::process::id()));
    let result = std::fs::write(&unpacked, raw)
        .with_context(|| format!("writing {}", unpacked.display()))
        .and_then(|()| pack(lab, packing, &unpacked, &partial));
    let _ = std::fs::remove_file(&unpacked);
    if let Err(error) = result {
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    remove_others(&cache, &kind);
    std::fs::rename(&partial, &path).with_context(|| format!("naming {}", path.display()))?;
    read(&path)
}

fn pack(lab: &Lab, packing: Packing, from: &Path, to: &Path) -> Result<()> {
    let open = std::fs::File::open(from).with_context(|| format!("opening {}", from.display()))?;
    let made = std::fs::File::create(to).with_context(|| format!("making {}", to.display()))?;
    let status = packing
        .command(lab)?
        .args(packing.arguments())
        .stdin(Stdio::from(open))
        .stdout(Stdio::from(made))
        .start_status()?;
    if !status.success() {
        bail!("packing with {} ended with {status}", packing.name());
    }
    let bytes = std::fs::metadata(to)?.len();
    ensure!(bytes > 0, "packing with {} made nothing", packing.name());
    Ok(())
}

/// What was packed from other content is not needed any more.
fn remove_others(cache: &Path, kind: &str) {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(kind) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_keeps_its_segments_and_loses_its_sections() {
        let mut elf = vec![0; 120];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[32] = 64;
        elf[40..48].fill(1);
        elf[54] = 56;
        elf[56] = 1;
        elf[60..64].fill(1);
        // The segment is at 110 and has 8 bytes.
        elf[64 + 8] = 110;
        elf[64 + 32] = 8;
        let short = loadable(&elf).unwrap();
        assert_eq!(short.len(), 120);
        elf[64 + 32] = 9;
        elf.extend([7; 50]);
        let short = loadable(&elf).unwrap();
        assert_eq!((short.len(), short[40], short[60]), (120, 0, 0));
        elf[64 + 32] = 70;
        assert_eq!(loadable(&elf), None);
        assert_eq!(loadable(b"#!/bin/sh"), None);
    }
}
