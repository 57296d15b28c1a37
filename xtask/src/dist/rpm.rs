//! An RPM package, by rpmbuild(1) from a staged folder and a spec file that is made
//! from the table; looked at by rpm(8), which installs it into a scratch root and
//! removes it again.

use super::files::{PackageKind, RPM_SCRIPTS};
use super::scratch::{Scratch, as_root, require, said_by};
use super::stage::{Artifacts, StagedFile, items, read, same, stage, write};
use super::texts::{DESCRIPTION, HOMEPAGE, STANDS_FOR, SUMMARY, VERSION};
use crate::host;
use crate::product::machine;
use anyhow::{Context, Result, ensure};
use kexec_lab::programs::StartProgram;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// Where rpm keeps its database in a root, whatever its configuration says.
const DATABASE: &str = "/var/lib/rpm";

/// What rpmbuild calls the package.
const FILE_NAME: &str = "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm";

/// A package that was made.
#[derive(Debug)]
pub struct RpmPackage {
    /// The `.rpm` file.
    pub path: PathBuf,
    /// The files that it installs.
    pub items: Vec<StagedFile>,
}

/// Makes the package in a folder. The staged files and the spec file stay beside it.
pub fn make(folder: &Path, inputs: &Artifacts) -> Result<RpmPackage> {
    require(&[("rpmbuild", "rpm")])?;
    let items = items(PackageKind::Rpm, inputs)?;
    let tree = folder.join("rpm");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("removing {}", tree.display()))?;
    }
    stage(&tree, &items, inputs.date)?;
    let spec = folder.join("kexec-rs.spec");
    write(&spec, spec_of(&tree, &items)?.as_bytes(), 0o644)?;
    let seconds = inputs
        .date
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let arch = machine(inputs.arch);
    let scratch = tempfile::tempdir().context("making a folder for rpmbuild")?;
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet", "--target", arch]);
    for (name, value) in [
        ("_topdir", scratch.path().display().to_string()),
        ("_rpmdir", folder.display().to_string()),
        ("_rpmfilename", FILE_NAME.to_owned()),
        // The same sources make the same package, wherever and whenever.
        ("use_source_date_epoch_as_buildtime", "1".to_owned()),
        ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ("_buildhost", "reproducible".to_owned()),
        ("_binary_payload", "w6.xzdio".to_owned()),
    ] {
        command.arg("--define").arg(format!("{name} {value}"));
    }
    command
        .arg(&spec)
        .env("SOURCE_DATE_EPOCH", seconds.to_string());
    said_by(&mut command)?;
    let path = folder.join(format!("kexec-rs-{VERSION}-1.{arch}.rpm"));
    Ok(RpmPackage { path, items })
}

/// Looks at the package with rpm itself.
pub fn check(rpm: &RpmPackage) -> Result<()> {
    require(&[("rpm", "rpm"), ("ldd", "libc-bin")])?;
    listed(rpm)?;
    described(rpm)?;
    installed(rpm)
}

/// What rpm answers about the package file in this format (rpm(8), QUERY OPTIONS).
fn query(rpm: &RpmPackage, format: &str) -> Result<String> {
    let mut command = Command::new("rpm");
    // Its notes on standard error are about the machine.
    command
        .args(["--query", "--queryformat", format, "--package"])
        .arg(&rpm.path)
        .env("LC_ALL", "C.UTF-8");
    let output = command.start_output()?;
    ensure!(
        output.status.success(),
        "rpm --query ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("rpm's answer is no text")
}

/// Compares the list of files and folders: permissions, owners, sizes, links, what is
/// documentation.
fn listed(rpm: &RpmPackage) -> Result<()> {
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{LONGFILESIZES} \
                  %{FILEFLAGS:fflags} %{FILENAMES} %{FILELINKTOS}\\n]";
    let listed = query(rpm, format)?;
    // The size of a folder is that of its file system.
    let found: Vec<String> = listed
        .lines()
        .map(
            |line| match line.split(' ').collect::<Vec<_>>().as_slice() {
                [perms, owner, _, rest @ ..] if perms.starts_with('d') => {
                    format!("{perms} {owner} 0 {}", rest.join(" "))
                }
                _ => line.to_owned(),
            },
        )
        .collect();
    let folders = folders(&rpm.items);
    let folders = folders
        .iter()
        .map(|folder| format!("drwxr-xr-x root:root 0  /{folder} "));
    let wanted: Vec<String> = rpm
        .items
        .iter()
        .map(|item| {
            let link = item.link.unwrap_or_default();
            format!(
                "{} root:root {} {} /{} {link}",
                item.permissions(),
                // The content of a link is where it leads to.
                item.data.len() + link.len(),
                match spec_attribute(&item.to) {
                    SpecAttribute::Configuration => "cn",
                    SpecAttribute::Documentation => "d",
                    SpecAttribute::Nothing => "",
                },
                item.to
            )
        })
        .chain(folders)
        .collect();
    same(found, wanted)
}

