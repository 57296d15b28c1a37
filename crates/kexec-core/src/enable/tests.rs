use super::files::{Disk, Files};
use super::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;

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
fn what_jumps_by_itself_needs_no_help() {
    use crate::arrival::{Exitrd, ExitrdKind, Jump};
    let root = tree(&["/usr/lib/dracut/modules.d"]);
    let image = |jump| Exitrd::Used {
        kind: ExitrdKind::Systemd,
        jump,
        because: "x".into(),
    };
    let needed = |name: &str, exitrd: &Exitrd| {
        not_needed(root.path(), feature(name).unwrap(), exitrd).is_none()
    };
    let jumps = image(Jump::Yes { by: "y".into() });
    assert!(!needed("exitrd", &jumps));
    assert!(!needed("exitrd", &Exitrd::None));
    assert!(needed("exitrd", &image(Jump::No { why: "z".into() })));
    assert!(needed("exitrd", &image(Jump::Unknown { why: "z".into() })));
    assert!(needed("preload", &jumps));
    // What is on is looked after.
    on(root.path(), "exitrd");
    assert!(needed("exitrd", &jumps));
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let root = tree(&["/etc/systemd/system/systemd-reboot.service.d"]);
    let path = "/etc/systemd/system/systemd-reboot.service.d/50-kexec.conf";
    fs::write(below(root.path(), path), "mine\n").unwrap();
    let refused = enable(root.path(), feature("preload").unwrap(), "/usr/sbin/kexec");
    let refused = refused.unwrap_err();
    assert_eq!(refused.why, format!("{path} is not of this program"));
    assert!(refused.remedy.contains("move it away"));
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
    let failed = apply(root.path(), &changes).unwrap_err();
    assert_eq!(failed.change, changes[1]);
    assert!(
        failed.remedy().ends_with("nothing was changed"),
        "{failed:?}"
    );
    assert_eq!(files(root.path()), ["etc/kernel"]);
}

/// Everything below a folder: files with their modes, links, folders.
fn tree_of(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = fs::symlink_metadata(&path).unwrap();
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                folders.push(path);
                "folder".to_owned()
            } else {
                let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
                format!("{:o} {text}", kind.permissions().mode() & 0o7777)
            };
            found.insert(format!("/{name}"), what);
        }
    }
    found
}

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

impl Files for Failing {
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
fn machine(state: &str) -> (tempfile::TempDir, Vec<Change>) {
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
                        apply(done.path(), &changes).unwrap();
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
            apply(root.path(), &again).unwrap();
            let (whole, changes) = machine(state);
            apply(whole.path(), &changes).unwrap();
            assert_eq!(files(root.path()), files(whole.path()), "{state} {first}");
        }
    }
}

/// What a crash or an older version leaves is repaired, by `enable` and by `disable`.
#[test]
fn an_own_file_that_is_broken_is_repaired() {
    let unit = "/etc/systemd/system/kexec-preload.service";
    let hook = "/etc/kernel/postinst.d/zzz-kexec";
    let damages: [fn(&str) -> String; 6] = [
        |_| String::new(),
        |text| "\0".repeat(text.len()),
        |text| text.get(..text.len() / 2).unwrap().to_owned(),
        |text| text.get(..20).unwrap().to_owned(),
        |text| format!("{text}# more\n"),
        |text| {
            // As an older version wrote it.
            let body = text.replace(MARK, "");
            format!("{body}ExecStart=/old\n{MARK}")
        },
    ];
    for path in [unit, hook] {
        for (number, damage) in damages.iter().enumerate() {
            for repair in [true, false] {
                let root = tree(&["/etc/kernel/postinst.d"]);
                on(root.path(), "preload");
                let whole = tree_of(root.path());
                let at = below(root.path(), path);
                let text = fs::read_to_string(&at).unwrap();
                fs::write(&at, damage(&text)).unwrap();
                if repair {
                    assert_eq!(on(root.path(), "preload").len(), 1, "{path} {number}");
                    assert_eq!(tree_of(root.path()), whole);
                } else {
                    off(root.path(), "preload");
                    assert_eq!(files(root.path()), Vec::<String>::new(), "{path} {number}");
                }
            }
        }
    }
    // Its mode, too: a hook that nobody can run.
    let root = tree(&["/etc/kernel/postinst.d"]);
    on(root.path(), "preload");
    let at = below(root.path(), hook);
    fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(on(root.path(), "preload").len(), 1);
}

