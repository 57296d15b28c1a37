//! Jobs and who runs them: as many at once as the machine has processors, the
//! longest first among those that may start.

use super::log::Log;
use super::progress::Progress;
use super::times::Times;
use anyhow::Result;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// When a job starts, among those that may: in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobRank {
    /// Builds, which others wait for.
    Build,
    /// Lints and unit tests, whose result is quickly known.
    Static,
    /// A scenario on real kernels.
    Guest,
    /// Short ones, which fill what is left at the end.
    Fuzz,
}

/// What a job does; it returns what became of it, or the reason why it failed.
pub type Work = Box<dyn FnOnce(&Log) -> Result<Success> + Send>;

/// A test program, a single test, a lint, a build: one line of the report.
pub struct Job {
    /// Its name, as `cargo xtask test NAME` has it.
    pub name: String,
    /// Its place in the order.
    pub rank: JobRank,
    /// Names of jobs that must have passed before.
    pub needs: Vec<&'static str>,
    /// Runs it; its output goes to the log.
    pub work: Work,
    /// The same for a second time, where one failure may be the busy host's.
    pub again: Option<Work>,
}

impl Job {
    /// A job that needs no other one.
    pub fn new(
        name: impl Into<String>,
        rank: JobRank,
        work: impl FnOnce(&Log) -> Result<Success> + Send + 'static,
    ) -> Self {
        Job {
            name: name.into(),
            rank,
            needs: Vec::new(),
            work: Box::new(work),
            again: None,
        }
    }

    /// A job that gets a second run, which [`PoolState::again`] keeps.
    pub fn twice(
        name: impl Into<String>,
        rank: JobRank,
        work: impl Fn(&Log) -> Result<Success> + Clone + Send + 'static,
    ) -> Self {
        Job {
            again: Some(Box::new(work.clone())),
            ..Job::new(name, rank, work)
        }
    }

    /// The same after these have passed.
    pub fn after(mut self, needs: &[&'static str]) -> Self {
        self.needs.extend_from_slice(needs);
        self
    }
}

/// A test that was not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkippedTest {
    /// The text of its `#[ignore]`, or that there is none.
    pub reason: String,
    /// Its path, as `cargo xtask test NAME` takes it.
    pub name: String,
}

/// What became of a job that did not fail.
#[derive(Default)]
pub struct Success {
    /// How many tests passed.
    pub passed: usize,
    /// Shown behind the name: a version, a size.
    pub note: String,
    /// Tests in it that were not run.
    pub skipped: Vec<SkippedTest>,
    /// Jobs that are known only now, such as the tests of a program that was built.
    pub more: Vec<Job>,
}

impl Success {
    /// One thing passed, with this note behind its name.
    pub fn one(note: impl Into<String>) -> Self {
        Success {
            passed: 1,
            note: note.into(),
            ..Success::default()
        }
    }
}

/// Why a job failed, and how many tests of it did.
#[derive(Debug)]
pub struct Failure {
    /// The reason, one line or more.
    pub reason: String,
    /// Where what it said is kept; nothing if it was not run.
    pub log: Option<PathBuf>,
}

/// A job that has ended.
#[derive(Debug)]
pub struct FinishedJob {
    /// That of its [`Job`].
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// How many tests passed.
    pub passed: usize,
    /// [`Success::note`]; empty if it failed.
    pub note: String,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// A job that failed at first, and passed when it ran alone.
#[derive(Debug)]
pub struct UnsteadyTest {
    /// That of its [`Job`].
    pub name: String,
    /// Why it failed.
    pub failure: Failure,
}

/// A job that a worker is at.
#[derive(Debug)]
pub struct RunningJob {
    /// That of its [`Job`].
    pub name: String,
    /// When a worker began with it.
    pub since: Instant,
    /// How long it took the last time.
    pub estimate: Duration,
    /// The file that its output goes to.
    pub log: PathBuf,
}

/// What waits, runs and has ended at one moment.
#[derive(Default)]
pub struct PoolState {
    /// What may start when its time has come, the next one last, with its estimate.
    pub waiting: Vec<(Job, Duration)>,
    /// Jobs that a worker is at.
    pub running: Vec<RunningJob>,
    /// Jobs that passed, failed or could not start.
    pub ended: Vec<FinishedJob>,
    /// Tests that were not run.
    pub skipped: Vec<SkippedTest>,
    /// Second runs of jobs that failed, by the name of the job.
    pub again: Vec<(String, Work)>,
    /// What failed at first, and passed when it ran alone.
    pub unsteady: Vec<UnsteadyTest>,
}

impl PoolState {
    fn add(&mut self, jobs: Vec<Job>, times: &Times) {
        for job in jobs {
            let estimate = times.estimate(&job.name, job.rank);
            self.waiting.push((job, estimate));
        }
        // The last one is taken first.
        self.waiting
            .sort_by_key(|(job, estimate)| (std::cmp::Reverse(job.rank), *estimate));
    }

