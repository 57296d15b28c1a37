//! The program of a release, for this machine's architecture or another one.

use super::super::audit;
use super::super::scratch::require;
use crate::host::{self, call};
use crate::product;
use anyhow::{Result, ensure};
use kexec_cli::args::Arch;
use std::path::PathBuf;

/// The architectures that a release can be made for.
pub const TARGETS: [Arch; 2] = [Arch::X86_64, Arch::Arm64];

/// The program as it is packaged, built if it is not built yet.
///
/// # Errors
/// If it cannot be built, or is not what a release may have.
pub fn packaged(arch: Arch) -> Result<Vec<u8>> {
    let program = built(arch)?;
    product::check(&program)?;
    audit::packaged(&program, arch)
}

fn built(arch: Arch) -> Result<PathBuf> {
    ensure!(
        std::env::var_os("KEXEC_BIN").is_none(),
        "KEXEC_BIN names another program than the one that is built here: unset it for a release"
    );
    if arch == host::arch()? {
        return product::build();
    }
    let triple = product::triple(arch);
    let linker = format!("{}-linux-gnu-gcc", product::machine(arch));
    let package = match arch {
        Arch::Arm64 => "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        _ => "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
    };
    require(&[(&linker, package)])?;
    let variable = format!(
        "CARGO_TARGET_{}_LINKER",
        triple.to_ascii_uppercase().replace('-', "_")
    );
    call(product::release_command(arch)?.env(variable, linker))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(host::root().join(target).join(triple).join("release/kexec"))
}
