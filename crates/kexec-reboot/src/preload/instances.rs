//! The instances of `kexec-load@.service` that were just enabled, and
//! `kexec-load.service`: they are started, without a boot in between.
//!
//! `systemctl enable` writes a link and has systemd read its units anew; it starts
//! nothing. A path unit sees the link (`dist/systemd/kexec-load-enabled.path`) and
//! has this done:
//!
//! ```text
//! kexec-load.target.wants/UNIT ──keep──▶ multi-user.target.wants/UNIT ──start──▶ loaded
//! ```
//!
//! The link is moved because systemd forgets what it has seen in a folder when it
//! reads its units anew, which `systemctl enable` has it do at once: only a file that
//! is still there is sure to be seen afterwards. And once it is moved nothing is left
//! that a later reload could take for new. It may also be seen before systemd has
//! read its units anew, which is why units are started by their names.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kexec_load::Error;
use kexec_machine::Problem;
use kexec_machine::programs;

/// Where `systemctl enable` puts links, and where they are kept; then the same for
/// `systemctl enable --runtime` (systemd.unit(5), "Unit File Load Path"). The first of
/// each is the folder of the template's WantedBy=. `systemctl disable` and
/// `systemctl is-enabled` look for links in every folder of this kind.
pub const FOLDERS: &[(&str, &str)] = &[
    (
        "etc/systemd/system/kexec-load.target.wants",
        "etc/systemd/system/multi-user.target.wants",
    ),
    (
        "run/systemd/system/kexec-load.target.wants",
        "run/systemd/system/multi-user.target.wants",
    ),
];

/// The template, around the name of an instance.
const TEMPLATE: (&str, &str) = ("kexec-load@", ".service");
/// The unit without a name, which Debian's and openSUSE's kexec-tools have: what
/// /etc/default/kexec names, or what the boot loader would boot.
const UNNAMED: &str = "kexec-load.service";

/// A unit that was just enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledUnit {
    /// The name of the unit: `kexec-load@linux-lts.service`.
    pub unit: String,
    /// The link that `systemctl enable` made.
    pub link: PathBuf,
    /// Where the link is to be kept.
    pub keep: PathBuf,
}

/// Units that were just enabled, by their names.
///
/// # Errors
/// The folder that cannot be read, with what the system said.
pub fn just_enabled(root: &Path) -> Result<Vec<EnabledUnit>, Error> {
    let mut all = Vec::new();
    for (new, kept) in FOLDERS {
        let folder = root.join(new);
        let failed = |e: io::Error| {
            Error::System(Problem::caused(
                format!("looking for enabled units in {}", folder.display()),
                e,
                "check that folder; systemctl start kexec-load@NAME loads without it",
            ))
        };
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // Names of units are ASCII (systemd.unit(5)).
            if let Some(unit) = entry.file_name().to_str().filter(|name| loads(name)) {
                all.push(EnabledUnit {
                    unit: unit.to_owned(),
                    link: entry.path(),
                    keep: root.join(kept).join(unit),
                });
            }
        }
    }
    all.sort_unstable_by(|a, b| a.unit.cmp(&b.unit));
    Ok(all)
}

/// Whether a unit loads a kernel for whoever enables it.
fn loads(unit: &str) -> bool {
    let (before, after) = TEMPLATE;
    let instance = unit
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    unit == UNNAMED || instance.is_some_and(|instance| !instance.is_empty())
}

/// Moves the link of a unit to where it is kept. Says whether it was still there:
/// somebody may have disabled the unit again.
///
/// # Errors
/// As [`Error::System`]: the link that cannot be moved.
pub fn keep(new: &EnabledUnit) -> Result<bool, Error> {
    moved(new).map_err(|e| {
        Error::System(Problem::caused(
            format!("moving {} to {}", new.link.display(), new.keep.display()),
            e,
            format!("systemctl start {} loads it", new.unit),
        ))
    })
}

