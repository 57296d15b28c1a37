//! Files of the host.

use anyhow::{Context, Result};
use std::path::Path;

/// The content of a file; the error of one that cannot be read names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let this_package = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_package.parent().unwrap_or(this_package)
}
