//! `cargo xtask bare`: the README's commands on a machine that has nothing but Rust,
//! git and certificates. Such a root is made, and they run in it.
//!
//! That takes long, so what was proven holds for a day, as long as nothing changes
//! that it depends on. Until then only the table of what is installed is held against
//! the packages that the suite has now.

mod root;

use crate::{host, needs};
use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::programs::{self, Family, REQUIREMENTS};
use root::BareRoot;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a proof holds: packages of a suite change.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The suites that roots are made of; the first unless another is named.
const SUITES: [Suite; 3] = [Suite::Trixie, Suite::Bookworm, Suite::Sid];
/// What runs in the root.
const COMMANDS: [&str; 2] = ["cargo xtask demo", "cargo xtask test --static"];

/// Proves it for this suite; once more if `again`, although it is proven.
///
/// # Errors
/// If this is not root, something cannot be fetched, or a command fails in there.
pub fn run(suite: Option<&str>, again: bool) -> Result<ExitCode> {
    println!("{}", prove(suite, again)?);
    Ok(ExitCode::SUCCESS)
}

/// The same; says what was proven, and how.
pub fn prove(suite: Option<&str>, again: bool) -> Result<String> {
    let suite = suite.map_or(Ok(Suite::Trixie), named)?;
    ensure!(
        host::is_root()?,
        "a bare root is made with the owners of its files and entered with chroot, which only \
         root may do: run this as root"
    );
    let folder = kexec_lab::lab_folder().join("bare");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let passed_run = PassedRun {
        file: folder.join(format!("{suite}.proven")),
        key: key()?,
    };
    if let Some(age) = passed_run.age().filter(|_| !again) {
        let packages = packages();
        kexec_lab::Lab::open()?.require(suite, &packages)?;
        return Ok(format!(
            "{suite}: by the table alone: it has all {} packages; the commands ran in a bare \
             root {} minutes ago, and nothing that they depend on has changed",
            packages.len(),
            age.as_secs() / 60
        ));
    }
    let root = BareRoot::make(&folder, suite)?;
    let mut said = Vec::new();
    for command in COMMANDS {
        println!("\n{suite}, bare$ {command}");
        let ran = root.run(command)?;
        said.push(format!(
            "{command}: {} s, its first line after {:.1} s",
            ran.took.as_secs(),
            ran.first.as_secs_f64()
        ));
    }
    root.remove()?;
    passed_run.write()?;
    Ok(format!("{suite}: in a bare root: {}", said.join("; ")))
}

fn named(name: &str) -> Result<Suite> {
    let mut suites = SUITES.into_iter();
    suites.find(|suite| suite.name() == name).with_context(|| {
        let names = SUITES.map(Suite::name).join(", ");
        format!("asked for a bare root of {name}: they are made of {names}")
    })
}

/// Every Debian package of the table.
fn packages() -> Vec<&'static str> {
    let packages = REQUIREMENTS
        .iter()
        .filter_map(|requirement| requirement.package(Family::Debian));
    packages.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What a proof depends on: the table, the linker, how both are used, and Rust.
fn key() -> Result<String> {
    let mut parts = vec![programs::output_of(Command::new("rustc").arg("--version"))?];
    for file in [
        "kexec-lab/src/programs/mod.rs",
        "kexec-lab/src/programs/family.rs",
        "xtask/cc",
        ".cargo/config.toml",
        "Cargo.lock",
    ] {
        let path = host::root().join(file);
        let text = fs::read_to_string(&path);
        parts.push(text.with_context(|| format!("reading {}", path.display()))?);
    }
    parts.extend([needs::SOURCE, include_str!("mod.rs"), root::SOURCE].map(str::to_owned));
    parts.extend(COMMANDS.map(str::to_owned));
    Ok(format!("{:016x}", fingerprint(&parts)))
}

/// FNV-1a over the parts and their ends.
fn fingerprint(parts: &[String]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// That the commands ran, and on what.
struct PassedRun {
    file: PathBuf,
    key: String,
}

impl PassedRun {
    /// How old it is, if there is one and it still holds.
    fn age(&self) -> Option<Duration> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (key, seconds) = text.trim().split_once(' ')?;
        let made = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))?;
        let age = SystemTime::now().duration_since(made).ok()?;
        (key == self.key && age < DAY).then_some(age)
    }

    fn write(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        write(&self.file, &format!("{} {now}\n", self.key))
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_a_day_and_for_what_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let passed_run = |key: &str| PassedRun {
            file: folder.path().join("proven"),
            key: key.to_owned(),
        };
        assert_eq!(passed_run("a").age(), None);
        passed_run("a").write().unwrap();
        assert!(passed_run("a").age().is_some());
        assert_eq!(passed_run("b").age(), None);
        write(&passed_run("a").file, "a 1000\n").unwrap();
        assert_eq!(passed_run("a").age(), None, "from 1970");
        write(&passed_run("a").file, "a 99999999999\n").unwrap();
        assert_eq!(passed_run("a").age(), None, "from the future");
        write(&passed_run("a").file, "a x").unwrap();
        assert_eq!(passed_run("a").age(), None);
    }

    #[test]
    fn what_is_asked_for_is_a_suite() {
        assert_eq!(named("sid").unwrap(), Suite::Sid);
        assert!(named("no").unwrap_err().to_string().contains("bookworm"));
        assert!(packages().contains(&"debian-archive-keyring"));
    }
}
