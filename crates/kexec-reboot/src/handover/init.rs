//! Which program is init, and what is known of it: the facts by which the way
//! to a shutdown is chosen. Read below a root directory.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;

use kexec_machine::{Tree, open};

/// The program with process number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// systemd(1).
    Systemd,
    /// sysvinit's init(8), with or without OpenRC behind it.
    Sysvinit,
    /// openrc-init(8).
    OpenrcInit,
    /// runit(8).
    Runit,
    /// dinit(8).
    Dinit,
    /// s6-svscan(8).
    S6,
    /// The init of busybox.
    Busybox,
    /// None that is known here.
    Other,
}

impl Init {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Init::Systemd => "systemd",
            Init::Sysvinit => "sysvinit",
            Init::OpenrcInit => "openrc-init",
            Init::Runit => "runit",
            Init::Dinit => "dinit",
            Init::S6 => "s6",
            Init::Busybox => "busybox init",
            Init::Other => "an unknown init",
        }
    }
}

/// A lock that somebody holds against a shutdown (systemd-inhibit(1)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inhibitor {
    /// The program that holds it, as it calls itself.
    pub who: String,
    /// What it is doing that a shutdown would interrupt.
    pub why: String,
}

/// What is known of init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitFacts {
    /// Which program runs as process 1.
    pub init: Init,
    /// systemd's version, where its files say it.
    pub systemd: Option<u32>,
    /// Whether there is a program at one of the places where systemd-logind up
    /// to 260 wants one before it starts a kexec.
    pub kexec_installed: bool,
    /// Locks that block a shutdown.
    pub inhibitors: Vec<Inhibitor>,
    /// The file in which this init's way to reboot jumps into a loaded kernel;
    /// `None` when it does not, or is not known to.
    pub hook: Option<String>,
}

/// Where systemd-logind looks, as distributions build it.
const KEXEC_PATHS: &[&str] = &["/usr/sbin/kexec", "/sbin/kexec", "/usr/bin/kexec"];

/// Where systemd keeps its own library, whose name has the version.
const SYSTEMD_LIBRARIES: &[&str] = &["usr/lib/systemd", "lib/systemd", "usr/lib64/systemd"];

/// No file of an init is read beyond this many bytes.
const MAX_FILE: u64 = 1 << 20;

impl InitFacts {
    /// Reads the facts of the init that runs below `root`.
    pub fn read(root: &Path) -> InitFacts {
        let init = detect(root);
        InitFacts {
            init,
            systemd: (init == Init::Systemd)
                .then(|| systemd_version(root))
                .flatten(),
            kexec_installed: KEXEC_PATHS.iter().any(|path| executable(root, path)),
            inhibitors: inhibitors(root),
            hook: hook(root, init),
        }
    }
}

fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn executable(root: &Path, path: &str) -> bool {
    fs::metadata(below(root, path))
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn text(path: &Path) -> Option<String> {
    let file = open::regular(path).ok()?;
    let mut bytes = Vec::new();
    let small = file.metadata().ok()?.len() <= MAX_FILE;
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    small.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.take(10_000).flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

/// systemd says so itself (sd_booted(3)); the others by their program's name.
fn detect(root: &Path) -> Init {
    if root.join("run/systemd/system").is_dir() {
        return Init::Systemd;
    }
    let exe = fs::read_link(root.join("proc/1/exe")).ok();
    let name = exe.as_deref().and_then(Path::file_name);
    name.and_then(|name| name.to_str())
        .map_or(Init::Other, by_name)
}

fn by_name(program: &str) -> Init {
    match program {
        "systemd" => Init::Systemd,
        "init" => Init::Sysvinit,
        "openrc-init" => Init::OpenrcInit,
        "runit" | "runit-init" => Init::Runit,
        "dinit" => Init::Dinit,
        "s6-svscan" => Init::S6,
        "busybox" | "busybox.static" => Init::Busybox,
        _ => Init::Other,
    }
}

/// The init that a system whose files these are is booted with; `None` where it has none.
pub(crate) fn in_files(tree: &Tree) -> Option<Init> {
    const SYSTEMD: &[&str] = &["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    let real = tree.canonical("/sbin/init");
    if tree.has(&real) {
        return Some(match real.rsplit('/').next() {
            Some(name) => by_name(name),
            None => Init::Other,
        });
    }
    // Packages of systemd without its link, as in an image that is not finished.
    SYSTEMD
        .iter()
        .any(|path| tree.has(path))
        .then_some(Init::Systemd)
}

/// `libsystemd-shared-257.13-1.so` has it.
fn systemd_version(root: &Path) -> Option<u32> {
    let triplets = names(&root.join("usr/lib"));
    let multiarch = triplets
        .iter()
        .filter(|name| name.contains("-linux-"))
        .map(|name| format!("usr/lib/{name}/systemd"));
    let folders = SYSTEMD_LIBRARIES.iter().map(|f| (*f).to_owned());
    folders.chain(multiarch).find_map(|folder| {
        let files = names(&root.join(folder));
        files.iter().find_map(|file| {
            let rest = file.strip_prefix("libsystemd-shared-")?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        })
    })
}

/// The locks that logind keeps in /run/systemd/inhibit: one file each, with
/// `WHAT=shutdown:sleep`, `MODE=block`, `WHO=` and `WHY=`.
fn inhibitors(root: &Path) -> Vec<Inhibitor> {
    let folder = root.join("run/systemd/inhibit");
    let files = names(&folder).into_iter();
    files
        // A named pipe of the same name with .ref stands beside each.
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|name| inhibitor(&text(&folder.join(name))?))
        .collect()
}

fn inhibitor(file: &str) -> Option<Inhibitor> {
    let value = |key: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(key));
        line.map(unquoted)
    };
    let blocks = value("MODE=")?.starts_with("block");
    let shutdown = value("WHAT=")?.split(':').any(|what| what == "shutdown");
    (blocks && shutdown).then(|| Inhibitor {
        who: value("WHO=").unwrap_or_default(),
        why: value("WHY=").unwrap_or_default(),
    })
}

