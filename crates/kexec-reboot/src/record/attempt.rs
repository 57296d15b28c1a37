//! One kexec that was asked for, kept over the reboot: a file of its own below
//! /var/lib/kexec/attempts. The number in its name says which is the newest; no clock
//! does, because clocks are set, and some machines start with a wrong one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kexec_plan::{Cmdline, Token};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::boot::ClockReading;
use super::files::Store;
use super::oneshot::OneShot;
use super::outcome::Outcome;

/// Version of the layout.
const FORMAT: u32 = 1;

/// How many are kept.
const KEPT: usize = 100;

/// A kexec that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attempt {
    /// Version of this layout.
    pub format: u32,
    /// Its place among the others: one more than the newest had when it was first
    /// written. 0 until then; afterwards the number in its file's name.
    #[serde(skip)]
    pub sequence: u64,
    /// What the next boot is recognised by.
    pub token: Token,
    /// When the shutdown was asked for.
    pub asked: ClockReading,
    /// When services had been stopped, where a unit recorded that.
    #[serde(default)]
    pub stopped: Option<ClockReading>,
    /// The boot in which that was.
    pub boot_id: String,
    /// `uname -r` of the kernel that was left.
    pub from: String,
    /// What was to be booted.
    pub target: Target,
    /// By which system call it was loaded, and why.
    pub method: String,
    /// The kernel was taken out of its bzImage before the jump, or the initrd unpacked.
    #[serde(default)]
    pub unpacked: bool,
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
    /// The firmware of the machine (its maker and its version), where that is known.
    #[serde(default)]
    pub firmware: Option<String>,
    /// It was loaded ahead, and nobody has asked for the jump yet: `asked` is
    /// when it was loaded.
    #[serde(default)]
    pub preloaded: bool,
    /// A cold reboot is what was asked for in the end, and why.
    pub cold: Option<String>,
    /// The cold reboot was only allowed (`--or-cold`): the kexec was refused.
    #[serde(default)]
    pub refused: bool,
    /// What became of it, once that is known.
    pub outcome: Option<Outcome>,
    /// The boot right after it, where that was seen.
    #[serde(default)]
    pub next_boot: Option<String>,
}

/// What was to be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Target {
    /// The boot entry's id, and its title; none when a file was named.
    pub entry: Option<(String, String)>,
    /// The kernel's path.
    pub kernel: String,
    /// Its release, when its header says so.
    pub release: Option<String>,
    /// The command line of the next kernel.
    pub cmdline: Cmdline,
}

impl Attempt {
    /// Its layout's version, for a new one.
    pub const FORMAT: u32 = FORMAT;

    /// Reads the text of an attempt.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Attempt, String> {
        let attempt: Attempt = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if attempt.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", attempt.format));
        }
        Ok(attempt)
    }

    /// Whether it was only loaded ahead, and nothing came of it yet.
    fn is_preloaded(&self) -> bool {
        self.preloaded && self.outcome.is_none()
    }
}

/// The folder, below `root`.
pub fn folder(root: &Path) -> PathBuf {
    root.join("var/lib/kexec/attempts")
}

/// The name of an attempt's file: names sort by their number. Earlier versions wrote
/// milliseconds since 1970 there, of 13 digits; numbers go on from the largest.
fn name(sequence: u64, attempt: &Attempt) -> String {
    format!("{sequence:020}-{}.json", attempt.token)
}

/// The number in a name.
fn number(name: &str) -> Option<u64> {
    let (number, _) = name.strip_suffix(".json")?.split_once('-')?;
    number.parse().ok()
}

/// Writes an attempt, on the disk when it returns; a new one gets its number, and the
/// oldest ones beyond a hundred go.
///
/// # Errors
/// When /var/lib cannot be written to; the attempt has no number then if it was new.
pub fn write(store: Store<'_>, attempt: &mut Attempt) -> io::Result<()> {
    let folder = folder(store.root());
    store.files().make_folder(&folder, true)?;
    let names = names(store)?;
    let mut new = attempt.clone();
    if new.sequence == 0 {
        let newest = names.last().map_or(0, |(number, _)| *number);
        new.sequence = newest
            .checked_add(1)
            .ok_or_else(|| io::Error::other("there is no number after the newest attempt's"))?;
    }
    let own = own_name(&names, &new).unwrap_or_else(|| name(new.sequence, &new));
    let text = serde_json::to_vec_pretty(&new)?;
    store.write(&folder.join(own), &text)?;
    attempt.sequence = new.sequence;
    for (_, old) in names.iter().take(names.len().saturating_sub(KEPT)) {
        // One too many is no reason to fail.
        let _ = store.files().remove(&folder.join(old));
    }
    Ok(())
}

/// The right to write outcomes down, for as long as the file lives. `None` where there
/// are no attempts, and while another process has it: that one writes the same.
pub(crate) fn right_to_judge(root: &Path) -> Option<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let flags = flags.bits().try_into().ok()?;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(folder(root));
    let folder = opened.ok()?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        // A file system without locks keeps nobody out.
        Ok(()) | Err(TryLockError::Error(_)) => Some(folder),
    }
}

