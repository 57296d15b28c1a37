//! Every so many reboots go through the firmware, although the next kernel could be
//! loaded ahead: firmware updates are installed then, and memory is trained anew.
//!
//! The number is in [`CONF`], because not only a unit has to know it: hooks of kernel
//! packages load ahead, too, and `kexec status` shows it. How many kexecs there were is
//! counted in the records of requests.

use std::io;
use std::path::Path;

use kexec_machine::Tree;

use crate::record::{Attempt, Outcome};

/// The file with the number; optional. Not /etc/kexec.conf: that name is a fragment of
/// shell on Gentoo (docs/compatibility.md).
pub const CONF: &str = "/etc/kexec-rs.conf";

/// The one key of [`CONF`].
const KEY: &str = "cold-every";

/// The smallest number: every second reboot.
pub const SMALLEST: u64 = 2;
/// The largest number: a hundred requests are remembered, of which not every one is a
/// kexec.
pub const LARGEST: u64 = 50;

/// More than a file for people has, in bytes.
const MOST: u64 = 64 << 10;

/// The text of a [`CONF`] that has this number.
pub fn text(every: u64) -> String {
    format!(
        "# Every so many reboots go through the firmware instead of a preloaded image:\n\
         # kexec-preload(8). A number from {SMALLEST} to {LARGEST}.\n\
         {KEY} = {every}\n"
    )
}

/// Reads [`CONF`] below `root`: the number, if there is one.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub fn read(root: &Path) -> Result<Option<u64>, String> {
    match Tree::new(root).read(CONF, MOST + 1) {
        // What is cut off could be another number.
        Ok(text) if text.len() as u64 > MOST => Err(format!("{CONF} has more than {MOST} bytes")),
        Ok(text) => match str::from_utf8(&text) {
            Ok(text) => parse(text),
            Err(_) => Err(format!("{CONF} is not a text (UTF-8)")),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{CONF} cannot be read ({e})")),
    }
}

/// The number in the text of a [`CONF`]: `cold-every = 10`; the last one counts, `#`
/// begins a comment, and 0 is none.
///
/// # Errors
/// The first line that is wrong, what is expected there.
pub fn parse(text: &str) -> Result<Option<u64>, String> {
    let mut every = None;
    for (line, number) in text.lines().zip(1_u64..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |what: String| format!("{CONF}, line {number}: {what}");
        let (key, value) = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .ok_or_else(|| wrong(format!("no \"{KEY} = NUMBER\"")))?;
        if key != KEY {
            return Err(wrong(format!("unknown setting; known is {KEY}")));
        }
        every = number_of(value)
            .ok_or_else(|| wrong(format!("{KEY} is not {EXPECTED}")))?
            .into_setting();
    }
    Ok(every)
}

/// What a number for `--cold-every` is, for messages.
pub const EXPECTED: &str = "a whole number from 2 to 50, or 0 for never";

/// A number as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColdEvery {
    /// 0: no reboot has to be a cold one.
    Never,
    /// Every reboot of this number.
    Every(u64),
}

impl ColdEvery {
    fn into_setting(self) -> Option<u64> {
        match self {
            ColdEvery::Never => None,
            ColdEvery::Every(every) => Some(every),
        }
    }
}

/// Reads a number as it is typed; `None` where it is out of range or no number.
pub fn number_of(text: &str) -> Option<ColdEvery> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.parse().ok()? {
        0 => Some(ColdEvery::Never),
        every @ SMALLEST..=LARGEST => Some(ColdEvery::Every(every)),
        _ => None,
    }
}

/// How many kexecs came one after another, the last of them into the boot `boot_id`,
/// since the machine went through the firmware: 0 when that is how this boot started. A
/// kexec that was not requested with this program is not known, and counts as the
/// firmware. `None` where nothing is remembered.
pub fn kexecs_since_cold(attempts: &[Attempt], boot_id: &str) -> Option<u64> {
    if attempts.is_empty() {
        return None;
    }
    let (mut boot, mut count) = (boot_id, 0);
    // Each of them is gone through once: a record that leads to itself ends, too.
    for attempt in attempts {
        if attempt.next_boot.as_deref() != Some(boot) {
            continue;
        }
        match &attempt.outcome {
            Some(Outcome::Kexec(_) | Outcome::Cold { jumped: true, .. }) => {
                count += 1;
                boot = &attempt.boot_id;
            }
            _ => break,
        }
    }
    Some(count)
}

