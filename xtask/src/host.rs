//! What this machine has, and running programs on it.

use anyhow::{Context, Result, bail};
use kexec_cli::args::Arch;
use kexec_lab::programs::StartProgram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Root of the workspace.
pub fn root() -> &'static Path {
    let this_package = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_package.parent().unwrap_or(this_package)
}

/// A cargo command in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with its output on the terminal.
pub fn call(command: &mut Command) -> Result<()> {
    let status = command.start_status()?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// A command as one reads it: the program's name and its words.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for word in command.get_args() {
        text.push(' ');
        text.push_str(&word.to_string_lossy());
    }
    text
}

/// The architecture that everything is made for.
pub fn arch() -> Result<Arch> {
    let name = std::env::consts::ARCH;
    Arch::from_uname(name).with_context(|| format!("kexec does not know the architecture {name}"))
}

/// What time it is for everything that is made: the environment's
/// SOURCE_DATE_EPOCH (reproducible-builds.org), or that of the last commit. The
/// same sources make the same files.
pub fn source_date() -> Result<SystemTime> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let output = Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(root())
                .start_output()
                .context("asking git for the time of the last commit")?;
            if !output.status.success() {
                bail!(
                    "git log ended with {}: set SOURCE_DATE_EPOCH where there is no repository",
                    output.status
                );
            }
            String::from_utf8(output.stdout).context("the time of the last commit is no text")?
        }
    };
    let seconds = text
        .trim()
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is {text:?}, expected seconds since 1970"))?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A day as `2026-11-22`.
pub fn day(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.chars().take(10).collect()
}

/// The folder in which cargo keeps what it fetches.
pub fn cargo_home() -> Result<PathBuf> {
    of_home("CARGO_HOME", ".cargo")
}

/// What this variable says, or a folder of the user's.
pub fn of_home(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(variable) {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").context("looked for HOME: it is not set")?;
    Ok(Path::new(&home).join(name))
}

/// Whether there is such a program.
pub fn has(program: &str) -> bool {
    kexec_lab::programs::find(program).is_some()
}

/// Whether this process may do everything.
pub fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata("/proc/self")
        .context("asking /proc for this process's user")?
        .uid()
        == 0)
}