/// The name under which it is there already.
fn own_name(names: &[(u64, String)], attempt: &Attempt) -> Option<String> {
    let token = format!("-{}.json", attempt.token);
    let mut names = names.iter();
    let own = names.find(|(number, name)| *number == attempt.sequence && name.ends_with(&token));
    own.map(|(_, name)| name.clone())
}

/// Takes an attempt back that did not even begin.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(store: Store<'_>, attempt: &Attempt) -> io::Result<()> {
    let Some(name) = own_name(&names(store)?, attempt) else {
        return Ok(());
    };
    store.files().remove(&folder(store.root()).join(name))
}

/// Takes every attempt back that was only loaded ahead, but not the one whose token is
/// `except`: the image it is about is gone.
///
/// # Errors
/// When one cannot be read or removed.
pub(crate) fn forget_preloaded(store: Store<'_>, except: Option<&Token>) -> io::Result<()> {
    let attempts = read_all(store)?.into_iter();
    for attempt in attempts.filter(|a| a.is_preloaded() && Some(&a.token) != except) {
        forget(store, &attempt)?;
    }
    Ok(())
}

/// Somebody asks for the jump into what was loaded ahead; `uncompared` is why
/// nobody knows whether it is still what a reboot would boot. Returns whether there
/// was such an attempt of this boot.
///
/// # Errors
/// When it cannot be written down.
pub(crate) fn ask_preloaded(
    store: Store<'_>,
    boot_id: &str,
    asked: &ClockReading,
    handover: &str,
    uncompared: Option<String>,
) -> io::Result<bool> {
    let attempts = read_all(store)?.into_iter();
    let mut ahead = attempts.filter(Attempt::is_preloaded);
    let Some(mut now) = ahead.find(|a| a.boot_id == boot_id) else {
        return Ok(false);
    };
    now.preloaded = false;
    now.asked = asked.clone();
    now.handover = handover.to_owned();
    now.uncompared = uncompared;
    write(store, &mut now)?;
    Ok(true)
}

/// The files, each with its number, the oldest first.
fn names(store: Store<'_>) -> io::Result<Vec<(u64, String)>> {
    let names = store.files().names(&folder(store.root()))?;
    let mut names: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((number(&name)?, name)))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Every attempt that is remembered, the newest first. A file that is none is
/// left out.
///
/// # Errors
/// When the folder is there and cannot be read: then nothing is known.
pub fn read_all(store: Store<'_>) -> io::Result<Vec<Attempt>> {
    let folder = folder(store.root());
    let names = names(store)?;
    let newest = names.iter().rev().take(KEPT);
    let attempts = newest.filter_map(|(number, name)| {
        let text = store.files().read(&folder.join(name)).ok()??;
        let attempt = Attempt::parse(&text).ok()?;
        Some(Attempt {
            sequence: *number,
            ..attempt
        })
    });
    Ok(attempts.collect())
}

