//! Unbinds devices side by side, and waits no longer than the deadline.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kexec_sys::in_words;

use serde::Serialize;

use super::{Unbinding, worker};

/// How often it is looked which of them are done.
const TICK: Duration = Duration::from_millis(5);

/// Starts the work on one device.
pub trait Unbinder {
    /// Starts it, and does not wait.
    ///
    /// # Errors
    /// Why it could not be started, in one line.
    fn start(&self, unbinding: &Unbinding) -> Result<Box<dyn Work>, String>;
}

/// The work on one device.
pub trait Work {
    /// What became of it; `None` while it goes on.
    fn ended(&mut self) -> Option<Result<(), String>>;
}

/// What became of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unbound {
    /// Its name.
    pub device: String,
    /// Its driver before.
    pub driver: String,
    /// What became of it.
    pub result: UnboundResult,
}

/// What became of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnboundResult {
    /// It has no driver any more.
    Unbound {
        /// After how long, in milliseconds.
        ms: u64,
    },
    /// It could not be unbound, and keeps its driver.
    Failed {
        /// Why.
        why: String,
    },
    /// It was not done at the deadline. The kernel goes on with it, and waits for it in its
    /// own shutdown.
    Late,
}

/// Unbinds all of them at once, and returns when all are done, or at the deadline.
pub fn unbind_all(by: &dyn Unbinder, chosen: &[Unbinding], limit: Duration) -> Vec<Unbound> {
    let started = Instant::now();
    let mut under_way = Vec::new();
    for unbinding in chosen {
        let (work, result) = match by.start(unbinding) {
            Ok(work) => (Some(work), UnboundResult::Late),
            Err(why) => (None, UnboundResult::Failed { why }),
        };
        let unbound = Unbound {
            device: unbinding.device.clone(),
            driver: unbinding.driver.clone(),
            result,
        };
        under_way.push((work, unbound));
    }
    loop {
        for (work, unbound) in &mut under_way {
            let Some(ended) = work.as_mut().and_then(|work| work.ended()) else {
                continue;
            };
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            unbound.result = match ended {
                Ok(()) => UnboundResult::Unbound { ms },
                Err(why) => UnboundResult::Failed { why },
            };
            *work = None;
        }
        let left = under_way.iter().any(|(work, _)| work.is_some());
        if !left || started.elapsed() >= limit {
            return under_way.into_iter().map(|(_, unbound)| unbound).collect();
        }
        std::thread::sleep(TICK);
    }
}

/// Processes of this program: one for each device.
#[derive(Debug)]
pub struct Processes;

/// The longest message that is read from a process, in bytes.
const LONGEST: u64 = 4096;

impl Unbinder for Processes {
    fn start(&self, unbinding: &Unbinding) -> Result<Box<dyn Work>, String> {
        // Its name is not needed, which may be gone: the file is the one that runs.
        let mut command = Command::new("/proc/self/exe");
        command.args(["parallel-shutdown", "--steps"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let failed = |e: std::io::Error| format!("starting a process for it: {}", in_words(e));
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(worker::lines(unbinding).as_bytes())
                .map_err(failed)?;
        }
        Ok(Box::new(Process(child)))
    }
}

struct Process(Child);

impl Work for Process {
    fn ended(&mut self) -> Option<Result<(), String>> {
        let status = match self.0.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status,
            Err(e) => return Some(Err(format!("waiting for its process: {}", in_words(e)))),
        };
        if status.success() {
            return Some(Ok(()));
        }
        let mut said = Vec::new();
        if let Some(stderr) = self.0.stderr.take() {
            let _ = stderr.take(LONGEST).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim();
        Some(Err(match said.is_empty() {
            true => format!("its process ended with {status}"),
            false => said.strip_prefix("kexec: ").unwrap_or(said).to_owned(),
        }))
    }
}