/// What the package says of itself and of others, and its scripts.
fn described(rpm: &RpmPackage) -> Result<()> {
    let asks = |format: &str, expected: &str| -> Result<()> {
        let found = query(rpm, format)?;
        ensure!(
            found.trim() == expected.trim(),
            "asked the package for {format}, found {found:?}, expected {expected:?}"
        );
        Ok(())
    };
    asks(
        "%{NAME} %{VERSION} %{LICENSE}",
        &format!("kexec-rs {VERSION} MIT OR Apache-2.0"),
    )?;
    asks(
        "[%{CONFLICTS} %{CONFLICTFLAGS:depflags} %{CONFLICTVERSION};]",
        "kexec-tools  ;",
    )?;
    asks("[%{OBSOLETES};]", "")?;
    let provides = query(
        rpm,
        "[%{PROVIDES} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION};]",
    )?;
    let stands = format!("kexec-tools = {STANDS_FOR};");
    ensure!(
        provides.contains(&stands),
        "the package provides {provides:?}, expected also {stands:?}"
    );
    let requires = query(rpm, "[%{REQUIRES};]")?;
    let more: Vec<&str> = requires
        .split_terminator(';')
        .filter(|name| *name != "/bin/sh" && !name.starts_with("rpmlib("))
        .collect();
    ensure!(more.is_empty(), "the package requires {more:?}");
    for (tag, section) in [
        ("%|PREIN?{%{PREIN}}|", "pre"),
        ("%|POSTIN?{%{POSTIN}}|", "post"),
        ("%|PREUN?{%{PREUN}}|", "preun"),
        ("%|POSTUN?{%{POSTUN}}|", "postun"),
        ("%|POSTTRANS?{%{POSTTRANS}}|", "posttrans"),
    ] {
        let script = RPM_SCRIPTS.iter().find(|(_, known)| *known == section);
        let text = match script {
            Some((path, _)) => String::from_utf8(read(&host::root().join(path))?)
                .with_context(|| format!("{path} is no text"))?,
            None => String::new(),
        };
        asks(tag, &text)?;
    }
    Ok(())
}

/// Has rpm install the package into a root, compares every byte, and has it removed.
fn installed(rpm: &RpmPackage) -> Result<()> {
    let scratch = Scratch::new()?;
    let run = |arguments: &[&OsStr]| {
        said_by(
            as_root("rpm")?
                .arg("--root")
                .arg(scratch.path())
                .args(["--dbpath", DATABASE])
                .args(arguments),
        )
    };
    run(&["--initdb".as_ref()])?;
    run(&[
        "--install".as_ref(),
        "--nodeps".as_ref(),
        rpm.path.as_os_str(),
    ])?;
    scratch.compare(&rpm.items)?;
    run(&[
        "--verify".as_ref(),
        "--nodeps".as_ref(),
        "kexec-rs".as_ref(),
    ])?;
    scratch.record("usr/sbin/kexec")?;
    run(&["--erase".as_ref(), "kexec-rs".as_ref()])?;
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
        "when rpm removed the package, kexec was called as {said:?}, expected {wanted:?}"
    );
    scratch.nothing_left()
}

