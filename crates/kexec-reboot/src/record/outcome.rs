//! What became of an attempt: a pure judgement from the attempt and the facts
//! of the boot that came after it.

use serde::{Deserialize, Serialize};

use super::{Attempt, BootFacts};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Outcome {
    /// The machine is still in the boot in which it was asked for.
    Pending,
    /// The next kernel has the token.
    Kexec(ArrivalTimes),
    /// The next kernel has it not: the machine went through the firmware, or
    /// into another image.
    Cold {
        /// The release that booted instead.
        to: String,
        /// When that kernel started, milliseconds since 1970.
        at: u64,
        /// What it may have been, the likeliest first.
        candidates: Vec<String>,
        /// The processor was not reset: it was a kexec, but into another image.
        #[serde(default)]
        jumped: bool,
        /// From the reset to the start of that kernel's clock, milliseconds: the
        /// firmware and the boot loader, as the processor counted them.
        #[serde(default)]
        firmware: Option<u64>,
        /// From the start of that kernel's clock to its first program, milliseconds.
        #[serde(default)]
        kernel: Option<u64>,
        /// As with a kexec: from there to the start of init on the root file system,
        /// milliseconds.
        #[serde(default)]
        initrd: Option<u64>,
        /// As with a kexec: from there until everything that the boot starts had started,
        /// milliseconds.
        #[serde(default)]
        userspace: Option<u64>,
    },
    /// Nobody looked at the boot right after it.
    Unknown {
        /// Why that cannot be said.
        why: String,
    },
}

/// How a kexec went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArrivalTimes {
    /// The release that runs now.
    pub to: String,
    /// When its clock started, milliseconds since 1970.
    pub at: u64,
    /// From the request to the jump, milliseconds; where the moment of the jump
    /// is not known, to the start of the new kernel's clock.
    pub shutdown: Option<u64>,
    /// The part of `shutdown` until services had been stopped, milliseconds; the rest is
    /// unmounting and the shutdown of the devices. `None` where no unit recorded it.
    #[serde(default)]
    pub services: Option<u64>,
    /// From the jump to the start of the new kernel's clock, milliseconds: the
    /// purgatory and the kernel's own unpacking. `None` where nothing marked
    /// the moment of the jump.
    #[serde(default)]
    pub jump: Option<u64>,
    /// Whether that was counted by the processor, and not by clocks that may
    /// have been set in between.
    pub counted: bool,
    /// From the start of the new kernel's clock to its first program,
    /// milliseconds.
    pub kernel: Option<u64>,
    /// From there to the start of init on the root file system, milliseconds. `None`
    /// without an initrd, and where init keeps no such times.
    #[serde(default)]
    pub initrd: Option<u64>,
    /// From there until everything that the boot starts had started, milliseconds. `None`
    /// where that had not come yet when this was recorded, and where init keeps no such
    /// times.
    #[serde(default)]
    pub userspace: Option<u64>,
}

impl Outcome {
    /// Whether nothing will change it any more.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Outcome::Pending)
    }
}

/// A boot that starts this much later is not taken for the one that was asked
/// for: an hour, which even servers with much memory need no firmware for.
const NEXT_BOOT: u64 = 3_600_000;

/// Clocks of two boots may disagree by this much: five minutes.
const CLOCK_ERROR: u64 = 300_000;

/// What became of `attempt`, seen from the running boot.
pub fn judge(attempt: &Attempt, boot: &BootFacts) -> Outcome {
    if attempt.boot_id == boot.boot_id {
        return Outcome::Pending;
    }
    if boot.token.as_ref() == Some(&attempt.token) {
        return Outcome::Kexec(arrival(attempt, boot));
    }
    let (asked, started) = (attempt.asked.realtime, boot.started());
    let earlier = asked.saturating_sub(started);
    if earlier > CLOCK_ERROR {
        return Outcome::Unknown {
            why: format!(
                "according to the clock, this boot started {} before the request: the clock was \
                 set back, and cannot show whether this is the boot right after the request",
                duration(earlier)
            ),
        };
    }
    let later = started.saturating_sub(asked);
    if later > NEXT_BOOT {
        return Outcome::Unknown {
            why: format!(
                "this boot started {} after the request, and the outcome of the boot right after \
                 it was not recorded",
                duration(later)
            ),
        };
    }
    Outcome::Cold {
        to: boot.release.clone(),
        at: started,
        candidates: candidates(attempt, boot),
        jumped: jumped_elsewhere(attempt, boot),
        firmware: firmware(attempt, boot),
        kernel: boot.userspace,
        initrd: boot.init.of_initrd(boot.userspace),
        userspace: boot.init.of_userspace(),
    }
}