/// Values are escaped like C strings: `Downloading\x20updates`.
fn unquoted(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value.trim_matches('"');
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let code = escape.get(2..4).filter(|_| escape.starts_with("\\x"));
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                rest = escape.get(4..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = escape.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// Looks for the place where an init that knows nothing of kexec is told to jump.
fn hook(root: &Path, init: Init) -> Option<String> {
    match init {
        Init::Sysvinit => {
            let in_folder = |folder: &str| {
                let name = names(&below(root, folder))
                    .into_iter()
                    .find(|name| name.contains("kexec") && !name.contains("kexec-load"))?;
                Some(format!("{folder}/{name}"))
            };
            in_folder("/etc/rc6.d").or_else(|| in_folder("/etc/runlevels/shutdown"))
        }
        Init::Runit => names_kexec(root, "/etc/runit/3", |_| true),
        Init::Busybox => names_kexec(root, "/etc/inittab", |line| line.contains(":shutdown:")),
        // These have a way of their own, or none.
        Init::Systemd | Init::OpenrcInit | Init::Dinit | Init::S6 | Init::Other => None,
    }
}

/// The file, when a line of it that counts runs kexec.
fn names_kexec(root: &Path, path: &str, counts: fn(&str) -> bool) -> Option<String> {
    let file = text(&below(root, path))?;
    let mut lines = file
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines
        .any(|line| counts(line) && line.contains("kexec"))
        .then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn systemd_with_its_version_and_its_locks() {
        let root = root(&[
            ("run/systemd/system/x", ""),
            (
                "usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-257.so",
                "",
            ),
            (
                "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.13-1.so",
                "",
            ),
            (
                "run/systemd/inhibit/1",
                "# private\nWHAT=shutdown:sleep\nMODE=block\nWHO=apt\\x20upgrade\nWHY=\"half way\"\n",
            ),
            (
                "run/systemd/inhibit/2",
                "WHAT=sleep\nMODE=block\nWHO=player\n",
            ),
            (
                "run/systemd/inhibit/3",
                "WHAT=shutdown\nMODE=delay\nWHO=x\n",
            ),
            ("run/systemd/inhibit/1.ref", "WHAT=shutdown\nMODE=block\n"),
        ]);
        let facts = InitFacts::read(root.path());
        assert_eq!((facts.init, facts.systemd), (Init::Systemd, Some(257)));
        assert!(!facts.kexec_installed);
        let lock = Inhibitor {
            who: "apt upgrade".into(),
            why: "half way".into(),
        };
        assert_eq!(facts.inhibitors, [lock]);
    }

    #[test]
    fn a_program_counts_when_it_can_be_run() {
        let root = root(&[("usr/sbin/kexec", "")]);
        assert!(!InitFacts::read(root.path()).kexec_installed);
        let path = root.path().join("usr/sbin/kexec");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(InitFacts::read(root.path()).kexec_installed);
    }

    #[test]
    fn other_inits_by_name_and_by_hook() {
        for (exe, init, file, hook) in [
            (
                "/sbin/init",
                Init::Sysvinit,
                ("etc/rc6.d/K09kexec", ""),
                Some("/etc/rc6.d/K09kexec"),
            ),
            (
                "/sbin/init",
                Init::Sysvinit,
                ("etc/rc6.d/K08kexec-load", ""),
                None,
            ),
            (
                "/usr/bin/busybox",
                Init::Busybox,
                ("etc/inittab", "::shutdown:/sbin/kexec -e\n"),
                Some("/etc/inittab"),
            ),
            (
                "/usr/bin/busybox",
                Init::Busybox,
                ("etc/inittab", "#::shutdown:/sbin/kexec -e\n"),
                None,
            ),
            (
                "/usr/bin/runit",
                Init::Runit,
                ("etc/runit/3", "kexec -e\n"),
                Some("/etc/runit/3"),
            ),
            ("/usr/bin/dinit", Init::Dinit, ("x", ""), None),
            ("/bin/bash", Init::Other, ("x", ""), None),
        ] {
            let root = root(&[file, ("proc/1/stat", "")]);
            std::os::unix::fs::symlink(exe, root.path().join("proc/1/exe")).unwrap();
            let facts = InitFacts::read(root.path());
            assert_eq!((facts.init, facts.hook.as_deref()), (init, hook), "{exe}");
        }
    }

    #[test]
    fn escapes_are_read_and_broken_ones_stay() {
        assert_eq!(unquoted("a\\x20b\\x2"), "a b\\x2");
        assert_eq!(unquoted("\\"), "\\");
        assert_eq!(unquoted("\\xfféx"), "\\xfféx");
    }
}
