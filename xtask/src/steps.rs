//! A list of steps with their times, shown as a table at the end.

use anyhow::Result;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What became of a step.
#[derive(Debug)]
enum Verdict {
    Passed(String),
    Failed(String),
    Skipped(String),
}

/// Steps that were taken so far. A failed one does not stop the next.
#[derive(Debug, Default)]
pub struct Steps {
    taken: Vec<(&'static str, Duration, Verdict)>,
}

impl Steps {
    /// Takes a step; what it returns is a word about the result.
    pub fn take(&mut self, name: &'static str, step: impl FnOnce() -> Result<String>) -> bool {
        println!("\n== {name}");
        let started = Instant::now();
        let verdict = match step() {
            Ok(note) => Verdict::Passed(note),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                Verdict::Failed(format!("{error:#}"))
            }
        };
        let passed = matches!(verdict, Verdict::Passed(_));
        self.taken.push((name, started.elapsed(), verdict));
        passed
    }

    /// Notes a step that is not taken.
    pub fn skip(&mut self, name: &'static str, reason: &str) {
        self.taken
            .push((name, Duration::ZERO, Verdict::Skipped(reason.to_owned())));
    }

    /// Prints the table; fails if any step did.
    pub fn finish(self) -> ExitCode {
        println!("\n{:<28} {:>8}  result", "step", "seconds");
        let mut all = Duration::ZERO;
        let mut failed = false;
        for (name, duration, verdict) in &self.taken {
            all = all.saturating_add(*duration);
            let result = match verdict {
                Verdict::Passed(note) if note.is_empty() => "ok".to_owned(),
                Verdict::Passed(note) => format!("ok: {note}"),
                Verdict::Failed(reason) => {
                    failed = true;
                    let line = reason.lines().next().unwrap_or_default();
                    format!("FAILED: {}", line.chars().take(120).collect::<String>())
                }
                Verdict::Skipped(reason) => format!("skipped: {reason}"),
            };
            println!("{name:<28} {:>8.1}  {result}", duration.as_secs_f64());
        }
        println!("{:<28} {:>8.1}", "all", all.as_secs_f64());
        if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