/// How long the firmware and the boot loader took. The counter begins with 0 at a reset;
/// one that counted for longer than there was time since the request did not.
fn firmware(attempt: &Attempt, boot: &BootFacts) -> Option<u64> {
    if boot.counter_began_anew(&attempt.asked) != Some(true) {
        return None;
    }
    let all = boot.started().checked_sub(attempt.asked.realtime)?;
    boot.reset_to_start().filter(|counted| *counted <= all)
}

fn arrival(attempt: &Attempt, boot: &BootFacts) -> ArrivalTimes {
    // When it was only loaded ahead, nobody knows when the shutdown began.
    let asked = (!attempt.preloaded).then_some(&attempt.asked);
    let counted = asked.and_then(|asked| boot.cycles_to_start(asked));
    let by_clock = asked.and_then(|asked| boot.started().checked_sub(asked.realtime));
    let jump = boot.jump_to_start();
    let shutdown = counted
        .or(by_clock)
        .map(|all| all.saturating_sub(jump.unwrap_or(0)));
    // Both moments are of one boot, whose clock nobody sets.
    let stopped = asked.and(attempt.stopped.as_ref());
    let services = stopped.and_then(|at| at.uptime.checked_sub(attempt.asked.uptime));
    ArrivalTimes {
        to: boot.release.clone(),
        at: boot.started(),
        shutdown,
        services: services.filter(|part| shutdown.is_some_and(|all| *part <= all)),
        jump,
        counted: counted.is_some(),
        kernel: boot.userspace,
        initrd: boot.init.of_initrd(boot.userspace),
        userspace: boot.init.of_userspace(),
    }
}

/// Whether this boot came about by a kexec into another image: the processor goes on
/// counting.
fn jumped_elsewhere(attempt: &Attempt, boot: &BootFacts) -> bool {
    boot.counter_began_anew(&attempt.asked) == Some(false)
}

fn candidates(attempt: &Attempt, boot: &BootFacts) -> Vec<String> {
    if let Some(why) = &attempt.cold {
        return vec![why.clone()];
    }
    if jumped_elsewhere(attempt, boot) {
        return vec![
            "another image was loaded in its place: the processor was not reset, so this is a \
             kexec, but not the requested one"
                .to_owned(),
        ];
    }
    let mut candidates = attempt.doubts.clone();
    // An image of yesterday may not get along with today's root file system.
    let stale = attempt.uncompared.as_ref();
    candidates.extend(stale.map(|why| {
        format!(
            "the loaded image may not have been what a reboot boots, because it was not \
                 compared: {why}"
        )
    }));
    candidates.extend([
        "the image was unloaded before the end of the shutdown (kexec -u, kexec unload)".into(),
        "another program requested a plain reboot in the meantime, or init fell back to one".into(),
        "the jump or the next kernel's start failed, and a watchdog, `panic=` or a user reset the \
         machine: check a serial console, /sys/fs/pstore and the firmware's log"
            .into(),
    ]);
    candidates
}

