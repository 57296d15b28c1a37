//! An RPM package, by cargo-generate-rpm from a staged folder and metadata that
//! are made from the table.

use super::files::{Kind, RPM_SCRIPTS};
use super::stage::{Inputs, Item, items, stage};
use super::texts::{HOMEPAGE, STANDS_FOR, SUMMARY};
use crate::host;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Makes the package in a folder; says where it is. The staged files and the
/// metadata stay beside it.
pub fn make(folder: &Path, inputs: &Inputs) -> Result<String> {
    ensure!(
        host::has("cargo-generate-rpm"),
        "looked for cargo-generate-rpm: there is none; `cargo install cargo-generate-rpm`"
    );
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
    host::call(
        host::cargo(&[
            "generate-rpm",
            "--package",
            "crates/kexec-cli",
            "--auto-req",
            "disabled",
            "--payload-compress",
            "xz",
        ])
        .arg("--source-date")
        .arg(seconds.to_string())
        .arg("--metadata-overwrite")
        .arg(&described)
        .arg("--output")
        .arg(folder),
    )?;
    Ok(format!("an RPM package in {}", folder.display()))
}

/// What cargo-generate-rpm wants to know, as TOML.
fn metadata(tree: &Path, items: &[Item]) -> String {
    // A string of TOML in double quotes has the escapes of Rust's Debug here: there
    // is nothing but letters, dots and dashes in these texts.
    let mut out = format!(
        "name = \"kexec-rs\"\nsummary = {SUMMARY:?}\nurl = {HOMEPAGE:?}\n\
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
            match item.to.as_str() {
                to if to.starts_with("etc/") => ", config = \"noreplace\"",
                to if to.starts_with("usr/share/doc/") => ", doc = true",
                _ => "",
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
}