/// Why the next reboot goes through the firmware, if it is its turn.
pub fn due(every: u64, kexecs: u64) -> Option<String> {
    (kexecs.saturating_add(1) >= every).then(|| {
        format!(
            "every {} reboot goes through the firmware ({KEY} in {CONF}), and this boot is kexec \
             {kexecs} since the last cold boot",
            ordinal(every)
        )
    })
}

/// `2nd`, `3rd`, `11th`.
pub fn ordinal(number: u64) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::attempt::testing::{arrived, attempt};

    fn kexec(from: &str, to: &str) -> Attempt {
        Attempt {
            boot_id: from.into(),
            next_boot: Some(to.into()),
            outcome: Some(arrived()),
            ..attempt(0)
        }
    }

    fn cold(from: &str, to: &str, jumped: bool) -> Attempt {
        Attempt {
            outcome: Some(Outcome::Cold {
                to: "7.3.0".into(),
                at: 0,
                candidates: vec![],
                jumped,
                firmware: None,
                kernel: None,
                initrd: None,
                userspace: None,
            }),
            ..kexec(from, to)
        }
    }

    fn pending(from: &str) -> Attempt {
        Attempt {
            next_boot: None,
            outcome: Some(Outcome::Pending),
            ..kexec(from, "")
        }
    }

    /// A pipe would be waited for, at every boot and every reboot.
    #[test]
    fn what_is_no_text_file_is_an_error_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), Ok(None));
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let conf = root.path().join("etc/kexec-rs.conf");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &conf, fifo, mode, 0).unwrap();
        assert!(read(root.path()).is_err());
        for wrong in [&b"cold-every = \xff"[..], &vec![b'#'; 1 << 20]] {
            std::fs::remove_file(&conf).unwrap();
            std::fs::write(&conf, wrong).unwrap();
            assert!(read(root.path()).is_err());
        }
        // A link of an image leads to the image's own file.
        let outside = tempfile::tempdir().unwrap();
        let host = outside.path().join("host.conf");
        std::fs::write(&host, "cold-every = 3\n").unwrap();
        std::fs::remove_file(&conf).unwrap();
        std::os::unix::fs::symlink(&host, &conf).unwrap();
        assert_eq!(read(root.path()), Ok(None));
    }

    #[test]
    fn the_file() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse(&text(10)), Ok(Some(10)));
        assert_eq!(parse("\n # x\ncold-every=2 # two\n"), Ok(Some(2)));
        assert_eq!(parse("cold-every = 5\ncold-every = 0"), Ok(None));
        for (wrong, says) in [
            ("cold-every", "line 1: no \"cold-every = NUMBER\""),
            ("#\ncold-evry = 3", "line 2: unknown setting"),
            ("cold-every = 1", "a whole number from 2 to 50"),
            ("cold-every = 51", "a whole number from 2 to 50"),
            ("cold-every = +3", "a whole number from 2 to 50"),
            ("cold-every = ten", "a whole number from 2 to 50"),
            ("cold-every = 99999999999999999999", "a whole number"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), Ok(None));
        std::fs::create_dir_all(root.path().join("etc/kexec-rs.conf")).unwrap();
        assert!(read(root.path()).is_err());
    }

    #[test]
    fn kexecs_are_counted_along_the_boots() {
        assert_eq!(kexecs_since_cold(&[], "b"), None);
        // The newest first; what waits in this boot does not count.
        let history = [
            pending("d"),
            kexec("c", "d"),
            cold("b", "c", true),
            kexec("a", "b"),
            cold("z", "a", false),
            kexec("y", "z"),
        ];
        assert_eq!(kexecs_since_cold(&history, "d"), Some(3));
        assert_eq!(kexecs_since_cold(&history, "a"), Some(0));
        // The power failed: nobody requested this boot.
        assert_eq!(kexecs_since_cold(&history, "e"), Some(0));
        // And in between: what came before does not count.
        assert_eq!(
            kexecs_since_cold(&[kexec("x", "d"), kexec("a", "b")], "d"),
            Some(1)
        );
        assert_eq!(kexecs_since_cold(&[kexec("d", "d")], "d"), Some(1));
    }

    #[test]
    fn every_second_reboot_is_the_one_after_a_kexec() {
        assert_eq!(due(2, 0), None);
        let why = due(2, 1).unwrap();
        assert!(
            why.starts_with("every 2nd reboot goes through the firmware"),
            "{why}"
        );
        assert_eq!((due(10, 8), due(10, 9).is_some()), (None, true));
    }

    #[test]
    fn ordinals() {
        let all = [2, 3, 4, 11, 12, 13, 21, 22, 23, 50].map(ordinal);
        assert_eq!(
            all.join(" "),
            "2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 50th"
        );
    }
}