    /// How many jobs are known of.
    pub fn known(&self) -> usize {
        self.waiting
            .len()
            .saturating_add(self.running.len())
            .saturating_add(self.ended.len())
    }

    /// How long the rest takes with so many workers, as far as it is known.
    pub fn left(&self, workers: usize) -> Duration {
        let rest = |running: &RunningJob| running.estimate.saturating_sub(running.since.elapsed());
        let all: Duration = self.waiting.iter().map(|(_, estimate)| *estimate).sum();
        let all = all.saturating_add(self.running.iter().map(rest).sum());
        let longest = self.running.iter().map(rest).max().unwrap_or_default();
        let shared = all
            .checked_div(u32::try_from(workers).unwrap_or(1).max(1))
            .unwrap_or_default();
        shared.max(longest)
    }

    /// The next job that may start, and the reasons of those that never may.
    fn next(&mut self) -> Scheduled {
        let passed = |need: &&str, ended: &[FinishedJob]| {
            ended
                .iter()
                .find(|one| one.name == **need)
                .map(|one| one.failure.is_none())
        };
        let mut at = self.waiting.len();
        while let Some(index) = at.checked_sub(1) {
            at = index;
            let Some((job, _)) = self.waiting.get(index) else {
                continue;
            };
            let needs: Vec<_> = job
                .needs
                .iter()
                .map(|need| (*need, passed(need, &self.ended)))
                .collect();
            if let Some((need, _)) = needs.iter().find(|(_, passed)| *passed == Some(false)) {
                let (job, _) = self.waiting.remove(index);
                let failure = Failure {
                    reason: format!("not run, because `{need}` failed"),
                    log: None,
                };
                return Scheduled::Never(job, failure);
            }
            if needs.iter().all(|(_, passed)| *passed == Some(true)) {
                let (job, estimate) = self.waiting.remove(index);
                return Scheduled::Run(job, estimate);
            }
        }
        if self.running.is_empty() {
            // What waits for a job that is not there is a fault of the plan.
            return match self.waiting.pop() {
                Some((job, _)) => {
                    let reason = format!("waits for {:?}, which nobody runs", job.needs);
                    Scheduled::Never(job, Failure { reason, log: None })
                }
                None => Scheduled::Finished,
            };
        }
        Scheduled::Wait
    }
}

enum Scheduled {
    Run(Job, Duration),
    Never(Job, Failure),
    Wait,
    Finished,
}

/// The pool of workers and what they share.
pub struct Pool<'a> {
    state: Mutex<PoolState>,
    changed: Condvar,
    workers: usize,
    times: &'a Times,
    logs: PathBuf,
}

impl<'a> Pool<'a> {
    /// A pool with so many workers, whose jobs write below `logs`.
    pub fn new(workers: usize, times: &'a Times, logs: PathBuf) -> Self {
        Pool {
            state: Mutex::default(),
            changed: Condvar::new(),
            workers: workers.max(1),
            times,
            logs,
        }
    }

