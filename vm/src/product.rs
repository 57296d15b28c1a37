//! Finding the `kexec` program that the scenarios test.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The environment's `KEXEC_BIN`, or the release build of this workspace.
///
/// # Errors
/// If there is no such file.
pub fn kexec_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KEXEC_BIN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "looked for the program to test at {} (KEXEC_BIN): there is no such file",
                path.display()
            );
        }
        return Ok(path);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("x86_64-unknown-linux-gnu/release/kexec");
    if !path.is_file() {
        bail!(
            "looked for the program to test at {}: there is no such file; \
             build it with `cargo build --release -p kexec-cli`, or name one in KEXEC_BIN",
            path.display()
        );
    }
    Ok(path)
}
