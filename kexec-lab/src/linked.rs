//! Programs of an unpacked package with the libraries that they are linked with.

use crate::files::read;
use crate::initramfs::Initramfs;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Debian's folder of libraries, and their loader in it.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Programs below `tree`, each under another name in a guest, with the loader and the
/// libraries of all of them.
///
/// # Errors
/// If one is missing or its libraries are.
pub(crate) fn programs(tree: &Path, names: &[(&str, &str)]) -> Result<Initramfs> {
    let libraries = tree.join(LIBRARIES);
    let loader = libraries.join(LOADER);
    let mut root = Initramfs::new();
    root.program("lib64/ld-linux-x86-64.so.2", read(&loader)?);
    for (from, to) in names {
        let program = tree.join(from);
        root.program(to, read(&program)?);
        // The tree's own loader says what the program needs.
        let output = Command::new(&loader)
            .arg("--library-path")
            .args([&libraries])
            .arg("--list")
            .arg(&program)
            .output()
            .with_context(|| format!("running {}", loader.display()))?;
        if !output.status.success() {
            bail!(
                "asked {} for the libraries of {}: {}",
                loader.display(),
                program.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // "\tlibz.so.1 => /path/libz.so.1 (0x...)"; the vdso has no path.
            let path = line
                .split_once("=> ")
                .and_then(|(_, rest)| rest.split(" (").next());
            if let Some(path) = path.map(Path::new)
                && let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.starts_with(&libraries)
            {
                root.program(&format!("lib/x86_64-linux-gnu/{name}"), read(path)?);
            }
        }
    }
    Ok(root)
}
