//! What became of the kexecs that were asked for, as text.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use kexec_reboot::record::outcome::{ArrivalTimes, duration};
use kexec_reboot::record::{Attempt, Outcome};

use super::layout::Layout;
use super::words::visible;

/// Milliseconds since 1970 as `2026-11-22 23:04:11 UTC`.
pub fn date(milliseconds: u64) -> String {
    // Far beyond what humantime writes: the year 9999 ends there.
    const LAST: u64 = 253_402_300_799_000;
    let time = UNIX_EPOCH + Duration::from_millis(milliseconds.min(LAST));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// The newest attempt in one sentence, and what else is to say of it.
pub fn last(attempt: &Attempt) -> String {
    let from = visible(&attempt.from);
    let asked = date(attempt.asked.realtime);
    match &attempt.outcome {
        None | Some(Outcome::Pending) if attempt.preloaded => format!(
            "loaded ahead at {asked} ({}); no reboot has been requested yet",
            target(attempt)
        ),
        None | Some(Outcome::Pending) if attempt.cold.is_some() => format!(
            "a cold reboot was requested at {asked}, not under way yet: {}",
            visible(attempt.cold.as_deref().unwrap_or_default())
        ),
        None | Some(Outcome::Pending) => {
            format!(
                "requested at {asked} ({}), not under way yet",
                target(attempt)
            )
        }
        Some(Outcome::Kexec(arrival)) => {
            let mut text = format!(
                "kexec'd from {from} to {} at {}",
                visible(&arrival.to),
                date(arrival.at)
            );
            if let Some(times) = times(arrival) {
                let _ = write!(text, "\n{times}");
            }
            if let Some(phases) = phases(arrival) {
                let _ = write!(text, "\n{phases}");
            }
            if let Some(why) = &attempt.uncompared {
                let _ = write!(text, "\n{}", uncompared(why));
            }
            text
        }
        Some(Outcome::Cold { to, at, .. }) if attempt.cold.is_some() => {
            let why = attempt.cold.as_deref().unwrap_or_default();
            format!(
                "cold boot at {} into {}, as requested at {asked}: {}",
                date(*at),
                visible(to),
                visible(why)
            )
        }
        Some(Outcome::Cold {
            to, at, candidates, ..
        }) => {
            let mut text = format!(
                "cold boot at {} into {} although a kexec into {} was requested at {asked}; \
                 possible causes:",
                date(*at),
                visible(to),
                target(attempt)
            );
            for candidate in candidates {
                let _ = write!(text, "\n- {}", visible(candidate));
            }
            text
        }
        Some(Outcome::Unknown { why }) => format!(
            "a kexec into {} was requested at {asked}; its outcome is unknown: {}",
            target(attempt),
            visible(why)
        ),
    }
}

/// That a jump went into an image of which nobody knew whether it was still the
/// right one, and how to find out.
fn uncompared(why: &str) -> String {
    format!(
        "not compared at the shutdown with what a reboot would have booted: {}\n\
         `kexec needs-reboot` shows whether they differ now",
        visible(why)
    )
}

/// What was to be booted: the entry, or else the kernel.
pub fn target(attempt: &Attempt) -> String {
    let target = &attempt.target;
    let named = match (&target.entry, &target.release) {
        (Some((id, _)), _) => id,
        (None, Some(release)) => release,
        (None, None) => &target.kernel,
    };
    visible(named)
}

/// `312 ms from jump to userspace, 6.2 s of shutdown`.
fn times(arrival: &ArrivalTimes) -> Option<String> {
    let about = if arrival.counted { "" } else { "about " };
    let shutdown = arrival.shutdown.map(duration);
    let text = match (arrival.jump, arrival.kernel, shutdown) {
        (Some(jump), Some(kernel), Some(shutdown)) => format!(
            "{} from jump to userspace, {about}{shutdown} of shutdown",
            duration(jump.saturating_add(kernel))
        ),
        (_, Some(kernel), Some(shutdown)) => format!(
            "{} from the kernel's start to userspace, {about}{shutdown} of shutdown and jump",
            duration(kernel)
        ),
        (_, Some(kernel), None) => {
            format!("{} from the kernel's start to userspace", duration(kernel))
        }
        (_, None, Some(shutdown)) => format!("{about}{shutdown} of shutdown and jump"),
        (_, None, None) => return None,
    };
    Some(text)
}

/// `phases: shutdown 6.2 s, jump 180 ms, kernel 312 ms, initrd 1.2 s, userspace 4.0 s`:
/// those that are known, where the boot has told its own.
fn phases(arrival: &ArrivalTimes) -> Option<String> {
    arrival.initrd.or(arrival.userspace).or(arrival.services)?;
    let about = if arrival.counted { "" } else { "about " };
    let rest = arrival.shutdown.zip(arrival.services);
    let rest = rest.and_then(|(all, services)| all.checked_sub(services));
    let (name, length) = match (rest, arrival.jump) {
        (Some(rest), Some(_)) => ("devices", Some(rest)),
        (Some(rest), None) => ("devices and jump", Some(rest)),
        (None, Some(_)) => ("shutdown", arrival.shutdown),
        (None, None) => ("shutdown and jump", arrival.shutdown),
    };
    let named = [
        ("services", "", rest.and(arrival.services)),
        (name, about, length),
        ("jump", "", arrival.jump),
        ("kernel", "", arrival.kernel),
        ("initrd", "", arrival.initrd),
        ("userspace", "", arrival.userspace),
    ];
    let known = named.into_iter();
    let known =
        known.filter_map(|(name, about, ms)| Some(format!("{name} {about}{}", duration(ms?))));
    Some(format!("phases: {}", known.collect::<Vec<_>>().join(", ")))
}

/// `kexec history`: the newest first.
pub fn history(attempts: &[Attempt], layout: Layout) -> String {
    if attempts.is_empty() {
        return "Nothing is recorded: no kexec of this machine was requested with this program.\n"
            .to_owned();
    }
    let mut out = String::new();
    for attempt in attempts {
        let mut label = date(attempt.asked.realtime);
        for line in last(attempt).lines() {
            layout.field(&mut out, 25, &label, line);
            label.clear();
        }
    }
    out
}

#[cfg(test)]
pub mod tests {
    use kexec_plan::Token;
    use kexec_reboot::record::attempt::Target;
    use kexec_reboot::record::boot::ClockReading;

    use super::*;

    pub fn attempt(outcome: Option<Outcome>) -> Attempt {
        Attempt {
            format: Attempt::FORMAT,
            sequence: 0,
            token: Token::from_bytes([1; 8]),
            asked: ClockReading {
                realtime: 1_795_388_651_000,
                uptime: 1000,
                cycles: None,
            },
            stopped: None,
            boot_id: "first".into(),
            from: "6.12.107".into(),
            target: Target {
                entry: Some(("debian-7.3".into(), "Debian".into())),
                kernel: "/boot/vmlinuz-7.3".into(),
                release: Some("7.3.0".into()),
                cmdline: "root=LABEL=root".into(),
            },
            method: "kexec_load: shortest downtime".into(),
            handover: "systemctl kexec".into(),
            doubts: vec![],
            uncompared: None,
            firmware: None,
            one_shot: None,
            unpacked: false,
            preloaded: false,
            cold: None,
            refused: false,
            outcome,
            next_boot: None,
        }
    }

    pub fn kexec(jump: Option<u64>) -> Outcome {
        Outcome::Kexec(ArrivalTimes {
            to: "7.3.0".into(),
            at: 1_795_388_658_000,
            shutdown: Some(6_240),
            services: None,
            jump,
            counted: jump.is_some(),
            kernel: Some(312),
            initrd: None,
            userspace: None,
        })
    }

    /// The same with what systemd knows of the rest of the boot.
    pub fn booted() -> Outcome {
        match kexec(Some(180)) {
            Outcome::Kexec(times) => Outcome::Kexec(ArrivalTimes {
                services: Some(2_100),
                initrd: Some(1_240),
                userspace: Some(4_020),
                ..times
            }),
            other => other,
        }
    }

    pub fn cold(firmware: Option<u64>) -> Outcome {
        Outcome::Cold {
            to: "6.12.107".into(),
            at: 1_795_388_958_000,
            candidates: vec!["one \u{1b}[2J thing".into(), "another".into()],
            jumped: false,
            firmware,
            kernel: Some(410),
            initrd: None,
            userspace: None,
        }
    }

    pub fn all() -> Vec<Attempt> {
        let outcomes = [
            None,
            Some(Outcome::Pending),
            Some(kexec(None)),
            Some(kexec(Some(180))),
            Some(booted()),
            Some(cold(None)),
            Some(Outcome::Unknown {
                why: "this boot started 3 days after the request".into(),
            }),
        ];
        let mut all: Vec<Attempt> = outcomes.into_iter().map(attempt).collect();
        let mut stayed = attempt(Some(kexec(None)));
        stayed.uncompared = Some("the automount at /boot ends\u{1b}[2J".into());
        all.push(stayed);
        for outcome in [Outcome::Pending, cold(None)] {
            let mut turn = attempt(Some(outcome));
            turn.target.entry = None;
            turn.cold = Some("every 2nd reboot goes through the firmware".into());
            all.push(turn);
        }
        all
    }

    #[test]
    fn every_outcome() {
        insta::assert_snapshot!(history(&all(), Layout::PLAIN));
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_795_388_651_000), "2026-11-22 23:04:11 UTC");
        assert_eq!(date(u64::MAX), "9999-12-31 23:59:59 UTC");
    }
}
