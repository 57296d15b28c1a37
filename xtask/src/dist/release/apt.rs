//! A repository for apt(8), as a folder that any web server serves (Debian's wiki,
//! "DebianRepository/Format").

use super::super::deb::{DebPackage, debian_arch};
use super::super::scratch::said_by;
use super::super::stage::{compressed, read, write};
use super::super::texts::{DESCRIPTION, HOMEPAGE};
use super::Signing;
use anyhow::{Context, Result};
use kexec_cli::args::Arch;
use kexec_lab::programs::output_of;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// The repository's only suite, and its only component.
const SUITE: &str = "stable";
const COMPONENT: &str = "main";
/// What is put into /etc/apt/sources.list.d.
pub const SOURCES: &str = "kexec-rs.sources";

/// Makes the repository in a folder, which will be served at `url`.
pub fn make(
    folder: &Path,
    url: &str,
    packages: &[(Arch, DebPackage)],
    signing: &Signing,
    date: SystemTime,
) -> Result<()> {
    let pool = folder.join("pool").join(COMPONENT);
    let suite = folder.join("dists").join(SUITE);
    fs::create_dir_all(&pool).with_context(|| format!("making {}", pool.display()))?;
    let mut archs = Vec::new();
    for (arch, package) in packages {
        let arch = debian_arch(*arch)?;
        let name = package.path.file_name().unwrap_or_default();
        write(&pool.join(name), &read(&package.path)?, 0o644)?;
        archs.push(arch);
    }
    for arch in &archs {
        let index = suite.join(COMPONENT).join(format!("binary-{arch}"));
        fs::create_dir_all(&index).with_context(|| format!("making {}", index.display()))?;
        let text = output_of(
            Command::new("apt-ftparchive")
                .args(["-q", "--arch", arch, "packages", "pool"])
                .current_dir(folder),
        )?;
        let path = index.join("Packages");
        write(&path, text.as_bytes(), 0o644)?;
        let zipped = compressed(text.as_bytes())?;
        write(&index.join("Packages.gz"), &zipped, 0o644)?;
        said_by(Command::new("xz").args(["--keep", "-9"]).arg(&path))?;
    }
    let release = release(&suite, &archs.join(" "), date)?;
    write(&suite.join("Release"), release.as_bytes(), 0o644)?;
    if let Signing::Key(key) = signing {
        let unsigned = suite.join("Release");
        key.sign_within(&unsigned, &suite.join("InRelease"))?;
        key.sign(&unsigned, &suite.join("Release.gpg"))?;
        key.export(folder)?;
    }
    let sources = sources(url, &archs.join(" "), signing)?;
    write(&folder.join(SOURCES), sources.as_bytes(), 0o644)
}

/// The file Release: what the suite is, and the checksums of its indices.
fn release(suite: &Path, archs: &str, date: SystemTime) -> Result<String> {
    let fields = [
        ("Origin", "kexec-rs"),
        ("Label", "kexec-rs"),
        ("Suite", SUITE),
        ("Codename", SUITE),
        ("Architectures", archs),
        ("Components", COMPONENT),
        ("Description", "kexec in Rust"),
    ];
    let mut command = Command::new("apt-ftparchive");
    command.arg("-q");
    for (name, value) in fields {
        command
            .arg("-o")
            .arg(format!("APT::FTPArchive::Release::{name}={value}"));
    }
    // SHA-256 is there without being asked for, and enough.
    for (name, value) in [("MD5", "false"), ("SHA1", "false"), ("SHA512", "false")] {
        command
            .arg("-o")
            .arg(format!("APT::FTPArchive::Release::{name}={value}"));
    }
    let text = output_of(command.args(["release", "."]).current_dir(suite))?;
    Ok(dated(&text, date))
}

/// The same with the date of the sources: apt-ftparchive takes the clock's.
fn dated(release: &str, date: SystemTime) -> String {
    let date = super::super::texts::rfc_5322(date).replace("+0000", "UTC");
    let line = |line: &str| match line.starts_with("Date: ") {
        true => format!("Date: {date}\n"),
        false => format!("{line}\n"),
    };
    release.lines().map(line).collect()
}

/// The deb822 file that tells apt of the repository (sources.list(5)). The key is in it,
/// so that this one file is all that has to be put in place.
fn sources(url: &str, archs: &str, signing: &Signing) -> Result<String> {
    let trust = match signing {
        Signing::Key(key) => {
            let mut field = "Signed-By:\n".to_owned();
            for line in key.public()?.lines() {
                let line = if line.trim().is_empty() { "." } else { line };
                field.push_str(&format!(" {line}\n"));
            }
            field
        }
        Signing::None => {
            "# UNSIGNED: apt installs whatever the server sends.\nTrusted: yes\n".to_owned()
        }
    };
    let about = DESCRIPTION.first().copied().unwrap_or_default();
    Ok(format!(
        "# kexec-rs: {HOMEPAGE}\n# {about}\n# Put this file into /etc/apt/sources.list.d, then: \
         apt update && apt install kexec-rs\n\
         Types: deb\nURIs: {url}/apt\nSuites: {SUITE}\nComponents: {COMPONENT}\n\
         Architectures: {archs}\n{trust}"
    ))
}
