//! Arch Linux's package: makepkg(8) runs dist/arch/PKGBUILD as it is, on a tarball
//! of these sources; pacman(8) installs what it made into a scratch root, has our
//! hook run by a kernel's package, and removes it again.

use super::files::PackageKind;
use super::scratch::{Scratch, as_root, require, said_by};
use super::stage::{Artifacts, StagedFile, items, read, same, write};
use super::texts::{STANDS_FOR, VERSION};
use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::StartProgram;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// What makepkg is configured with. As on Arch Linux, the options are those of its
/// makepkg.conf, and there are flags for rustc from outside (its rust.conf).
const CONFIGURATION: &str = "source /etc/makepkg.conf\n\
    CARCH=x86_64\n\
    OPTIONS=(strip docs !libtool !staticlibs emptydirs zipman purge debug lto)\n\
    export RUSTFLAGS=\"-C force-frame-pointers=yes\"\n\
    PKGEXT=.pkg.tar\n";

/// pacman's: without signatures, and without looking at mount points.
const PACMAN: &str = "[options]\nArchitecture = auto\nLocalFileSigLevel = Never\n";

/// The hook's `Description=`, which pacman prints.
const LOADING: &str = "Loading what a reboot would boot";

/// The user nobody of every Debian system. makepkg refuses root.
const NOBODY: &str = "65534";

/// What is installed beside makepkg itself.
const NEEDED: &[(&str, &str)] = &[
    ("makepkg", "makepkg"),
    ("fakeroot", "fakeroot"),
    ("bsdtar", "libarchive-tools"),
    ("pacman", "pacman-package-manager"),
    ("setpriv", "util-linux"),
    ("ldd", "libc-bin"),
];

/// A package that was made.
#[derive(Debug)]
pub struct ArchPackage {
    /// The `.pkg.tar` file that makepkg wrote.
    pub path: PathBuf,
    /// The files that it installs.
    pub items: Vec<StagedFile>,
}

/// Makes the package in a folder.
pub fn make(folder: &Path, inputs: &Artifacts) -> Result<ArchPackage> {
    require(NEEDED)?;
    let items = items(PackageKind::Arch, inputs)?;
    // Not below the workspace: cargo would read its configuration as well.
    let work = tempfile::tempdir().context("making a folder for makepkg")?;
    tarball(&work.path().join(format!("kexec-rs-{VERSION}.tar.gz")))?;
    for name in ["PKGBUILD", "kexec-rs.install"] {
        let text = read(&host::root().join("dist/arch").join(name))?;
        write(&work.path().join(name), &text, 0o644)?;
    }
    let configuration = work.path().join("makepkg.conf");
    write(&configuration, CONFIGURATION.as_bytes(), 0o644)?;
    // On one file system with what is compiled already, for hard links.
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let objects = tempfile::tempdir_in(folder).context("making a folder for objects")?;
    compiled(objects.path())?;
    let seconds = inputs
        .date
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let said = said_by(
        unprivileged("makepkg")?
            .args(["--nodeps", "--force", "--nocolor", "--config"])
            .arg(&configuration)
            .current_dir(work.path())
            .env("HOME", work.path())
            .env("CARGO_HOME", host::cargo_home()?)
            // What cargo notes has the path of the linker in it.
            .env(
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
                host::root().join("xtask/cc"),
            )
            .env("RUSTUP_HOME", host::of_home("RUSTUP_HOME", ".rustup")?)
            .env("CARGO_TARGET_DIR", objects.path())
            .env("CARGO_NET_OFFLINE", "true")
            // It would be packed instead of what makepkg has built.
            .env_remove("KEXEC_BIN")
            .env("PKGDEST", folder)
            .env("SOURCE_DATE_EPOCH", seconds.to_string()),
    )?;
    ensure!(
        !said.contains("contains reference to"),
        "makepkg found names of its own folders in the package: {said}"
    );
    let path = folder.join(format!("kexec-rs-{VERSION}-1-x86_64.pkg.tar"));
    ensure!(
        path.is_file(),
        "looked for {} after makepkg: there is none; it said: {said}",
        path.display()
    );
    Ok(ArchPackage { path, items })
}

