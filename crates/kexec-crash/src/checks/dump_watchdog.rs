//! Does a watchdog reset the machine before the dump is saved?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext};
use crate::facts::Watchdog;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-watchdog",
    group: CheckGroup::Machine,
    about: "no watchdog resets the machine before the dump is saved",
    run,
};

/// Seconds until a crash kernel has found its disks. Longer than the guests of the tests
/// and most servers take.
const START: u64 = 30;
/// Bytes of dump in a second: a slow disk, with compression on one processor.
const RATE: u64 = 50 << 20;
/// Assumed: a dump without user data and free pages is a tenth of the memory at most.
pub(super) const SHARE: u64 = 10;
/// What the driver that counts in software says that it is; it ends with the kernel.
const SOFTWARE: &str = "Software Watchdog";

/// Seconds from the panic until a dump of a machine with so much memory is saved.
pub(super) fn duration(memory: u64) -> u64 {
    START.saturating_add(memory / SHARE / RATE)
}

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let watchdogs = match &context.facts.watchdogs {
        Fact::Known(watchdogs) if !watchdogs.is_empty() => watchdogs,
        Fact::Known(_) | Fact::Absent => {
            return vec![Observation::pass("watchdogs", "there is none")];
        }
        Fact::Unreadable(why) => {
            return vec![Observation::new(
                Severity::Unknown,
                "watchdogs",
                why,
                "mount /sys",
            )];
        }
    };
    watchdogs.iter().map(|one| judge(context, one)).collect()
}

fn judge(context: &CrashContext<'_>, watchdog: &Watchdog) -> Observation {
    let name = watchdog.identity.as_deref().unwrap_or("no name");
    let what = format!("watchdog {} ({name})", watchdog.name);
    if watchdog.identity.as_deref() == Some(SOFTWARE) {
        return Observation::pass(what, "it ends with the kernel that crashes");
    }
    match (watchdog.active, watchdog.timeout) {
        (Some(false), _) => Observation::pass(what, "it is not running"),
        (Some(true), Some(timeout)) => {
            let memory = context.host.memory.total.known().copied().unwrap_or(0);
            let needed = duration(memory);
            let driver = watchdog.driver.as_ref();
            let taken = driver.filter(|driver| context.contents.modules.contains(*driver));
            let facts =
                format!("it resets the machine after {timeout} s; a dump takes about {needed} s");
            match (timeout >= needed, taken) {
                (true, _) => Observation::pass(what, facts),
                (false, Some(driver)) => Observation::new(
                    Severity::Note,
                    what,
                    format!("{facts}. The initrd has its driver {driver}, which has to feed it"),
                    "",
                ),
                (false, None) => Observation::new(
                    Severity::Warning,
                    what,
                    format!("{facts}, and the initrd does not have its driver"),
                    "add the watchdog's driver and a program that feeds it to the initrd, or set a \
                     longer timeout (RuntimeWatchdogSec= of systemd)",
                ),
            }
        }
        _ => Observation::new(
            Severity::Unknown,
            what,
            "the running kernel does not show whether it is running (CONFIG_WATCHDOG_SYSFS)",
            "look at it with wdctl(8)",
        ),
    }
}
