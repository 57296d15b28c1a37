//! Switching features on and off: which files are written and removed is
//! planned first, from what is there; then it is done, or taken back.

mod apply;
mod beside;
mod files;
mod parts;
mod place;
mod program;
pub mod settings;
pub mod switch;
#[cfg(test)]
mod tests;

use crate::arrival::{Exitrd, ExitrdJump};
use std::path::Path;

use kexec_machine::{Problem, Tree, open};
use kexec_sys::in_words;
use rustix::fs::FileType;
use serde::Serialize;

pub use apply::apply;
pub use beside::{CRASH_UNITS, crash_loader};
pub use parts::{FEATURES, Feature, FeatureFile, FeatureUnit};
pub use place::{Image, Place, one_at_a_time};
pub use program::{Quoting, trusted};
pub use settings::Settings;

/// Marks files that we wrote, so that only those are changed and removed. It stands at
/// the top, so that what is left of a file that was cut off still has it.
const MARK: &str = "# Written by `kexec enable`; `kexec disable` removes it.\n";

/// More than any file that we write has, in bytes.
const LARGEST: u64 = 64 << 10;

/// One change of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// A file is written, over one of ours or where none is.
    Write {
        /// Where it is written.
        path: String,
        /// What is in it.
        text: String,
        /// The permissions that it gets.
        mode: u32,
    },
    /// A link is made.
    Link {
        /// Where the link is made.
        path: String,
        /// The unit that it leads to.
        to: String,
    },
    /// A file or link is removed.
    Remove {
        /// Where it is now.
        path: String,
    },
}

impl FileChange {
    /// In one line for people.
    pub fn text(&self) -> String {
        match self {
            FileChange::Write { path, .. } => format!("writes {path}"),
            FileChange::Link { path, to } => format!("links {path} to {to}"),
            FileChange::Remove { path } => format!("removes {path}"),
        }
    }

    /// The unit whose start at boot is taken away.
    pub fn link(&self) -> Option<&str> {
        match self {
            FileChange::Remove { path } => {
                let mut folders = [parts::WANTS, parts::TIMERS].into_iter();
                folders.find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'))
            }
            FileChange::Write { .. } | FileChange::Link { .. } => None,
        }
    }

    fn path(&self) -> &str {
        match self {
            FileChange::Write { path, .. }
            | FileChange::Link { path, .. }
            | FileChange::Remove { path } => path,
        }
    }
}

/// The feature of that name.
pub fn feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

/// Whether a feature is on.
pub fn is_enabled(root: &Path, feature: &Feature) -> bool {
    let tree = Tree::new(root);
    match feature.units.first() {
        Some(unit) => exists(&tree, &link(unit)),
        None => feature.files.iter().any(|part| is_ours(&tree, part.path)),
    }
}

/// The names of the features that are on.
pub fn enabled(root: &Path) -> Vec<&'static str> {
    let on = FEATURES.iter().filter(|feature| is_enabled(root, feature));
    on.map(|feature| feature.name).collect()
}

fn link(unit: &FeatureUnit) -> String {
    format!("{}/{}", unit.wants, unit.name)
}

/// Where a package has a unit, if one is installed.
fn packaged_unit(tree: &Tree, name: &str) -> Option<String> {
    let mut places = parts::PACKAGED_UNITS.iter();
    places.find_map(|folder| Some(format!("{folder}/{name}")).filter(|path| tree.has(path)))
}

/// The text with the mark at its top, but behind the `#!` of a script.
fn marked(text: &str) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => format!("{first}\n{MARK}{rest}"),
        _ => format!("{MARK}{text}"),
    }
}

/// What is at a place that we write to.
enum There {
    Nothing,
    /// A file of ours, whole or not.
    Ours {
        bytes: Vec<u8>,
        mode: u32,
    },
    /// Somebody else's, and what it is.
    Foreign(String),
}

