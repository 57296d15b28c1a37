//! A release as those see it who take it: made with a key for this once, read by gpgv,
//! sha256sum, makepkg, rpm and dnf, tampered with, and made once more. What apt says of
//! it: `kexec-lab/tests/repository.rs`.

use super::super::arch;
use super::super::scratch::said_by;
use super::super::stage::{read, write};
use super::sign::{PUBLIC_BYTES, PUBLIC_TEXT, SigningKey, verify};
use super::sources::Revision;
use super::{Release, SUMS, Signing};
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where guests serve it: `kexec-lab/tests/repository.rs`.
const URL: &str = "http://127.0.0.1:8000";

/// Makes a release in this folder, which is emptied first, and checks it.
///
/// # Errors
/// If anything of it is not as it should be.
pub fn check(folder: &Path) -> Result<String> {
    let mark = folder.with_extension("made");
    let _ = fs::remove_file(&mark);
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    let home = tempfile::tempdir().context("making a folder for a key")?;
    let release = |signing| -> Result<Release> {
        Ok(Release {
            revision: Revision::of_checkout(true)?,
            url: URL.to_owned(),
            archs: vec![host::arch()?],
            signing,
        })
    };
    let signed = release(Signing::Key(SigningKey::throw_away(home.path())?))?;
    signed.make(folder)?;
    signatures(folder)?;
    checksums(folder)?;
    sources(folder)?;
    tarball(folder)?;
    let scratch = tempfile::tempdir().context("making a folder for repositories")?;
    packages(folder, scratch.path())?;
    repository(folder, scratch.path())?;
    let mut unsigned = release(Signing::None)?;
    let (one, two) = (scratch.path().join("one"), scratch.path().join("two"));
    unsigned.make(&one)?;
    unsigned.revision = Revision::of_checkout(true)?;
    same(&one, &two, || unsigned.make(&two))?;
    // For the lab, which takes no release that is older than the program.
    write(&mark, b"", 0o644)?;
    signed.said(folder)
}

/// gpgv knows every signature, and none of a changed file.
fn signatures(folder: &Path) -> Result<()> {
    let key = folder.join(PUBLIC_BYTES);
    let suite = folder.join("apt/dists/stable");
    let index = folder.join("rpm/repodata/repomd.xml");
    for signed in [folder.join(SUMS), suite.join("Release"), index] {
        let signature = match signed.ends_with("Release") {
            true => signed.with_extension("gpg"),
            false => PathBuf::from(format!("{}.asc", signed.display())),
        };
        verify(&key, &signature, Some(&signed))?;
        let changed = tempfile::NamedTempFile::new()?;
        write(
            changed.path(),
            &[read(&signed)?, vec![b'\n']].concat(),
            0o644,
        )?;
        ensure!(
            verify(&key, &signature, Some(changed.path())).is_err(),
            "gpgv knows the signature of {} where that was changed",
            signed.display()
        );
    }
    verify(&key, &suite.join("InRelease"), None)
}

fn checksums(folder: &Path) -> Result<()> {
    said_by(
        Command::new("sha256sum")
            .args(["--check", "--strict", SUMS])
            .current_dir(folder),
    )?;
    let sums = fs::read_to_string(folder.join(SUMS))?;
    for ending in [".tar.gz", ".deb", ".rpm", ".cdx.json", "PKGBUILD"] {
        ensure!(
            sums.lines().any(|line| line.ends_with(ending)),
            "{SUMS} has no line for a file {ending}"
        );
    }
    Ok(())
}

/// makepkg takes the archive that the PKGBUILD is for, and no other one.
fn sources(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("making a folder for makepkg")?;
    for name in [
        "PKGBUILD",
        "kexec-rs.install",
        &super::sources::archive_name(),
    ] {
        write(
            &scratch.path().join(name),
            &read(&folder.join(name))?,
            0o644,
        )?;
    }
    let verify = || {
        said_by(
            arch::unprivileged("makepkg")?
                .args(["--verifysource", "--nodeps", "--ignorearch", "--nocolor"])
                .current_dir(scratch.path())
                .env("HOME", scratch.path())
                .env("SRCDEST", scratch.path())
                .env("BUILDDIR", scratch.path()),
        )
    };
    // makepkg is not root.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777))?;
    verify()?;
    let archive = scratch.path().join(super::sources::archive_name());
    write(&archive, &[read(&archive)?, vec![0]].concat(), 0o644)?;
    ensure!(
        verify().is_err(),
        "makepkg takes an archive of the sources that was changed"
    );
    Ok(())
}

