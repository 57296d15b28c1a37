//! The program as it is released: how it is built, and that it is one static file of a
//! bearable size.

use crate::host::{self, arch, call, cargo, cargo_home};
use anyhow::{Context, Result, bail};
use kexec_cli::args::Arch;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package of the program.
pub const PROGRAM: &str = "kexec-cli";

/// The product must stay below this, bytes.
const LARGEST: u64 = 6_000_000;

/// Builds the product and tells where it is.
pub fn build() -> Result<PathBuf> {
    call(&mut build_command()?)?;
    kexec_lab::kexec_binary()
}

/// The cargo command that builds the program of this machine's architecture.
pub fn build_command() -> Result<Command> {
    release_command(arch()?)
}

/// The cargo command that builds the program as it is released: whoever runs it, and in
/// which folder, it makes the same bytes. The program's messages name the files of its
/// libraries, which would be in the home of whoever builds it; and other flags of the
/// environment (those of a distribution, say) would make another program.
pub fn release_command(arch: Arch) -> Result<Command> {
    let triple = triple(arch);
    let sources = cargo_home()?.join("registry/src");
    let mut command = cargo(&["build", "--release", "--package", PROGRAM]);
    command
        .args(["--target", &triple, "--config"])
        // Added to those of .cargo/config.toml.
        .arg(format!(
            "target.{triple}.rustflags=['--remap-path-prefix={}=/crates']",
            sources.display()
        ))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // The library of zstd is C.
        .env_remove("CFLAGS")
        .env_remove("CPPFLAGS");
    Ok(command)
}

/// As rustc calls the target that the program is built for.
pub fn triple(arch: Arch) -> String {
    format!("{}-unknown-linux-gnu", machine(arch))
}

/// As Rust, rpm and uname(2) call an architecture.
pub fn machine(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "aarch64",
        other => other.name(),
    }
}

/// One static file of a bearable size.
pub fn check(binary: &Path) -> Result<String> {
    let metadata = std::fs::symlink_metadata(binary)
        .with_context(|| format!("looking at {}", binary.display()))?;
    let size = metadata.len();
    if !metadata.is_file() {
        bail!("{} is not a regular file", binary.display());
    }
    if size >= LARGEST {
        bail!(
            "{} has {size} bytes, and must have less than {LARGEST}",
            binary.display()
        );
    }
    let bytes = std::fs::read(binary)?;
    if let Some(interpreter) = dynamic_part(&bytes).context("reading the ELF program headers")? {
        bail!(
            "{} is not static: it has a {interpreter} segment",
            binary.display()
        );
    }
    for folder in folders()? {
        let named = bytes
            .windows(folder.len())
            .any(|part| part == folder.as_bytes());
        if named {
            bail!(
                "{} names a folder of this machine, {folder}, so another machine cannot build \
                 the same bytes: build it with `cargo xtask dist program`",
                binary.display()
            );
        }
    }
    Ok(format!("{size} bytes, static"))
}

/// The folders that sources of the program are in.
fn folders() -> Result<Vec<String>> {
    let registry = cargo_home()?.join("registry");
    let folders = [host::root(), &registry];
    // A checkout in a folder with a very short name would be found by chance.
    let folders = folders.map(|folder| format!("{}/", folder.display()));
    Ok(folders.into_iter().filter(|name| name.len() > 5).collect())
}

/// The name of a program header that a static program does not have.
///
/// ELF-64 gABI: e_phoff at 32, e_phentsize at 54, e_phnum at 56; p_type is
/// the first word of a program header, PT_INTERP is 3.
fn dynamic_part(elf: &[u8]) -> Option<Option<&'static str>> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    if !elf.starts_with(b"\x7fELF") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(*elf.get(32..)?.first_chunk()?)).ok()?;
    let size = usize::from(u16_at(54)?);
    for number in 0..usize::from(u16_at(56)?) {
        let header = table.checked_add(number.checked_mul(size)?)?;
        let kind = u32::from_le_bytes(*elf.get(header..)?.first_chunk()?);
        if kind == 3 {
            return Some(Some("PT_INTERP"));
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_has_no_interpreter() {
        let mut elf = vec![0_u8; 64 + 2 * 56];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        elf[64] = 1;
        assert_eq!(dynamic_part(&elf), Some(None));
        elf[64 + 56] = 3;
        assert_eq!(dynamic_part(&elf), Some(Some("PT_INTERP")));
        assert_eq!(dynamic_part(&elf[..100]), None);
        assert_eq!(dynamic_part(b"MZ"), None);
    }
}
