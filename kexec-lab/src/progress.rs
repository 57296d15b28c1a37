//! Programs that take long: somebody waits, and sees how far they are.

use crate::programs::StartProgram;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Between two lines: few enough for a log, often enough for somebody who waits.
const EVERY: Duration = Duration::from_secs(5);

/// Runs a program for its output, with a line on standard error every few seconds:
/// what `say` knows of how far it is.
///
/// # Errors
/// If the program cannot be started or waited for; not if it fails.
pub fn watched(command: &mut Command, say: impl Fn() -> String + Send) -> Result<Output> {
    watched_every(EVERY, command, say, |line| eprintln!("{line}"))
}

fn watched_every(
    every: Duration,
    command: &mut Command,
    say: impl Fn() -> String + Send,
    show: impl Fn(String) + Send,
) -> Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start()?;
    let started = Instant::now();
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                show(format!(
                    "lab: {} ({} s so far)",
                    say(),
                    started.elapsed().as_secs()
                ));
            }
        });
        let output = child.wait_with_output().context("waiting for a program");
        drop(end);
        output
    })
}

/// MB below a folder, as far as it can be read.
#[must_use]
pub fn megabytes(folder: &Path) -> u64 {
    bytes(folder) / 1_000_000
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn says_how_far_it_is_and_keeps_the_output() {
        let lines = Mutex::new(Vec::new());
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; sleep 1"]);
        let output = watched_every(
            Duration::from_millis(100),
            &mut command,
            || "1 of 2 MB".to_owned(),
            |line| lines.lock().unwrap().push(line),
        )
        .unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        let lines = lines.into_inner().unwrap();
        assert!((2..=10).contains(&lines.len()), "{lines:?}");
        assert_eq!(lines.first().unwrap(), "lab: 1 of 2 MB (0 s so far)");
    }

    #[test]
    fn sizes_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("partial")).unwrap();
        std::fs::write(folder.path().join("partial/x"), vec![0; 1_500_000]).unwrap();
        std::fs::write(folder.path().join("y"), vec![0; 600_000]).unwrap();
        assert_eq!(megabytes(folder.path()), 2);
        assert_eq!(megabytes(Path::new("/no/such/folder")), 0);
    }
}
