//! What is said when everything has ended.

use super::pool::{FinishedJob, PoolState, SkippedTest};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// How many of the slowest are listed.
const SLOWEST: usize = 30;
/// How much of a failed job's log is shown, lines.
const TAIL: usize = 120;

/// The whole report; its last line is `N passed, N failed, N skipped`.
pub fn text(state: &PoolState, restarts: &[String], elapsed: Duration) -> String {
    let mut out = String::new();
    slowest(&mut out, &state.ended);
    skipped(&mut out, &state.skipped);
    if !restarts.is_empty() {
        let _ = writeln!(
            out,
            "\nStarted once more, because they hung before anything of ours ran: {}",
            restarts.len()
        );
        for line in restarts {
            let _ = writeln!(out, "  {line}");
        }
    }
    if !state.unsteady.is_empty() {
        let _ = writeln!(
            out,
            "\nFailed at first, and passed when they ran alone: {}",
            state.unsteady.len()
        );
        for one in &state.unsteady {
            let _ = writeln!(out, "\n==== UNSTEADY {}\n{}", one.name, one.failure.reason);
            log_end(&mut out, one.failure.log.as_deref());
        }
    }
    let failed: Vec<&FinishedJob> = failed(&state.ended).collect();
    for one in &failed {
        failure(&mut out, one);
    }
    let busy: Duration = state.ended.iter().map(|one| one.took).sum();
    let _ = writeln!(
        out,
        "\n{:.1} minutes, {:.1} one after the other",
        elapsed.as_secs_f64() / 60.0,
        busy.as_secs_f64() / 60.0
    );
    for one in &state.unsteady {
        let _ = writeln!(out, "UNSTEADY {}", one.name);
    }
    for one in &failed {
        let _ = writeln!(out, "FAILED {}", one.name);
    }
    let passed = state
        .ended
        .iter()
        .map(|one| one.passed)
        .fold(0, usize::saturating_add);
    let _ = write!(
        out,
        "{passed} passed, {} failed, {} skipped",
        failed.len(),
        state.skipped.len()
    );
    out
}

/// Whether nothing failed.
pub fn success(state: &PoolState) -> bool {
    failed(&state.ended).next().is_none()
}

fn failed(ended: &[FinishedJob]) -> impl Iterator<Item = &FinishedJob> {
    ended.iter().filter(|one| one.failure.is_some())
}

fn slowest(out: &mut String, ended: &[FinishedJob]) {
    let mut by_time: Vec<&FinishedJob> = ended.iter().collect();
    by_time.sort_by_key(|one| std::cmp::Reverse(one.took));
    by_time.truncate(SLOWEST);
    let _ = writeln!(out, "\nThe slowest {}, seconds:", by_time.len());
    for one in by_time {
        let _ = writeln!(out, "{:>7.1}  {}", one.took.as_secs_f64(), one.name);
    }
}

fn skipped(out: &mut String, skipped: &[SkippedTest]) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in skipped {
        by_reason.entry(&one.reason).or_default().push(&one.name);
    }
    if !by_reason.is_empty() {
        let _ = writeln!(out, "\nSkipped: {}", skipped.len());
    }
    for (reason, mut names) in by_reason {
        names.sort_unstable();
        let _ = writeln!(out, "  {reason} ({})", names.len());
        for name in names {
            let _ = writeln!(out, "    {name}");
        }
    }
}

fn failure(out: &mut String, one: &FinishedJob) {
    let Some(failure) = &one.failure else {
        return;
    };
    let _ = writeln!(out, "\n==== FAILED {}\n{}", one.name, failure.reason);
    log_end(out, failure.log.as_deref());
}

fn log_end(out: &mut String, log: Option<&Path>) {
    if let Some(log) = log {
        let _ = writeln!(out, "---- the end of {}", log.display());
        out.push_str(&tail(log));
    }
}

fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines
        .get(from..)
        .unwrap_or_default()
        .iter()
        .flat_map(|line| [*line, "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::pool::{Failure, UnsteadyTest};

    #[test]
    fn the_last_line_counts_and_the_failed_are_named_before_it() {
        let ended = |name: &str, passed, failure| FinishedJob {
            name: name.to_owned(),
            took: Duration::from_secs(2),
            passed,
            note: String::new(),
            failure,
        };
        let failure = Failure {
            reason: "it broke".to_owned(),
            log: None,
        };
        let state = PoolState {
            ended: vec![ended("a", 41, None), ended("b", 0, Some(failure))],
            skipped: vec![SkippedTest {
                reason: "no moon".to_owned(),
                name: "c".to_owned(),
            }],
            unsteady: vec![UnsteadyTest {
                name: "e".to_owned(),
                failure: Failure {
                    reason: "too slow".to_owned(),
                    log: None,
                },
            }],
            ..PoolState::default()
        };
        let text = text(&state, &["d".to_owned()], Duration::from_secs(60));
        assert!(text.ends_with("\nUNSTEADY e\nFAILED b\n41 passed, 1 failed, 1 skipped"));
        for part in [
            "it broke",
            "no moon (1)\n    c",
            "ran: 1\n  d",
            "UNSTEADY e\ntoo slow",
            "1.0 minutes",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!success(&state));
    }
}