/// What rpm is to know about a file.
enum SpecAttribute {
    /// Stays as its owner has changed it.
    Configuration,
    /// Left out by `rpm --nodocs`.
    Documentation,
    Nothing,
}

fn spec_attribute(to: &str) -> SpecAttribute {
    match to {
        to if to.starts_with("etc/") => SpecAttribute::Configuration,
        to if to.starts_with("usr/share/doc/") || to.starts_with("usr/share/man/") => {
            SpecAttribute::Documentation
        }
        _ => SpecAttribute::Nothing,
    }
}

/// The folders that are nobody else's: those that bear our name.
fn folders(items: &[StagedFile]) -> BTreeSet<String> {
    items
        .iter()
        .flat_map(|item| Path::new(&item.to).ancestors().skip(1))
        .map(|folder| folder.display().to_string())
        .filter(|folder| folder.contains("kexec"))
        .collect()
}

/// The spec file (rpm's documentation, "Spec file format"). A percent sign in what is
/// quoted would begin a macro.
fn spec_of(tree: &Path, items: &[StagedFile]) -> Result<String> {
    let mut letters = SUMMARY.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let summary: String = first.into_iter().chain(letters).collect();
    // No Obsoletes: nobody's kexec-tools is to go with an ordinary upgrade. Nothing is
    // stripped or looked for in the files: the program is one static file.
    let mut out = format!(
        "%global debug_package %{{nil}}\n%global _build_id_links none\n\
         %global __os_install_post %{{nil}}\n\n\
         Name: kexec-rs\nVersion: {VERSION}\nRelease: 1\nSummary: {summary}\n\
         License: MIT OR Apache-2.0\nURL: {HOMEPAGE}\n\
         Provides: kexec-tools = {STANDS_FOR}\nConflicts: kexec-tools\nAutoReqProv: no\n\n\
         %description\n{}\n\n\
         %install\ncp -a '{}/.' %{{buildroot}}/\n",
        DESCRIPTION.join("\n\n"),
        tree.display()
    );
    for (path, section) in RPM_SCRIPTS {
        let script = String::from_utf8(read(&host::root().join(path))?)
            .with_context(|| format!("{path} is no text"))?;
        out.push_str(&format!("\n%{section}\n{}", script.replace('%', "%%")));
    }
    out.push_str("\n%files\n%defattr(-,root,root,0755)\n");
    for folder in folders(items) {
        out.push_str(&format!("%dir /{folder}\n"));
    }
    for item in items {
        let spec_attribute = match spec_attribute(&item.to) {
            SpecAttribute::Configuration => "%config(noreplace) ",
            SpecAttribute::Documentation => "%doc ",
            SpecAttribute::Nothing => "",
        };
        match item.link {
            Some(_) => out.push_str(&format!("{spec_attribute}/{}\n", item.to)),
            None => out.push_str(&format!(
                "%attr({:o},root,root) {spec_attribute}/{}\n",
                item.mode, item.to
            )),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_spec_with_its_permissions() {
        let item = |to: &str, mode, link| StagedFile {
            to: to.to_owned(),
            mode,
            data: Vec::new(),
            link,
        };
        let items = [
            item("usr/sbin/kexec", 0o755, None),
            item("usr/sbin/vmcore-dmesg", 0o777, Some("kexec")),
            item("etc/x", 0o644, None),
            item("usr/share/doc/kexec-rs/README.md", 0o644, None),
        ];
        let text = spec_of(Path::new("/tree"), &items).unwrap();
        for line in [
            "%attr(755,root,root) /usr/sbin/kexec",
            "/usr/sbin/vmcore-dmesg",
            "%attr(644,root,root) %config(noreplace) /etc/x",
            "%attr(644,root,root) %doc /usr/share/doc/kexec-rs/README.md",
            "%dir /usr/share/doc/kexec-rs",
            "Provides: kexec-tools = 2.0.32",
            "Conflicts: kexec-tools",
            "%preun",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