/// These sources as the archive of a tag has them: what is tracked, as it is now,
/// of the time at which it was changed. (`git archive` gives everything the time of
/// the commit, after which cargo would build all of it once more.)
fn tarball(path: &Path) -> Result<()> {
    let names = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(host::root())
        .start_output()?;
    ensure!(
        names.status.success() && !names.stdout.is_empty(),
        "asked git for the files of {}: it ended with {}: {}",
        host::root().display(),
        names.status,
        String::from_utf8_lossy(&names.stderr)
    );
    let list = tempfile::NamedTempFile::new().context("making a list of files")?;
    fs::write(list.path(), &names.stdout).context("writing a list of files")?;
    host::call(
        Command::new("tar")
            .args(["--create", "--gzip", "--owner=0", "--group=0", "--file"])
            .arg(path)
            .arg(format!("--transform=flags=r;s,^,kexec-rs-{VERSION}/,"))
            .args(["--null", "--no-recursion", "--files-from"])
            .arg(list.path())
            .current_dir(host::root()),
    )
}

/// Gives makepkg's cargo what is compiled already of xtask and its libraries; cargo looks
/// itself whether it is of the same sources. The program is compiled anew, from its first
/// library on: in another folder, it has to become the same bytes.
/// Libraries are never written in place and are linked, what cargo notes about them is
/// copied.
fn compiled(into: &Path) -> Result<()> {
    let from = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => host::root().join(folder),
        None => host::root().join("target"),
    };
    for name in ["debug", "x86_64-unknown-linux-gnu/debug"] {
        let (from, into) = (from.join(name), into.join(name));
        if !from.join(".fingerprint").is_dir() {
            continue;
        }
        fs::create_dir_all(into.join("deps")).context("making a folder for objects")?;
        // A build script that runs again writes over what it wrote, as another user.
        let kept = "--preserve=mode,timestamps,links";
        host::call(
            unprivileged("cp")?
                .args([
                    "--recursive",
                    "--no-dereference",
                    kept,
                    "--target-directory",
                ])
                .arg(&into)
                .args([from.join(".fingerprint"), from.join("build")]),
        )?;
        for entry in fs::read_dir(from.join("deps"))? {
            let path = entry?.path();
            let kind = path.extension().and_then(|extension| extension.to_str());
            if let Some("rlib" | "rmeta" | "so") = kind {
                let place = into.join("deps").join(path.file_name().unwrap_or_default());
                fs::hard_link(&path, &place)
                    .with_context(|| format!("linking {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// A command without root's privileges but one: root's compiler is often where
/// nobody else may look. Without the last option access(2) would not heed it
/// (capabilities(7), SECBIT_NO_SETUID_FIXUP), and gcc not find its linker.
pub fn unprivileged(program: &str) -> Result<Command> {
    if !host::is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
        .args(["--securebits=+no_setuid_fixup", "--", program]);
    Ok(command)
}

/// Compares the package with what it is to have in it, and installs and removes it.
pub fn check(arch: &ArchPackage) -> Result<()> {
    listed(arch)?;
    described(arch)?;
    installed(arch)
}

/// Compares the list of files: permissions, owners, sizes.
fn listed(arch: &ArchPackage) -> Result<()> {
    let said = said_by(
        Command::new("bsdtar")
            .args(["--list", "--verbose", "--file"])
            .arg(&arch.path),
    )?;
    let mut found = Vec::new();
    for line in said.lines() {
        // -rwxr-xr-x  0 root   root  3574944 Nov 23 05:47 usr/bin/kexec
        let words: Vec<&str> = line.split_whitespace().collect();
        // lrwxrwxrwx  0 root   root  0 Nov 23 05:47 usr/bin/vmcore-dmesg -> kexec
        let (mode, user, group, size, path, target) = match words.as_slice() {
            [mode, _, user, group, size, _, _, _, path] => (mode, user, group, size, path, ""),
            [mode, _, user, group, size, _, _, _, path, "->", target] => {
                (mode, user, group, size, path, *target)
            }
            _ => bail!("bsdtar lists {line:?}"),
        };
        ensure!(
            (*user, *group) == ("root", "root"),
            "{path} belongs to {user}:{group}"
        );
        if mode.starts_with('d') {
            ensure!(*mode == "drwxr-xr-x", "{path} is {mode}");
        } else if !path.starts_with('.') {
            found.push(format!("{path} {mode} {size} {target}"));
        }
    }
    same(found, arch.items.iter().map(StagedFile::line).collect())
}

/// What the package says of itself and of others (PKGBUILD(5), .PKGINFO), and its
/// scripts.
fn described(arch: &ArchPackage) -> Result<()> {
    let member = |name: &str| {
        said_by(
            Command::new("bsdtar")
                .args(["--extract", "--to-stdout", "--file"])
                .arg(&arch.path)
                .arg(name),
        )
    };
    let info = member(".PKGINFO")?;
    let relations = [
        "conflict", "depend", "license", "pkgname", "pkgver", "provides", "replaces",
    ];
    let mut found: Vec<&str> = info
        .lines()
        .filter(|line| {
            let key = line.split(" = ").next();
            key.is_some_and(|key| relations.contains(&key))
        })
        .collect();
    found.sort_unstable();
    let wanted = [
        "conflict = kexec-tools".to_owned(),
        "license = MIT OR Apache-2.0".to_owned(),
        "pkgname = kexec-rs".to_owned(),
        format!("pkgver = {VERSION}-1"),
        format!("provides = kexec-tools={STANDS_FOR}"),
    ];
    ensure!(
        found == wanted,
        "the package says of itself {found:?}, expected {wanted:?}"
    );
    let scripts = fs::read_to_string(host::root().join("dist/arch/kexec-rs.install"))?;
    ensure!(
        member(".INSTALL")? == scripts,
        "the package's scripts are not dist/arch/kexec-rs.install"
    );
    Ok(())
}

/// Has pacman install the package into a root, compares every byte; then other
/// packages, of which the hook has to heed the one with a kernel; then removes all.
fn installed(arch: &ArchPackage) -> Result<()> {
    let scratch = Scratch::new()?;
    // pacman makes its log and its cache, but not this.
    fs::create_dir_all(scratch.path().join("var/lib/pacman"))?;
    let work = tempfile::tempdir().context("making a folder for packages")?;
    let configuration = work.path().join("pacman.conf");
    write(&configuration, PACMAN.as_bytes(), 0o644)?;
    let pacman = |operation: &str, what: &Path| {
        said_by(
            as_root("pacman")?
                .arg("--config")
                .arg(&configuration)
                .arg("--root")
                .arg(scratch.path())
                .args(["--noconfirm", "--nodeps", operation])
                .arg(what),
        )
    };
    pacman("--upgrade", &arch.path)?;
    scratch.compare(&arch.items)?;
    scratch.record("usr/bin/kexec")?;

    let without = other(work.path(), "without", "usr/share/without/file")?;
    let kernel = other(work.path(), "kernel", "usr/lib/modules/1-lab/vmlinuz")?;
    let expect = |what: &str, heard: &str, wanted: &[&str]| -> Result<()> {
        let said = scratch.said()?;
        ensure!(
            said == wanted && heard.contains(LOADING) != wanted.is_empty(),
            "{what}: kexec was called as {said:?}, expected {wanted:?}; pacman said {heard}"
        );
        Ok(())
    };
    expect(
        "a package without a kernel came",
        &pacman("--upgrade", &without)?,
        &[],
    )?;
    expect(
        "a kernel came",
        &pacman("--upgrade", &kernel)?,
        &[
            "preload --if-enabled",
            "there is /usr/lib/modules/1-lab/vmlinuz",
        ],
    )?;
    expect(
        "a kernel went",
        &pacman("--remove", Path::new("kernel"))?,
        &["preload --if-enabled"],
    )?;
    pacman("--remove", Path::new("kexec-rs"))?;
    let said = scratch.said()?;
    let wanted = [
        "preload",
        "refresh",
        "exitrd",
        "metrics",
        "parallel-shutdown",
        "crash",
    ]
    .map(|name| format!("disable {name}"));
    ensure!(
        said == wanted,
        "when pacman removed the package, kexec was called as {said:?}, expected {wanted:?}"
    );
    scratch.nothing_left()
}

/// A package of this name that has this one file.
fn other(folder: &Path, name: &str, file: &str) -> Result<PathBuf> {
    let tree = folder.join(name);
    let place = tree.join(file);
    fs::create_dir_all(place.parent().unwrap_or(&tree)).context("making a package")?;
    write(&place, b"x", 0o644)?;
    let info = format!("pkgname = {name}\npkgver = 1-1\narch = any\nsize = 1\n");
    write(&tree.join(".PKGINFO"), info.as_bytes(), 0o644)?;
    let path = folder.join(format!("{name}.pkg.tar"));
    host::call(
        Command::new("bsdtar")
            .args(["--create", "--uid", "0", "--gid", "0", "--file"])
            .arg(&path)
            .arg("--directory")
            .arg(&tree)
            .args([".PKGINFO", "usr"]),
    )?;
    Ok(path)
}
