//! The second run of what failed: alone, on a machine that does nothing else.
//!
//! The guests are interpreted and the host has other work, so a test can fail because a
//! processor did not come up in time. What fails twice has failed; what passes now is
//! counted as passed and named in the report, with why it failed at first.

use super::log::Log;
use super::pool::{self, Job, JobRank, PoolState, UnsteadyTest};
use super::progress::Progress;
use std::path::Path;

/// The most failures that are looked at again: where more failed, it is not the host.
const MOST: usize = 3;

/// Runs what failed again, one after another, where that is allowed and few failed.
pub fn run(state: &mut PoolState, logs: &Path, progress: &Progress) {
    let again = std::mem::take(&mut state.again);
    let failed = state.ended.iter().filter(|one| one.failure.is_some());
    if failed.count() > MOST {
        return;
    }
    for (name, work) in again {
        let Some(at) = state.ended.iter().position(|one| one.name == name) else {
            continue;
        };
        let first = state.ended.remove(at);
        // The log of the first run is kept.
        let log = Log::new(logs, &format!("{name}--again"));
        let (mut second, _) = pool::run(Job::new(name, JobRank::Guest, work), &log);
        second.took = second.took.saturating_add(first.took);
        if let (None, Some(failure)) = (&second.failure, first.failure) {
            let name = second.name.clone();
            state.unsteady.push(UnsteadyTest { name, failure });
        }
        state.ended.push(second);
        progress.ended(state, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::{Pool, Success};
    use super::super::times::Times;
    use super::*;
    use anyhow::{Result, bail};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A job that fails so often before it passes, and how often it ran.
    fn fails(name: &str, times: usize) -> (Job, Arc<AtomicUsize>) {
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&ran);
        let work = move |_: &Log| -> Result<Success> {
            match counter.fetch_add(1, Ordering::Relaxed) {
                n if n < times => bail!("failure {n}"),
                _ => Ok(Success::one("")),
            }
        };
        (Job::twice(name, JobRank::Guest, work), ran)
    }

    fn run(jobs: Vec<Job>) -> PoolState {
        let folder = tempfile::tempdir().unwrap();
        let times = Times::default();
        let logs = folder.path().to_owned();
        let mut state = Pool::new(2, &times, logs.clone()).run(jobs, &Progress::quiet());
        super::run(&mut state, &logs, &Progress::quiet());
        state
    }

    #[test]
    fn what_fails_once_passes_and_is_named_and_what_fails_twice_has_failed() {
        let (good, good_ran) = fails("good", 0);
        let (once, once_ran) = fails("once", 1);
        let (twice, twice_ran) = fails("twice", 2);
        let state = run(vec![good, once, twice]);
        let ran = [good_ran, once_ran, twice_ran].map(|ran| ran.load(Ordering::Relaxed));
        assert_eq!(ran, [1, 2, 2]);
        let failed: Vec<&str> = state
            .ended
            .iter()
            .filter(|one| one.failure.is_some())
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(failed, ["twice"]);
        assert_eq!(state.ended.len(), 3);
        let [unsteady] = &state.unsteady[..] else {
            panic!("{:?}", state.unsteady);
        };
        assert_eq!(unsteady.name, "once");
        assert_eq!(unsteady.failure.reason, "failure 0");
    }

    #[test]
    fn where_many_fail_nothing_runs_again() {
        let (jobs, ran): (Vec<Job>, Vec<Arc<AtomicUsize>>) =
            (0..4).map(|n| fails(&format!("job {n}"), 1)).unzip();
        let state = run(jobs);
        assert!(ran.iter().all(|ran| ran.load(Ordering::Relaxed) == 1));
        assert!(state.ended.iter().all(|one| one.failure.is_some()));
        assert!(state.unsteady.is_empty());
    }

    #[test]
    fn a_job_without_a_second_run_has_failed() {
        let state = run(vec![Job::new("once", JobRank::Build, |_| bail!("no"))]);
        assert!(state.ended.iter().all(|one| one.failure.is_some()));
    }
}
