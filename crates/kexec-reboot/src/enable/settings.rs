//! What a feature can be told when it is switched on, and where that is kept.

use std::path::Path;

use kexec_machine::{Problem, Tree};

use super::{Feature, is_ours};
use super::{FileChange, LARGEST, There, apply, exists, look, marked};
use crate::conf::{self, PATH as CONF};
use crate::preload::cold_every::{self, ColdEvery};

/// Where node_exporter's textfile collector reads, as Debian has it.
pub const TEXTFILES: &str = "/var/lib/prometheus/node-exporter";

/// The name of our file there.
const METRICS: &str = "kexec.prom";

/// Names another folder for the unit.
const TEXTFILES_DROP_IN: &str = "/etc/systemd/system/kexec-metrics.service.d/50-textfiles.conf";

/// The variable of the unit that has the folder.
const VARIABLE: &str = "KEXEC_TEXTFILES";

/// What `kexec enable` was told beside the feature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--cold-every`: which reboots go through the firmware; `None` leaves it as it is.
    pub cold_every: Option<ColdEvery>,
    /// `--textfile-dir`: where metrics are written; `None` leaves it as it is.
    pub textfiles: Option<String>,
}

impl Settings {
    /// What switching the feature on changes because of them.
    ///
    /// # Errors
    /// What is in the way, and is not ours; a folder that cannot be written to a unit.
    pub fn changes(&self, root: &Path, feature: &Feature) -> Result<Vec<FileChange>, Problem> {
        let mut changes = Vec::new();
        match (feature.name, self.cold_every, &self.textfiles) {
            ("preload", Some(every), _) => changes.extend(conf_change(root, every)?),
            ("metrics", _, Some(folder)) => changes.extend(drop_in(root, folder)?),
            _ => {}
        }
        for path in files(feature) {
            changes.extend(leftovers(root, path, &changes));
        }
        Ok(changes)
    }
}

/// What switching a feature off removes of them, and of what it has written.
pub fn removals(root: &Path, feature: &Feature) -> Vec<FileChange> {
    let mut changes = Vec::new();
    if feature.name == "metrics" {
        let path = format!("{}/{METRICS}", folder(root));
        // What is exported from there would be of yesterday, and for ever.
        if is_metrics(root, &path) {
            changes.push(FileChange::Remove { path });
        }
    }
    for path in files(feature) {
        let shared = *path == CONF && has_others(root);
        if is_ours(&Tree::new(root), path) && !shared {
            changes.push(FileChange::Remove {
                path: (*path).to_owned(),
            });
        }
        changes.extend(leftovers(root, path, &changes));
    }
    changes
}

/// The beginning of a file; nothing where it cannot be read.
fn text(root: &Path, path: &str) -> String {
    let bytes = Tree::new(root).read(path, LARGEST).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The folder into which metrics are written on the machine below `root`.
pub fn folder(root: &Path) -> String {
    let text = text(root, TEXTFILES_DROP_IN);
    let prefix = format!("Environment={VARIABLE}=");
    let named = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(&prefix));
    named.unwrap_or(TEXTFILES).to_owned()
}

/// The files in which a feature keeps them.
fn files(feature: &Feature) -> &'static [&'static str] {
    match feature.name {
        "preload" => &[CONF],
        "metrics" => &[TEXTFILES_DROP_IN],
        _ => &[],
    }
}

/// Whether the file has settings that `kexec enable` does not write.
fn has_others(root: &Path) -> bool {
    conf::read(root).is_ok_and(|conf| conf.unpack.is_some())
}

fn conf_change(root: &Path, every: ColdEvery) -> Result<Option<FileChange>, Problem> {
    let refused = |why: String| {
        let wanted = match every {
            ColdEvery::Never => 0,
            ColdEvery::Every(every) => every,
        };
        Problem::new(
            format!("writing --cold-every to {CONF}"),
            why,
            format!("write `cold-every = {wanted}` there, and leave the option out"),
        )
    };
    let there = match look(&Tree::new(root), CONF) {
        There::Ours { .. } if has_others(root) => {
            There::Foreign("has other settings, too".to_owned())
        }
        there => there,
    };
    match (there, every) {
        (There::Nothing, ColdEvery::Never) => Ok(None),
        (There::Ours { .. }, ColdEvery::Never) => Ok(Some(FileChange::Remove {
            path: CONF.to_owned(),
        })),
        (There::Foreign(what), every) => {
            let wanted = match every {
                ColdEvery::Never => None,
                ColdEvery::Every(every) => Some(every),
            };
            // Somebody keeps it, and it says so already.
            match conf::read(root) {
                Ok(conf) if conf.cold_every == wanted => Ok(None),
                _ => Err(refused(format!("the file {what}"))),
            }
        }
        (there, ColdEvery::Every(every)) => {
            Ok(write(there, CONF, &marked(&cold_every::text(every))))
        }
    }
}

