//! What is in the initrds: files that packers treat as they treat those of a real one.

use crate::apt::{Keep, Suite};
use crate::files::read;
use crate::initramfs::Initramfs;
use crate::lab::{Lab, LabKernel};
use crate::loads::noise_from;
use crate::modules;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// One part in so many is noise: firmware and files that are packed already, as real
/// initrds have them. With it 207 MB of a real one and of this one pack alike (zstd -9
/// to a third).
const NOISE: usize = 16;
/// Smaller files are left out: they would make the archive long and not large.
const SMALLEST: u64 = 8 << 10;
/// What a member's head and name take at most here.
const HEAD: usize = 256;

/// Adds files to `root` until its archive has about `bytes`: the kernel's modules, and
/// programs and libraries of packages that the lab has. They begin again where they
/// end, which is farther away than any packer looks back.
pub(crate) fn fill(
    root: &mut Initramfs,
    lab: &Lab,
    kernel: &LabKernel,
    bytes: usize,
) -> Result<()> {
    let sources = sources(lab, kernel)?;
    let mut size = root.build()?.len();
    let mut index = 0_usize;
    while size < bytes {
        let source = sources
            .get(index % sources.len())
            .context("the lab has no files to make an initrd of")?;
        let mut data = modules::unpack(source).or_else(|_| read(source))?;
        let seed = u64::try_from(index)?.wrapping_add(2);
        data.extend(noise_from(seed, data.len() / NOISE));
        data.truncate(bytes.saturating_sub(size).max(HEAD));
        size = size.saturating_add(data.len()).saturating_add(HEAD / 2);
        root.file(&format!("content/{index:05}"), data);
        index = index.saturating_add(1);
    }
    Ok(())
}

/// The files, in the same order on every machine: modules and libraries in turn, so that
/// a small initrd has both.
fn sources(lab: &Lab, kernel: &LabKernel) -> Result<Vec<PathBuf>> {
    let modules = regular(&kernel.modules)?;
    let mut programs = Vec::new();
    for package in ["e2fsprogs", "qemu-system-x86"] {
        let tree = lab.package(Suite::Trixie, package, Keep::Closure)?;
        programs.extend(regular(&tree.path.join("usr/lib/x86_64-linux-gnu"))?);
        programs.extend(regular(&tree.path.join("usr/bin"))?);
    }
    let mut all = Vec::new();
    let (mut modules, mut programs) = (modules.into_iter(), programs.into_iter());
    loop {
        let pair = [modules.next(), programs.next()];
        if pair.iter().all(Option::is_none) {
            break;
        }
        all.extend(pair.into_iter().flatten());
    }
    ensure!(!all.is_empty(), "the lab has no files to make an initrd of");
    Ok(all)
}

/// Every regular file below a folder that is not too small, by name.
fn regular(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() >= SMALLEST {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
