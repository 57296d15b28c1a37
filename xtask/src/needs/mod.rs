//! What a command needs from this machine: looked for before it begins, installed
//! where that may be done, and else listed. The table is [`kexec_lab::programs::REQUIREMENTS`].

use crate::host;
use anyhow::{Context, Result, bail};
use kexec_lab::programs::{self, Family, Requirement, StartProgram, UsedFor};
use std::fmt::Write;
use std::process::{Command, Stdio};

/// This file, which says how things are installed.
pub const SOURCE: &str = include_str!("mod.rs");

/// What a command needs, by its name, its words, and whether it has a flag.
pub fn of(command: &str, words: &[&str], has: impl Fn(&str) -> bool) -> Vec<UsedFor> {
    let mut uses = Vec::new();
    match (command, words) {
        ("test", _) if has("--list") => uses.push(UsedFor::Build),
        ("test", _) => {
            let parts = [("--static", STATIC), ("--vm", VM), ("--fuzz", FUZZ)];
            let all = !parts.iter().any(|(flag, _)| has(flag));
            for (flag, part) in parts {
                if all || has(flag) {
                    uses.extend(part);
                }
            }
        }
        ("demo" | "bench" | "record-machines", _) => uses.extend(DEMO),
        ("table", ["run", ..]) => {
            uses.extend(DEMO);
            uses.extend([UsedFor::Systems, UsedFor::Deb]);
        }
        ("fuzz", _) => uses.extend(FUZZ),
        ("man", _) if has("--check") => uses.extend([UsedFor::Build, UsedFor::Pages]),
        ("dist", [kind, ..]) => {
            uses.push(UsedFor::Build);
            match *kind {
                "deb" => uses.push(UsedFor::Deb),
                "rpm" => uses.push(UsedFor::Rpm),
                "arch" => uses.push(UsedFor::Arch),
                "release" => {
                    uses.extend([UsedFor::Deb, UsedFor::Rpm, UsedFor::Release]);
                    if has("--check") {
                        uses.extend([UsedFor::Arch, UsedFor::Tests]);
                    }
                }
                _ => {}
            }
        }
        ("msrv", _) => uses.push(UsedFor::Build),
        ("bare", _) => uses.extend([UsedFor::Build, UsedFor::Lab, UsedFor::Systems]),
        _ => {}
    }
    uses
}

/// Building the product and looking at it in a virtual machine.
const DEMO: &[UsedFor] = &[UsedFor::Build, UsedFor::Lab];
/// What `test --static` runs.
const STATIC: &[UsedFor] = &[
    UsedFor::Build,
    UsedFor::Style,
    UsedFor::Tests,
    UsedFor::Pages,
    UsedFor::Deb,
    UsedFor::Rpm,
    UsedFor::Arch,
    UsedFor::Release,
];
/// What `test --vm` runs: the package is installed in its machines.
const VM: &[UsedFor] = &[
    UsedFor::Build,
    UsedFor::Lab,
    UsedFor::Systems,
    UsedFor::Ansible,
    UsedFor::Tests,
    UsedFor::Deb,
    UsedFor::Rpm,
    UsedFor::Arch,
    UsedFor::Release,
];
/// What `test --fuzz` runs.
const FUZZ: &[UsedFor] = &[UsedFor::Build, UsedFor::Fuzz];

/// Sees to it that this machine has what these uses need.
///
/// # Errors
/// If something is missing that may not or cannot be installed: a list of all that is
/// missing, what needs it, and the command that installs it.
pub fn ensure(uses: &[UsedFor]) -> Result<()> {
    if uses.contains(&UsedFor::Lab) && !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the lab runs on x86_64 Linux");
    }
    let mut missing = missing(uses);
    if missing.is_empty() {
        return Ok(());
    }
    let family = Family::of_this_machine();
    println!("Not on this machine, and needed:\n{}", list(&missing, uses));
    components(&missing)?;
    missing.retain(|requirement| !requirement.is_here());
    if family == Some(Family::Debian)
        && !missing.is_empty()
        && let Some(sudo) = may_install()?
    {
        install(&missing, sudo)?;
        missing.retain(|requirement| !requirement.is_here());
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("{}", refusal(&missing, uses, family))
}

