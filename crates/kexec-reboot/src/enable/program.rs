//! The program that units and hooks call: whether root may rely on it at every
//! boot, and how its path is written in each language.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kexec_machine::Problem;

/// The program as the texts of `dist/` name it.
const PROGRAM: &str = "/usr/sbin/kexec";
/// The same in the hook of pacman, whose distributions have one folder for all programs.
const PACMANS: &str = "/usr/bin/kexec";

/// The language of a text that names the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Command lines of units (systemd.service(5), "Command lines").
    Unit,
    /// The POSIX shell.
    Shell,
    /// `Exec =` of a hook (alpm-hooks(5)): words, quotes and backslashes.
    Pacman,
}

/// What to do about a folder or program that somebody besides root could change.
fn remedy(path: &Path) -> String {
    let elsewhere = "install this program where only root can write, in all parent folders too, for \
                     example in /usr/sbin, and run it from there";
    let mode = fs::metadata(path).map_or(0, |found| found.mode());
    // Not for /tmp and its like, which are meant to be so.
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return format!("`chmod go-w {}`, or {elsewhere}", path.display());
    }
    elsewhere.to_owned()
}

/// `st_mode`: writable by the group or by everybody (inode(7)). Where an access list
/// lets somebody else write, the group's bit is its mask and shows it (acl(5)).
const OTHERS_WRITE: u32 = 0o022;
/// `S_ISVTX` (the same).
const STICKY: u32 = 0o1000;

/// `f_type` of FUSE (`linux/magic.h`, FUSE_SUPER_MAGIC), whose owner says what owner and
/// mode a file has.
const FUSE: u64 = 0x6573_5546;

/// Looks at a program and at every folder above it, which `owner` alone may change: root,
/// but in tests. A unit calls it at every boot, so a folder like /tmp, where everybody
/// may make files, does not do either, sticky bit or not: it is emptied in between.
///
/// Returns the path without links, which is the one to be written down.
///
/// # Errors
/// The folder or program that somebody else could change, or what it is instead of a
/// program.
pub fn trusted(program: &Path, owner: u32) -> Result<PathBuf, Problem> {
    let name = |path: &Path| path.display().to_string();
    let untrusted = |path: &Path, why: String| Problem::new(name(path), why, remedy(path));
    let unseen = |path: &Path, e: io::Error| Problem::caused(name(path), e, remedy(path));
    let real = fs::canonicalize(program).map_err(|e| unseen(program, e))?;
    for path in real.ancestors() {
        let found = fs::symlink_metadata(path).map_err(|e| unseen(path, e))?;
        let kind = found.file_type();
        if path == real && !(kind.is_file() && found.permissions().mode() & 0o111 != 0) {
            return Err(untrusted(path, "it is no program".to_owned()));
        }
        // Between / and the program a test's folders are those of whoever runs it.
        if found.uid() != 0 && found.uid() != owner {
            return Err(untrusted(
                path,
                format!("it belongs to user {}, not to root", found.uid()),
            ));
        }
        let mode = found.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(untrusted(
                path,
                format!("users other than root can write to it (mode {mode:04o})"),
            ));
        }
    }
    if of_a_user(&real) {
        return Err(untrusted(
            &real,
            "it is on a FUSE file system, where a user's program says what it contains".to_owned(),
        ));
    }
    Ok(real)
}

/// Whether it is on a FUSE file system that is not the one of `/`.
fn of_a_user(path: &Path) -> bool {
    let kind = |path: &Path| rustix::fs::statfs(path).ok().map(|found| found.f_type);
    let fuse = kind(path).is_some_and(|kind| u64::try_from(kind).is_ok_and(|kind| kind == FUSE));
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    fuse && device(path) != device(Path::new("/"))
}

