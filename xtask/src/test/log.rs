//! What a job says, in a file of its own.

use crate::host;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may run before it is ended: no scenario comes near it, also
/// where systems have to be fetched and made.
const LONGEST: Duration = Duration::from_secs(40 * 60);

/// The log of one job.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// An empty one below `folder`, named after the job.
    pub fn new(folder: &Path, job: &str) -> Self {
        let name: String = job
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let path = folder.join(format!("{name}.log"));
        // The first who writes reports what stands against it.
        let _ = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
        Log { path }
    }

    /// The file that it is kept in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that was written to it so far.
    pub fn text(&self) -> Result<String> {
        let bytes = std::fs::read(&self.path)
            .with_context(|| format!("reading {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The file, to write more.
    pub fn file(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("writing {}", self.path.display()))
    }

    /// Runs a program, whose output goes here; whether it succeeded.
    pub fn run(&self, command: &mut Command) -> Result<bool> {
        self.run_for(command, LONGEST)
    }

    /// The same, as an error that names the program where it failed.
    pub fn call(&self, command: &mut Command) -> Result<()> {
        if !self.run(command)? {
            bail!("{} failed", host::shown(command));
        }
        Ok(())
    }

    fn run_for(&self, command: &mut Command, longest: Duration) -> Result<bool> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(self.file()?)
            .stderr(self.file()?)
            .spawn()
            .with_context(|| format!("starting {}", host::shown(command)))?;
        let started = Instant::now();
        loop {
            if let Some(status) = child
                .try_wait()
                .with_context(|| format!("waiting for {}", host::shown(command)))?
            {
                return Ok(status.success());
            }
            if started.elapsed() > longest {
                let _ = child.kill();
                let _ = child.wait();
                bail!(
                    "{} did not end within {} minutes",
                    host::shown(command),
                    longest.as_secs() / 60
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The last line of a log that says something.
pub fn last_line(path: &Path) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(2048))).ok()?;
    let mut bytes = Vec::new();
    file.take(2048).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text
        .split(['\n', '\r'])
        .rfind(|line| !line.trim().is_empty())?;
    let line: String = line.trim().chars().filter(|c| !c.is_control()).collect();
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_kept_and_an_endless_program_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path(), "a::b c/d");
        assert!(log.path().ends_with("a--b-c-d.log"));
        let mut says = Command::new("sh");
        says.args(["-c", "echo out; echo err >&2; exit 3"]);
        assert!(!log.run(&mut says).unwrap());
        assert_eq!(log.text().unwrap(), "out\nerr\n");
        assert_eq!(last_line(log.path()).as_deref(), Some("err"));
        let mut endless = Command::new("sleep");
        endless.arg("100");
        let error = log
            .run_for(&mut endless, Duration::from_millis(50))
            .unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
        let missing = log.call(&mut Command::new("no-such-program-anywhere"));
        let error = missing.unwrap_err().to_string();
        assert!(error.contains("no-such-program-anywhere"), "{error}");
    }
}
