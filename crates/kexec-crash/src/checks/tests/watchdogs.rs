//! Watchdogs: one judgement, wherever it is shown.

use super::*;
use crate::watchdog::WatchdogVerdict as Verdict;

/// `kexec crash status` once showed a watchdog as the end of a dump that the check let pass.
#[test]
fn status_and_check_judge_watchdogs_alike() {
    for (identity, module, memory, verdict, severity) in [
        (
            "Software Watchdog",
            "softdog",
            true,
            Verdict::EndsWithTheKernel,
            Severity::Pass,
        ),
        (
            "iTCO_wdt",
            "iTCO_wdt",
            true,
            Verdict::BeforeTheDump,
            Severity::Warning,
        ),
        (
            "iTCO_wdt",
            "ext4",
            true,
            Verdict::DriverInInitrd,
            Severity::Note,
        ),
        (
            "iTCO_wdt",
            "iTCO_wdt",
            false,
            Verdict::Unknown,
            Severity::Unknown,
        ),
    ] {
        let mut machine = machine();
        machine.facts.watchdogs = Fact::Known(vec![Watchdog {
            name: "watchdog0".into(),
            identity: Some(identity.into()),
            active: Some(true),
            timeout: Some(30),
            // One that the initrd of this machine has, or one that it lacks.
            driver: Some(module.into()),
        }]);
        if !memory {
            machine.host.memory.total = Fact::Absent;
        }
        let (facts, host) = (&machine.facts, &machine.host);
        let shown = crate::status::watchdogs(facts, host, Some(&machine.contents)).unwrap();
        let findings = machine.findings();
        let found = findings
            .iter()
            .find(|f| f.check == "dump-watchdog")
            .unwrap();
        assert_eq!(shown[0].judgement.verdict, verdict, "{identity} {module}");
        assert_eq!(found.severity, severity, "{identity} {module}");
        assert_eq!(shown[0].judgement.why, found.problem.why);
    }
}
