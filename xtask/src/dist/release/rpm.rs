//! A repository for dnf(8) and zypper(8), as a folder that any web server serves:
//! createrepo_c(8) makes it.

use super::super::rpm::RpmPackage;
use super::super::scratch::said_by;
use super::super::stage::{read, write};
use super::Signing;
use super::sign::PUBLIC_TEXT;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is put into /etc/yum.repos.d, or into /etc/zypp/repos.d.
pub const REPO: &str = "kexec-rs.repo";

/// Makes the repository in a folder, which will be served at `url`.
pub fn make(
    folder: &Path,
    url: &str,
    packages: &[RpmPackage],
    signing: &Signing,
    date: SystemTime,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for package in packages {
        let name = package.path.file_name().unwrap_or_default();
        let place = folder.join(name);
        write(&place, &read(&package.path)?, 0o644)?;
        fs::File::open(&place)?.set_modified(date)?;
    }
    let seconds = date
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .to_string();
    // One word for one processor: the order of packages stays the same.
    said_by(
        Command::new("createrepo_c")
            .args(["--quiet", "--no-database", "--workers", "1"])
            .args(["--set-timestamp-to-revision", "--revision", &seconds])
            .arg(folder)
            .env("SOURCE_DATE_EPOCH", &seconds),
    )?;
    let mut trust = "# UNSIGNED: what the server sends is installed.\ngpgcheck=0\n".to_owned();
    if let Signing::Key(key) = signing {
        let index = folder.join("repodata/repomd.xml");
        key.sign(&index, &folder.join("repodata/repomd.xml.asc"))?;
        key.export(folder)?;
        // zypper looks for it here.
        let public = key.public()?;
        let place = folder.join("repodata/repomd.xml.key");
        write(&place, public.as_bytes(), 0o644)?;
        trust = format!("gpgcheck=1\nrepo_gpgcheck=1\ngpgkey={url}/rpm/{PUBLIC_TEXT}\n");
    }
    let repo = format!("[kexec-rs]\nname=kexec-rs\nbaseurl={url}/rpm\nenabled=1\n{trust}");
    write(&folder.join(REPO), repo.as_bytes(), 0o644)
}
