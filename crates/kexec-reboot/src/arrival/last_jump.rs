//! Whether the last kexec of this very machine arrived, by what is remembered of it.

use std::path::Path;

use serde::Serialize;

use super::hardware;
use crate::record::attempt::{self, Attempt, Target};
use crate::record::outcome::Outcome;
use crate::record::settle::settle;
use crate::record::{BootFacts, Store};

/// `f_type` of file systems in memory (linux/magic.h: TMPFS_MAGIC, RAMFS_MAGIC).
const VOLATILE: &[u64] = &[0x0102_1994, 0x8584_58f6];

/// A kexec that was asked for and did not come about, and none arrived since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotArrived {
    /// The kernel's path.
    pub kernel: String,
    /// Its release, when its header said so.
    pub release: Option<String>,
    /// The firmware that the machine had then.
    pub firmware: Option<String>,
    /// The firmware that it has now, where that is another one.
    pub firmware_now: Option<String>,
}

impl NotArrived {
    /// What is known of it, for people.
    pub fn text(&self) -> String {
        let mut text = format!("the last kexec, into {}", self.kernel);
        if let Some(release) = &self.release {
            text.push_str(&format!(" ({release})"));
        }
        text.push_str(", did not arrive, and none has since");
        match (&self.firmware, &self.firmware_now) {
            (Some(then), Some(now)) => {
                text.push_str(&format!("; the firmware was {then} then, and is {now} now"));
            }
            (Some(then), None) => text.push_str(&format!("; the firmware is {then}")),
            (None, _) => {}
        }
        text
    }
}

/// Looks at what is remembered below `root`; changes nothing there.
///
/// Where nothing can be read nothing is known, and nothing is held against the machine.
pub fn read(root: &Path) -> Option<NotArrived> {
    let boot = BootFacts::read(root)?;
    let settled = settle(Store::new(root), &boot, false).ok()?;
    not_arrived(&settled.attempts, hardware::firmware(root))
}

/// The newest attempt decides of which it is known whether it arrived: `attempts` are
/// the newest first, each with its outcome. What was given up for a cold reboot was no
/// attempt, and a kexec into another image is one that arrived.
pub(super) fn not_arrived(attempts: &[Attempt], firmware: Option<String>) -> Option<NotArrived> {
    let tried = attempts.iter().filter(|attempt| attempt.cold.is_none());
    let mut decided = tried.filter_map(|attempt| match attempt.outcome {
        Some(Outcome::Kexec(_)) => Some(None),
        Some(Outcome::Cold { jumped, .. }) => Some((!jumped).then_some(attempt)),
        Some(Outcome::Pending | Outcome::Unknown { .. }) | None => None,
    });
    let attempt = decided.next()??;
    Some(NotArrived {
        kernel: attempt.target.kernel.clone(),
        release: attempt.target.release.clone(),
        firmware_now: firmware.filter(|now| {
            let then = attempt.firmware.as_ref();
            then.is_some_and(|then| then != now)
        }),
        firmware: attempt.firmware.clone(),
    })
}

/// Why a kernel is not to be started without its decompressor: the last jump of this
/// machine that did so did not arrive. Looks at what is remembered below `root`; changes
/// nothing there.
///
/// Where nothing can be read nothing is known, and nothing is held against it.
pub fn unpacked_lost(root: &Path) -> Option<String> {
    let boot = BootFacts::read(root)?;
    let settled = settle(Store::new(root), &boot, false).ok()?;
    lost(&settled.attempts)
}

/// The newest of them decides that is over. Nobody having seen the boot right after it does
/// not help: a machine that hung and was switched on in the morning is seen too late.
fn lost(attempts: &[Attempt]) -> Option<String> {
    let tried = attempts
        .iter()
        .filter(|attempt| attempt.unpacked && attempt.cold.is_none());
    let mut over = tried.filter(|attempt| {
        let outcome = attempt.outcome.as_ref();
        outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Pending))
    });
    let last = over.next()?;
    match last.outcome {
        Some(Outcome::Kexec(_) | Outcome::Cold { jumped: true, .. }) => return None,
        // Nobody saw the boot after it; but a jump that arrived since then shows that boots
        // of this machine are seen.
        Some(Outcome::Unknown { .. }) if arrived_since(attempts, last) => return None,
        _ => {}
    }
    let Target {
        kernel, release, ..
    } = &last.target;
    let release = release.as_ref().map(|release| format!(", {release}"));
    Some(format!(
        "{kernel}{}; --unpack=always tries it again",
        release.unwrap_or_default()
    ))
}

/// Whether a jump after this one arrived; the newest attempt comes first.
fn arrived_since(attempts: &[Attempt], last: &Attempt) -> bool {
    attempts
        .iter()
        .take_while(|attempt| !std::ptr::eq(*attempt, last))
        .any(|attempt| attempt.cold.is_none() && matches!(attempt.outcome, Some(Outcome::Kexec(_))))
}