#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::tests::{arrived, attempt};
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::outcome::ArrivalTimes;
    use super::*;

    /// A kexec that arrived, without times.
    pub(crate) fn arrived() -> Outcome {
        Outcome::Kexec(ArrivalTimes {
            to: "7.3.0".into(),
            at: 0,
            shutdown: None,
            jump: None,
            counted: false,
            services: None,
            kernel: None,
            initrd: None,
            userspace: None,
        })
    }

    pub(crate) fn attempt(realtime: u64) -> Attempt {
        Attempt {
            format: FORMAT,
            sequence: 0,
            token: Token::from_bytes([1; 8]),
            asked: ClockReading {
                realtime,
                uptime: 1000,
                cycles: None,
            },
            stopped: None,
            boot_id: "first".into(),
            from: "6.12.1".into(),
            target: Target {
                entry: Some(("debian-7.3".into(), "Debian".into())),
                kernel: "/boot/vmlinuz-7.3".into(),
                release: Some("7.3.0".into()),
                cmdline: "luks.key=secret".into(),
            },
            method: "kexec_load: shortest downtime".into(),
            unpacked: false,
            handover: "systemctl kexec".into(),
            doubts: vec![],
            uncompared: None,
            one_shot: None,
            firmware: None,
            preloaded: false,
            cold: None,
            refused: false,
            outcome: None,
            next_boot: None,
        }
    }

    fn put(root: &tempfile::TempDir, mut attempt: Attempt) -> Attempt {
        write(Store::new(root.path()), &mut attempt).unwrap();
        attempt
    }

    fn all(root: &tempfile::TempDir) -> Vec<Attempt> {
        read_all(Store::new(root.path())).unwrap()
    }

    /// Two that wrote the same file at once took its unfinished copy from each other.
    #[test]
    fn one_process_at_a_time_judges() {
        let root = tempfile::tempdir().unwrap();
        assert!(right_to_judge(root.path()).is_none());
        write(Store::new(root.path()), &mut attempt(1)).unwrap();
        let first = right_to_judge(root.path());
        assert!(first.is_some() && right_to_judge(root.path()).is_none());
        drop(first);
        assert!(right_to_judge(root.path()).is_some());
    }

    #[test]
    fn written_read_and_taken_back() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(all(&root), []);
        let one = put(&root, attempt(1_700_000_000_000));
        let two = put(&root, attempt(1_800_000_000_000));
        assert_eq!(all(&root), [two.clone(), one.clone()]);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let folder = folder(root.path());
        assert_eq!(mode(&folder.join(name(2, &two))), 0o600);
        assert_eq!(mode(&folder), 0o700);
        let store = Store::new(root.path());
        forget(store, &two).unwrap();
        forget(store, &two).unwrap();
        assert_eq!(all(&root), [one]);
    }

    #[test]
    fn a_clock_that_jumps_backwards_changes_no_order() {
        let root = tempfile::tempdir().unwrap();
        // As an earlier version named it, while the clock was in the year 2033.
        let folder = folder(root.path());
        fs::create_dir_all(&folder).unwrap();
        let first = attempt(2_000_000_000_000);
        let old = format!("{:013}-{}.json", first.asked.realtime, first.token);
        fs::write(folder.join(&old), serde_json::to_vec(&first).unwrap()).unwrap();
        let mut second = put(&root, attempt(1_700_000_000_000));
        let third = put(&root, attempt(0));
        let order: Vec<u64> = all(&root).iter().map(|a| a.asked.realtime).collect();
        assert_eq!(order, [0, 1_700_000_000_000, 2_000_000_000_000]);
        assert_eq!(
            (second.sequence, third.sequence),
            (2_000_000_000_001, 2_000_000_000_002)
        );
        // Written anew, each keeps its place and its file.
        second.asked.realtime = 2_100_000_000_000;
        put(&root, second.clone());
        let mut oldest = all(&root).pop().unwrap();
        oldest.doubts.push("one".into());
        put(&root, oldest.clone());
        assert_eq!(all(&root), [third, second, oldest.clone()]);
        assert!(folder.join(&old).exists());
        forget(Store::new(root.path()), &oldest).unwrap();
        assert!(!folder.join(&old).exists());
    }

    #[test]
    fn what_was_loaded_ahead_is_asked_for_or_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        put(&root, attempt(1_600_000_000_000));
        let mut ahead = attempt(1_700_000_000_000);
        ahead.preloaded = true;
        let asked = ClockReading {
            realtime: 1_800_000_000_000,
            uptime: 5,
            cycles: None,
        };
        let ask = |boot: &str| {
            let why = Some("/boot is gone".to_owned());
            ask_preloaded(store, boot, &asked, "kexec.target", why).unwrap()
        };
        assert!(!ask("first"));
        put(&root, ahead.clone());
        assert!(!ask("another"));
        assert!(ask("first"));
        assert!(!ask("first"));
        let before = all(&root);
        assert_eq!(before.len(), 2);
        assert_eq!((&before[0].asked, before[0].preloaded), (&asked, false));
        assert_eq!(before[0].uncompared.as_deref(), Some("/boot is gone"));
        let mut kept = ahead.clone();
        kept.token = Token::from_bytes([7; 8]);
        put(&root, ahead);
        let kept = put(&root, kept);
        forget_preloaded(store, Some(&kept.token)).unwrap();
        assert_eq!(all(&root).len(), 3);
        forget_preloaded(store, None).unwrap();
        assert_eq!(all(&root), before);
    }

    #[test]
    fn an_attempt_of_an_earlier_version_is_read() {
        let old = attempt(1_700_000_000_000);
        let mut json: serde_json::Value = serde_json::to_value(&old).unwrap();
        let fields = json.as_object_mut().unwrap();
        fields.remove("uncompared").unwrap();
        assert_eq!(Attempt::parse(json.to_string().as_bytes()), Ok(old));
    }

    #[test]
    fn the_oldest_go() {
        let root = tempfile::tempdir().unwrap();
        for n in 0..u64::try_from(KEPT).unwrap() + 3 {
            put(&root, attempt(1_700_000_000_000 - n));
        }
        let all = all(&root);
        assert_eq!(all.len(), KEPT);
        assert_eq!(all.last().unwrap().asked.realtime, 1_699_999_999_997);
    }

    #[test]
    fn what_is_no_attempt_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        put(&root, attempt(1_700_000_000_000));
        let at = |name: &str| folder(root.path()).join(name);
        fs::write(at("2-x.json"), b"").unwrap();
        fs::write(at("3-x.json"), b"{\"format\":1}").unwrap();
        fs::write(at("4-x.json"), [0xff; 100]).unwrap();
        fs::write(at("x.json"), b"{}").unwrap();
        let mut other = attempt(1);
        other.format = 99;
        fs::write(at("5-x.json"), serde_json::to_vec(&other).unwrap()).unwrap();
        // Nobody waits for somebody who writes into it.
        let mode = rustix::fs::Mode::RUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("6-x.json"), fifo, mode, 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("7-x.json")).unwrap();
        assert_eq!(all(&root).len(), 1);
        fs::write(at(&format!("{}-x.json", u64::MAX)), b"").unwrap();
        let mut last = attempt(1);
        assert!(write(Store::new(root.path()), &mut last).is_err());
        assert_eq!(last.sequence, 0);
    }
}