    /// Runs these jobs and all that come out of them, and tells what became of each.
    pub fn run(self, jobs: Vec<Job>, progress: &Progress) -> PoolState {
        self.state().add(jobs, self.times);
        thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(|| self.work(progress));
            }
            scope.spawn(|| self.watch(progress));
        });
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, progress: &Progress) {
        let mut state = self.state();
        loop {
            match state.next() {
                Scheduled::Finished => {
                    self.changed.notify_all();
                    return;
                }
                Scheduled::Wait => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Scheduled::Never(job, failure) => {
                    let ended = FinishedJob {
                        name: job.name,
                        took: Duration::ZERO,
                        passed: 0,
                        note: String::new(),
                        failure: Some(failure),
                    };
                    state.ended.push(ended);
                    progress.ended(&state, self.workers);
                }
                Scheduled::Run(job, estimate) => {
                    let log = Log::new(&self.logs, &job.name);
                    state.running.push(RunningJob {
                        name: job.name.clone(),
                        since: Instant::now(),
                        estimate,
                        log: log.path().to_owned(),
                    });
                    drop(state);
                    let mut job = job;
                    let again = job.again.take();
                    let ended = run(job, &log);
                    state = self.state();
                    if let (Some(work), Some(_)) = (again, &ended.0.failure) {
                        state.again.push((ended.0.name.clone(), work));
                    }
                    state.running.retain(|one| one.name != ended.0.name);
                    state.ended.push(ended.0);
                    state.skipped.extend(ended.1.skipped);
                    state.add(ended.1.more, self.times);
                    progress.ended(&state, self.workers);
                    self.changed.notify_all();
                }
            }
        }
    }

    /// Says now and then what is under way.
    fn watch(&self, progress: &Progress) {
        let mut state = self.state();
        while !(state.waiting.is_empty() && state.running.is_empty()) {
            progress.now(&state, self.workers);
            let (next, _) = self
                .changed
                .wait_timeout(state, Duration::from_millis(500))
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }
}

/// Runs one job; a panic of it is its failure.
pub(super) fn run(job: Job, log: &Log) -> (FinishedJob, Success) {
    let started = Instant::now();
    let work = job.work;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(log)))
        .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
    let (mut done, failure) = match result {
        Ok(done) => (done, None),
        Err(error) => {
            let failure = Failure {
                reason: format!("{error:#}"),
                log: Some(log.path().to_owned()),
            };
            (Success::default(), Some(failure))
        }
    };
    let ended = FinishedJob {
        name: job.name,
        took: started.elapsed(),
        passed: done.passed,
        note: std::mem::take(&mut done.note),
        failure,
    };
    (ended, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn pool(workers: usize, jobs: Vec<Job>) -> PoolState {
        let folder = tempfile::tempdir().unwrap();
        let times = Times::default();
        Pool::new(workers, &times, folder.path().to_owned()).run(jobs, &Progress::quiet())
    }

    fn job(name: &str, rank: JobRank, order: &Arc<Mutex<Vec<String>>>) -> Job {
        let (order, text) = (Arc::clone(order), name.to_owned());
        Job::new(name, rank, move |_| {
            order.lock().unwrap().push(text);
            Ok(Success::one(""))
        })
    }

    #[test]
    fn needs_come_first_and_what_needs_a_failed_one_is_not_run() {
        let order = Arc::default();
        let broken = Job::new("broken", JobRank::Build, |_| anyhow::bail!("no"));
        let state = pool(
            2,
            vec![
                job("late", JobRank::Static, &order).after(&["early"]),
                job("early", JobRank::Fuzz, &order),
                job("never", JobRank::Static, &order).after(&["broken"]),
                job("nobody", JobRank::Static, &order).after(&["missing"]),
                broken,
            ],
        );
        assert_eq!(*order.lock().unwrap(), ["early", "late"]);
        let mut failed: Vec<_> = state
            .ended
            .iter()
            .filter_map(|one| Some((one.name.as_str(), one.failure.as_ref()?.reason.as_str())))
            .collect();
        failed.sort_unstable();
        assert_eq!(
            failed,
            [
                ("broken", "no"),
                ("never", "not run, because `broken` failed"),
                ("nobody", "waits for [\"missing\"], which nobody runs"),
            ]
        );
    }

    #[test]
    fn more_jobs_come_out_of_one_and_a_panic_is_a_failure() {
        let order: Arc<Mutex<Vec<String>>> = Arc::default();
        let (one, two) = (
            job("one", JobRank::Guest, &order),
            job("two", JobRank::Static, &order),
        );
        let first = Job::new("first", JobRank::Build, move |_| {
            Ok(Success {
                more: vec![one, two],
                ..Success::one("")
            })
        });
        let panics = Job::new("panics", JobRank::Fuzz, |_| panic!("on purpose"));
        let state = pool(1, vec![panics, first]);
        assert_eq!(*order.lock().unwrap(), ["two", "one"]);
        assert_eq!(state.known(), 4);
        let failed = state.ended.iter().filter(|one| one.failure.is_some());
        assert_eq!(failed.count(), 1);
    }
}
