//! What there is to do, and what waits for what.

use super::TestOptions;
use super::binaries::{self, Binary, TestCase};
use super::lab_tests::LAB_TESTS;
use super::log::{Log, last_line};
use super::pool::{Job, JobRank, PoolState, SkippedTest, Success};
use super::times::Times;
use crate::fuzz;
use crate::host::cargo;
use crate::product;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const FORMATTING: &str = "formatting";
const TESTS: &str = "build of the tests";
const LINTS: &str = "lints";
const DOCUMENTATION: &str = "documentation tests";
const MANUAL: &str = "manual pages and completions";
const DENY: &str = "dependencies";
const RELEASE: &str = "release build";
const DEB: &str = "package deb";
const RPM: &str = "package rpm";
const ARCH: &str = "package arch";
const RELEASE_FILES: &str = "release files";
/// The scenario in which a guest installs from the repository of [`RELEASE_FILES`].
const FROM_RELEASE: &str =
    "kexec-lab::repository::apt_installs_from_it_and_refuses_what_was_changed";
const MSRV: &str = "oldest Rust";
/// Static steps that take long or fetch much: only where they are named, or everything is
/// wanted; and why they are left out of every other run.
const LONG: &[(&str, &str)] = &[(MSRV, "fetches another Rust: cargo xtask test --all")];
const LAB: &str = "the lab's kernels and QEMU";
const BARE: &str = "bare machine";
const FUZZ_BUILD: &str = "build of the fuzz targets";
/// What is known before anything is built.
const STEPS: &[&str] = &[
    BARE,
    FORMATTING,
    LINTS,
    DOCUMENTATION,
    MANUAL,
    DENY,
    RELEASE,
    DEB,
    RPM,
    ARCH,
    RELEASE_FILES,
];

/// The package of the lab: each of its scenarios is a job.
const LAB_PACKAGE: &str = "kexec-lab";
/// Scenarios that need a kernel which Debian does not have, each with the variable of the
/// environment that names one: a kernel with CONFIG_KEXEC_JUMP, and one of another compiler.
const NAMED_KERNELS: &[(&str, &str)] = &[
    ("a_program_returns", "KEXEC_JUMP_KERNEL"),
    ("a_second_linux_jumps_back", "KEXEC_JUMP_KERNEL"),
    ("another_compilers_kernel", "KEXEC_OTHER_KERNEL"),
];
/// A file to which the lab adds a line for each guest that it started once more.
const RESTARTS: &str = "KEXEC_LAB_RESTARTS";

/// What is wanted, and where the logs are.
#[derive(Debug)]
pub struct Plan {
    options: TestOptions,
    logs: PathBuf,
}

impl Plan {
    /// The plan for what is wanted.
    pub fn new(options: TestOptions, logs: PathBuf) -> Self {
        Plan { options, logs }
    }

    /// The folder of the logs.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The file in which the lab notes what it started once more.
    pub fn restarts(&self) -> PathBuf {
        self.logs.join("restarts")
    }

    fn named(&self, name: &str) -> bool {
        self.options.names.is_empty() || self.options.names.iter().any(|word| name.contains(word))
    }

    /// Whether one of the steps that are known before is wanted.
    fn step(&self, name: &str) -> bool {
        self.options.static_tests && self.named(name)
    }

    /// Whether the program is built in any case, before it is known which tests want it.
    fn release_first(&self) -> bool {
        [RELEASE, DEB, RPM, ARCH, RELEASE_FILES]
            .iter()
            .any(|name| self.step(name))
            || (self.options.vm && self.options.names.is_empty())
    }

    /// Whether tests are built: only where no word names a step and nothing else.
    fn wants_tests(&self) -> bool {
        let only_steps = !self.options.names.is_empty()
            && self.options.names.iter().all(|word| {
                let is_long = LONG.iter().any(|(name, _)| name == word);
                is_long || STEPS.contains(&word.as_str()) || word.starts_with("fuzz::")
            });
        (self.options.static_tests || self.options.vm) && !only_steps
    }

