//! Switching features on and off: which files are written and removed is
//! planned first, from what is there; then it is done, or taken back.

mod parts;

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use parts::{FEATURES, Feature, Part, Unit};

/// Marks files that we wrote, so that only those are removed.
const MARK: &str = "# Written by `kexec enable`; `kexec disable` removes it.\n";

/// The program as the texts of `dist/` name it.
const PROGRAM: &str = "/usr/sbin/kexec";

/// One change of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A file is written.
    Write {
        /// Which.
        path: String,
        /// What is in it.
        text: String,
        /// Its mode.
        mode: u32,
    },
    /// A link is made.
    Link {
        /// Which.
        path: String,
        /// Where it leads.
        to: String,
    },
    /// A file or link is removed.
    Remove {
        /// Which.
        path: String,
    },
}

impl Change {
    /// In one line for people.
    pub fn text(&self) -> String {
        match self {
            Change::Write { path, .. } => format!("writes {path}"),
            Change::Link { path, to } => format!("links {path} to {to}"),
            Change::Remove { path } => format!("removes {path}"),
        }
    }

    /// The unit whose start at boot is taken away.
    pub fn link(&self) -> Option<&str> {
        match self {
            Change::Remove { path } => path.strip_prefix(parts::WANTS)?.strip_prefix('/'),
            Change::Write { .. } | Change::Link { .. } => None,
        }
    }

    fn path(&self) -> &str {
        match self {
            Change::Write { path, .. } | Change::Link { path, .. } | Change::Remove { path } => {
                path
            }
        }
    }
}

/// The feature of that name.
pub fn feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

