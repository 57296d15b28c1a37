//! Every so many reboots go through the firmware, although the next kernel could be
//! loaded ahead: firmware updates are installed then, and memory is trained anew.
//!
//! The number is in /etc/kexec-rs.conf ([`crate::conf`]), because not only a unit has to know it: hooks of kernel
//! packages load ahead, too, and `kexec status` shows it. How many kexecs there were is
//! counted in the records of requests.

use crate::record::{Attempt, Outcome};

/// The smallest number: every second reboot.
pub const SMALLEST: u64 = 2;
/// The largest number: a hundred requests are remembered, of which not every one is a
/// kexec.
pub const LARGEST: u64 = 50;

/// The text of a /etc/kexec-rs.conf that has this number.
pub fn text(every: u64) -> String {
    format!(
        "# Every so many reboots go through the firmware instead of a preloaded image:\n\
         # kexec-preload(8). A number from {SMALLEST} to {LARGEST}.\n\
         cold-every = {every}\n"
    )
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
            "every {} reboot goes through the firmware (cold-every in /etc/kexec-rs.conf), and this boot is kexec \
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
