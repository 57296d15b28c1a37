//! An RPM package, by cargo-generate-rpm from a staged folder and metadata that
//! are made from the table; looked at by rpm(8), which installs it into a scratch
//! root and removes it again.

use super::files::{Kind, RPM_SCRIPTS};
use super::scratch::{Scratch, as_root, require, said_by};
use super::stage::{Inputs, Item, items, read, stage};
use super::texts::{HOMEPAGE, STANDS_FOR, SUMMARY, VERSION};
use crate::host;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// The version of cargo-generate-rpm that this was tried with.
const GENERATOR: &str = "0.21.1";
/// Where rpm keeps its database in a root, whatever its configuration says.
const DATABASE: &str = "/var/lib/rpm";

/// A package that was made.
#[derive(Debug)]
pub struct Rpm {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub items: Vec<Item>,
}

/// Makes the package in a folder. The staged files and the metadata stay beside it.
pub fn make(folder: &Path, inputs: &Inputs) -> Result<Rpm> {
    let generator = generator()?;
    let mut items = items(Kind::Rpm, inputs)?;
    // cargo-generate-rpm cannot make links.
    items.retain(|item| item.link.is_none());
    let tree = folder.join("rpm");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("removing {}", tree.display()))?;
    }
    stage(&tree, &items, inputs.date)?;
    let described = folder.join("rpm.toml");
    fs::write(&described, metadata(&tree, &items))
        .with_context(|| format!("writing {}", described.display()))?;
    let seconds = inputs
        .date
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let arch = host::arch()?.name();
    let path = folder.join(format!("kexec-rs-{VERSION}-1.{arch}.rpm"));
    host::call(
        Command::new(generator)
            .current_dir(host::root())
            .args(["--package", "crates/kexec-cli", "--auto-req", "disabled"])
            .args(["--payload-compress", "xz", "--source-date"])
            .arg(seconds.to_string())
            .args(["--arch", arch])
            .arg("--metadata-overwrite")
            .arg(&described)
            .arg("--output")
            .arg(&path),
    )?;
    Ok(Rpm { path, items })
}

/// The program cargo-generate-rpm, installed beside the lab's other programs unless
/// it is there. Without optimisation: it takes as long to build as to wait for.
fn generator() -> Result<PathBuf> {
    let folder = std::path::absolute(vm::default_folder())
        .context("asking for the current folder")?
        .join(format!("tools/cargo-generate-rpm-{GENERATOR}"));
    let program = folder.join("bin/cargo-generate-rpm");
    if !program.is_file() {
        println!(
            "installing cargo-generate-rpm {GENERATOR} into {}: cargo install --locked",
            folder.display()
        );
        host::call(
            host::cargo(&["install", "cargo-generate-rpm", "--version", GENERATOR])
                .args(["--locked", "--debug", "--root"])
                .arg(&folder)
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                // Not from the workspace: its configuration asks for static programs.
                .current_dir(std::env::temp_dir()),
        )?;
    }
    Ok(program)
}

/// Looks at the package with rpm itself.
pub fn check(rpm: &Rpm) -> Result<()> {
    require(&[("rpm", "rpm"), ("ldd", "libc-bin")])?;
    listed(rpm)?;
    described(rpm)?;
    installed(rpm)
}

/// What rpm answers about the package file in this format (rpm(8), QUERY OPTIONS).
fn query(rpm: &Rpm, format: &str) -> Result<String> {
    let mut command = Command::new("rpm");
    // Its notes on standard error are about the machine.
    command
        .args(["--query", "--queryformat", format, "--package"])
        .arg(&rpm.path)
        .env("LC_ALL", "C.UTF-8");
    let output = command.output().context("starting rpm")?;
    ensure!(
        output.status.success(),
        "rpm --query ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("rpm's answer is no text")
}

/// Compares the list of files: permissions, owners, sizes, what is documentation.
fn listed(rpm: &Rpm) -> Result<()> {
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILESIZES} \
                  %{FILEFLAGS:fflags} %{FILENAMES}\\n]";
    let listed = query(rpm, format)?;
    let mut found: Vec<&str> = listed.lines().collect();
    let mut wanted: Vec<String> = rpm
        .items
        .iter()
        .map(|item| {
            format!(
                "{} root:root {} {} /{}",
                match item.mode {
                    0o755 => "-rwxr-xr-x",
                    _ => "-rw-r--r--",
                },
                item.data.len(),
                match kept(&item.to) {
                    Kept::Configuration => "cn",
                    Kept::Documentation => "d",
                    Kept::Nothing => "",
                },
                item.to
            )
        })
        .collect();
    found.sort_unstable();
    wanted.sort();
    ensure!(
        found == wanted,
        "the package has\n{}\nand was to have\n{}",
        found.join("\n"),
        wanted.join("\n")
    );
    Ok(())
}