/// Not by rename(2): the folders may be on different mounts.
fn moved(new: &EnabledUnit) -> io::Result<bool> {
    let to = match fs::read_link(&new.link) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    if let Some(folder) = new.keep.parent() {
        fs::create_dir_all(folder)?;
    }
    match symlink(to, &new.keep) {
        // It was enabled before.
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    match fs::remove_file(&new.link) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // Disabled in between, and meant to stay so.
            fs::remove_file(&new.keep)?;
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Has systemd start units, and does not wait for them. `restart`, because one that
/// was enabled again may be active although somebody unloaded its kernel; stopping it
/// does nothing while the machine stays up, and what is still loaded is left alone.
///
/// # Errors
/// As [`Error::System`], with what systemctl(1) said.
pub fn start(units: &[String]) -> Result<(), Error> {
    if units.is_empty() {
        return Ok(());
    }
    let what = format!(
        "asking systemd with `systemctl restart {}`",
        units.join(" ")
    );
    let remedy = "read its message, and run it again; the units are enabled, and the next boot starts \
                  them";
    let output = programs::command("systemctl")
        .args(["restart", "--no-block", "--"])
        .args(units)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => return Err(Error::System(Problem::caused(what, e, remedy))),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let why = format!("{} ({said})", output.status);
    Err(Error::system(what, why, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "/usr/lib/systemd/system/kexec-load@.service";

    fn link(root: &Path, folder: &str, name: &str) {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        // The template need not be there: systemd knows where it is.
        symlink(UNIT, folder.join(name)).unwrap();
    }

    #[test]
    fn links_of_the_template_are_kept_and_new_only_once() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(just_enabled(root).unwrap(), []);
        let [(lasting, kept), (runtime, _)] = FOLDERS else {
            panic!("{FOLDERS:?}");
        };
        let plus = r"kexec-load@6.12\x2bdeb13-amd64.service";
        let lts = "kexec-load@linux-lts.service";
        let linux = "kexec-load@linux.service";
        link(root, lasting, plus);
        link(root, lasting, lts);
        link(root, lasting, "kexec-load@.service");
        link(root, lasting, "other@linux.service");
        link(root, lasting, "kexec-load@linux.timer");
        link(root, lasting, UNNAMED);
        link(root, runtime, linux);
        // Enabled again, or with an older version.
        link(root, kept, lts);
        let new = just_enabled(root).unwrap();
        let names: Vec<_> = new.iter().map(|new| new.unit.as_str()).collect();
        assert_eq!(names, [UNNAMED, plus, lts, linux]);
        for new in &new {
            assert!(keep(new).unwrap(), "{new:?}");
            assert_eq!(fs::read_link(&new.keep).unwrap(), Path::new(UNIT));
            assert!(
                new.keep
                    .parent()
                    .unwrap()
                    .ends_with("multi-user.target.wants")
            );
            assert!(new.keep.starts_with(root.join("run")) == (new.unit == linux));
        }
        assert_eq!(just_enabled(root).unwrap(), []);
        assert!(root.join(lasting).join("other@linux.service").is_symlink());
    }

    #[test]
    fn disabled_before_it_was_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let [(lasting, _), ..] = FOLDERS else {
            panic!("{FOLDERS:?}");
        };
        link(root.path(), lasting, "kexec-load@linux.service");
        let new = just_enabled(root.path()).unwrap().pop().unwrap();
        fs::remove_file(&new.link).unwrap();
        assert!(!keep(&new).unwrap());
        assert!(!new.keep.is_symlink());
    }

    #[test]
    fn what_cannot_be_read_or_moved_is_told() {
        let root = tempfile::tempdir().unwrap();
        let [(lasting, kept), ..] = FOLDERS else {
            panic!("{FOLDERS:?}");
        };
        let folder = root.path().join(lasting);
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::write(&folder, "").unwrap();
        let error = just_enabled(root.path()).unwrap_err().to_string();
        assert!(error.contains("kexec-load.target.wants"), "{error}");
        fs::remove_file(&folder).unwrap();
        link(root.path(), lasting, "kexec-load@linux.service");
        fs::write(root.path().join(kept), "").unwrap();
        let new = just_enabled(root.path()).unwrap().pop().unwrap();
        let error = keep(&new).unwrap_err();
        assert!(error.to_string().starts_with("moving "), "{error}");
        assert!(error.remedy().contains("systemctl start kexec-load@linux"));
        // It is still enabled.
        assert!(new.link.is_symlink());
    }

    /// The units that are shipped, the folders that are read and the template are
    /// three files that have to say the same.
    #[test]
    fn the_shipped_units_are_about_these_folders() {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd");
        let text = |name: &str| fs::read_to_string(dist.join(name)).unwrap();
        let watched = text("kexec-load-enabled.path");
        let (before, after) = TEMPLATE;
        for (folder, _) in FOLDERS {
            let line = format!("\nPathExistsGlob=/{folder}/{before}*{after}\n");
            assert!(watched.contains(&line), "{line}");
            let line = format!("\nPathExists=/{folder}/{UNNAMED}\n");
            assert!(watched.contains(&line), "{line}");
        }
        for unit in [
            "kexec-load@.service",
            UNNAMED,
            "../debian/kexec-load.service",
        ] {
            assert!(
                text(unit).contains("\nWantedBy=kexec-load.target\n"),
                "{unit}"
            );
        }
        let pulled_in = text("multi-user.target.d/50-kexec-load.conf");
        assert!(pulled_in.contains("\nWants=kexec-load.target kexec-load-enabled.path\n"));
        assert!(text("kexec-load-enabled.service").contains(" preload --enabled\n"));
    }
}