/// The program in the archive runs.
fn tarball(folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("making a folder for the archive")?;
    let name = format!(
        "kexec-rs-{}-{}-linux",
        super::super::texts::VERSION,
        crate::product::machine(host::arch()?)
    );
    said_by(
        Command::new("tar")
            .args(["--extract", "--gzip", "--file"])
            .arg(folder.join(format!("{name}.tar.gz")))
            .arg("--directory")
            .arg(scratch.path()),
    )?;
    let said = said_by(Command::new(scratch.path().join(&name).join("kexec")).arg("--version"))?;
    ensure!(
        said.starts_with(&format!("kexec-rs {}", super::super::texts::VERSION)),
        "the program in {name}.tar.gz says of itself {said:?}"
    );
    Ok(())
}

/// rpm knows the signature of the package, and none of a changed one.
fn packages(folder: &Path, scratch: &Path) -> Result<()> {
    let rpmkeys = |words: &[&Path]| {
        let mut command = Command::new("rpmkeys");
        command.arg("--dbpath").arg(scratch.join("rpm")).args(words);
        said_by(&mut command)
    };
    rpmkeys(&[Path::new("--import"), &folder.join(PUBLIC_TEXT)])?;
    let package = only(&folder.join("rpm"), "rpm")?;
    let check = Path::new("--checksig");
    let said = rpmkeys(&[check, &package])?;
    ensure!(
        said.contains("digests signatures OK"),
        "rpm says of the signed package {said:?}"
    );
    let changed = scratch.join("changed.rpm");
    let mut data = read(&package)?;
    if let Some(byte) = data.last_mut() {
        *byte ^= 1;
    }
    write(&changed, &data, 0o644)?;
    ensure!(
        rpmkeys(&[check, &changed]).is_err(),
        "rpm takes a package that was changed"
    );
    Ok(())
}

/// dnf reads the repository as its .repo file says, and refuses one whose index was
/// changed.
fn repository(folder: &Path, scratch: &Path) -> Result<()> {
    let served = scratch.join("served");
    said_by(
        Command::new("cp")
            .arg("--archive")
            .args([&folder.join("rpm"), &served]),
    )?;
    let text = fs::read_to_string(served.join(super::rpm::REPO))?;
    let here = format!("file://{}", served.display());
    let text = text.replace(&format!("{URL}/rpm"), &here);
    let repos = scratch.join("repos");
    fs::create_dir(&repos)?;
    write(&repos.join(super::rpm::REPO), text.as_bytes(), 0o644)?;
    let mut number = 0;
    let mut dnf = || -> Result<String> {
        number += 1;
        let root = scratch.join(format!("root{number}"));
        // One part of dnf looks for it below the root, another one does not.
        let log = root.join("log");
        for place in [&log, &root.join(log.strip_prefix("/").unwrap_or(&log))] {
            fs::create_dir_all(place).context("making a folder for dnf's log")?;
        }
        said_by(
            Command::new("dnf")
                .args(["--assumeyes", "--releasever=1", "--forcearch"])
                .arg(crate::product::machine(host::arch()?))
                .arg(format!("--setopt=reposdir={}", repos.display()))
                .arg(format!("--setopt=logdir={}", log.display()))
                .arg(format!(
                    "--setopt=cachedir={}",
                    root.join("cache").display()
                ))
                .arg(format!("--installroot={}", root.display()))
                .args(["repoquery", "--queryformat", "found %{name} %{version}"])
                .args(["--whatprovides", "kexec-tools"]),
        )
    };
    let said = dnf()?;
    let wanted = format!("found kexec-rs {}", super::super::texts::VERSION);
    ensure!(
        said.contains(&wanted),
        "asked dnf who provides kexec-tools: looked for {wanted:?}, found {said:?}"
    );
    let index = served.join("repodata/repomd.xml");
    write(
        &index,
        &[read(&index)?, b"<!-- -->\n".to_vec()].concat(),
        0o644,
    )?;
    // It goes on without a repository that it cannot trust, and ends well.
    let said = dnf()?;
    ensure!(
        said.contains("GPG signature") && !said.contains(&wanted),
        "the repository's index was changed: expected dnf to refuse its signature, it said {said:?}"
    );
    Ok(())
}

/// The only file in a folder that ends like this.
fn only(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == ending)
        {
            found.push(path);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        other => bail!(
            "expected one {ending} in {}, found {other:?}",
            folder.display()
        ),
    }
}

/// Makes the second folder, and compares every file.
fn same(one: &Path, two: &Path, make: impl Fn() -> Result<()>) -> Result<()> {
    make()?;
    let (one, two) = (contents(one)?, contents(two)?);
    for (path, data) in &one {
        ensure!(
            two.get(path) == Some(data),
            "the same commit, released twice, has two different files {}",
            path.display()
        );
    }
    ensure!(
        one.len() == two.len(),
        "one release has more files than the other"
    );
    Ok(())
}

/// Every file below a folder.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_owned();
                found.insert(name, read(&path)?);
            }
        }
    }
    Ok(found)
}