/// Why nothing would be known after the next boot, where that can be seen: what is below
/// /var/lib does not outlive this one.
pub fn forgetful(root: &Path) -> Option<String> {
    let folder = attempt::folder(root);
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let shown = Path::new("/").join(there.strip_prefix(root).unwrap_or(there));
    let volatile = rustix::fs::statfs(there).is_ok_and(|fs| {
        let kind = u64::try_from(fs.f_type).unwrap_or(0);
        VOLATILE.contains(&kind)
    });
    volatile.then(|| format!("{} is in memory", shown.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::attempt::testing::{arrived, attempt};

    fn with(outcome: Option<Outcome>) -> Attempt {
        let mut attempt = attempt(1_700_000_000_000);
        attempt.firmware = Some("Maker 1.0".into());
        attempt.outcome = outcome;
        attempt
    }

    fn cold(jumped: bool) -> Option<Outcome> {
        Some(Outcome::Cold {
            to: "7.3.0".into(),
            at: 0,
            candidates: vec![],
            jumped,
            firmware: None,
            kernel: None,
            initrd: None,
            userspace: None,
        })
    }

    fn kexec() -> Option<Outcome> {
        Some(arrived())
    }

    fn unknown() -> Option<Outcome> {
        Some(Outcome::Unknown { why: "x".into() })
    }

    fn is_held(outcomes: Vec<Option<Outcome>>) -> bool {
        let attempts: Vec<Attempt> = outcomes.into_iter().map(with).collect();
        not_arrived(&attempts, None).is_some()
    }

    #[test]
    fn the_newest_that_is_known_decides() {
        assert!(!is_held(vec![]));
        assert!(is_held(vec![cold(false)]));
        assert!(is_held(vec![cold(false), kexec()]));
        assert!(!is_held(vec![kexec(), cold(false)]));
        // What has still to come, and what nobody knows, neither helps nor harms.
        for open in [None, Some(Outcome::Pending), unknown()] {
            assert!(is_held(vec![open.clone(), cold(false)]));
            assert!(!is_held(vec![open.clone(), kexec(), cold(false)]));
            assert!(!is_held(vec![open]));
        }
        // A kexec into another image arrived, too.
        assert!(!is_held(vec![cold(true)]));
        assert!(!is_held(vec![cold(true), cold(false)]));
    }

    #[test]
    fn who_was_never_seen_to_arrive_has_not() {
        let fast = |outcome| Attempt {
            unpacked: true,
            ..with(outcome)
        };
        assert!(lost(&[fast(unknown())]).is_some());
        assert!(lost(&[with(unknown()), fast(unknown()), fast(kexec())]).is_some());
        assert!(lost(&[fast(unknown()), with(kexec()), fast(kexec())]).is_some());
        // A later kexec that was seen shows that boots of this machine are seen.
        assert_eq!(lost(&[with(kexec()), fast(unknown()), fast(kexec())]), None);
        assert_eq!(lost(&[fast(Some(Outcome::Pending)), fast(kexec())]), None);
        assert_eq!(lost(&[fast(None), fast(kexec()), fast(unknown())]), None);
    }

    #[test]
    fn what_is_in_memory_is_forgotten() {
        let memory = Path::new("/dev/shm");
        let tree = tempfile::tempdir_in(memory).unwrap();
        assert!(forgetful(tree.path()).unwrap().ends_with("is in memory"));
        assert_eq!(forgetful(Path::new(env!("CARGO_MANIFEST_DIR"))), None);
    }

    /// The fast way is earned anew by a fast jump that arrives, and by no other.
    #[test]
    fn an_unpacked_kernel_that_did_not_arrive_is_held_against_the_next() {
        let fast = |outcome| Attempt {
            unpacked: true,
            ..with(outcome)
        };
        assert_eq!(lost(&[with(cold(false))]), None);
        let why = lost(&[fast(cold(false))]).unwrap();
        assert_eq!(
            why,
            "/boot/vmlinuz-7.3, 7.3.0; --unpack=always tries it again"
        );
        assert!(lost(&[with(kexec()), fast(cold(false)), fast(kexec())]).is_some());
        assert_eq!(
            lost(&[fast(kexec()), with(cold(false)), fast(cold(false))]),
            None
        );
        let mut chosen = fast(cold(false));
        chosen.cold = Some("kexec reboot --cold requested it".into());
        assert_eq!(lost(&[chosen, fast(kexec())]), None);
    }

    #[test]
    fn a_cold_reboot_that_was_chosen_is_no_attempt() {
        let mut chosen = with(cold(false));
        chosen.cold = Some("kexec reboot --cold requested it".into());
        assert_eq!(not_arrived(&[chosen.clone()], None), None);
        assert!(not_arrived(&[chosen, with(cold(false))], None).is_some());
    }

    #[test]
    fn the_image_and_the_firmware_are_told() {
        let text = |now: Option<&str>| {
            let found = not_arrived(&[with(cold(false))], now.map(str::to_owned));
            found.unwrap().text()
        };
        assert_eq!(
            text(Some("Maker 1.0")),
            "the last kexec, into /boot/vmlinuz-7.3 (7.3.0), did not arrive, and none has since; \
             the firmware is Maker 1.0"
        );
        assert!(text(Some("Maker 1.1")).ends_with("was Maker 1.0 then, and is Maker 1.1 now"));
        assert!(text(None).ends_with("the firmware is Maker 1.0"));
    }
}
