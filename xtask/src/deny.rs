//! cargo-deny: what may come into the binary, as `deny.toml` says.

use crate::host::{call, cargo, has};
use anyhow::{Result, bail};

/// What is looked at: all that needs no network. Advisories would, and a step that
/// fails because somebody else published something is none of these steps.
const CHECKS: &[&str] = &["bans", "licenses", "sources"];

/// Looks at every dependency of the product.
///
/// # Errors
/// If one is not allowed, or cargo-deny cannot be installed.
pub fn check() -> Result<String> {
    if !has("cargo-deny") {
        println!("installing cargo-deny for this user: cargo install cargo-deny --locked --debug");
        // Not from the workspace, whose configuration asks for static programs; and not
        // optimised: that takes three times as long to build, and it runs for a second.
        let home = std::env::temp_dir();
        let words = ["install", "cargo-deny", "--locked", "--debug"];
        call(cargo(&words).current_dir(home))?;
    }
    let output = cargo(&["deny", "--all-features", "--locked", "check"])
        .args(CHECKS)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cargo deny check {}: {said}", CHECKS.join(" "));
    }
    let warnings = said
        .lines()
        .filter(|line| line.starts_with("warning"))
        .count();
    Ok(format!("{}: {warnings} warnings", CHECKS.join(", ")))
}