/// Whether a feature is on.
pub fn is_enabled(root: &Path, feature: &Feature) -> bool {
    match feature.units.first() {
        Some(unit) => fs::symlink_metadata(below(root, &link(unit))).is_ok(),
        None => feature.files.iter().any(|part| is_ours(root, part.path)),
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn has(root: &Path, path: &str) -> bool {
    below(root, path).exists()
}

fn link(unit: &Unit) -> String {
    format!("{}/{}", parts::WANTS, unit.name)
}

fn marked(text: &str) -> String {
    format!("{text}{MARK}")
}

/// Whether a file is one that we wrote.
fn is_ours(root: &Path, path: &str) -> bool {
    fs::read(below(root, path)).is_ok_and(|bytes| bytes.ends_with(MARK.as_bytes()))
}

/// What switching a feature on changes; nothing when it is on already. `program`
/// is where this program is.
///
/// # Errors
/// A file that is in the way, and is not ours.
pub fn enable(root: &Path, feature: &Feature, program: &str) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    let mut write = |path: &str, text: &str, mode: u32| {
        let text = marked(text);
        let path_here = below(root, path);
        match fs::read(&path_here) {
            Ok(there) if there == text.as_bytes() => Ok(()),
            Ok(_) if !is_ours(root, path) => Err(path.to_owned()),
            _ => {
                changes.push(Change::Write {
                    path: path.to_owned(),
                    text,
                    mode,
                });
                Ok(())
            }
        }
    };
    let mut links = Vec::new();
    for unit in feature.units {
        let packaged = parts::PACKAGED_UNITS
            .iter()
            .map(|folder| format!("{folder}/{}", unit.name))
            .find(|path| has(root, path));
        let own = format!("{}/{}", parts::OWN_UNITS, unit.name);
        let to = match packaged {
            Some(path) => path,
            None => {
                write(&own, &unit.text.replace(PROGRAM, program), 0o644)?;
                own
            }
        };
        links.push((link(unit), to));
    }
    for part in feature.files.iter().chain(feature.hooks) {
        let wanted = part.with.is_none_or(|with| has(root, with));
        let packaged = part
            .packaged
            .is_some_and(|path| has(root, path) && !is_ours(root, path));
        if wanted && !packaged {
            write(part.path, &part.text.replace(PROGRAM, program), part.mode)?;
        }
    }
    let links = links.into_iter().filter(|(path, to)| {
        fs::read_link(below(root, path)).ok().as_deref() != Some(Path::new(to))
    });
    changes.extend(links.map(|(path, to)| Change::Link { path, to }));
    Ok(changes)
}

/// What switching a feature off changes. What another feature that is on needs,
/// stays.
pub fn disable(root: &Path, feature: &Feature) -> Vec<Change> {
    let others: Vec<&Feature> = FEATURES
        .iter()
        .filter(|other| other.name != feature.name && is_enabled(root, other))
        .collect();
    let mut changes = Vec::new();
    let mut remove = |path: String| changes.push(Change::Remove { path });
    for unit in feature.units {
        // The first unit is a feature's own; the others are what it needs besides.
        let needed = others
            .iter()
            .any(|other| other.units.iter().skip(1).any(|u| u.name == unit.name));
        if needed {
            continue;
        }
        let link = link(unit);
        if fs::symlink_metadata(below(root, &link)).is_ok() {
            remove(link);
        }
        let own = format!("{}/{}", parts::OWN_UNITS, unit.name);
        if is_ours(root, &own) {
            remove(own);
        }
    }
    for part in feature.files.iter().chain(feature.hooks) {
        if is_ours(root, part.path) {
            remove(part.path.to_owned());
        }
    }
    changes
}

/// Does it. When one change fails, those before it are taken back, as far as
/// that goes.
///
/// # Errors
/// The change that failed, with what the system said.
pub fn apply(root: &Path, changes: &[Change]) -> Result<(), (Change, io::Error)> {
    for (done, change) in changes.iter().enumerate() {
        if let Err(e) = carry_out(root, change) {
            for earlier in changes.iter().take(done).rev() {
                if !matches!(earlier, Change::Remove { .. }) {
                    // It did not exist before, or was ours.
                    let _ = fs::remove_file(below(root, earlier.path()));
                }
            }
            return Err((change.clone(), e));
        }
    }
    Ok(())
}

fn carry_out(root: &Path, change: &Change) -> io::Result<()> {
    let path = below(root, change.path());
    if let (Some(folder), false) = (path.parent(), matches!(change, Change::Remove { .. })) {
        fs::create_dir_all(folder)?;
    }
    match change {
        Change::Write { text, mode, .. } => {
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
        }
        Change::Link { to, .. } => {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            symlink(to, &path)
        }
        Change::Remove { .. } => {
            fs::remove_file(&path)?;
            // A folder of drop-ins that is empty now was made for this one.
            if let Some(folder) = path.parent().filter(|f| f.extension().is_some()) {
                let _ = fs::remove_dir(folder);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(below(root.path(), folder)).unwrap();
        }
        root
    }

    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap();
                    found.push(name.to_string_lossy().into_owned());
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn on(root: &Path, name: &str) -> Vec<Change> {
        let changes = enable(root, feature(name).unwrap(), "/usr/local/bin/kexec").unwrap();
        apply(root, &changes).unwrap();
        changes
    }

    fn off(root: &Path, name: &str) {
        apply(root, &disable(root, feature(name).unwrap())).unwrap();
    }

    #[test]
    fn with_the_program_alone_everything_is_written_and_removed() {
        let root = tree(&["/etc/kernel/postinst.d", "/usr/share/initramfs-tools"]);
        let preload = feature("preload").unwrap();
        assert!(!is_enabled(root.path(), preload));
        assert_eq!(on(root.path(), "preload").len(), 7);
        assert!(is_enabled(root.path(), preload));
        assert_eq!(
            files(root.path()),
            [
                "etc/initramfs/post-update.d/zzz-kexec",
                "etc/kernel/postinst.d/zzz-kexec",
                "etc/systemd/system/kexec-preload.service",
                "etc/systemd/system/kexec-refresh.service",
                "etc/systemd/system/multi-user.target.wants/kexec-preload.service",
                "etc/systemd/system/multi-user.target.wants/kexec-refresh.service",
                "etc/systemd/system/systemd-reboot.service.d/50-kexec.conf",
            ]
        );
        let unit = fs::read_to_string(root.path().join("etc/systemd/system/kexec-preload.service"));
        assert!(
            unit.unwrap()
                .contains("ExecStart=/usr/local/bin/kexec preload")
        );
        // Once more changes nothing.
        assert_eq!(on(root.path(), "preload"), []);
        off(root.path(), "preload");
        assert_eq!(files(root.path()), Vec::<String>::new());
        assert!(!is_enabled(root.path(), preload));
    }

    #[test]
    fn what_a_package_brings_stays_the_packages() {
        let root = tree(&[]);
        let put = |path: &str| {
            let path = below(root.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "packaged\n").unwrap();
        };
        put("/usr/lib/systemd/system/kexec-preload.service");
        put("/usr/lib/systemd/system/kexec-refresh.service");
        put("/usr/lib/kernel/install.d/95-kexec.install");
        put("/etc/kernel/postinst.d/zzz-kexec");
        let before = files(root.path());
        let changes = on(root.path(), "preload");
        assert_eq!(changes.len(), 3, "{changes:?}");
        let link = below(
            root.path(),
            "/etc/systemd/system/multi-user.target.wants/kexec-preload.service",
        );
        assert_eq!(
            fs::read_link(link).unwrap(),
            Path::new("/usr/lib/systemd/system/kexec-preload.service")
        );
        off(root.path(), "preload");
        assert_eq!(files(root.path()), before);
    }

    #[test]
    fn what_another_feature_needs_stays() {
        let root = tree(&[]);
        on(root.path(), "preload");
        on(root.path(), "refresh");
        off(root.path(), "refresh");
        assert!(is_enabled(root.path(), feature("preload").unwrap()));
        assert!(is_enabled(root.path(), feature("refresh").unwrap()));
        off(root.path(), "preload");
        assert!(!is_enabled(root.path(), feature("preload").unwrap()));
        assert!(!is_enabled(root.path(), feature("refresh").unwrap()));
        on(root.path(), "refresh");
        assert!(is_enabled(root.path(), feature("refresh").unwrap()));
        assert!(!is_enabled(root.path(), feature("preload").unwrap()));
        off(root.path(), "refresh");
        assert_eq!(files(root.path()), Vec::<String>::new());
    }

    #[test]
    fn shutdown_images_of_what_is_installed() {
        let root = tree(&["/usr/lib/dracut/modules.d"]);
        let exitrd = feature("exitrd").unwrap();
        on(root.path(), "exitrd");
        assert!(is_enabled(root.path(), exitrd));
        assert_eq!(
            files(root.path()),
            [
                "etc/dracut.conf.d/50-kexec.conf",
                "usr/lib/dracut/modules.d/50kexec/module-setup.sh"
            ]
        );
        off(root.path(), "exitrd");
        assert!(!is_enabled(root.path(), exitrd));
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_alone() {
        let root = tree(&["/etc/systemd/system/systemd-reboot.service.d"]);
        let path = "/etc/systemd/system/systemd-reboot.service.d/50-kexec.conf";
        fs::write(below(root.path(), path), "mine\n").unwrap();
        let refused = enable(root.path(), feature("preload").unwrap(), "/usr/sbin/kexec");
        assert_eq!(refused, Err(path.to_owned()));
        assert!(disable(root.path(), feature("preload").unwrap()).is_empty());
    }

    #[test]
    fn a_failure_takes_everything_back() {
        let root = tree(&["/etc/systemd"]);
        // A file where a folder is needed.
        fs::write(below(root.path(), "/etc/kernel"), "").unwrap();
        let changes = [
            Change::Write {
                path: "/etc/systemd/a".into(),
                text: String::new(),
                mode: 0o644,
            },
            Change::Write {
                path: "/etc/kernel/install.d/b".into(),
                text: String::new(),
                mode: 0o644,
            },
        ];
        let (failed, _) = apply(root.path(), &changes).unwrap_err();
        assert_eq!(failed, changes[1]);
        assert_eq!(files(root.path()), ["etc/kernel"]);
    }
}
