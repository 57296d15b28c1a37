//! Will a hardware watchdog shoot the next kernel while it starts?

use super::{ArrivalCheck, ArrivalContext};
use crate::handover::init::Init;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "watchdog",
    group: CheckGroup::Machine,
    about: "a watchdog that runs during the jump is taken over by the next kernel",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let watchdog = &context.arrival.watchdog;
    let (Init::Systemd, Some(time)) = (context.arrival.init.init, &watchdog.kexec) else {
        return Vec::new();
    };
    if !context.by_init {
        return Vec::new();
    }
    let what = format!("KExecWatchdogSec={time}");
    let outcome = match &watchdog.runtime {
        Some(runtime) => Observation::pass(
            what,
            format!(
                "a hang in the jump ends in a reset; systemd takes the watchdog over again (RuntimeWatchdogSec={runtime})"
            ),
        ),
        None => Observation::new(
            Severity::Warning,
            what,
            "the watchdog keeps running in the next kernel, and RuntimeWatchdogSec= is not set: \
             nothing would stop it from resetting the machine",
            "set RuntimeWatchdogSec= as well (systemd-system.conf(5)), or KExecWatchdogSec=off",
        ),
    };
    vec![outcome]
}
