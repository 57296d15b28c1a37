//! Documents as they are installed: their links lead to what is installed with them, or
//! to the file in the project's repository.

use super::files::{FILES, FileSource, PackageKind, destination};
use super::texts::{HOMEPAGE, VERSION};
use crate::host;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The folder of the repository that is installed whole.
const FOLDER: &str = "docs/";
/// Where packages have their documents.
const INSTALLED: &str = "usr/share/doc/";

/// Every file below docs/, by its path in the repository. Editors' hidden files and
/// backups are not among them.
pub fn all() -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(FOLDER.trim_end_matches('/'), &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(at: &str, found: &mut Vec<String>) -> Result<()> {
    let folder = host::root().join(at);
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = format!("{at}/{name}");
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Where a file of docs/ goes, in a folder of installed documents.
pub fn place(folder: &str, path: &str) -> String {
    format!("{folder}{}", path.strip_prefix(FOLDER).unwrap_or(path))
}

/// The content of a file of the repository as it is installed in this place: in a
/// Markdown document, links are changed.
pub fn installed(kind: PackageKind, to: &str, path: &str, data: Vec<u8>) -> Result<Vec<u8>> {
    if !path.ends_with(".md") || !to.starts_with(INSTALLED) {
        return Ok(data);
    }
    let text = String::from_utf8(data).with_context(|| format!("{path} is no text"))?;
    let with = |target: &str| installed_at(kind, target);
    Ok(with_links(&text, path, to, with)?.into_bytes())
}

/// Where a file of the repository is in a package; nothing for one that has no place
/// among the documents.
fn installed_at(kind: PackageKind, path: &str) -> Option<String> {
    let mut files = FILES.iter().filter(|file| file.kinds.contains(&kind));
    files.find_map(|file| match file.source {
        FileSource::Tree(source) if source == path && file.to.starts_with(INSTALLED) => {
            Some(destination(kind, file.to))
        }
        FileSource::Docs if path.starts_with(FOLDER) && host::root().join(path).is_file() => {
            Some(destination(kind, &place(file.to, path)))
        }
        _ => None,
    })
}

/// The text of the document `path` of the repository, which will be the file `to`: each
/// link to a file of the repository leads to the place that `place_of` gives for it, as
/// seen from `to`, or else to the repository.
///
/// # Errors
/// If a link leads to a file that the repository does not have.
pub fn with_links(
    text: &str,
    path: &str,
    to: &str,
    place_of: impl Fn(&str) -> Option<String>,
) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, end)) = next_link(rest) {
        let target = rest.get(at..end).unwrap_or_default();
        out.push_str(rest.get(..at).unwrap_or_default());
        out.push_str(&changed(target, path, to, &place_of)?);
        rest = rest.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands before a target, and the character that ends it: links and images of
/// Markdown, and those of HTML.
const LINKS: &[(&str, char)] = &[
    ("](", ')'),
    ("src=\"", '"'),
    ("srcset=\"", '"'),
    ("href=\"", '"'),
];

/// Where the target of the first link begins and ends.
fn next_link(text: &str) -> Option<(usize, usize)> {
    let of_kind = |(start, stop): &(&str, char)| {
        let at = text.find(start)?.checked_add(start.len())?;
        let length = text.get(at..)?.find(*stop)?;
        Some((at, at.checked_add(length)?))
    };
    LINKS.iter().filter_map(of_kind).min()
}

/// Every target of a link in a document.
#[cfg(test)]
pub fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, end)) = next_link(rest) {
        found.push(&rest[at..end]);
        rest = &rest[end..];
    }
    found
}

/// Whether a target is a file and not a page of the web or a place in the document.
pub fn is_file(target: &str) -> bool {
    let is_word = !target.is_empty() && !target.contains([' ', '\n']);
    is_word && !target.starts_with('#') && !target.contains(':')
}

fn changed(
    target: &str,
    path: &str,
    to: &str,
    place_of: &impl Fn(&str) -> Option<String>,
) -> Result<String> {
    if !is_file(target) {
        return Ok(target.to_owned());
    }
    let (file, part) = match target.split_once('#') {
        Some((file, part)) => (file, format!("#{part}")),
        None => (target, String::new()),
    };
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let wanted = plain(&folder.join(file)).with_context(|| {
        format!("{path} has a link to {file}, which is outside of the repository")
    })?;
    let there = host::root().join(&wanted);
    ensure!(
        there.exists(),
        "{path} has a link to {file}: looked for {wanted} in the repository, there is no such file"
    );
    Ok(match place_of(&wanted) {
        Some(place) => format!("{}{part}", seen_from(to, &place)),
        None => {
            let kind = if there.is_dir() { "tree" } else { "blob" };
            format!("{HOMEPAGE}/{kind}/v{VERSION}/{wanted}{part}")
        }
    })
}

/// A path without `.` and `..`, if it stays below its root.
fn plain(path: &Path) -> Option<String> {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir if parts.pop() => {}
            _ => return None,
        }
    }
    Some(parts.to_str()?.to_owned())
}

/// The path of `place` as a relative link in the file `from`.
fn seen_from(from: &str, place: &str) -> String {
    let from: Vec<&str> = from.split('/').collect();
    let place: Vec<&str> = place.split('/').collect();
    let folders = from.len().saturating_sub(1);
    let pairs = from.iter().zip(&place).take(folders);
    let same = pairs.take_while(|(one, other)| one == other).count();
    let up = "../".repeat(folders.saturating_sub(same));
    let down = place.get(same..).unwrap_or_default().join("/");
    format!("{up}{down}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_their_files() {
        let text = "[a](docs/reboot.md#at) [b](https://x.org/a.md) [c](#here) [d](xtask/src/main.rs)\n\
                    <img src=\"docs/downtime.svg\"> [e](CHANGELOG.md) [f](crates)";
        let to = "usr/share/doc/kexec-rs/README.md";
        let place_of = |path: &str| installed_at(PackageKind::Rpm, path);
        let tag = format!("v{VERSION}");
        assert_eq!(
            with_links(text, "README.md", to, place_of).unwrap(),
            format!(
                "[a](reboot.md#at) [b](https://x.org/a.md) [c](#here) \
                 [d]({HOMEPAGE}/blob/{tag}/xtask/src/main.rs)\n\
                 <img src=\"downtime.svg\"> [e](changelog.gz) [f]({HOMEPAGE}/tree/{tag}/crates)"
            )
        );
        let text = "[a](../dist/sysvinit/kexec) [b](style.md)";
        let to = "usr/share/doc/kexec-rs/x/reboot.md";
        assert_eq!(
            with_links(text, "docs/reboot.md", to, place_of).unwrap(),
            "[a](../examples/sysvinit/kexec) [b](../style.md)"
        );
        for (text, said) in [
            ("[a](no.md)", "no such file"),
            ("[a](../../x.md)", "outside"),
        ] {
            let error = with_links(text, "docs/a.md", "x", place_of).unwrap_err();
            assert!(error.to_string().contains(said), "{error:#}");
        }
    }
}
