//! Does a watchdog reset the machine before the dump is saved?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext};
use crate::facts::Watchdog;
use crate::watchdog::{WatchdogVerdict, judge};

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-watchdog",
    group: CheckGroup::Machine,
    about: "no watchdog resets the machine before the dump is saved",
    run,
};

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
    watchdogs.iter().map(|one| observe(context, one)).collect()
}

fn observe(context: &CrashContext<'_>, watchdog: &Watchdog) -> Observation {
    let name = watchdog.identity.as_deref().unwrap_or("no name");
    let what = format!("watchdog {} ({name})", watchdog.name);
    let memory = context.host.memory.total.known().copied();
    let judged = judge(watchdog, memory, Some(context.contents));
    match judged.verdict {
        WatchdogVerdict::EndsWithTheKernel
        | WatchdogVerdict::NotRunning
        | WatchdogVerdict::LaterThanTheDump => Observation::pass(what, judged.why),
        WatchdogVerdict::DriverInInitrd => Observation::new(Severity::Note, what, judged.why, ""),
        WatchdogVerdict::BeforeTheDump => Observation::new(
            Severity::Warning,
            what,
            judged.why,
            "add the watchdog's driver and a program that feeds it to the initrd, or set a \
             longer timeout (RuntimeWatchdogSec= of systemd)",
        ),
        WatchdogVerdict::Unknown => Observation::new(
            Severity::Unknown,
            what,
            judged.why,
            "look at it with wdctl(8), and test it once: a crash on purpose",
        ),
    }
}
