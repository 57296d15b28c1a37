//! One kexec that was asked for, kept over the reboot: a file of its own below
//! /var/lib/kexec/attempts, by the time at which it was asked for.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kexec_plan::{Cmdline, Token};
use serde::{Deserialize, Serialize};

use super::boot::Moment;
use super::oneshot::OneShot;
use super::outcome::Outcome;
use super::private;

/// Version of the layout.
const FORMAT: u32 = 1;

/// How many are kept.
const KEPT: usize = 100;

/// No file of ours is larger than this many bytes.
const MAX_FILE: u64 = 1 << 20;

/// A kexec that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of this layout.
    pub format: u32,
    /// What the next boot is recognised by.
    pub token: Token,
    /// When the shutdown was asked for.
    pub asked: Moment,
    /// The boot in which that was.
    pub boot_id: String,
    /// `uname -r` of the kernel that was left.
    pub from: String,
    /// What was to be booted.
    pub target: Target,
    /// By which system call it was loaded, and why.
    pub method: String,
    /// How the shutdown was asked for: `systemctl kexec`.
    pub handover: String,
    /// What was known to speak against it when it was asked for: the first
    /// candidates when it did not come about.
    pub doubts: Vec<String>,
    /// Why it could not be compared at the shutdown with what a reboot through the
    /// firmware would have booted; it stayed loaded all the same. The next boot
    /// tells it however it came about, because that journal is a new one.
    #[serde(default)]
    pub uncompared: Option<String>,
    /// The boot loader's wish that this attempt fulfils.
    pub one_shot: Option<OneShot>,
    /// It was loaded ahead, and nobody has asked for the jump yet: `asked` is
    /// when it was loaded.
    #[serde(default)]
    pub preloaded: bool,
    /// A cold reboot is what was asked for in the end (`--or-cold`), and why.
    pub cold: Option<String>,
    /// What became of it, once that is known.
    pub outcome: Option<Outcome>,
}

/// What was to be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The boot entry's id, and its title; none when a file was named.
    pub entry: Option<(String, String)>,
    /// The kernel's path.
    pub kernel: String,
    /// Its release, when its header says so.
    pub release: Option<String>,
    /// The command line.
    pub cmdline: Cmdline,
}

impl Attempt {
    /// Its layout's version, for a new one.
    pub const FORMAT: u32 = FORMAT;
}

/// The folder, below `root`.
pub fn folder(root: &Path) -> PathBuf {
    root.join("var/lib/kexec/attempts")
}

fn file(root: &Path, attempt: &Attempt) -> PathBuf {
    // 13 digits of milliseconds last until the year 2286: names sort by time.
    let name = format!("{:013}-{}.json", attempt.asked.realtime, attempt.token);
    folder(root).join(name)
}

/// Writes an attempt, on the disk when it returns; the oldest ones beyond a
/// hundred go.
///
/// # Errors
/// When /var/lib cannot be written to.
pub fn write(root: &Path, attempt: &Attempt) -> io::Result<()> {
    let folder = folder(root);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    let text = serde_json::to_vec_pretty(attempt)?;
    private::write(&file(root, attempt), &text, true)?;
    // A new name in the folder has to be on the disk as well.
    fs::File::open(&folder)?.sync_all()?;
    let names = names(root)?;
    for old in names.iter().take(names.len().saturating_sub(KEPT)) {
        // One too many is no reason to fail.
        let _ = fs::remove_file(folder.join(old));
    }
    Ok(())
}

