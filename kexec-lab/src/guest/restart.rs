//! A guest that hangs before anything of ours ran is started once more.
//!
//! On a busy machine a guest of QEMU's interpreter, above all one with many
//! processors, hangs now and then while its kernel calibrates its timers. That
//! says nothing of what a test is about. Nor does a panic for want of a timer.
//! Whatever happens once the first stage has begun does, and is never tried again.

use super::{End, GuestRun};
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the file that gets a line for each guest that was started once more.
const RESTARTS: &str = "KEXEC_LAB_RESTARTS";
/// How often a guest is started at most.
const STARTS: usize = 2;
/// What a kernel says when it jumps into another one: `kernel_kexec`.
const JUMPS: &str = "Starting new kernel";

/// How long a guest may run, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    /// Until its end.
    pub whole: Duration,
    /// Until its first stage begins.
    pub first_stage: Duration,
}

impl TimeLimits {
    /// No other limit for the first stage.
    pub(crate) fn whole(whole: Duration) -> Self {
        Self {
            whole,
            first_stage: whole,
        }
    }

    /// When the time is up.
    pub(crate) fn now(self, has_begun: bool) -> Duration {
        if has_begun {
            self.whole
        } else {
            self.whole.min(self.first_stage)
        }
    }
}

/// Calls `start`, which runs a machine from fresh disks to its end, and once more
/// if that hung before anything of ours ran: that is said, and counted.
///
/// # Errors
/// Those of `start`; or if the file of [`RESTARTS`] cannot be written.
pub(crate) fn run(
    what: &str,
    limits: TimeLimits,
    start: impl FnMut(TimeLimits) -> Result<Vec<GuestRun>>,
) -> Result<Vec<GuestRun>> {
    repeat(limits, start, |hung| {
        let name = format!("{} ({what})", caller());
        eprintln!("lab: {name} hung before anything of ours ran; started once more");
        match std::env::var_os(RESTARTS).map(PathBuf::from) {
            Some(file) => count(&file, &line(&name, hung.duration, &hung.console)),
            None => Ok(()),
        }
    })
}

/// What [`run`] does, telling of a boot that hung. Only the first time the first
/// stage has a limit of its own: a machine that is merely slow loses time, and no
/// test.
fn repeat(
    mut limits: TimeLimits,
    mut start: impl FnMut(TimeLimits) -> Result<Vec<GuestRun>>,
    mut tell: impl FnMut(&GuestRun) -> Result<()>,
) -> Result<Vec<GuestRun>> {
    let mut starts = 0;
    loop {
        let boots = start(limits)?;
        starts += 1;
        match boots.as_slice() {
            [only] if starts < STARTS && hung_before_ours(only) => tell(only)?,
            _ => return Ok(boots),
        }
        limits = TimeLimits::whole(limits.whole);
    }
}

/// What a kernel says when an interpreter that has to wait for its turn kept its
/// timer's interrupts from it (`setup_IO_APIC`); it panics then.
const NO_TIMER: &str = "IO-APIC + timer doesn't work";

/// Whether a machine hung before anything of ours ran, or was kept from its timer,
/// judged by its first boot.
fn hung_before_ours(boot: &GuestRun) -> bool {
    (boot.end == End::TimedOut || boot.console.contains(NO_TIMER))
        && boot.stages.is_empty()
        // What jumped before its first stage was ours.
        && !boot.console.contains(JUMPS)
}

/// Who started the guest: the test, or the program.
fn caller() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().map(OsStr::to_string_lossy);
    let program = program.unwrap_or_default();
    // cargo adds 16 hexadecimal digits to the name of a test's program.
    let program = match program.rsplit_once('-') {
        Some((name, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            name
        }
        _ => &program,
    };
    match std::thread::current().name() {
        Some(test) if test != "main" => format!("{program}::{test}"),
        _ => program.to_owned(),
    }
}

/// What is told of a guest that hung: its name, how long it was waited for, and
/// the last thing that its console said.
fn line(name: &str, silent: Duration, console: &str) -> String {
    let last = console
        .lines()
        .map(|line| line.replace(|c: char| c.is_control(), " "))
        .rfind(|line| !line.trim().is_empty());
    let said = match last {
        Some(last) => format!("the console ended with: {}", last.trim()),
        None => "the console was empty".to_owned(),
    };
    format!("{name}: nothing for {:.0} s; {said}", silent.as_secs_f64())
}