/// A path as it is written in this language, where [`PROGRAM`] stood; `None` where it
/// cannot be.
pub(super) fn quoted(path: &str, syntax: Quoting) -> Option<String> {
    if !path.starts_with('/') || path.chars().any(char::is_control) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    if path.chars().all(plain) {
        return Some(path.to_owned());
    }
    let escaped = |special: &str| {
        let mut text = String::new();
        for c in path.chars() {
            if special.contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
        text
    };
    match syntax {
        // Specifiers are known everywhere. Of a program's own path, $ is no variable,
        // but it would be in an argument; $$ is one in arguments only, so neither goes.
        Quoting::Unit if path.contains('$') => None,
        Quoting::Unit => Some(format!("\"{}\"", escaped("\"\\").replace('%', "%%"))),
        Quoting::Shell => Some(format!("'{}'", path.replace('\'', r"'\''"))),
        Quoting::Pacman => Some(format!("\"{}\"", escaped("\"\\"))),
    }
}

/// The text with this program in it; `None` where its path cannot be written.
pub(super) fn naming(text: &str, program: &str, syntax: Quoting) -> Option<String> {
    let there = match syntax {
        Quoting::Unit | Quoting::Shell => PROGRAM,
        Quoting::Pacman => PACMANS,
    };
    if !text.contains(there) {
        return Some(text.to_owned());
    }
    Some(text.replace(there, &quoted(program, syntax)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn quotes(path: &str) -> [Option<String>; 3] {
        [Quoting::Unit, Quoting::Shell, Quoting::Pacman].map(|syntax| quoted(path, syntax))
    }

    #[test]
    fn paths_are_quoted_as_each_language_wants_it() {
        let same = |text: &str| [text, text, text].map(|text| Some(text.to_owned()));
        assert_eq!(
            quotes("/usr/local/sbin/kexec-1.2+x_y"),
            same("/usr/local/sbin/kexec-1.2+x_y")
        );
        let all = |unit: &str, shell: &str, pacman: &str| {
            [unit, shell, pacman].map(|text| Some(text.to_owned()))
        };
        assert_eq!(
            quotes("/opt/a b/kexec"),
            all(
                "\"/opt/a b/kexec\"",
                "'/opt/a b/kexec'",
                "\"/opt/a b/kexec\""
            )
        );
        assert_eq!(
            quotes("/opt/%i/k"),
            all("\"/opt/%%i/k\"", "'/opt/%i/k'", "\"/opt/%i/k\"")
        );
        assert_eq!(
            quotes(r#"/a"b\c'd"#),
            all(r#""/a\"b\\c'd""#, r#"'/a"b\c'\''d'"#, r#""/a\"b\\c'd""#)
        );
        let [unit, shell, _] = quotes("/opt/$HOME/k");
        assert_eq!((unit, shell.as_deref()), (None, Some("'/opt/$HOME/k'")));
        for refused in ["kexec", "/a\nExecStart=/b", "/a\u{1b}b", ""] {
            assert_eq!(quotes(refused), [None, None, None], "{refused:?}");
        }
    }

    /// What a real shell makes of it.
    #[test]
    fn a_shell_reads_the_path_back() {
        for path in ["/a b", "/a'b\"c", "/$(id)`id`;&|<>*?[a]~#!\\", "/%s"] {
            let text = quoted(path, Quoting::Shell).unwrap();
            let said = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("printf %s {text}")])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), path);
        }
    }

    #[test]
    fn nobody_else_may_change_the_program_or_a_folder_above_it() {
        // Below the workspace, because everybody may write to /tmp, which is the point.
        let above = Path::new(env!("CARGO_MANIFEST_DIR"));
        let me = fs::metadata(above).unwrap().uid();
        let dir = tempfile::tempdir().unwrap();
        let shared = trusted(&program(dir.path()), me).unwrap_err();
        assert!(
            Path::new(&shared.what).starts_with(std::env::temp_dir()),
            "{shared:?}"
        );
    }

    fn program(dir: &Path) -> PathBuf {
        let folder = dir.join("sbin");
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("kexec");
        fs::write(&program, "x").unwrap();
        mode(&program, 0o755);
        program
    }

    /// The rule itself, from a folder on: those above are this machine's.
    #[test]
    fn what_is_wrong_is_named() {
        let bin = Path::new("/bin/sh");
        let owner = fs::metadata("/").unwrap().uid();
        let real = fs::canonicalize(bin).unwrap();
        // The machine's own shell is root's all the way up.
        assert_eq!(trusted(bin, owner).as_deref(), Ok(real.as_path()));
        // A link leads to what it names.
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("kexec");
        symlink(bin, &link).unwrap();
        assert_eq!(trusted(&link, owner).as_deref(), Ok(real.as_path()));
        let none = trusted(&dir.path().join("none"), owner).unwrap_err();
        assert!(none.why.contains("no such file"), "{none:?}");
        assert!(std::error::Error::source(&none).is_some(), "{none:?}");
        let folder = trusted(Path::new("/usr"), owner).unwrap_err();
        assert_eq!(folder.why, "it is no program");
        // Each fault of the program itself.
        let program = program(dir.path());
        for (bits, why) in [(0o775, "0775"), (0o757, "0757"), (0o644, "no program")] {
            mode(&program, bits);
            let found = trusted(&program, fs::metadata(&program).unwrap().uid()).unwrap_err();
            assert_eq!(Path::new(&found.what), program);
            assert!(found.why.contains(why), "{found:?}");
            let chmod = found.remedy.starts_with("`chmod go-w /");
            assert_eq!(chmod, bits != 0o644, "{}", found.remedy);
        }
        mode(&program, 0o755);
        if fs::metadata(&program).unwrap().uid() == 0 {
            std::os::unix::fs::chown(&program, Some(65534), None).unwrap();
            let found = trusted(&program, 0).unwrap_err();
            assert!(found.why.contains("user 65534"), "{found:?}");
            std::os::unix::fs::chown(&program, Some(0), None).unwrap();
        }
        // A folder above it.
        let sbin = dir.path().join("sbin");
        mode(&sbin, 0o1777);
        let found = trusted(&program, fs::metadata(&program).unwrap().uid()).unwrap_err();
        assert!(found.remedy.starts_with("install"), "{found:?}");
        assert_eq!(Path::new(&found.what), sbin);
        assert!(found.why.contains("1777"), "{found:?}");
    }
}
