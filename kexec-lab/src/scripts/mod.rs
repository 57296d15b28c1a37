//! Shell scripts that every guest runs, for busybox's shell and for that of an
//! installed system.

/// The `/init` of an initramfs of the lab: it reports, and runs the test's script.
pub(crate) const INIT: &str = include_str!("init.sh");
/// Functions of a test's script: `run`, `put`, `put_file`, `jump`.
pub(crate) const FUNCTIONS: &str = include_str!("functions.sh");
