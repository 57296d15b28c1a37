//! Steps that fail, one after the other: all is written, or nothing, or it is told.

use std::cell::Cell;

use super::super::files::{Disk, FileSteps};
use super::*;

/// A disk of which one step fails, or every step from one on.
struct Failing {
    disk: Disk,
    steps: Cell<usize>,
    first: usize,
    last: usize,
    errno: i32,
}

impl Failing {
    fn new(root: &Path, first: usize, last: usize, errno: i32) -> Failing {
        Failing {
            disk: Disk::new(root),
            steps: Cell::new(0),
            first,
            last,
            errno,
        }
    }

    fn step(&self) -> io::Result<()> {
        let step = self.steps.get();
        self.steps.set(step + 1);
        match (self.first..=self.last).contains(&step) {
            true => Err(io::Error::from_raw_os_error(self.errno)),
            false => Ok(()),
        }
    }
}

impl FileSteps for Failing {
    fn is_folder(&self, path: &str) -> io::Result<bool> {
        self.step()?;
        self.disk.is_folder(path)
    }
    fn exists(&self, path: &str) -> io::Result<bool> {
        self.step()?;
        self.disk.exists(path)
    }
    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.make_folder(path)
    }
    fn create(&self, path: &str, mode: u32) -> io::Result<()> {
        self.step()?;
        self.disk.create(path, mode)
    }
    fn fill(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        // Half of it is there, as when the disk is full.
        let failed = self.step();
        if failed.is_err() {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            let _ = self.disk.fill(path, half);
        }
        failed?;
        self.disk.fill(path, bytes)
    }
    fn sync_file(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.sync_file(path)
    }
    fn link(&self, to: &str, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.link(to, path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.remove(path)
    }
    fn remove_folder(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.remove_folder(path)
    }
    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.disk.sync_folder(path)
    }
}

/// ENOSPC, EROFS, EIO (errno(3)).
const ERRNOS: [i32; 3] = [28, 30, 5];

/// A machine on which a feature is to be switched on: nothing there, everything there in
/// an older or broken form, or on already, to be switched off.
fn machine(state: &str) -> (tempfile::TempDir, Vec<FileChange>) {
    let root = tree(&["/etc/kernel/postinst.d", "/etc/systemd"]);
    let preload = feature("preload").unwrap();
    if state != "new" {
        on(root.path(), "preload");
    }
    let changes = match state {
        "off" => disable(root.path(), preload),
        "broken" => {
            let unit = "/etc/systemd/system/kexec-refresh.service";
            fs::write(below(root.path(), unit), "").unwrap();
            enable(root.path(), preload, "/usr/sbin/kexec").unwrap()
        }
        _ => enable(root.path(), preload, "/usr/sbin/kexec").unwrap(),
    };
    assert!(changes.len() > 2, "{state}: {changes:?}");
    (root, changes)
}

/// The kind of failure of which the system comes back: every step, every error.
#[test]
fn one_step_that_fails_changes_nothing_or_everything() {
    for state in ["new", "broken", "off"] {
        let mut tried = 0;
        'steps: for first in 0.. {
            for errno in ERRNOS {
                let (root, changes) = machine(state);
                let before = tree_of(root.path());
                let disk = Failing::new(root.path(), first, first, errno);
                match apply::carry_out(&disk, &changes) {
                    Err(failed) => {
                        assert_eq!(failed.error.raw_os_error(), Some(errno));
                        assert_eq!(tree_of(root.path()), before, "{state} {first} {failed:?}");
                        assert_eq!(failed.left, Vec::<String>::new());
                        assert!(failed.remedy().ends_with("; nothing was changed"));
                    }
                    Ok(left) => {
                        // Too late to matter, and what is left is told; or no step failed.
                        let (done, changes) = machine(state);
                        apply(done.path(), feature("preload").unwrap(), &changes).unwrap();
                        let mut after = tree_of(root.path());
                        after.retain(|path, what| {
                            let told = left
                                .iter()
                                .any(|text| text.starts_with(&format!("{path} ")));
                            assert_eq!(told, path.ends_with(".kexec-old"), "{path}");
                            !told && what != "folder"
                        });
                        let mut wanted = tree_of(done.path());
                        wanted.retain(|_, what| what != "folder");
                        assert_eq!(after, wanted, "{state} {first}");
                        if disk.steps.get() <= first {
                            break 'steps;
                        }
                    }
                }
                tried += 1;
            }
        }
        println!("{state}: {tried} failures");
        assert!(tried > 60, "{state}: {tried}");
    }
}

/// A file system that is broken from one step on: what is changed then is told, and
/// nothing besides; and the same command puts it right later.
#[test]
fn what_cannot_be_taken_back_is_told() {
    for state in ["new", "broken", "off"] {
        for first in 0.. {
            let (root, changes) = machine(state);
            let before = tree_of(root.path());
            let disk = Failing::new(root.path(), first, usize::MAX, 30);
            let Err(failed) = apply::carry_out(&disk, &changes) else {
                break;
            };
            let after = tree_of(root.path());
            let changed = before
                .iter()
                .filter(|(path, what)| after.get(*path) != Some(what));
            let added = after.keys().filter(|path| !before.contains_key(*path));
            let text = failed.remedy();
            for path in changed.map(|(path, _)| path).chain(added) {
                assert!(
                    text.contains(path.as_str()),
                    "{state} {first}: {path}: {text}"
                );
            }
            let same = before == after;
            assert!(same || !text.contains("nothing was changed"), "{text}");
            // Once it can be written to again.
            let preload = feature("preload").unwrap();
            let again = match state {
                "off" => disable(root.path(), preload),
                _ => enable(root.path(), preload, "/usr/sbin/kexec").unwrap(),
            };
            apply(root.path(), preload, &again).unwrap();
            let (whole, changes) = machine(state);
            apply(whole.path(), preload, &changes).unwrap();
            assert_eq!(files(root.path()), files(whole.path()), "{state} {first}");
        }
    }
}
