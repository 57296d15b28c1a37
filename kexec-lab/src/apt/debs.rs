//! Packages as files, for a guest whose own dpkg installs them.

use super::root::AptRoot;
use super::tree::fingerprint;
use super::{Apt, Package};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The `.deb` files of `package` and of everything that it depends on, but for
/// the packages in `there`, fetched unless that very set is there already.
pub(super) fn fetch(
    apt: &Apt,
    root: &AptRoot,
    package: &str,
    there: &BTreeSet<String>,
) -> Result<Vec<PathBuf>> {
    let packages: Vec<Package> = root
        .resolve(package)
        .with_context(|| format!("resolving the package {package} of {}", root.suite))?
        .into_iter()
        .filter(|one| !there.contains(&one.name))
        .collect();
    let folder = apt.folder.join("debs");
    let name = format!("{package}_{}_{:016x}", root.suite, fingerprint(&packages));
    let path = folder.join(&name);
    if !path.exists() {
        eprintln!(
            "lab: fetching {package} of {} for a guest ({} packages, {} MB)",
            root.suite,
            packages.len(),
            packages
                .iter()
                .map(|one| one.size)
                .sum::<u64>()
                .div_ceil(1_000_000)
        );
        let partial = folder.join(format!(".partial-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&partial)
            .with_context(|| format!("making {}", partial.display()))?;
        let fetched = root
            .download(&packages.iter().collect::<Vec<_>>(), &partial)
            .and_then(|()| files(&partial));
        match fetched {
            // As the last act: a set is whole or not there.
            Ok(files) if files.len() == packages.len() => match std::fs::rename(&partial, &path) {
                Ok(()) => {}
                // Somebody else was quicker, with the same content.
                Err(_) if path.exists() => remove(&partial),
                Err(error) => {
                    return Err(error).with_context(|| format!("moving {}", path.display()));
                }
            },
            Ok(files) => {
                remove(&partial);
                bail!(
                    "asked apt-get download for {} packages, found {} files",
                    packages.len(),
                    files.len()
                );
            }
            Err(error) => {
                remove(&partial);
                return Err(error).with_context(|| format!("fetching {package} of {}", root.suite));
            }
        }
    }
    files(&path)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing =
        std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut files = listing
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()
        .with_context(|| format!("listing {}", folder.display()))?;
    files.sort();
    Ok(files)
}

/// What is left over here harms nobody.
fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}