fn look(tree: &Tree, path: &str) -> There {
    let found = match tree.stat_itself(path) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return There::Nothing,
        Err(e) => return There::Foreign(format!("cannot be examined: {}", in_words(e))),
    };
    if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
        let to = tree.link(path).unwrap_or_default();
        return There::Foreign(match to == Path::new("/dev/null") {
            true => "is masked (a link to /dev/null)".to_owned(),
            false => format!("is a link to {}", to.display()),
        });
    }
    if open::not_regular(&found).is_some() {
        return There::Foreign("is not a regular file".to_owned());
    }
    match tree.read(path, LARGEST) {
        Err(e) => There::Foreign(format!("cannot be read: {}", in_words(e))),
        Ok(bytes) if is_marked(&bytes) => There::Ours {
            bytes,
            mode: found.st_mode & 0o7777,
        },
        Ok(_) => There::Foreign("was not written by kexec enable".to_owned()),
    }
}

/// Whether something, and be it a link to nothing, is at a path.
fn exists(tree: &Tree, path: &str) -> bool {
    tree.stat_itself(path).is_ok()
}

/// Whether a file is one that we wrote, or what a crash left of one: nothing, zeros, or
/// less than the mark. (An empty unit file would be a masked unit; nobody masks one so
/// who has systemctl(1), which makes a link.)
fn is_marked(bytes: &[u8]) -> bool {
    let mark = MARK.trim_end().as_bytes();
    let written = bytes.iter().rposition(|byte| *byte != 0);
    let rest = written.and_then(|last| bytes.get(..=last)).unwrap_or(&[]);
    let script = [b"#!/bin/sh\n", mark].concat();
    bytes.split(|byte| *byte == b'\n').any(|line| line == mark)
        || mark.starts_with(rest)
        || (rest.len() > b"#!/bin/sh\n".len() && script.starts_with(rest))
}

fn is_ours(tree: &Tree, path: &str) -> bool {
    matches!(look(tree, path), There::Ours { .. })
}

/// Why this machine does not need a feature, where that is so: its next shutdown
/// image jumps without help, or there will be none.
pub fn not_needed(
    root: &Path,
    feature: &Feature,
    exitrd: impl FnOnce() -> Exitrd,
) -> Option<String> {
    if feature.name != "exitrd" || is_enabled(root, feature) {
        return None;
    }
    match exitrd() {
        Exitrd::None => Some("no shutdown image is made on this machine".into()),
        Exitrd::Used {
            jump: ExitrdJump::Yes { by },
            because,
            ..
        } => Some(format!("{because}, and {by}")),
        Exitrd::Used { .. } => None,
    }
}

/// What switching a feature on changes; nothing when it is on already, and whole.
/// `program` is where this program is.
///
/// # Errors
/// What is in the way, and is not ours.
pub fn enable(root: &Path, feature: &Feature, program: &str) -> Result<Vec<FileChange>, Problem> {
    let tree = &Tree::new(root);
    let mut changes = Vec::new();
    let mut links = Vec::new();
    let refused = |why, remedy| Problem::new(format!("switching {} on", feature.name), why, remedy);
    let foreign = |path: &str, what: &str| {
        let remedy = match what.starts_with("is masked") {
            true => "`systemctl unmask` it first",
            false => "move it away, or move its content to a drop-in with another name",
        };
        refused(format!("{path} {what}"), remedy)
    };
    let mut write = |path: &str, text: &str, mode: u32, syntax: Quoting| {
        let Some(text) = program::naming(text, program, syntax) else {
            return Err(refused(
                format!("the path {program:?} cannot be written into {path}"),
                "put this program where its path has no such characters, for example \
                 /usr/local/sbin/kexec",
            ));
        };
        let text = marked(&text);
        match look(tree, path) {
            There::Foreign(what) => return Err(foreign(path, &what)),
            There::Ours { bytes, mode: is } if bytes == text.as_bytes() && is == mode => {}
            There::Nothing | There::Ours { .. } => changes.push(FileChange::Write {
                path: path.to_owned(),
                text,
                mode,
            }),
        }
        Ok(())
    };
    let mut superseded = Vec::new();
    for unit in feature.units {
        let own = format!("{}/{}", parts::OWN_UNITS, unit.name);
        let to = match packaged_unit(tree, unit.name) {
            Some(path) => {
                // From before the package was installed: it would stand over the unit.
                if is_ours(tree, &own) {
                    superseded.push(FileChange::Remove { path: own });
                }
                path
            }
            None => {
                write(&own, unit.text, 0o644, Quoting::Unit)?;
                own
            }
        };
        links.push((link(unit), to));
    }
    for part in feature.files.iter().chain(feature.hooks) {
        let wanted = part.with.is_none_or(|with| tree.has(with));
        if wanted && !is_packaged(tree, part) {
            write(part.path, part.text, part.mode, part.syntax)?;
        }
    }
    changes.extend(superseded);
    for (path, to) in links {
        match look(tree, &path) {
            There::Foreign(what) if !what.starts_with("is a link") => {
                return Err(foreign(&path, &what));
            }
            _ if tree.link(&path).is_ok_and(|is| is == Path::new(&to)) => {}
            _ => changes.push(FileChange::Link { path, to }),
        }
    }
    changes.extend(leftovers(tree, feature, &changes));
    Ok(changes)
}