/// Takes an attempt back that did not even begin.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(root: &Path, attempt: &Attempt) -> io::Result<()> {
    match fs::remove_file(file(root, attempt)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Takes every attempt back that was only loaded ahead: the image it is about
/// is gone.
///
/// # Errors
/// When one cannot be read or removed.
pub fn forget_preloaded(root: &Path) -> io::Result<()> {
    let attempts = read_all(root)?.into_iter();
    for attempt in attempts.filter(|a| a.preloaded && a.outcome.is_none()) {
        forget(root, &attempt)?;
    }
    Ok(())
}

/// Somebody asks for the jump into what was loaded ahead; `uncompared` is why
/// nobody knows whether it is still what a reboot would boot. Returns whether there
/// was such an attempt of this boot.
///
/// # Errors
/// When it cannot be written down.
pub fn ask_preloaded(
    root: &Path,
    boot_id: &str,
    asked: &Moment,
    handover: &str,
    uncompared: Option<String>,
) -> io::Result<bool> {
    let attempts = read_all(root)?.into_iter();
    let mut ahead = attempts.filter(|a| a.preloaded && a.outcome.is_none());
    let Some(attempt) = ahead.find(|a| a.boot_id == boot_id) else {
        return Ok(false);
    };
    let mut now = attempt.clone();
    now.preloaded = false;
    now.asked = asked.clone();
    now.handover = handover.to_owned();
    now.uncompared = uncompared;
    write(root, &now)?;
    // Its name has the time in it.
    if file(root, &now) != file(root, &attempt) {
        forget(root, &attempt)?;
    }
    Ok(true)
}

/// The names of the files, the oldest first.
fn names(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder(root))?.take(KEPT.saturating_mul(100)) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Every attempt that is remembered, the newest first. A file that is none is
/// left out.
///
/// # Errors
/// When the folder is there and cannot be read: then nothing is known.
pub fn read_all(root: &Path) -> io::Result<Vec<Attempt>> {
    let names = match names(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let folder = folder(root);
    let attempts = names.iter().rev().take(KEPT);
    Ok(attempts
        .filter_map(|name| read(&folder.join(name)))
        .collect())
}

fn read(path: &Path) -> Option<Attempt> {
    if fs::metadata(path).ok()?.len() > MAX_FILE {
        return None;
    }
    let attempt: Attempt = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (attempt.format == FORMAT).then_some(attempt)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(crate) fn attempt(realtime: u64) -> Attempt {
        Attempt {
            format: FORMAT,
            token: Token::from_bytes([1; 8]),
            asked: Moment {
                realtime,
                uptime: 1000,
                cycles: None,
            },
            boot_id: "first".into(),
            from: "6.12.1".into(),
            target: Target {
                entry: Some(("debian-7.3".into(), "Debian".into())),
                kernel: "/boot/vmlinuz-7.3".into(),
                release: Some("7.3.0".into()),
                cmdline: "luks.key=secret".into(),
            },
            method: "kexec_load: shortest downtime".into(),
            handover: "systemctl kexec".into(),
            doubts: vec![],
            uncompared: None,
            one_shot: None,
            preloaded: false,
            cold: None,
            outcome: None,
        }
    }

    #[test]
    fn written_read_and_taken_back() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read_all(root.path()).unwrap(), []);
        let (old, new) = (attempt(1_700_000_000_000), attempt(1_800_000_000_000));
        write(root.path(), &new).unwrap();
        write(root.path(), &old).unwrap();
        assert_eq!(read_all(root.path()).unwrap(), [new.clone(), old.clone()]);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file(root.path(), &new)), 0o600);
        assert_eq!(mode(&folder(root.path())), 0o700);
        forget(root.path(), &new).unwrap();
        forget(root.path(), &new).unwrap();
        assert_eq!(read_all(root.path()).unwrap(), [old]);
    }

    #[test]
    fn what_was_loaded_ahead_is_asked_for_or_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let old = attempt(1_600_000_000_000);
        write(root.path(), &old).unwrap();
        let mut ahead = attempt(1_700_000_000_000);
        ahead.preloaded = true;
        let asked = Moment {
            realtime: 1_800_000_000_000,
            uptime: 5,
            cycles: None,
        };
        let ask = |boot: &str| {
            let why = Some("/boot is gone".to_owned());
            ask_preloaded(root.path(), boot, &asked, "kexec.target", why).unwrap()
        };
        assert!(!ask("first"));
        write(root.path(), &ahead).unwrap();
        assert!(!ask("another"));
        assert!(ask("first"));
        assert!(!ask("first"));
        let all = read_all(root.path()).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0].asked, all[0].preloaded), (&asked, false));
        assert_eq!(all[0].uncompared.as_deref(), Some("/boot is gone"));
        write(root.path(), &ahead).unwrap();
        forget_preloaded(root.path()).unwrap();
        assert_eq!(read_all(root.path()).unwrap(), all);
    }

    #[test]
    fn an_attempt_of_an_earlier_version_is_read() {
        let root = tempfile::tempdir().unwrap();
        let old = attempt(1_700_000_000_000);
        write(root.path(), &old).unwrap();
        let mut json: serde_json::Value = serde_json::to_value(&old).unwrap();
        let fields = json.as_object_mut().unwrap();
        fields.remove("uncompared").unwrap();
        fs::write(file(root.path(), &old), json.to_string()).unwrap();
        assert_eq!(read_all(root.path()).unwrap(), [old]);
    }

    #[test]
    fn the_oldest_go() {
        let root = tempfile::tempdir().unwrap();
        for n in 0..u64::try_from(KEPT).unwrap() + 3 {
            write(root.path(), &attempt(1_700_000_000_000 + n)).unwrap();
        }
        let all = read_all(root.path()).unwrap();
        assert_eq!(all.len(), KEPT);
        assert_eq!(all.last().unwrap().asked.realtime, 1_700_000_000_003);
    }

    #[test]
    fn what_is_no_attempt_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &attempt(1_700_000_000_000)).unwrap();
        let put =
            |name: &str, text: &[u8]| fs::write(folder(root.path()).join(name), text).unwrap();
        put("1.json", b"");
        put("2.json", b"{\"format\":1}");
        put("3.json", &[0xff; 100]);
        let mut other = attempt(1);
        other.format = 99;
        put("4.json", &serde_json::to_vec(&other).unwrap());
        assert_eq!(read_all(root.path()).unwrap().len(), 1);
    }
}