#[test]
fn what_is_not_ours_is_refused_with_what_it_is() {
    let unit = "/etc/systemd/system/kexec-preload.service";
    let refused = |root: &Path| {
        let refused = enable(root, feature("preload").unwrap(), "/usr/sbin/kexec");
        refused.unwrap_err()
    };
    let root = tree(&["/etc/systemd/system"]);
    let at = below(root.path(), unit);
    symlink("/dev/null", &at).unwrap();
    let masked = refused(root.path());
    assert!(masked.why.ends_with("is masked (a link to /dev/null)"));
    assert!(masked.remedy.contains("systemctl unmask"));
    fs::remove_file(&at).unwrap();
    // `systemctl edit --full`: a copy of a package's unit.
    fs::write(&at, FEATURES[0].units[0].text).unwrap();
    assert!(refused(root.path()).why.contains("not of this program"));
    fs::remove_file(&at).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &at,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(refused(root.path()).why.ends_with("is no file"));
    fs::remove_file(&at).unwrap();
    // A file where the link belongs.
    let link = "/etc/systemd/system/multi-user.target.wants/kexec-preload.service";
    let at = below(root.path(), link);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(&at, "mine\n").unwrap();
    assert!(refused(root.path()).why.starts_with(link));
    assert!(!is_ours(root.path(), unit));
}

/// A path with blanks is quoted, each time as its file wants it.
#[test]
fn the_program_is_quoted_in_every_file() {
    let root = tree(&["/etc/kernel/postinst.d", "/usr/share/libalpm/hooks"]);
    let preload = feature("preload").unwrap();
    let changes = enable(root.path(), preload, "/opt/a b/100%/kexec").unwrap();
    apply(root.path(), &changes).unwrap();
    let text = |path: &str| fs::read_to_string(below(root.path(), path)).unwrap();
    let unit = text("/etc/systemd/system/kexec-preload.service");
    assert!(
        unit.contains("\nExecStart=\"/opt/a b/100%%/kexec\" preload\n"),
        "{unit}"
    );
    let hook = text("/etc/kernel/postinst.d/zzz-kexec");
    assert!(hook.starts_with("#!/bin/sh\n# Written by"), "{hook}");
    assert!(
        hook.contains("\n'/opt/a b/100%/kexec' preload --if-enabled"),
        "{hook}"
    );
    let pacman = text("/etc/pacman.d/hooks/95-kexec.hook");
    assert!(
        pacman.contains("\nExec = \"/opt/a b/100%/kexec\" preload"),
        "{pacman}"
    );
    let refused = enable(root.path(), preload, "/opt/$x/kexec").unwrap_err();
    assert!(refused.why.contains("cannot be written"), "{refused:?}");
}

/// Every text that runs this program names it by the path that is replaced.
#[test]
fn no_text_calls_a_program_by_its_name_alone() {
    for feature in FEATURES {
        for part in feature.files.iter().chain(feature.hooks) {
            let calls = part.text.lines().map(str::trim_start);
            let named = calls.filter(|line| line.starts_with("kexec ") || line.contains("=kexec "));
            assert_eq!(named.count(), 0, "{}", part.path);
        }
        for unit in feature.units {
            let starts = unit.text.lines().filter(|line| line.starts_with("Exec"));
            for line in starts {
                assert!(line.contains("=/usr/sbin/kexec "), "{}: {line}", unit.name);
            }
        }
    }
}