/// What the package says of itself and of others, and its scripts.
fn described(rpm: &Rpm) -> Result<()> {
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
    for (tag, key) in [
        ("%|PREIN?{%{PREIN}}|", "pre_install_script"),
        ("%|POSTIN?{%{POSTIN}}|", "post_install_script"),
        ("%|PREUN?{%{PREUN}}|", "pre_uninstall_script"),
        ("%|POSTUN?{%{POSTUN}}|", "post_uninstall_script"),
    ] {
        let script = RPM_SCRIPTS.iter().find(|(_, known)| *known == key);
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
fn installed(rpm: &Rpm) -> Result<()> {
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
    let wanted = ["disable preload", "disable refresh", "disable exitrd"];
    ensure!(
        said == wanted,
        "when rpm removed the package, kexec was called as {said:?}, expected {wanted:?}"
    );
    scratch.nothing_left()
}

/// What rpm is to know about a file.
enum Kept {
    /// Stays as its owner has changed it.
    Configuration,
    /// Can be left out.
    Documentation,
    Nothing,
}

fn kept(to: &str) -> Kept {
    match to {
        to if to.starts_with("etc/") => Kept::Configuration,
        to if to.starts_with("usr/share/doc/") || to.starts_with("usr/share/man/") => {
            Kept::Documentation
        }
        _ => Kept::Nothing,
    }
}

/// What cargo-generate-rpm wants to know, as TOML.
fn metadata(tree: &Path, items: &[Item]) -> String {
    // A string of TOML in double quotes has the escapes of Rust's Debug here: there
    // is nothing but letters, dots and dashes in these texts.
    let mut letters = SUMMARY.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let summary: String = first.into_iter().chain(letters).collect();
    let mut out = format!(
        "name = \"kexec-rs\"\nsummary = {summary:?}\nurl = {HOMEPAGE:?}\n\
         license = \"MIT OR Apache-2.0\"\n"
    );
    for (path, key) in RPM_SCRIPTS {
        let path = host::root().join(path).display().to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{key} = {path:?}");
    }
    out.push_str("assets = [\n");
    for item in items {
        let _ = writeln!(
            out,
            "  {{ source = {:?}, dest = {:?}, mode = \"{:o}\"{} }},",
            tree.join(&item.to).display().to_string(),
            format!("/{}", item.to),
            0o100_000 | item.mode,
            match kept(&item.to) {
                Kept::Configuration => ", config = \"noreplace\"",
                Kept::Documentation => ", doc = true",
                Kept::Nothing => "",
            }
        );
    }
    // No Obsoletes: nobody's kexec-tools is to go with an ordinary upgrade.
    let _ = write!(
        out,
        "]\n\n[provides]\nkexec-tools = \"= {STANDS_FOR}\"\n\n[conflicts]\nkexec-tools = \"*\"\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_an_asset_with_its_permissions() {
        let item = |to: &str, mode| Item {
            to: to.to_owned(),
            mode,
            data: Vec::new(),
            link: None,
        };
        let items = [item("usr/sbin/kexec", 0o755), item("etc/x", 0o644)];
        let text = metadata(Path::new("/tree"), &items);
        assert!(text.contains(
            "  { source = \"/tree/usr/sbin/kexec\", dest = \"/usr/sbin/kexec\", \
             mode = \"100755\" },\n"
        ));
        assert!(text.contains("dest = \"/etc/x\", mode = \"100644\", config = \"noreplace\" }"));
        assert!(text.contains("[provides]\nkexec-tools = \"= 2.0.32\"\n"));
    }

    /// Folders that bear our name are nobody else's. They have to be named from the
    /// deepest on, or rmdir(1) finds them in use.
    #[test]
    fn the_last_script_removes_every_folder_of_ours() {
        let inputs = super::super::tests::inputs();
        let mut wanted: Vec<String> = items(Kind::Rpm, &inputs)
            .unwrap()
            .iter()
            .flat_map(|item| Path::new(&item.to).ancestors().skip(1))
            .map(|folder| format!("/{}", folder.display()))
            .filter(|folder| folder.contains("kexec"))
            .collect();
        wanted.sort();
        wanted.dedup();
        let script = fs::read_to_string(host::root().join("dist/rpm/postun")).unwrap();
        let mut named: Vec<&str> = script
            .split_whitespace()
            .filter(|word| word.starts_with("/usr/"))
            .collect();
        for (at, folder) in named.iter().enumerate() {
            let above = named[..at].iter().find(|one| folder.starts_with(*one));
            assert_eq!(above, None, "named before {folder}");
        }
        named.sort_unstable();
        assert_eq!(named, wanted);
    }
}