/// Adds a line to the file, in one piece: other tests do the same.
fn count(file: &Path, line: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        .with_context(|| format!("adding a line to {} ({RESTARTS})", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{Report, Stage};
    use std::collections::BTreeMap;

    fn boot(stages: usize, end: End, console: &str) -> GuestRun {
        let stage = Stage {
            name: "first".to_owned(),
            started: Duration::ZERO,
            jumped: None,
            done: false,
            report: Report::default(),
            runs: Vec::new(),
            files: BTreeMap::new(),
        };
        GuestRun {
            stages: vec![stage; stages],
            console: console.to_owned(),
            duration: Duration::from_secs(1),
            end,
        }
    }

    fn hung() -> GuestRun {
        boot(0, End::TimedOut, "APIC calibration\n")
    }

    const JUMPED: &str = "[ 9.1] kexec_load: Starting new kernel\n";

    #[test]
    fn what_is_a_hang_before_ours() {
        for (expected, stages, end, console) in [
            (true, 0, End::TimedOut, "APIC calibration\n"),
            (true, 0, End::TimedOut, ""),
            (false, 0, End::TimedOut, JUMPED),
            (false, 1, End::TimedOut, ""),
            (false, 0, End::Reset, ""),
            (true, 0, End::Reset, NO_TIMER),
            (false, 1, End::Reset, NO_TIMER),
            (false, 0, End::PoweredOff, ""),
            (false, 2, End::PoweredOff, ""),
        ] {
            let boot = boot(stages, end, console);
            assert_eq!(hung_before_ours(&boot), expected, "{boot:?}");
        }
    }

    fn limits() -> TimeLimits {
        TimeLimits {
            whole: Duration::from_secs(300),
            first_stage: Duration::from_secs(20),
        }
    }

    /// How a machine ends whose starts end like this, the limits that each start had,
    /// and how many hangs were told.
    fn repeated(mut ends: Vec<Vec<GuestRun>>) -> (Vec<GuestRun>, Vec<TimeLimits>, usize) {
        ends.reverse();
        let (mut given, mut told) = (Vec::new(), 0);
        let start = |limits| {
            given.push(limits);
            ends.pop().context("started too often")
        };
        let tell = |_: &GuestRun| {
            told += 1;
            Ok(())
        };
        let boots = repeat(limits(), start, tell).unwrap();
        (boots, given, told)
    }

    #[test]
    fn a_hang_is_repeated_once_without_the_short_limit() {
        for second in [boot(1, End::PoweredOff, ""), hung()] {
            let (boots, given, told) = repeated(vec![vec![hung()], vec![second.clone()]]);
            assert_eq!(given, [limits(), TimeLimits::whole(limits().whole)]);
            assert_eq!(told, 1);
            assert_eq!(boots[0].end, second.end);
        }
    }

    #[test]
    fn everything_else_is_started_once() {
        for boots in [
            vec![boot(1, End::PoweredOff, "")],
            vec![boot(1, End::TimedOut, "")],
            // The second boot hung: the first one was gone through.
            vec![boot(1, End::Reset, ""), hung()],
            vec![boot(0, End::Reset, ""), hung()],
            vec![],
        ] {
            let count = boots.len();
            let (boots, given, told) = repeated(vec![boots]);
            assert_eq!((boots.len(), given.len(), told), (count, 1, 0));
        }
    }

    #[test]
    fn errors_are_final() {
        let mut starts = 0;
        let start = |_| {
            starts += 1;
            anyhow::bail!("no QEMU")
        };
        assert!(repeat(limits(), start, |_| Ok(())).is_err());
        assert_eq!(starts, 1);
        let untold = |_: &GuestRun| anyhow::bail!("not to be written");
        assert!(repeat(limits(), |_| Ok(vec![hung()]), untold).is_err());
    }

    #[test]
    fn the_first_stage_has_its_own_limit() {
        assert_eq!(limits().now(false), Duration::from_secs(20));
        assert_eq!(limits().now(true), Duration::from_secs(300));
        let short = TimeLimits {
            whole: Duration::from_secs(5),
            ..limits()
        };
        assert_eq!(short.now(false), Duration::from_secs(5));
    }

    #[test]
    fn each_restart_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restarts");
        let silent = Duration::from_secs(20);
        count(
            &file,
            &line("a::b (c)", silent, "one\r\n\u{1b}[2Jtwo\u{7}\r\n\r\n"),
        )
        .unwrap();
        count(&file, &line("a::b (c)", silent, "")).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "a::b (c): nothing for 20 s; the console ended with: [2Jtwo\n\
             a::b (c): nothing for 20 s; the console was empty\n"
        );
        let error = count(folder.path(), "x").unwrap_err().to_string();
        assert!(error.contains(RESTARTS), "{error}");
    }
}