/// Whether a package brings this file along. Where it has the very path that we write
/// to, an empty file there is what the administrator made of the package's.
fn is_packaged(tree: &Tree, part: &FeatureFile) -> bool {
    let Some(path) = part.packaged.filter(|path| tree.has(path)) else {
        return false;
    };
    let mut units = FEATURES.iter().flat_map(|feature| feature.units);
    let package = units.any(|unit| packaged_unit(tree, unit.name).is_some());
    match look(tree, path) {
        There::Ours { bytes, .. } => package && !bytes.windows(MARK.len()).any(is_mark),
        There::Foreign(_) => true,
        There::Nothing => false,
    }
}

fn is_mark(bytes: &[u8]) -> bool {
    bytes == MARK.as_bytes()
}

/// What one that was killed has left beside its files; a change at such a place takes
/// its own along.
fn leftovers(tree: &Tree, feature: &Feature, changes: &[FileChange]) -> Vec<FileChange> {
    let changed = |path: &String| changes.iter().any(|change| change.path() == path);
    let paths = places(feature).into_iter().filter(|path| !changed(path));
    let beside = paths.flat_map(|path| [apply::new_name(&path), apply::old_name(&path)]);
    beside
        .filter(|path| exists(tree, path))
        .map(|path| FileChange::Remove { path })
        .collect()
}

/// Every place that a feature may write to.
fn places(feature: &Feature) -> Vec<String> {
    let units = feature.units.iter();
    let units = units.flat_map(|unit| [format!("{}/{}", parts::OWN_UNITS, unit.name), link(unit)]);
    let parts = feature.files.iter().chain(feature.hooks);
    units
        .chain(parts.map(|part| part.path.to_owned()))
        .collect()
}

/// What switching a feature off changes. What another feature that is on needs,
/// stays.
pub fn disable(root: &Path, feature: &Feature) -> Vec<FileChange> {
    let tree = &Tree::new(root);
    let needed = needed_elsewhere(root, feature);
    let mut changes = Vec::new();
    let mut remove = |path: String| changes.push(FileChange::Remove { path });
    for unit in feature.units {
        if needed.contains(&unit.name) {
            continue;
        }
        let link = link(unit);
        if exists(tree, &link) {
            remove(link);
        }
        let own = format!("{}/{}", parts::OWN_UNITS, unit.name);
        if is_ours(tree, &own) {
            remove(own);
        }
    }
    let others = enabled_beside(root, feature);
    let shared = |part: &FeatureFile| {
        let mut hooks = others.iter().flat_map(|other| other.hooks);
        hooks.any(|hook| hook.path == part.path)
    };
    for part in feature.files.iter().chain(feature.hooks) {
        if is_ours(tree, part.path) && !is_packaged(tree, part) && !shared(part) {
            remove(part.path.to_owned());
        }
    }
    changes.extend(leftovers(tree, feature, &changes));
    changes
}

/// The other features that are on.
fn enabled_beside(root: &Path, feature: &Feature) -> Vec<&'static Feature> {
    let others = FEATURES.iter();
    let others = others.filter(|other| other.name != feature.name && is_enabled(root, other));
    others.collect()
}

/// The units of a feature that another one needs, which is on.
pub fn needed_elsewhere(root: &Path, feature: &Feature) -> Vec<&'static str> {
    let others = enabled_beside(root, feature).into_iter();
    // The first unit is a feature's own; the others are what it needs besides.
    let needed = others.flat_map(|other| other.units.iter().skip(1));
    needed.map(|unit| unit.name).collect()
}
