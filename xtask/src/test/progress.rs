//! What is said while the tests run: what ended, what is under way, how long it will
//! take.

use super::log::last_line;
use super::pool::{FinishedJob, PoolState};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often something is said where nothing ends and nobody watches a terminal.
const QUIET: Duration = Duration::from_secs(30);
/// What fits on the line that is drawn again and again: on a narrow terminal too.
const DRAWN: usize = 79;
/// How much of a reason or a note is shown.
const WIDTH: usize = 110;

/// Who says it, and when it was last said.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    terminal: bool,
    silent: bool,
    said: Mutex<Instant>,
}

impl Progress {
    /// One that speaks on standard output.
    pub fn new() -> Self {
        Progress {
            started: Instant::now(),
            terminal: std::io::stdout().is_terminal(),
            silent: false,
            said: Mutex::new(Instant::now()),
        }
    }

    /// A progress that prints nothing.
    #[cfg(test)]
    pub fn quiet() -> Self {
        Progress {
            silent: true,
            ..Progress::new()
        }
    }

    /// The time since the first job began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line for the job that has just ended.
    pub fn ended(&self, state: &PoolState, workers: usize) {
        let Some(last) = state.ended.last() else {
            return;
        };
        let line = format!(
            "[{}] {} | {}",
            clock(self.elapsed()),
            outcome(last),
            position(state, workers)
        );
        self.line(&line);
    }

    /// What is under way: drawn again on a terminal, a line now and then elsewhere.
    pub fn now(&self, state: &PoolState, workers: usize) {
        if self.silent {
            return;
        }
        let mut line = format!("[{}] {}", clock(self.elapsed()), position(state, workers));
        for one in &state.running {
            let seconds = one.since.elapsed().as_secs();
            line.push_str(&format!("; {} {seconds} s", one.name));
        }
        if let [only] = state.running.as_slice()
            && let Some(said) = last_line(&only.log)
        {
            line.push_str(&format!(": {said}"));
        }
        if self.terminal {
            let line: String = line.chars().take(DRAWN).collect();
            print!("\r\x1b[K{line}");
            let _ = std::io::stdout().flush();
        } else if self.said.lock().is_ok_and(|said| said.elapsed() > QUIET) {
            self.line(&line.chars().take(2 * WIDTH).collect::<String>());
        }
    }

    /// Prints a line that is not about a job.
    pub fn line(&self, text: &str) {
        if self.silent {
            return;
        }
        if self.terminal {
            print!("\r\x1b[K");
        }
        println!("{text}");
        if let Ok(mut said) = self.said.lock() {
            *said = Instant::now();
        }
    }
}

fn position(state: &PoolState, workers: usize) -> String {
    format!(
        "{} of {}, {} left",
        state.ended.len(),
        state.known(),
        about(state.left(workers))
    )
}

fn outcome(one: &FinishedJob) -> String {
    let verdict = if one.failure.is_some() {
        "FAILED"
    } else {
        "ok"
    };
    let mut text = format!(
        "{verdict:<6} {} ({:.0} s)",
        one.name,
        one.took.as_secs_f64()
    );
    let note = one
        .failure
        .as_ref()
        .map_or(one.note.as_str(), |failure| failure.reason.as_str());
    if let Some(line) = note.lines().next().filter(|line| !line.is_empty()) {
        text.push_str(": ");
        text.extend(line.chars().take(WIDTH));
    }
    text
}

/// Minutes and seconds, such as `12:05`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>3}:{:02}", seconds / 60, seconds % 60)
}

fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=89 => format!("about {seconds} s"),
        seconds => format!("about {} min", seconds.saturating_add(30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        assert_eq!(clock(Duration::from_secs(725)), " 12:05");
        assert_eq!(about(Duration::from_secs(89)), "about 89 s");
        assert_eq!(about(Duration::from_secs(1080)), "about 18 min");
    }
}
