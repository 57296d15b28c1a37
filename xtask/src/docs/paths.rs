//! Whether the guides for contributors tell the truth: the files and folders that they
//! name are there, and so are the items that a row of a table says are in them.

use crate::host;
use std::fs;
use std::path::{Path, PathBuf};

/// The guides.
const GUIDES: &[&str] = &["CONTRIBUTING.md", "docs/architecture.md"];

/// Folders that are made, and not part of the repository.
const MADE: &[&str] = &["target"];

/// The names of a line between backticks, and the targets of its links.
fn names(line: &str) -> Vec<&str> {
    let code = line.split('`').skip(1).step_by(2);
    let links = line.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    code.chain(links).collect()
}

/// Whether a name is a path of the repository: words with a slash between or behind
/// them. `/boot/vmlinuz` is one of a machine.
fn is_path(name: &str) -> bool {
    let made = MADE
        .iter()
        .any(|folder| Path::new(name).starts_with(folder));
    let usual = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    name.contains('/') && !name.starts_with('/') && !made && name.chars().all(usual)
}

/// The path up to the part that stands for any name, such as `NAME.rs`.
fn known_part(path: &str) -> PathBuf {
    let any = |part: &&str| !part.starts_with("NAME");
    path.split('/').take_while(any).collect()
}

/// The word by which an item is found in a source: `ALL` for `Arch::ALL`.
fn item(name: &str) -> Option<&str> {
    let name = name.strip_prefix("enum ").unwrap_or(name);
    let name = name.strip_suffix('!').unwrap_or(name);
    let word = name.rsplit("::").next().unwrap_or(name);
    let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!word.is_empty() && word.chars().all(usual)).then_some(word)
}

/// Whether a word is in a file, or in one below a folder. Links are not followed: those
/// of a machine that is described lead anywhere.
fn holds(path: &Path, word: &str) -> bool {
    let kind = fs::symlink_metadata(path).unwrap().file_type();
    if kind.is_dir() {
        let mut entries = fs::read_dir(path).unwrap();
        return entries.any(|entry| holds(&entry.unwrap().path(), word));
    }
    if !kind.is_file() {
        return false;
    }
    let text = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text);
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// What of a guide is not there, each with the number of its line. A path is from the
/// root on; or from `crates` on; or below the folder of a crate, or of another path,
/// that the same line names before it. An item is in one of the paths of its row.
fn missing(root: &Path, guide: &str, text: &str) -> Vec<String> {
    let guide_folder = root.join(guide).parent().unwrap().to_owned();
    let crates = root.join("crates");
    let mut missing = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut bases = vec![root.to_owned(), guide_folder.clone(), crates.clone()];
        let (mut paths, mut items) = (Vec::new(), Vec::new());
        for name in names(line) {
            if is_path(name) {
                let known = known_part(name);
                let mut places = bases.iter().map(|base| base.join(&known));
                let Some(found) = places.find(|path| path.exists()) else {
                    missing.push(format!("{guide}:{number}: {name}"));
                    continue;
                };
                let above = found.ancestors().map(Path::to_owned);
                bases.extend(above.take_while(|p| p != root && p.starts_with(root)));
                paths.push(found);
                continue;
            }
            let folders = [crates.join(name), root.join(name)];
            let of_crate = folders.iter().find(|f| f.join("Cargo.toml").is_file());
            match of_crate.filter(|_| !name.is_empty()) {
                Some(folder) => bases.push(folder.clone()),
                None => items.extend(item(name)),
            }
        }
        if !line.starts_with('|') || paths.is_empty() {
            continue;
        }
        let nowhere = items
            .iter()
            .filter(|item| !paths.iter().any(|path| holds(path, item)));
        missing.extend(nowhere.map(|item| format!("{guide}:{number}: {item}")));
    }
    missing
}

#[test]
fn what_the_guides_name_is_there() {
    let root = host::root();
    let mut found = 0;
    for guide in GUIDES {
        let text = fs::read_to_string(root.join(guide)).unwrap();
        let named = text.lines().flat_map(names);
        found += named.filter(|name| is_path(name)).count();
        let missing = missing(root, guide, &text);
        assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
    }
    assert!(found > 80, "only {found} paths");
}

#[test]
fn what_is_not_there_is_found() {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("crates/one/Cargo.toml", ""),
        ("crates/one/src/a/mod.rs", "const LIST: &[Row] = &[];"),
        ("docs/x.md", ""),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let text = "`crates/one/src/a/mod.rs`, `a/mod.rs`, `one/src/`, [x](docs/x.md)\n\
                `one` | `src/a/NAME.rs`, `/boot/x`, `target/x`, `a b/c`, `f(x)/2`\n\
                `src/a/`\n\
                `one` | `src/b/NAME.rs`, [y](docs/y.md), `crates/NAME/src`\n\
                `b/mod.rs`, `crates/one/src/a/` | `a/b.rs`\n\
                | `crates/one/src/` | `LIST`, `enum Row`, `a::LISTS`, `a b` |";
    assert_eq!(
        missing(root.path(), "guide.md", text),
        [
            "guide.md:3: src/a/",
            "guide.md:4: src/b/NAME.rs",
            "guide.md:4: docs/y.md",
            "guide.md:5: b/mod.rs",
            "guide.md:5: a/b.rs",
            "guide.md:6: LISTS"
        ]
    );
}
