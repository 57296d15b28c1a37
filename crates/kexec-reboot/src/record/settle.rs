//! At the next boot: what became of the last attempt is written down, and what
//! was waiting for that is done.

use std::path::Path;

use kexec_sys::in_words;

use super::attempt::{self, Attempt};
use super::outcome::{Outcome, judge};
use super::{BootFacts, Store};

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Every attempt that is remembered, the newest first, with its outcome as
    /// far as it is known now.
    pub attempts: Vec<Attempt>,
    /// What was done, or could not be, for people.
    pub notes: Vec<String>,
}

impl Settled {
    /// The newest request; what was only loaded ahead is none yet.
    pub fn last(&self) -> Option<&Attempt> {
        let mut attempts = self.attempts.iter();
        attempts.find(|a| !a.preloaded || a.outcome.as_ref().is_some_and(Outcome::is_final))
    }
}

/// Judges the newest attempt, and those before it that nobody looked at. When
/// `write` is set, outcomes are written down and a one-shot entry of the boot
/// loader that was booted is forgotten.
///
/// # Errors
/// When the attempts cannot be read.
pub fn settle(store: Store<'_>, boot: &BootFacts, write: bool) -> std::io::Result<Settled> {
    let mut attempts = attempt::read_all(store)?;
    let mut notes = Vec::new();
    // What was loaded ahead and never asked for has nothing to tell.
    let (ended, kept): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|one| {
        one.preloaded
            && one.outcome.is_none()
            && !matches!(judge(one, boot), Outcome::Pending | Outcome::Kexec(_))
    });
    for one in ended.iter().filter(|_| write) {
        if let Err(e) = attempt::forget(store, one) {
            notes.push(format!(
                "cannot forget what was loaded ahead: {}",
                in_words(e)
            ));
        }
    }
    attempts = kept;
    let mut newest = true;
    for one in &mut attempts {
        let ahead = one.preloaded && one.boot_id == boot.boot_id;
        let is_newest = newest;
        newest &= ahead;
        if let Some(more) = later(one, boot) {
            one.outcome = Some(more);
            if write && let Err(e) = attempt::write(store, one) {
                notes.push(format!(
                    "cannot record how long the boot took: {}",
                    in_words(e)
                ));
            }
        }
        if one.outcome.as_ref().is_some_and(Outcome::is_final) {
            continue;
        }
        let outcome = if is_newest {
            judge(one, boot)
        } else {
            superseded(one, boot)
        };
        if matches!(outcome, Outcome::Kexec(_) | Outcome::Cold { .. }) {
            one.next_boot = Some(boot.boot_id.clone());
        }
        if outcome.is_final() && write {
            one.outcome = Some(outcome.clone());
            if let Err(e) = attempt::write(store, one) {
                notes.push(format!(
                    "cannot record the outcome of the last kexec: {}",
                    in_words(e)
                ));
            } else if matches!(outcome, Outcome::Kexec(_)) {
                notes.extend(forget_one_shot(store.root(), one));
            }
        }
        one.outcome = Some(outcome);
    }
    Ok(Settled { attempts, notes })
}

/// The outcome with what init knows only when the boot has ended, where it was recorded
/// before that and by this boot.
fn later(attempt: &Attempt, boot: &BootFacts) -> Option<Outcome> {
    let mut outcome = attempt.outcome.clone()?;
    let (initrd, userspace) = match &mut outcome {
        Outcome::Kexec(times) => (&mut times.initrd, &mut times.userspace),
        Outcome::Cold {
            initrd, userspace, ..
        } => (initrd, userspace),
        Outcome::Pending | Outcome::Unknown { .. } => return None,
    };
    let of_this_boot = attempt.next_boot.as_ref() == Some(&boot.boot_id);
    if !of_this_boot || userspace.is_some() {
        return None;
    }
    *userspace = Some(boot.init.of_userspace()?);
    *initrd = initrd.or_else(|| boot.init.of_initrd(boot.userspace));
    Some(outcome)
}

/// Another attempt came after it: the running boot says nothing about this one,
/// unless it has its token.
fn superseded(attempt: &Attempt, boot: &BootFacts) -> Outcome {
    let outcome = judge(attempt, boot);
    if matches!(outcome, Outcome::Kexec(_)) {
        return outcome;
    }
    Outcome::Unknown {
        why: "another request followed before the outcome was seen".to_owned(),
    }
}

