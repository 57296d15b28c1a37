//! No circle between the modules at the top of a crate. Within the folder of one of
//! them its files may use each other.

use super::source::{self, NamedPath};
use super::{Crate, packages};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// The modules at the top of a crate: from, to, and a place where the one names the
/// other.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// A source file.
struct SourceFile {
    /// Below `src`.
    path: PathBuf,
    /// From the root of the crate on.
    module: Vec<String>,
    text: String,
}

/// The module of a file below `src`.
fn module(path: &Path) -> Vec<String> {
    let mut module: Vec<String> = path
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod")) {
        module.pop();
    }
    if module == ["lib"] || module == ["main"] {
        module.clear();
    }
    module
}

/// Every file of a crate, without other programs that it has.
fn files(package: &Crate) -> Vec<SourceFile> {
    let src = package.folder.join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path != src.join("bin") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&src).unwrap().to_owned();
                let module = module(&path);
                files.push(SourceFile { path, module, text });
            }
        }
    }
    files.sort_by(|one, two| one.path.cmp(&two.path));
    files
}

fn arrows(files: &[SourceFile]) -> Arrows {
    let test_only: Vec<Vec<String>> = files
        .iter()
        .flat_map(|file| {
            let names = source::test_modules(&file.text);
            names.into_iter().map(|name| {
                let mut module = file.module.clone();
                module.push(name);
                module
            })
        })
        .collect();
    let tops: BTreeSet<&String> = files
        .iter()
        .filter_map(|file| file.module.first())
        .collect();
    // What the root brings in under a name of its own: `pub use lab::Lab`.
    let aliases: BTreeMap<String, String> = files
        .iter()
        .filter(|file| file.module.is_empty())
        .flat_map(|file| source::imports_of_root(&source::tokens(&file.text)))
        .filter_map(|NamedPath { path, alias }| {
            let top = path.into_iter().next()?;
            tops.contains(&top).then_some((alias, top))
        })
        .collect();
    let mut arrows = Arrows::new();
    for file in files {
        let Some(from) = file.module.first() else {
            continue;
        };
        if test_only
            .iter()
            .any(|module| file.module.starts_with(module))
        {
            continue;
        }
        for named in source::named(&source::tokens(&file.text), &file.module) {
            let Some(name) = named.path.first() else {
                continue;
            };
            let to = match aliases.get(name) {
                Some(top) => top,
                None if tops.contains(name) => name,
                None => continue,
            };
            if to != from {
                let place = format!("{}: {}", file.path.display(), named.path.join("::"));
                let places = arrows.entry(from.clone()).or_default();
                places.entry(to.clone()).or_insert(place);
            }
        }
    }
    arrows
}

/// The shortest way along the arrows, both ends included.
fn way(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([vec![from.to_owned()]]);
    let mut seen = BTreeSet::from([from.to_owned()]);
    while let Some(path) = queue.pop_front() {
        let last = path.last()?;
        if last == to {
            return Some(path);
        }
        for next in arrows.get(last).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                let mut longer = path.clone();
                longer.push(next.clone());
                queue.push_back(longer);
            }
        }
    }
    None
}

/// The circles in a crate with these arrows.
fn circles(arrows: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for (from, to_all) in arrows {
        for to in to_all.keys() {
            let Some(back) = way(arrows, to, from) else {
                continue;
            };
            // Each circle once, by the modules on it.
            if !told.insert(back.iter().cloned().collect::<BTreeSet<_>>()) {
                continue;
            }
            let mut text = format!("a circle: {from}");
            let mut last = from;
            for next in &back {
                text.push_str(&format!(" → {next} ({})", arrows[last][next]));
                last = next;
            }
            found.push(text);
        }
    }
    found
}

#[test]
fn no_circle_between_the_modules_of_a_crate() {
    let packages = packages();
    let mut found = Vec::new();
    let mut count = 0;
    for package in &packages {
        let arrows = arrows(&files(package));
        count += arrows.values().map(BTreeMap::len).sum::<usize>();
        found.extend(
            circles(&arrows)
                .into_iter()
                .map(|one| format!("{}: {one}", package.name)),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(
        count > 100,
        "found only {count} arrows: is the scan broken?"
    );
}

#[test]
fn a_circle_is_shown_with_its_places() {
    let file = |path: &str, text: &str| SourceFile {
        path: PathBuf::from(path),
        module: module(Path::new(path)),
        text: text.to_owned(),
    };
    let files = [
        file("lib.rs", "mod a; mod b; mod c; pub use c::Name;"),
        file(
            "a/mod.rs",
            "mod deep; #[cfg(test)] mod only; use crate::b::X;",
        ),
        file("a/deep.rs", "use super::Y; fn f() { super::super::b::g() }"),
        file("a/only.rs", "use crate::c::Z;"),
        file("b.rs", "use crate::Name;"),
        file("c.rs", "#[cfg(test)] mod tests { use crate::a; }"),
    ];
    let mut arrows = arrows(&files);
    assert_eq!(circles(&arrows), [""; 0]);
    let places = BTreeMap::from([("a".to_owned(), "c.rs: a".to_owned())]);
    arrows.insert("c".to_owned(), places);
    assert_eq!(
        circles(&arrows),
        ["a circle: a → b (a/mod.rs: b::X) → c (b.rs: Name) → a (c.rs: a)"]
    );
}