    /// What can be done from the beginning.
    pub fn jobs(self: &Arc<Self>) -> Vec<Job> {
        let mut jobs = Vec::new();
        if self.step(FORMATTING) {
            jobs.push(step(FORMATTING, &[], || {
                cargo(&["fmt", "--all", "--check"])
            }));
        }
        if self.wants_tests() {
            let plan = Arc::clone(self);
            jobs.push(Job::new(TESTS, JobRank::Build, move |log| plan.tests(log)));
        }
        let after: &'static [&'static str] = if self.wants_tests() { &[TESTS] } else { &[] };
        if self.step(LINTS) {
            jobs.push(step(LINTS, after, || {
                let mut command = cargo(&["clippy", "--workspace", "--all-targets"]);
                command.args(["--", "-D", "warnings"]);
                // Beside others.
                command.env("CARGO_BUILD_JOBS", "1");
                command
            }));
        }
        if self.step(DOCUMENTATION) {
            let job = Job::new(DOCUMENTATION, JobRank::Static, |log| {
                let success = log.run(&mut cargo(&["test", "--workspace", "--doc"]))?;
                binaries::count("documentation", success, &log.text()?)
            });
            jobs.push(job.after(after));
        }
        if self.step(MANUAL) {
            jobs.push(step(MANUAL, &[], || xtask(&["man", "--check"])));
        }
        if self.step(DENY) {
            jobs.push(step(DENY, &[], || xtask(&["deny"])));
        }
        if self.long(MSRV) {
            jobs.push(step(MSRV, &[], || xtask(&["msrv"])));
        }
        if self.release_first() {
            jobs.extend(self.release());
        }
        if self.options.vm && self.named(BARE) {
            // A root in which everything is built: the others need not wait for it.
            jobs.push(Job::new(BARE, JobRank::Guest, |log| {
                log.call(&mut xtask(&["bare"]))?;
                Ok(Success::one(last_line(log.path()).unwrap_or_default()))
            }));
        }
        if self.options.fuzz && self.wants_fuzz() {
            let plan = Arc::clone(self);
            jobs.push(Job::new(FUZZ_BUILD, JobRank::Static, move |log| {
                plan.fuzz(log)
            }));
        }
        jobs
    }

    /// Whether one of the [`LONG`] steps is wanted.
    fn long(&self, name: &str) -> bool {
        self.step(name) && (self.options.all || !self.options.names.is_empty())
    }

    fn wants_fuzz(&self) -> bool {
        self.named(FUZZ_BUILD)
            || fuzz::targets().is_ok_and(|targets| {
                targets
                    .iter()
                    .any(|target| self.named(&format!("fuzz::{target}")))
            })
    }

    /// The program, its packages, and what guests need beside it.
    fn release(&self) -> Vec<Job> {
        let mut jobs = vec![Job::new(RELEASE, JobRank::Build, |log| {
            log.call(&mut product::build_command()?)?;
            Ok(Success::one(product::check(&kexec_lab::kexec_binary()?)?))
        })];
        if self.options.vm || self.step(DEB) {
            // Guests install it.
            let mut job = step(DEB, &[RELEASE], || xtask(&["dist", "--check", "deb"]));
            job.rank = JobRank::Build;
            jobs.push(job);
        }
        if self.step(RPM) {
            jobs.push(step(RPM, &[RELEASE], || xtask(&["dist", "--check", "rpm"])));
        }
        if self.step(ARCH) {
            jobs.push(step(ARCH, &[RELEASE], || {
                xtask(&["dist", "--check", "arch"])
            }));
        }
        if self.step(RELEASE_FILES) || (self.options.vm && self.named(FROM_RELEASE)) {
            jobs.push(step(RELEASE_FILES, &[RELEASE], || {
                xtask(&["dist", "--check", "release"])
            }));
        }
        if self.options.vm {
            jobs.push(Job::new(LAB, JobRank::Build, |_| {
                let lab = kexec_lab::Lab::open()?;
                let mut releases = Vec::new();
                for label in kexec_lab::KERNELS.iter().map(|kernel| kernel.label) {
                    releases.push(lab.kernel(label)?.release);
                }
                Ok(Success {
                    note: format!("{}; {}", releases.join(", "), lab.qemu().version),
                    ..Success::default()
                })
            }));
        }
        jobs
    }

    /// Builds the test programs; each of them, or each of its tests, is a job.
    fn tests(self: &Arc<Self>, log: &Log) -> Result<Success> {
        let mut done = Success::default();
        let mut guests = Vec::new();
        let all = binaries::build(log)?;
        for binary in &all {
            let real = LAB_TESTS.iter().find(|real| real.is_of(binary));
            if self.is_lab(binary) {
                if self.options.vm {
                    self.scenarios(binary, &mut guests, &mut done.skipped)?;
                }
                continue;
            }
            if let Some(real) = real
                && self.options.vm
                && self.named(&real.name())
            {
                guests.push(real.job(binary.clone()).after(&[LAB]));
                if real.test.is_none() {
                    continue;
                }
            }
            if self.options.static_tests {
                done.more.extend(self.unit(binary)?);
            }
        }
        for (name, reason) in LONG {
            if self.step(name) && !self.long(name) {
                done.skipped.push(SkippedTest {
                    reason: (*reason).to_owned(),
                    name: (*name).to_owned(),
                });
            }
        }
        done.note = format!("{} programs", all.len());
        if !guests.is_empty() && !self.release_first() {
            done.more.extend(self.release());
        }
        done.more.extend(guests);
        Ok(done)
    }

    fn is_lab(&self, binary: &Binary) -> bool {
        binary.package == LAB_PACKAGE
            && binary.target != "lib"
            && !binary.target.starts_with("bin-")
    }

    /// A program of unit tests, or those of its tests that are wanted.
    fn unit(&self, binary: &Binary) -> Result<Option<Job>> {
        let binary = binary.clone();
        let name = binary.name();
        let only = if self.named(&name) {
            None
        } else {
            let tests = binary.tests()?;
            let names: Vec<String> = tests
                .into_iter()
                .map(|test| test.name)
                .filter(|test| self.named(&format!("{name}::{test}")))
                .collect();
            if names.is_empty() {
                return Ok(None);
            }
            Some(names)
        };
        Ok(Some(Job::twice(name, JobRank::Static, move |log| {
            binary.run(only.as_deref(), log)
        })))
    }

    /// The scenarios of a program of the lab: which are run, and which are not.
    fn scenarios(
        self: &Arc<Self>,
        binary: &Binary,
        jobs: &mut Vec<Job>,
        skipped: &mut Vec<SkippedTest>,
    ) -> Result<()> {
        let name = binary.name();
        let tests = binary.tests()?;
        let wanted = tests
            .iter()
            .filter(|test| self.named(&format!("{name}::{}", test.name)));
        let (runs, left_out): (Vec<&TestCase>, Vec<&TestCase>) =
            wanted.partition(|test| self.runs(test));
        skipped.extend(binary.reasons(&left_out)?);
        for test in runs {
            let (binary, test) = (binary.clone(), test.name.clone());
            let restarts = self.restarts();
            let job = Job::twice(format!("{name}::{test}"), JobRank::Guest, move |log| {
                let words = ["--exact", &test, "--include-ignored", "--nocapture"];
                let mut command = binary.command(&words);
                // An error shows the guest's console; a backtrace would hide it.
                command.env("RUST_BACKTRACE", "0").env(RESTARTS, &restarts);
                count_one(log, &mut command)
            });
            let needs: &[&'static str] = match job.name == FROM_RELEASE {
                true => &[RELEASE_FILES, LAB],
                false => &[RELEASE, DEB, LAB],
            };
            jobs.push(job.after(needs));
        }
        Ok(())
    }

    fn runs(&self, test: &TestCase) -> bool {
        let needs = |(scenario, _): &&(&str, &str)| test.name.ends_with(scenario);
        if let Some((_, variable)) = NAMED_KERNELS.iter().find(needs) {
            return std::env::var_os(variable).is_some();
        }
        self.options.all || !test.ignored
    }

    /// Builds the fuzz targets; each is a job.
    fn fuzz(&self, log: &Log) -> Result<Success> {
        fuzz::build(|command| log.call(command.env("CARGO_BUILD_JOBS", "1")))?;
        let seconds = self.options.fuzz_seconds;
        let mut done = Success::default();
        for target in fuzz::targets()? {
            let name = format!("fuzz::{target}");
            if self.named(&name) || self.named(FUZZ_BUILD) {
                done.more.push(Job::new(name, JobRank::Fuzz, move |log| {
                    log.call(&mut fuzz::command(&target, seconds))?;
                    Ok(Success::one(fuzz::last_words(&log.text()?)))
                }));
            }
        }
        Ok(done)
    }

    /// What was left out in one place and done in another is not left out; what no
    /// place does is.
    pub fn settle(&self, state: &mut PoolState) {
        let done: Vec<&str> = state.ended.iter().map(|one| one.name.as_str()).collect();
        state
            .skipped
            .retain(|one| !done.contains(&one.name.as_str()));
        state.skipped.sort();
        state.skipped.dedup();
    }

    /// The names of everything that is wanted, with the seconds of the last time.
    pub fn list(self: &Arc<Self>, times: &Times) -> Result<String> {
        let log = Log::new(&self.logs, "list");
        // What only serves the others is nothing that one asks for.
        let serves = |name: &str| [TESTS, LAB, FUZZ_BUILD].contains(&name);
        let jobs = self.jobs().into_iter().map(|job| job.name);
        let mut rows: Vec<String> = jobs.filter(|name| !serves(name)).collect();
        let mut skipped = Vec::new();
        if self.wants_tests() {
            let done = self.tests(&log)?;
            rows.extend(done.more.into_iter().map(|job| job.name));
            skipped = done.skipped;
        }
        if self.options.fuzz {
            let targets = fuzz::targets()?;
            let names = targets.into_iter().map(|target| format!("fuzz::{target}"));
            rows.extend(names.filter(|name| self.named(name)));
        }
        let mut text = String::new();
        if rows.is_empty() && skipped.is_empty() {
            bail!(
                "nothing has {} in its name",
                self.options.names.join(" or ")
            );
        }
        for name in rows {
            let seconds = times.last(&name).map(|seconds| format!("{seconds:.1}"));
            let seconds = seconds.unwrap_or_else(|| "-".to_owned());
            text.push_str(&format!("{seconds:>7}  {name}\n"));
        }
        for one in skipped {
            text.push_str(&format!("skipped  {} ({})\n", one.name, one.reason));
        }
        Ok(text)
    }
}

/// A program that has to succeed; it counts as one. What it said last of what it made
/// is a word about it.
fn step(
    name: &'static str,
    needs: &'static [&'static str],
    command: impl Fn() -> Command + Send + 'static,
) -> Job {
    Job::new(name, JobRank::Static, move |log| {
        log.call(&mut command())?;
        let said = last_line(log.path()).filter(|_| needs.contains(&RELEASE));
        Ok(Success::one(said.unwrap_or_default()))
    })
    .after(needs)
}

/// A run of one test, which has to be there.
fn count_one(log: &Log, command: &mut Command) -> Result<Success> {
    let success = log.run(command)?;
    let done = binaries::count("", success, &log.text()?)?;
    anyhow::ensure!(
        done.passed == 1,
        "expected one test, {} were run",
        done.passed
    );
    Ok(Success::one(""))
}

/// A command that runs this program with other words.
fn xtask(words: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "xtask".into());
    let mut command = Command::new(program);
    command.args(words);
    command
}

#[cfg(test)]
mod tests;
