//! Whether a watchdog resets the machine before the dump is saved: one judgement, which
//! `kexec check -p` and `kexec crash status` show.

use serde::Serialize;

use crate::facts::Watchdog;
use crate::initrd::Contents;

/// Seconds until a crash kernel has found its disks. Longer than the guests of the tests
/// and most servers take.
const START: u64 = 30;
/// Bytes of dump in a second: a slow disk, with compression on one processor.
const RATE: u64 = 50 << 20;
/// Assumed: a dump without user data and free pages is a tenth of the memory at most.
pub(crate) const SHARE: u64 = 10;
/// The identity of the driver that counts in software (drivers/watchdog/softdog.c, `softdog_info`).
const SOFTWARE: &str = "Software Watchdog";

/// Seconds from the panic until a dump of a machine with so many bytes of memory is saved.
pub fn dump_seconds(memory: u64) -> u64 {
    START.saturating_add(memory / SHARE / RATE)
}

/// What a watchdog does while the dump is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WatchdogVerdict {
    /// It counts in software, so it ends with the kernel that crashes.
    EndsWithTheKernel,
    /// It is not running.
    NotRunning,
    /// It resets the machine later than a dump takes.
    LaterThanTheDump,
    /// It would reset the machine earlier, and the initrd has its driver.
    DriverInInitrd,
    /// It resets the machine before the dump is saved.
    BeforeTheDump,
    /// That is not determined.
    Unknown,
}

/// A judgement, and what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WatchdogJudgement {
    /// The judgement.
    pub verdict: WatchdogVerdict,
    /// What it follows from.
    pub why: String,
}

/// A watchdog, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JudgedWatchdog {
    /// The watchdog.
    #[serde(flatten)]
    pub watchdog: Watchdog,
    /// What it does while the dump is saved.
    #[serde(flatten)]
    pub judgement: WatchdogJudgement,
}

/// Judges a watchdog. `memory` is that of the machine in bytes, and `initrd` what is in the
/// initrd of the crash kernel; each `None` where that is unknown.
pub fn judge(
    watchdog: &Watchdog,
    memory: Option<u64>,
    initrd: Option<&Contents>,
) -> WatchdogJudgement {
    use WatchdogVerdict as Verdict;
    let judgement = |verdict, why: String| WatchdogJudgement { verdict, why };
    let unknown = |why: String| judgement(Verdict::Unknown, why);
    if watchdog.identity.as_deref() == Some(SOFTWARE) {
        let why = "it ends with the kernel that crashes";
        return judgement(Verdict::EndsWithTheKernel, why.into());
    }
    match watchdog.active {
        Some(true) => {}
        Some(false) => return judgement(Verdict::NotRunning, "it is not running".into()),
        None => {
            return unknown(
                "the running kernel does not show whether it is running (CONFIG_WATCHDOG_SYSFS)"
                    .into(),
            );
        }
    }
    let Some(timeout) = watchdog.timeout else {
        return unknown("it is running, and the running kernel does not show its timeout".into());
    };
    let Some(takes) = memory.map(dump_seconds) else {
        return unknown(format!(
            "it resets the machine after {timeout} s; how long a dump takes is unknown, because \
             the size of the memory is"
        ));
    };
    let facts = format!("it resets the machine after {timeout} s; a dump takes about {takes} s");
    if timeout >= takes {
        return judgement(Verdict::LaterThanTheDump, facts);
    }
    let Some(driver) = &watchdog.driver else {
        return unknown(format!(
            "{facts}. Its driver is no module, so whether the crash kernel feeds it is unknown"
        ));
    };
    match initrd {
        Some(initrd) if initrd.modules.contains(driver) => judgement(
            Verdict::DriverInInitrd,
            format!("{facts}. The initrd has its driver {driver}, which has to feed it"),
        ),
        Some(initrd) if initrd.whole => judgement(
            Verdict::BeforeTheDump,
            format!("{facts}, and the initrd does not have its driver {driver}"),
        ),
        Some(_) => unknown(format!(
            "{facts}. Its driver {driver} was not seen in the initrd, of which a part was not \
             looked into"
        )),
        None => unknown(format!(
            "{facts}. Whether the initrd has its driver {driver} is unknown, because the initrd is"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watchdog() -> Watchdog {
        Watchdog {
            name: "watchdog0".into(),
            identity: Some("iTCO_wdt".into()),
            active: Some(true),
            timeout: Some(20),
            driver: Some("iTCO_wdt".into()),
        }
    }

    #[test]
    fn each_verdict() {
        use WatchdogVerdict as Verdict;
        let whole = Contents {
            whole: true,
            ..Contents::default()
        };
        let with = Contents {
            modules: ["iTCO_wdt".to_owned()].into(),
            ..Contents::default()
        };
        let part = Contents::default();
        let gib = Some(4 << 30);
        let of = |change: fn(&mut Watchdog), memory, initrd| {
            let mut watchdog = watchdog();
            change(&mut watchdog);
            judge(&watchdog, memory, initrd).verdict
        };
        for (change, memory, initrd, verdict) in [
            (
                (|_| {}) as fn(&mut Watchdog),
                gib,
                Some(&whole),
                Verdict::BeforeTheDump,
            ),
            (|_| {}, gib, Some(&with), Verdict::DriverInInitrd),
            (|_| {}, gib, Some(&part), Verdict::Unknown),
            (|_| {}, gib, None, Verdict::Unknown),
            (|_| {}, None, Some(&whole), Verdict::Unknown),
            (|w| w.driver = None, gib, Some(&whole), Verdict::Unknown),
            (|w| w.timeout = None, gib, Some(&whole), Verdict::Unknown),
            (|w| w.active = None, gib, Some(&whole), Verdict::Unknown),
            (|w| w.active = Some(false), None, None, Verdict::NotRunning),
            (
                |w| w.timeout = Some(600),
                gib,
                None,
                Verdict::LaterThanTheDump,
            ),
            (
                |w| w.identity = Some(SOFTWARE.into()),
                gib,
                Some(&whole),
                Verdict::EndsWithTheKernel,
            ),
        ] {
            assert_eq!(of(change, memory, initrd), verdict);
        }
    }

    #[test]
    fn a_dump_takes_longer_with_more_memory() {
        assert_eq!(dump_seconds(0), START);
        assert_eq!(dump_seconds(SHARE * RATE * 60), START + 60);
        assert!(dump_seconds(u64::MAX) > START);
    }
}
