use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

mod crash;
mod faults;
mod image;

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

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

fn on(root: &Path, name: &str) -> Vec<FileChange> {
    let changes = enable(root, feature(name).unwrap(), "/usr/local/bin/kexec").unwrap();
    apply(root, feature(name).unwrap(), &changes).unwrap();
    changes
}

fn off(root: &Path, name: &str) {
    apply(
        root,
        feature(name).unwrap(),
        &disable(root, feature(name).unwrap()),
    )
    .unwrap();
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
    assert_eq!(enabled(root.path()), ["preload", "refresh"]);
    off(root.path(), "preload");
    assert!(!is_enabled(root.path(), feature("preload").unwrap()));
    assert!(!is_enabled(root.path(), feature("refresh").unwrap()));
    assert!(enabled(root.path()).is_empty());
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

/// The hook of a package stays, and does nothing without the file in /etc.
#[test]
fn devices_are_unbound_by_a_hook_while_a_file_exists() {
    let root = tree(&[]);
    let parallel = feature("parallel-shutdown").unwrap();
    on(root.path(), "parallel-shutdown");
    assert!(is_enabled(root.path(), parallel));
    let (hook, switch) = (
        "usr/lib/systemd/system-shutdown/50-kexec",
        "etc/kexec-rs.parallel-shutdown",
    );
    let unit = "etc/systemd/system/kexec-services-stopped.service";
    let link = "etc/systemd/system/multi-user.target.wants/kexec-services-stopped.service";
    assert_eq!(files(root.path()), [switch, unit, link, hook]);
    let text = fs::read_to_string(root.path().join(hook)).unwrap();
    assert!(text.contains("exec /usr/local/bin/kexec parallel-shutdown kexec"));
    assert!(text.contains(&format!(
        "[ -e {} ] || exit 0",
        crate::parallel_shutdown::SWITCH
    )));
    let mode = fs::metadata(root.path().join(hook)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o755);
    off(root.path(), "parallel-shutdown");
    assert_eq!(files(root.path()), [""; 0]);
    // From a package: only the switch and the link change.
    let packaged = "usr/lib/systemd/system/kexec-services-stopped.service";
    for path in [hook, packaged] {
        fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
        fs::write(root.path().join(path), "packaged\n").unwrap();
    }
    let changes = on(root.path(), "parallel-shutdown");
    assert_eq!(changes.len(), 2, "{changes:?}");
    off(root.path(), "parallel-shutdown");
    assert_eq!(files(root.path()), [hook, packaged]);
    assert!(!is_enabled(root.path(), parallel));
    // Only systemd runs hooks.
    assert!(parallel.for_systemd().is_some());
    assert!(feature("preload").unwrap().for_systemd().is_some());
    assert!(feature("exitrd").unwrap().for_systemd().is_none());
}

#[test]
fn what_jumps_by_itself_needs_no_help() {
    use crate::arrival::{Exitrd, ExitrdJump, ExitrdKind};
    let root = tree(&["/usr/lib/dracut/modules.d"]);
    let image = |jump| Exitrd::Used {
        kind: ExitrdKind::Systemd,
        jump,
        because: "x".into(),
    };
    let needed = |name: &str, exitrd: &Exitrd| {
        not_needed(root.path(), feature(name).unwrap(), || exitrd.clone()).is_none()
    };
    let jumps = image(ExitrdJump::Yes { by: "y".into() });
    assert!(!needed("exitrd", &jumps));
    assert!(!needed("exitrd", &Exitrd::None));
    assert!(needed("exitrd", &image(ExitrdJump::No { why: "z".into() })));
    assert!(needed(
        "exitrd",
        &image(ExitrdJump::Unknown { why: "z".into() })
    ));
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
    assert_eq!(
        refused.why,
        format!("{path} was not written by kexec enable")
    );
    assert!(refused.remedy.contains("move it away"));
    assert!(disable(root.path(), feature("preload").unwrap()).is_empty());
}

#[test]
fn a_failure_takes_everything_back() {
    let root = tree(&["/etc/systemd"]);
    // A file where a folder is needed.
    fs::write(below(root.path(), "/etc/kernel"), "").unwrap();
    let changes = [
        FileChange::Write {
            path: "/etc/systemd/a".into(),
            text: String::new(),
            mode: 0o644,
        },
        FileChange::Write {
            path: "/etc/kernel/install.d/b".into(),
            text: String::new(),
            mode: 0o644,
        },
    ];
    let failed = apply(root.path(), feature("preload").unwrap(), &changes).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "switching preload: kexec writes /etc/kernel/install.d/b (looking for /etc/kernel/install.d): \
         not a folder where one is expected (ENOTDIR)"
    );
    assert!(std::error::Error::source(&failed).is_some(), "{failed:?}");
    assert!(failed.remedy.ends_with("nothing was changed"), "{failed:?}");
    assert_eq!(files(root.path()), ["etc/kernel"]);
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
    assert!(
        refused(root.path())
            .why
            .contains("not written by kexec enable")
    );
    fs::remove_file(&at).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &at,
        FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(refused(root.path()).why.ends_with("is not a regular file"));
    fs::remove_file(&at).unwrap();
    // A file where the link belongs.
    let link = "/etc/systemd/system/multi-user.target.wants/kexec-preload.service";
    let at = below(root.path(), link);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(&at, "mine\n").unwrap();
    assert!(refused(root.path()).why.starts_with(link));
    assert!(!is_ours(&Tree::new(root.path()), unit));
}

/// A path with blanks is quoted, each time as its file wants it.
#[test]
fn the_program_is_quoted_in_every_file() {
    let root = tree(&["/etc/kernel/postinst.d", "/usr/share/libalpm/hooks"]);
    let preload = feature("preload").unwrap();
    let changes = enable(root.path(), preload, "/opt/a b/100%/kexec").unwrap();
    apply(root.path(), preload, &changes).unwrap();
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
            // A step before it, which is no program of ours.
            for line in starts.filter(|line| !line.starts_with("ExecStartPre=-+/bin/")) {
                assert!(line.contains("=/usr/sbin/kexec "), "{}: {line}", unit.name);
            }
        }
    }
}
