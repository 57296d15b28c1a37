//! Whether something is loaded ahead: one pure function, and the only place
//! where that is decided.

use kexec_plan::size::{FileSize, Memory};

use crate::record::{Fingerprint, PreloadTarget, Preloaded};

/// What is in the kernel's slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InSlot {
    /// The kernel does not say.
    Unknown,
    /// Nothing is loaded.
    Empty,
    /// An image that was loaded ahead by us.
    Ours(Preloaded),
    /// An image that somebody loaded on purpose.
    Theirs,
    /// An image that nobody can be said to have wanted, and why.
    Accident(String),
}

/// When the question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreloadMoment {
    /// While the machine runs: at boot, or when a kernel was installed.
    Running,
    /// While it shuts down, and this target is where it goes.
    Shutdown {
        /// It ends in a jump if something is loaded.
        jumps: bool,
        /// Somebody asked for a jump in so many words: kexec.target.
        asked: bool,
    },
}

/// Everything that decides whether something is loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// When the question is asked.
    pub moment: PreloadMoment,
    /// What is to be loaded ahead.
    pub target: PreloadTarget,
    /// What it is made of now, or why that cannot be said.
    pub wanted: Result<Fingerprint, String>,
    /// What is in the kernel's slot now.
    pub slot: InSlot,
    /// Why this boot has to end in the firmware, whatever is asked: a cold
    /// reboot was chosen, or it is switched off.
    pub cold: Option<String>,
    /// Why nothing is loaded on this machine while nobody watches: its last kexec did
    /// not arrive. What is loaded all the same was wanted by somebody, and stays.
    pub distrust: Option<String>,
    /// What waits for the firmware or the boot loader, so that a kexec would
    /// swallow it.
    pub wishes: Vec<String>,
    /// Bytes of memory that this machine can give, if that is known.
    pub available: Option<u64>,
}

/// What is to be done, each with its reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is done: all is as it should be.
    Leave(String),
    /// Nothing is loaded ahead for now, because of a request or a rule.
    Wait(String),
    /// Something should be loaded ahead, and cannot be.
    Cannot {
        /// Why not.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// Nothing, although it should be looked at: what is loaded cannot be
    /// compared with what a reboot would boot.
    Doubt(String),
    /// Load it, over what is there.
    Load(String),
    /// Take it out, so that the machine goes through the firmware.
    TakeOut(String),
}

/// Of the memory that is free, no more than one part in this many is held ahead.
const SHARE: u64 = 4;

/// What is to be done in this situation.
pub fn decide(situation: &Situation) -> Step {
    let loaded = match &situation.slot {
        InSlot::Ours(preloaded) => Some(preloaded),
        InSlot::Unknown => {
            return cannot(
                situation,
                "the running kernel does not report whether an image is loaded".to_owned(),
                "mount /sys",
            );
        }
        InSlot::Empty | InSlot::Theirs | InSlot::Accident(_) => None,
    };
    let accident = match &situation.slot {
        InSlot::Accident(what) => Some(what.clone()),
        _ => None,
    };
    if let PreloadMoment::Shutdown { jumps: false, .. } = situation.moment {
        return Step::Leave("this shutdown does not end in a jump".to_owned());
    }
    let firmware = situation.cold.clone().or_else(|| {
        let wishes = situation.wishes.join("; ");
        (!wishes.is_empty()).then_some(wishes)
    });
    if let Some(why) = firmware {
        return match (loaded, accident) {
            (None, None) => Step::Wait(why),
            _ => Step::TakeOut(why),
        };
    }
    if let Some(what) = accident {
        return match (&situation.wanted, situation.moment) {
            (_, PreloadMoment::Running) if situation.distrust.is_some() => Step::TakeOut(what),
            (Ok(_), PreloadMoment::Running | PreloadMoment::Shutdown { asked: true, .. }) => {
                Step::Load(what)
            }
            _ => Step::TakeOut(what),
        };
    }
    if situation.slot == InSlot::Theirs {
        return Step::Leave("another image was loaded on purpose, and stays".to_owned());
    }
    match (loaded, &situation.wanted) {
        (Some(preloaded), _) if outranks(&preloaded.target, &situation.target) => {
            let PreloadTarget::Named(name) = &preloaded.target else {
                return Step::Leave(String::new());
            };
            Step::Leave(format!("kexec-load@{name}.service has loaded its kernel"))
        }
        (Some(_), Err(why)) => Step::Doubt(why.clone()),
        (Some(preloaded), Ok(now)) => match now.difference(&preloaded.from) {
            None => Step::Leave(format!("{} is loaded already", now.entry)),
            Some(difference) => Step::Load(difference),
        },
        (None, Err(why)) => cannot(
            situation,
            why.clone(),
            "`kexec check` shows what is wrong with it",
        ),
        (None, Ok(now)) => empty(situation, now),
    }
}