fn missing(uses: &[UsedFor]) -> Vec<&'static Requirement> {
    let mut requirements = programs::needed(uses);
    requirements.retain(|requirement| !requirement.is_here());
    requirements
}

/// A line for each: what it is and what needs it.
fn list(requirements: &[&Requirement], uses: &[UsedFor]) -> String {
    let mut text = String::new();
    for requirement in requirements {
        let needs: Vec<_> = requirement
            .uses
            .iter()
            .filter(|one| uses.contains(one))
            .map(|one| one.words())
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<24} for {}", requirement.name, needs.join(", "));
    }
    text
}

/// What is missing, for what, and what to do.
fn refusal(requirements: &[&Requirement], uses: &[UsedFor], family: Option<Family>) -> String {
    let mut text = format!(
        "this machine lacks what the command needs:\n{}",
        list(requirements, uses)
    );
    let families = family.map_or_else(|| Family::ALL.to_vec(), |family| vec![family]);
    text.push_str(match family {
        Some(_) => "Install it as root and try again:\n",
        None => "Install it as root and try again, with what this distribution has in place of:\n",
    });
    for family in families {
        let (packages, without) = programs::packages(requirements, family);
        if !packages.is_empty() {
            let _ = writeln!(text, "  {} {}", family.install(), packages.join(" "));
        }
        if !without.is_empty() {
            let _ = writeln!(
                text,
                "  (no package has {}: use a Debian or Ubuntu machine or container)",
                without.join(", ")
            );
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Installs parts of the Rust toolchain with rustup, if that is what it came with.
fn components(requirements: &[&Requirement]) -> Result<()> {
    let names: Vec<_> = requirements
        .iter()
        .filter_map(|requirement| match requirement.name {
            "cargo fmt" => Some("rustfmt"),
            "cargo clippy" => Some("clippy"),
            _ => None,
        })
        .collect();
    if names.is_empty() || programs::find("rustup").is_none() {
        return Ok(());
    }
    println!(
        "installing for this user: rustup component add {}",
        names.join(" ")
    );
    host::call(
        Command::new("rustup")
            .args(["component", "add"])
            .args(&names),
    )
}

/// Whether apt may install here: as root (no sudo), or with a sudo that asks for no
/// password.
fn may_install() -> Result<Option<bool>> {
    if programs::find("apt-get").is_none() {
        return Ok(None);
    }
    if host::is_root()? {
        return Ok(Some(false));
    }
    let asks_nothing = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    Ok(asks_nothing.then_some(true))
}

/// Installs their packages with apt, which says how far it is.
fn install(requirements: &[&Requirement], sudo: bool) -> Result<()> {
    let (packages, _) = programs::packages(requirements, Family::Debian);
    println!("installing on this machine: {}", packages.join(" "));
    let apt_get = |arguments: &[&str], more: &[&str]| {
        let mut command = if sudo {
            let mut command = Command::new("sudo");
            command.args(["-n", "env"]);
            command
        } else {
            Command::new("env")
        };
        // Where nobody is at the terminal, apt has a line for each package.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command.args(arguments).args(more).stdin(Stdio::null());
        let status = command.start_status()?;
        if !status.success() {
            bail!("apt-get {} ended with {status}", arguments.join(" "));
        }
        Ok(())
    };
    // A fresh container has no index yet.
    apt_get(&["update", "-q"], &[])?;
    let arguments = ["install", "-q", "--yes", "--no-install-recommends"];
    apt_get(&arguments, &packages)
        .with_context(|| format!("installing {} on this machine", packages.join(" ")))
}

#[cfg(test)]
mod tests;