fn drop_in(root: &Path, folder: &str) -> Result<Option<FileChange>, Problem> {
    let refused = |why: String, remedy: &str| {
        let what = format!("writing metrics to the folder {folder:?}");
        Err(Problem::new(what, why, remedy))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    if !folder.starts_with('/') || !folder.chars().all(plain) {
        return refused(
            "it is not a whole path of plain characters".to_owned(),
            "name the folder from / on, with letters, digits and ._+- only",
        );
    }
    let folder = folder.trim_end_matches('/');
    let there = look(&Tree::new(root), TEXTFILES_DROP_IN);
    if let There::Foreign(what) = &there {
        return refused(
            format!("{TEXTFILES_DROP_IN} {what}"),
            "move it away, or give it another name",
        );
    }
    let text = marked(&format!("[Service]\nEnvironment={VARIABLE}={folder}\n"));
    Ok(write(there, TEXTFILES_DROP_IN, &text))
}

/// Writes a file of ours, unless it has that text already.
fn write(there: There, path: &str, text: &str) -> Option<FileChange> {
    const MODE: u32 = 0o644;
    match there {
        There::Ours { bytes, mode } if bytes == text.as_bytes() && mode == MODE => None,
        _ => Some(FileChange::Write {
            path: path.to_owned(),
            text: text.to_owned(),
            mode: MODE,
        }),
    }
}

/// What one that was killed has left beside a file that is not changed now.
fn leftovers(root: &Path, path: &str, changes: &[FileChange]) -> Vec<FileChange> {
    if changes.iter().any(|change| change.path() == path) {
        return Vec::new();
    }
    let beside = [apply::new_name(path), apply::old_name(path)].into_iter();
    beside
        .filter(|path| exists(&Tree::new(root), path))
        .map(|path| FileChange::Remove { path })
        .collect()
}

/// Whether a file is what `kexec metrics` writes.
fn is_metrics(root: &Path, path: &str) -> bool {
    text(root, path).starts_with("# HELP kexec_")
}

#[cfg(test)]
mod tests {
    use super::super::feature;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn below(root: &Path, path: &str) -> PathBuf {
        root.join(path.trim_start_matches('/'))
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = below(root, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn carry_out(root: &Path, name: &str, changes: &[FileChange]) {
        apply(root, feature(name).unwrap(), changes).unwrap();
    }

    fn every(every: u64) -> Settings {
        Settings {
            cold_every: Some(ColdEvery::Every(every)),
            ..Settings::default()
        }
    }

    #[test]
    fn the_number_is_written_changed_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "/etc/hostname", "x");
        let preload = feature("preload").unwrap();
        assert_eq!(Settings::default().changes(root, preload), Ok(vec![]));
        assert_eq!(
            every(2).changes(root, feature("refresh").unwrap()),
            Ok(vec![])
        );
        for number in [10, 3] {
            let changes = every(number).changes(root, preload).unwrap();
            assert_eq!(changes.len(), 1);
            carry_out(root, "preload", &changes);
            assert_eq!(
                conf::read(root).map(|conf| conf.cold_every),
                Ok(Some(number))
            );
            assert_eq!(every(number).changes(root, preload), Ok(vec![]));
        }
        let never = Settings {
            cold_every: Some(ColdEvery::Never),
            ..Settings::default()
        };
        // Switching it off, and saying never, take the same file away.
        let removed = never.changes(root, preload).unwrap();
        assert_eq!(removed, removals(root, preload));
        carry_out(root, "preload", &removed);
        assert_eq!(conf::read(root).map(|conf| conf.cold_every), Ok(None));
        assert_eq!(
            (never.changes(root, preload), removals(root, preload)),
            (Ok(vec![]), vec![])
        );
    }

    #[test]
    fn a_file_of_the_administrator_stays() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), CONF, "cold-every = 5\n");
        let preload = feature("preload").unwrap();
        assert_eq!(every(5).changes(root.path(), preload), Ok(vec![]));
        let problem = every(6).changes(root.path(), preload).unwrap_err();
        assert!(problem.remedy.contains("`cold-every = 6`"), "{problem:?}");
        assert_eq!(removals(root.path(), preload), []);
    }

    /// A line that somebody added to a file of ours is not lost with the rest of it.
    #[test]
    fn other_settings_stay() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, CONF, &marked("cold-every = 5\nunpack = never\n"));
        let preload = feature("preload").unwrap();
        assert_eq!(every(5).changes(root, preload), Ok(vec![]));
        let problem = every(6).changes(root, preload).unwrap_err();
        assert!(problem.why.contains("has other settings"), "{problem:?}");
        assert_eq!(removals(root, preload), []);
    }

    #[test]
    fn another_folder_of_the_collector() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "/etc/systemd/system/x", "");
        let metrics = feature("metrics").unwrap();
        assert_eq!(folder(root), TEXTFILES);
        let to = |folder: &str| Settings {
            textfiles: Some(folder.to_owned()),
            ..Settings::default()
        };
        for wrong in ["relative", "/a b", "/a%i", "/a\nExecStart=/b", ""] {
            assert!(to(wrong).changes(root, metrics).is_err(), "{wrong:?}");
        }
        carry_out(
            root,
            "metrics",
            &to("/srv/textfiles/").changes(root, metrics).unwrap(),
        );
        assert_eq!(folder(root), "/srv/textfiles");
        assert_eq!(to("/srv/textfiles").changes(root, metrics), Ok(vec![]));
        // What was written there goes, too; a file of somebody else does not.
        put(root, "/srv/textfiles/kexec.prom", "node_load1 1\n");
        assert_eq!(removals(root, metrics).len(), 1);
        put(root, "/srv/textfiles/kexec.prom", "# HELP kexec_loaded x\n");
        carry_out(root, "metrics", &removals(root, metrics));
        assert_eq!(
            (removals(root, metrics), folder(root)),
            (vec![], TEXTFILES.to_owned())
        );
        assert!(!below(root, "/srv/textfiles/kexec.prom").exists());
    }
}