/// A kernel that was named stays before what a reboot would boot.
fn outranks(loaded: &PreloadTarget, wanted: &PreloadTarget) -> bool {
    matches!(
        (loaded, wanted),
        (PreloadTarget::Named(_), PreloadTarget::Default)
    )
}

/// Something that should be loaded cannot be. At a shutdown that is no failure of the
/// shutdown: it goes through the firmware.
fn cannot(situation: &Situation, why: String, remedy: &str) -> Step {
    match situation.moment {
        PreloadMoment::Running => Step::Cannot {
            why,
            remedy: remedy.to_owned(),
        },
        PreloadMoment::Shutdown { .. } => Step::Leave(why),
    }
}

fn empty(situation: &Situation, now: &Fingerprint) -> Step {
    if situation.moment
        == (PreloadMoment::Shutdown {
            jumps: true,
            asked: false,
        })
    {
        // Somebody took it out, or it was refused: the firmware is what is left.
        return Step::Leave("nothing is loaded, and no kexec was requested".to_owned());
    }
    if let (Some(why), PreloadMoment::Running) = (&situation.distrust, situation.moment) {
        return Step::Wait(why.clone());
    }
    if let (Some(available), PreloadMoment::Running) = (situation.available, situation.moment)
        && now.size() > available / SHARE
    {
        let why = format!(
            "{} has {}, and preloading uses at most a quarter of the {} of free memory",
            now.entry,
            FileSize(now.size()),
            Memory(available)
        );
        let remedy = "free memory, or make the initrd smaller; `kexec reboot` has no such limit";
        return cannot(situation, why, remedy);
    }
    Step::Load("nothing is loaded yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FileRole, FileStamp};

    fn print(entry: &str, size: u64) -> Fingerprint {
        Fingerprint {
            entry: entry.into(),
            request: String::new(),
            files: vec![FileStamp {
                path: "/boot/k".into(),
                size,
                modified: 1,
                changed: 1,
                role: FileRole::default(),
            }],
        }
    }

    fn ours(target: PreloadTarget, size: u64) -> InSlot {
        InSlot::Ours(Preloaded {
            target,
            from: print("debian", size),
        })
    }

    fn situation(slot: InSlot) -> Situation {
        Situation {
            moment: PreloadMoment::Running,
            target: PreloadTarget::Default,
            wanted: Ok(print("debian", 100)),
            slot,
            cold: None,
            distrust: None,
            wishes: vec![],
            available: Some(1000),
        }
    }

    const REBOOT: PreloadMoment = PreloadMoment::Shutdown {
        jumps: true,
        asked: false,
    };
    const KEXEC: PreloadMoment = PreloadMoment::Shutdown {
        jumps: true,
        asked: true,
    };
    const POWEROFF: PreloadMoment = PreloadMoment::Shutdown {
        jumps: false,
        asked: false,
    };

    #[test]
    fn an_empty_slot_is_filled_while_the_machine_runs() {
        let mut empty = situation(InSlot::Empty);
        assert!(matches!(decide(&empty), Step::Load(_)));
        empty.available = Some(399);
        assert!(matches!(decide(&empty), Step::Cannot { why, .. } if why.contains("a quarter")));
        empty.available = Some(1000);
        for (moment, loads) in [(REBOOT, false), (KEXEC, true), (POWEROFF, false)] {
            empty.moment = moment;
            assert_eq!(matches!(decide(&empty), Step::Load(_)), loads, "{moment:?}");
        }
    }

    #[test]
    fn a_stale_image_is_replaced_and_a_fresh_one_stays() {
        for moment in [PreloadMoment::Running, REBOOT, KEXEC] {
            let mut fresh = situation(ours(PreloadTarget::Default, 100));
            fresh.moment = moment;
            assert!(matches!(decide(&fresh), Step::Leave(_)));
            let mut stale = situation(ours(PreloadTarget::Default, 99));
            stale.moment = moment;
            // What it takes is given back at once: memory does not matter.
            stale.available = Some(1);
            assert_eq!(decide(&stale), Step::Load("/boot/k was changed".into()));
            stale.wanted = Err("/boot cannot be read".into());
            assert_eq!(decide(&stale), Step::Doubt("/boot cannot be read".into()));
        }
        let mut stale = situation(ours(PreloadTarget::Default, 99));
        stale.moment = POWEROFF;
        assert!(matches!(decide(&stale), Step::Leave(_)));
    }

    #[test]
    fn what_waits_for_the_firmware_is_never_swallowed() {
        for moment in [PreloadMoment::Running, REBOOT, KEXEC] {
            for (slot, out) in [
                (InSlot::Empty, false),
                (InSlot::Theirs, false),
                (ours(PreloadTarget::Default, 100), true),
                (ours(PreloadTarget::Named("lts".into()), 100), true),
            ] {
                let mut wish = situation(slot.clone());
                wish.moment = moment;
                wish.wishes = vec!["the firmware's setup was requested".into()];
                let mut cold = situation(slot);
                cold.moment = moment;
                cold.cold = Some("kexec reboot --cold".into());
                for situation in [wish, cold] {
                    let step = decide(&situation);
                    assert_eq!(matches!(step, Step::TakeOut(_)), out, "{situation:?}");
                    assert_eq!(matches!(step, Step::Wait(_)), !out, "{situation:?}");
                }
            }
        }
    }

    #[test]
    fn an_accident_is_nobodys_wish() {
        let accident = || situation(InSlot::Accident("half a load".into()));
        for (moment, step) in [
            (PreloadMoment::Running, Step::Load("half a load".into())),
            (KEXEC, Step::Load("half a load".into())),
            (REBOOT, Step::TakeOut("half a load".into())),
        ] {
            let mut found = accident();
            found.moment = moment;
            assert_eq!(decide(&found), step);
            found.wanted = Err("/boot is gone".into());
            assert_eq!(decide(&found), Step::TakeOut("half a load".into()));
            found.cold = Some("coldreboot".into());
            assert_eq!(decide(&found), Step::TakeOut("coldreboot".into()));
        }
        let mut off = accident();
        off.moment = POWEROFF;
        assert!(matches!(decide(&off), Step::Leave(_)));
    }

    /// Whoever asks for a kexec in so many words watches it, and an image that is there
    /// was loaded because somebody said so.
    #[test]
    fn a_machine_that_did_not_arrive_is_left_alone_while_nobody_watches() {
        let why = || Some("the last kexec did not arrive".to_owned());
        let step = |slot: InSlot, moment: PreloadMoment| {
            let mut found = situation(slot);
            found.moment = moment;
            found.distrust = why();
            decide(&found)
        };
        assert_eq!(
            step(InSlot::Empty, PreloadMoment::Running),
            Step::Wait("the last kexec did not arrive".into())
        );
        assert!(matches!(step(InSlot::Empty, KEXEC), Step::Load(_)));
        let stale = || ours(PreloadTarget::Default, 99);
        for moment in [PreloadMoment::Running, KEXEC, REBOOT] {
            assert!(matches!(step(stale(), moment), Step::Load(_)));
        }
        let half = || InSlot::Accident("half a load".into());
        assert!(matches!(
            step(half(), PreloadMoment::Running),
            Step::TakeOut(_)
        ));
        assert!(matches!(step(half(), KEXEC), Step::Load(_)));
        assert!(matches!(
            step(InSlot::Theirs, PreloadMoment::Running),
            Step::Leave(_)
        ));
    }

    /// Which is not the same as that there is nothing to do; but no shutdown fails for it.
    #[test]
    fn what_should_be_loaded_and_cannot_be_is_told() {
        let lost = || Situation {
            wanted: Err("/boot/vmlinuz is gone".into()),
            ..situation(InSlot::Empty)
        };
        for found in [lost(), situation(InSlot::Unknown)] {
            let step = decide(&found);
            assert!(
                matches!(&step, Step::Cannot { remedy, .. } if !remedy.is_empty()),
                "{step:?}"
            );
        }
        for moment in [KEXEC, POWEROFF] {
            let found = Situation { moment, ..lost() };
            assert!(matches!(decide(&found), Step::Leave(_)));
        }
    }

    #[test]
    fn what_somebody_loaded_stays() {
        for slot in [InSlot::Theirs, ours(PreloadTarget::Named("lts".into()), 1)] {
            assert!(matches!(decide(&situation(slot)), Step::Leave(_)));
        }
        // A name that was asked for comes before the default.
        let mut named = situation(ours(PreloadTarget::Default, 99));
        named.target = PreloadTarget::Named("lts".into());
        assert!(matches!(decide(&named), Step::Load(_)));
    }
}