fn forget_one_shot(root: &Path, attempt: &Attempt) -> Option<String> {
    let one_shot = attempt.one_shot.as_ref()?;
    match one_shot.clear(root) {
        Ok(true) => Some("the boot loader's one-shot entry was booted, and is cleared now".into()),
        Ok(false) => None,
        Err(e) => Some(format!(
            "the boot loader's one-shot entry was booted and cannot be cleared in {}: {}; the \
             next start through the firmware will boot it once more; mount what it is on, and clear \
             it with `bootctl set-oneshot \"\"` or `grub-editenv - unset next_entry`",
            one_shot.path(),
            in_words(e)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::InitTimes;
    use super::super::attempt::tests::attempt;
    use super::super::boot::ClockReading;
    use super::super::oneshot::OneShot;
    use super::*;
    use kexec_plan::Token;

    const ASKED: u64 = 1_700_000_000_000;

    fn put(root: &tempfile::TempDir, mut attempt: Attempt) {
        attempt::write(Store::new(root.path()), &mut attempt).unwrap();
    }

    fn boot(token: Option<Token>) -> BootFacts {
        BootFacts {
            boot_id: "second".into(),
            release: "7.3.0".into(),
            token,
            now: ClockReading {
                realtime: ASKED + 9_000,
                uptime: 2_000,
                cycles: None,
            },
            cycles_per_ms: None,
            jumped: None,
            userspace: None,
            init: InitTimes::default(),
        }
    }

    #[test]
    fn a_confirmed_one_shot_is_forgotten_and_an_unconfirmed_one_is_not() {
        for confirmed in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let variable = root.path().join("LoaderEntryOneShot");
            std::fs::write(&variable, b"x").unwrap();
            let mut asked = attempt(ASKED);
            asked.one_shot = Some(OneShot::EfiVariable {
                path: "/LoaderEntryOneShot".into(),
                content: b"x".to_vec(),
            });
            put(&root, asked.clone());
            let facts = boot(confirmed.then(|| asked.token.clone()));
            let looked = settle(Store::new(root.path()), &facts, false).unwrap();
            assert!(variable.exists() && looked.notes.is_empty());
            let settled = settle(Store::new(root.path()), &facts, true).unwrap();
            assert_eq!(variable.exists(), !confirmed);
            assert_eq!(settled.notes.len(), usize::from(confirmed));
            assert_eq!(settled.attempts, looked.attempts);
        }
    }

    #[test]
    fn what_was_loaded_ahead_and_never_asked_for_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let mut asked = attempt(ASKED);
        asked.token = Token::from_bytes([2; 8]);
        put(&root, asked.clone());
        let mut ahead = attempt(ASKED + 10);
        ahead.preloaded = true;
        put(&root, ahead.clone());
        // In the boot that loaded it, it waits, and hides no other.
        let mut same = boot(None);
        same.boot_id.clone_from(&ahead.boot_id);
        let settled = settle(Store::new(root.path()), &same, true).unwrap();
        assert_eq!(settled.attempts.len(), 2);
        assert_eq!(settled.attempts[0].outcome, Some(Outcome::Pending));
        assert_eq!(settled.attempts[1].outcome, Some(Outcome::Pending));
        assert_eq!(settled.last(), Some(&settled.attempts[1]));
        // A boot that has another token has nothing to say about it.
        let next = boot(Some(asked.token));
        let settled = settle(Store::new(root.path()), &next, true).unwrap();
        assert_eq!(settled.attempts.len(), 1);
        let outcome = settled.attempts[0].outcome.as_ref().unwrap();
        assert!(matches!(outcome, Outcome::Kexec(_)), "{outcome:?}");
        assert_eq!(attempt::read_all(Store::new(root.path())).unwrap().len(), 1);
    }

    #[test]
    fn a_jump_into_what_was_loaded_ahead_is_confirmed() {
        let root = tempfile::tempdir().unwrap();
        let mut ahead = attempt(ASKED);
        ahead.preloaded = true;
        put(&root, ahead.clone());
        let settled = settle(Store::new(root.path()), &boot(Some(ahead.token)), true).unwrap();
        let outcome = settled.attempts[0].outcome.as_ref().unwrap();
        assert!(matches!(outcome, Outcome::Kexec(_)), "{outcome:?}");
    }

    #[test]
    fn a_one_shot_out_of_reach_is_told_with_its_file() {
        let root = tempfile::tempdir().unwrap();
        let mut asked = attempt(ASKED);
        asked.one_shot = Some(OneShot::Grubenv {
            path: "vda1 (not mounted): /grub/grubenv".into(),
            variable: "next_entry".into(),
            value: "1>2".into(),
        });
        put(&root, asked.clone());
        let settled = settle(
            Store::new(root.path()),
            &boot(Some(asked.token.clone())),
            true,
        )
        .unwrap();
        let [note] = settled.notes.as_slice() else {
            panic!("{:?}", settled.notes);
        };
        assert!(
            note.contains("cannot be cleared in vda1 (not mounted)"),
            "{note}"
        );
    }

    #[test]
    fn written_down_once() {
        let root = tempfile::tempdir().unwrap();
        put(&root, attempt(ASKED));
        let cold = settle(Store::new(root.path()), &boot(None), true).unwrap();
        let mut much_later = boot(None);
        much_later.boot_id = "third".into();
        much_later.now.realtime += 1_000_000_000;
        let again = settle(Store::new(root.path()), &much_later, true).unwrap();
        assert_eq!(cold, again);
        assert_eq!(again.attempts[0].next_boot.as_deref(), Some("second"));
        assert!(matches!(
            again.attempts[0].outcome,
            Some(Outcome::Cold { .. })
        ));
    }

    /// `kexec preload` judges at the beginning of a boot, before it has ended.
    #[test]
    fn what_the_boot_took_is_added_when_it_has_ended() {
        let root = tempfile::tempdir().unwrap();
        put(&root, attempt(ASKED));
        let mut facts = boot(Some(attempt(ASKED).token));
        facts.userspace = Some(400);
        let times = |facts: &BootFacts| {
            let settled = settle(Store::new(root.path()), facts, true).unwrap();
            assert_eq!(settled.notes, [""; 0]);
            match &settled.attempts[0].outcome {
                Some(Outcome::Kexec(times)) => (times.at, times.initrd, times.userspace),
                other => panic!("{other:?}"),
            }
        };
        let (at, ..) = times(&facts);
        facts.init = InitTimes {
            initrd: Some(450),
            userspace: Some(900),
            finished: Some(2900),
            from_initrd: true,
        };
        // Another boot has nothing to say of it.
        let mut other = facts.clone();
        other.boot_id = "third".into();
        assert_eq!(times(&other), (at, None, None));
        // The clock may have been set meanwhile: what was recorded stays.
        facts.now.realtime += 1_000_000;
        assert_eq!(times(&facts), (at, Some(500), Some(2000)));
        facts.init = InitTimes::default();
        assert_eq!(times(&facts), (at, Some(500), Some(2000)));
    }

    #[test]
    fn a_cold_boot_has_the_same_parts() {
        let root = tempfile::tempdir().unwrap();
        put(&root, attempt(ASKED));
        let mut facts = boot(None);
        facts.userspace = Some(400);
        let times = |facts: &BootFacts| {
            let settled = settle(Store::new(root.path()), facts, true).unwrap();
            match &settled.attempts[0].outcome {
                Some(Outcome::Cold {
                    initrd, userspace, ..
                }) => (*initrd, *userspace),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(times(&facts), (None, None));
        facts.init = InitTimes {
            initrd: None,
            userspace: Some(900),
            finished: Some(2900),
            from_initrd: true,
        };
        assert_eq!(times(&facts), (Some(500), Some(2000)));
    }

    #[test]
    fn of_two_requests_only_the_last_is_judged_by_this_boot() {
        let root = tempfile::tempdir().unwrap();
        let mut first = attempt(ASKED - 100);
        first.token = Token::from_bytes([9; 8]);
        put(&root, first.clone());
        put(&root, attempt(ASKED));
        let settled = settle(
            Store::new(root.path()),
            &boot(Some(Token::from_bytes([1; 8]))),
            true,
        )
        .unwrap();
        assert!(matches!(
            settled.attempts[0].outcome,
            Some(Outcome::Kexec(_))
        ));
        assert!(matches!(
            settled.attempts[1].outcome,
            Some(Outcome::Unknown { .. })
        ));
    }
}