/// A length of time for people: `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 days`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::InitTimes;
    use super::super::attempt::tests::attempt;
    use super::super::boot::ClockReading;
    use super::*;
    use kexec_plan::Token;

    const ASKED: u64 = 1_700_000_000_000;

    fn boot(seconds_later: u64) -> BootFacts {
        BootFacts {
            boot_id: "second".into(),
            release: "7.3.0".into(),
            token: None,
            now: ClockReading {
                realtime: ASKED + seconds_later * 1000 + 2000,
                uptime: 2000,
                cycles: None,
            },
            cycles_per_ms: None,
            jumped: None,
            userspace: Some(410),
            init: InitTimes::default(),
        }
    }

    #[test]
    fn the_initrd_and_the_rest_of_the_boot_are_inits_to_tell() {
        let mut facts = boot(7);
        facts.token = Some(Token::from_bytes([1; 8]));
        let times = |facts: &BootFacts| match judge(&attempt(ASKED), facts) {
            Outcome::Kexec(arrival) => (arrival.kernel, arrival.initrd, arrival.userspace),
            other => panic!("{other:?}"),
        };
        assert_eq!(times(&facts), (Some(410), None, None));
        facts.init = InitTimes {
            initrd: Some(450),
            userspace: Some(1410),
            finished: Some(5410),
            from_initrd: true,
        };
        assert_eq!(times(&facts), (Some(410), Some(1000), Some(4000)));
    }

    #[test]
    fn the_same_boot_has_still_to_wait() {
        let mut facts = boot(1);
        facts.boot_id = "first".into();
        assert_eq!(judge(&attempt(ASKED), &facts), Outcome::Pending);
    }

    #[test]
    fn the_token_confirms_it_however_late_it_is() {
        let mut facts = boot(40_000);
        facts.token = Some(Token::from_bytes([1; 8]));
        let Outcome::Kexec(arrival) = judge(&attempt(ASKED), &facts) else {
            panic!("not confirmed");
        };
        assert_eq!(arrival.shutdown, Some(40_000_000));
        assert_eq!((arrival.counted, arrival.kernel), (false, Some(410)));
    }

    #[test]
    fn a_jump_that_nobody_announced_has_no_length() {
        let mut ahead = attempt(ASKED);
        ahead.preloaded = true;
        let mut facts = boot(40_000);
        facts.token = Some(Token::from_bytes([1; 8]));
        let Outcome::Kexec(arrival) = judge(&ahead, &facts) else {
            panic!("not confirmed");
        };
        assert_eq!((arrival.shutdown, arrival.kernel), (None, Some(410)));
    }

    #[test]
    fn the_counter_is_believed_before_the_clock() {
        let mut asked = attempt(ASKED);
        asked.asked.cycles = Some(1_000_000);
        let mut facts = boot(7);
        facts.token = Some(Token::from_bytes([1; 8]));
        facts.now.cycles = Some(1_000_000 + 6_500 * 1000);
        facts.cycles_per_ms = Some(1000);
        let Outcome::Kexec(arrival) = judge(&asked, &facts) else {
            panic!("not confirmed");
        };
        assert_eq!((arrival.shutdown, arrival.counted), (Some(4_500), true));
    }

    #[test]
    fn a_marked_jump_is_told_apart_from_the_shutdown() {
        let mut asked = attempt(ASKED);
        asked.asked.cycles = Some(1_000_000);
        let mut facts = boot(7);
        facts.token = Some(Token::from_bytes([1; 8]));
        facts.now.cycles = Some(1_000_000 + 6_500 * 1000);
        facts.cycles_per_ms = Some(1000);
        facts.jumped = Some(1_000_000 + 4_200 * 1000);
        let Outcome::Kexec(arrival) = judge(&asked, &facts) else {
            panic!("not confirmed");
        };
        assert_eq!((arrival.shutdown, arrival.jump), (Some(4_200), Some(300)));
    }

    #[test]
    fn services_are_a_part_of_the_shutdown() {
        let mut asked = attempt(ASKED);
        let mut facts = boot(7);
        facts.token = Some(Token::from_bytes([1; 8]));
        let services = |asked: &Attempt, facts: &BootFacts| match judge(asked, facts) {
            Outcome::Kexec(arrival) => (arrival.shutdown, arrival.services),
            other => panic!("{other:?}"),
        };
        assert_eq!(services(&asked, &facts), (Some(7_000), None));
        let at = |uptime| {
            Some(ClockReading {
                uptime,
                ..attempt(ASKED).asked
            })
        };
        asked.stopped = at(1000 + 2_500);
        assert_eq!(services(&asked, &facts), (Some(7_000), Some(2_500)));
        // More than the whole, or before the request: it is of something else.
        for odd in [1000 + 7_001, 999] {
            asked.stopped = at(odd);
            assert_eq!(services(&asked, &facts), (Some(7_000), None));
        }
        asked.stopped = at(1500);
        asked.preloaded = true;
        assert_eq!(services(&asked, &facts), (None, None));
    }

    #[test]
    fn without_the_token_it_was_a_cold_boot() {
        let mut asked = attempt(ASKED);
        asked.doubts = vec!["the shutdown image has no kexec".into()];
        asked.uncompared = Some("/boot is gone".into());
        let Outcome::Cold { candidates, to, .. } = judge(&asked, &boot(90)) else {
            panic!("not cold");
        };
        assert_eq!(to, "7.3.0");
        assert_eq!(
            candidates.first().unwrap(),
            "the shutdown image has no kexec"
        );
        assert!(candidates[1].ends_with("it was not compared: /boot is gone"));
        assert!(candidates.len() > 2);
    }

    #[test]
    fn another_token_is_another_kexec() {
        let mut asked = attempt(ASKED);
        asked.asked.cycles = Some(5);
        let mut facts = boot(9);
        facts.token = Some(Token::from_bytes([2; 8]));
        facts.now.cycles = Some(50);
        let Outcome::Cold { candidates, .. } = judge(&asked, &facts) else {
            panic!("not another one");
        };
        assert!(candidates[0].starts_with("another image"));
        assert_eq!(candidates.len(), 1);
    }

    #[test]
    fn the_counter_tells_how_long_the_firmware_took() {
        let mut asked = attempt(ASKED);
        asked.asked.cycles = Some(900_000_000);
        let mut facts = boot(90);
        facts.now.cycles = Some(72_000 * 1000);
        facts.cycles_per_ms = Some(1000);
        let firmware = |asked: &Attempt, facts: &BootFacts| match judge(asked, facts) {
            Outcome::Cold {
                firmware, kernel, ..
            } => (firmware, kernel),
            other => panic!("{other:?}"),
        };
        assert_eq!(firmware(&asked, &facts), (Some(70_000), Some(410)));
        // More than there was time for: it was not reset to 0.
        facts.now.cycles = Some(93_000 * 1000);
        assert_eq!(firmware(&asked, &facts).0, None);
        // It went on: that was no reset.
        asked.asked.cycles = Some(1);
        assert_eq!(firmware(&asked, &facts).0, None);
        asked.asked.cycles = None;
        assert_eq!(firmware(&asked, &facts).0, None);
    }

    #[test]
    fn hours_later_nothing_is_claimed() {
        for facts in [boot(3 * 3600), {
            let mut early = boot(0);
            early.now.realtime = ASKED - 3_600_000;
            early
        }] {
            let outcome = judge(&attempt(ASKED), &facts);
            let Outcome::Unknown { why } = outcome else {
                panic!("{outcome:?}");
            };
            let backwards = facts.now.realtime < ASKED;
            assert_eq!(why.contains("was set back"), backwards, "{why}");
        }
    }

    #[test]
    fn a_cold_boot_that_was_chosen_is_no_riddle() {
        let mut asked = attempt(ASKED);
        asked.cold = Some("no kernel image".into());
        let Outcome::Cold { candidates, .. } = judge(&asked, &boot(90)) else {
            panic!("not cold");
        };
        assert_eq!(candidates, ["no kernel image"]);
    }

    #[test]
    fn lengths_of_time() {
        for (ms, text) in [
            (7, "7 ms"),
            (3_249, "3.2 s"),
            (250_000, "4 min 10 s"),
            (7_500_000, "2 h 5 min"),
            (3 * 86_400_000, "3 days"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
