//! Packages unpacked into a folder of the cache.

use super::root::AptRoot;
use super::{Apt, Keep, Package};
use crate::programs::StartProgram;
use anyhow::{Context, Result, bail};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds that a tree of older versions is kept: a test run that started with it
/// may still be at work.
const KEEP_OLD: i64 = 2 * 24 * 60 * 60;

/// An unpacked set of packages.
#[derive(Debug, Clone)]
pub struct UnpackedTree {
    /// The folder that stands for `/`.
    pub path: PathBuf,
    /// What was unpacked into it.
    pub packages: Vec<Package>,
}

impl UnpackedTree {
    /// Version of the package of that name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&str> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .map(|package| package.version.as_str())
    }
}

/// Unpacks what `package` resolves to, unless that very set is there already.
pub(super) fn prepare(
    apt: &Apt,
    root: &AptRoot,
    package: &str,
    keep: Keep,
) -> Result<UnpackedTree> {
    let packages: Vec<_> = root
        .resolve(package)
        .with_context(|| format!("resolving the package {package} of {}", root.suite))?
        .into_iter()
        .filter(|one| keep.wants(&one.name))
        .collect();
    if packages.is_empty() {
        bail!(
            "looked for packages {keep:?} among the dependencies of {package} in {}: there are none",
            root.suite
        );
    }
    let trees = apt.folder.join("trees");
    let prefix = format!("{package}_{}_", root.suite);
    let path = trees.join(format!("{prefix}{:016x}", fingerprint(&packages)));
    if !path.exists() {
        let bytes: u64 = packages.iter().map(|one| one.size).sum();
        eprintln!(
            "lab: unpacking {package} of {} ({} packages, {} MB) below {}",
            root.suite,
            packages.len(),
            bytes.div_ceil(1_000_000),
            trees.display()
        );
        let partial = trees.join(format!(".partial-{}-{}", std::process::id(), prefix));
        let result = unpack(root, &packages, &partial, &path);
        let _ = std::fs::remove_dir_all(&partial);
        result.with_context(|| format!("fetching the package {package} of {}", root.suite))?;
        remove_old(&trees, &prefix, &path);
    }
    Ok(UnpackedTree { path, packages })
}

/// Downloads and unpacks beside the final place and moves it there as the
/// last act, so that a tree is whole or not there.
fn unpack(root: &AptRoot, packages: &[Package], partial: &Path, path: &Path) -> Result<()> {
    let (debs, tree) = (partial.join("debs"), partial.join("tree"));
    for folder in [&debs, &tree] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    root.download(&packages.iter().collect::<Vec<_>>(), &debs)?;
    let mut count = 0_usize;
    for entry in std::fs::read_dir(&debs)? {
        let deb = entry?.path();
        let output = Command::new("dpkg-deb")
            .arg("--extract")
            .args([&deb, &tree])
            .start_output()?;
        if !output.status.success() {
            bail!(
                "dpkg-deb --extract {} ended with {}: {}",
                deb.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        count = count.saturating_add(1);
    }
    if count != packages.len() {
        bail!(
            "asked apt-get download for {} packages, found {count} files",
            packages.len()
        );
    }
    match std::fs::rename(&tree, path) {
        Ok(()) => Ok(()),
        // Somebody else was quicker, with the same content.
        Err(_) if path.exists() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("moving the tree to {}", path.display())),
    }
}

/// FNV-1a over names and versions: names the tree of exactly this set.
pub(super) fn fingerprint(packages: &[Package]) -> u64 {
    packages
        .iter()
        .flat_map(|one| [one.name.as_str(), "=", one.version.as_str(), "\n"])
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

fn remove_old(trees: &Path, prefix: &str, current: &Path) {
    let Ok(entries) = std::fs::read_dir(trees) else {
        return;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0);
    for entry in entries.flatten() {
        let old = entry.path();
        let is_old = entry.file_name().to_string_lossy().starts_with(prefix)
            && old != current
            && entry.metadata().is_ok_and(|meta| {
                // ctime: when it was moved here. mtime is the package's own.
                now.saturating_sub(meta.ctime()) > KEEP_OLD
            });
        if is_old {
            let _ = std::fs::remove_dir_all(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_tree() {
        let package = |version: &str| Package {
            name: "seabios".to_owned(),
            version: version.to_owned(),
            size: 1,
        };
        let (one, two) = (package("1.16"), package("1.17"));
        assert_eq!(
            fingerprint(std::slice::from_ref(&one)),
            fingerprint(std::slice::from_ref(&one))
        );
        assert_ne!(
            fingerprint(std::slice::from_ref(&one)),
            fingerprint(std::slice::from_ref(&two))
        );
        assert_ne!(
            fingerprint(&[one.clone(), two]),
            fingerprint(std::slice::from_ref(&one))
        );
    }
}
