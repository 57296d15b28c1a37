//! `cargo xtask test`: everything that the project proves about itself.
//!
//! What there is to do is a list of [`pool::Job`]s, and the programs that cargo builds
//! add theirs when they are there. [`pool`] runs them, [`progress`] says how far it is,
//! [`report`] what became of it.

mod binaries;
mod lab_tests;
mod log;
mod plan;
mod pool;
mod progress;
mod report;
mod second_run;
mod times;

use crate::host::root;
use anyhow::{Context, Result, bail};
use plan::Plan;
use pool::Pool;
use progress::Progress;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use times::Times;

/// Which tests are run, and how.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// Lints, unit tests, packages: what needs no virtual machine.
    pub static_tests: bool,
    /// Scenarios of kexec-lab, which start virtual machines.
    pub vm: bool,
    /// Each fuzz target for [`TestOptions::fuzz_seconds`].
    pub fuzz: bool,
    /// Also tests that are marked as ignored.
    pub all: bool,
    /// List the names and run nothing.
    pub list: bool,
    /// Only what has one of these words in its name; everything if there are none.
    pub names: Vec<String>,
    /// Seconds for each fuzz target.
    pub fuzz_seconds: u64,
}

/// Runs what is wanted and says what became of it.
pub fn run(options: &TestOptions) -> Result<ExitCode> {
    let times_file = Times::file();
    let times = Times::read(&times_file);
    let plan = Arc::new(Plan::new(options.clone(), root().join("target/test-logs")));
    if options.list {
        eprintln!("Building the tests, to see which there are ...");
        print!("{}", plan.list(&times)?);
        return Ok(ExitCode::SUCCESS);
    }
    let workers = workers();
    let progress = Progress::new();
    println!(
        "{workers} at a time, each with a log of its own below {}.{}",
        plan.logs().display(),
        if times.is_empty() {
            " How long it takes is not known yet: nothing ran here before."
        } else {
            ""
        }
    );
    let restarts = plan.restarts();
    let _ = std::fs::remove_file(&restarts);
    let pool = Pool::new(workers, &times, plan.logs().to_owned());
    let mut state = pool.run(plan.jobs(), &progress);
    second_run::run(&mut state, plan.logs(), &progress);
    plan.settle(&mut state);
    let kept = times.keep(&state.ended, &times_file);
    let restarts = lines(&restarts)?;
    // The last thing that is said, whatever becomes of the times.
    let report = report::text(&state, &restarts, progress.elapsed());
    if let Err(error) = &kept {
        eprintln!("how long the tests took is not kept: {error:#}");
    }
    progress.line(&report);
    if report::success(&state) {
        if state.ended.iter().all(|one| one.passed == 0) {
            bail!("{}", nothing_ran(&options.names, state.skipped.is_empty()));
        }
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Why no test was run, which must not look like success.
fn nothing_ran(names: &[String], nothing_skipped: bool) -> String {
    if nothing_skipped {
        format!(
            "nothing has {} in its name; `cargo xtask test --list` lists the names",
            names.join(" or ")
        )
    } else {
        "what was asked for is skipped, for the reasons above; `--all` runs what can be run"
            .to_owned()
    }
}

/// How many jobs run at a time.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The lines of a file; none where it is not there.
fn lines(file: &PathBuf) -> Result<Vec<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}
