//! `cargo xtask msrv`: whether the oldest Rust that Cargo.toml promises is enough.
//!
//! Every run of clippy refuses what the standard library got later than that
//! (`incompatible_msrv`); what the language and the dependencies need, only the compiler
//! of that version knows.

use crate::host::{self, call};
use anyhow::{Result, ensure};
use kexec_lab::programs;
use std::process::Command;

/// `rust-version` of Cargo.toml.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Has rustup fetch that version, and the version check everything.
///
/// # Errors
/// If there is no rustup, or it is not enough.
pub fn check() -> Result<String> {
    ensure!(
        programs::find("rustup").is_some(),
        "Rust {OLDEST} is fetched by rustup, which is not on this machine: https://rustup.rs"
    );
    call(
        Command::new("rustup")
            .args(["toolchain", "install", OLDEST])
            .args(["--profile", "minimal", "--no-self-update"]),
    )?;
    let mut command = Command::new("rustup");
    command.args(["run", OLDEST, "cargo", "check", "--locked", "--workspace"]);
    command.args(["--target-dir", "target/msrv"]);
    call(command.current_dir(host::root()))?;
    Ok(format!("Rust {OLDEST} is enough"))
}
