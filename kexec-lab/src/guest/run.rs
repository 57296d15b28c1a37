//! Running QEMU once, with a deadline.

use super::outcome::{End, GuestRun};
use super::restart::{self, TimeLimits};
use super::{CONSOLE, Guest, protocol};
use crate::qemu::{GuestSlot, RunningQemu};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The processor. `max` is everything that the interpreter knows, 5-level
/// page tables included; `svm=off` keeps kvm_amd from loading.
pub(crate) const CPU: &str = "max,svm=off";

/// What the kernel says, at its most urgent, before it switches the machine off:
/// `kernel_power_off`.
const POWERED_OFF: &str = "reboot: Power down";

pub(super) fn run(guest: &Guest<'_>) -> Result<GuestRun> {
    let root = guest.root()?;
    let mut slot = None;
    let what = format!(
        "kernel {}, {}, processors: {}",
        guest.kernel.release, guest.firmware, guest.cpus
    );
    let boots = restart::run(&what, guest.limits(), |limits| {
        start(guest, &root, limits, &mut slot).map(|outcome| vec![outcome])
    })?;
    boots
        .into_iter()
        .last()
        .context("the guest was not started")
}

/// Runs the guest with this initramfs once, in its turn.
fn start(
    guest: &Guest<'_>,
    root: &[u8],
    limits: TimeLimits,
    slot: &mut Option<GuestSlot>,
) -> Result<GuestRun> {
    let scratch = tempfile::tempdir().context("making a folder for the guest's files")?;
    let initrd = scratch.path().join("initrd");
    std::fs::write(&initrd, root).context("writing the guest's initramfs")?;

    let mut command = guest.lab.qemu().command();
    command
        .args(["-accel", "tcg", "-machine", "q35", "-cpu", CPU])
        .args(["-no-reboot", "-display", "none", "-vga", "none"])
        .args(["-nic", "none", "-no-user-config"])
        .args(["-m", &guest.memory_mb.to_string()])
        .args(["-smp", &guest.cpus.to_string()])
        .args(["-monitor", "none"])
        .args(guest.lab.qemu().firmware(guest.firmware, scratch.path())?)
        .arg("-kernel")
        .arg(&guest.kernel.path)
        .arg("-initrd")
        .arg(&initrd)
        .arg("-append")
        .arg(format!("{CONSOLE} {}", guest.append).trim_end())
        .args(&guest.qemu_arguments);
    if let Some(image) = &guest.disk {
        let drive = format!("format=raw,readonly=on,if=virtio,file={}", image.display());
        command.args(["-drive", &drive]);
    }
    if guest.counting {
        // One instruction is one nanosecond; a guest that waits goes to the end of
        // its wait at once.
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    let slot = GuestSlot::keep(slot)?;
    watch(&mut command, scratch.path(), limits, slot)
}

/// Runs QEMU with the console on its first serial port and the report on its
/// second until it ends or the time is up. `scratch` takes their files.
pub(crate) fn watch(
    command: &mut Command,
    scratch: &Path,
    limits: TimeLimits,
    _one_at_a_time: &GuestSlot,
) -> Result<GuestRun> {
    let console = scratch.join("console");
    let messages = scratch.join("qemu");
    command
        .args(["-serial", &format!("file:{}", console.display())])
        // signal=off: QEMU leaves the terminal of the test alone.
        .args(["-chardev", "stdio,id=report,signal=off"])
        .args(["-serial", "chardev:report"]);
    let started = Instant::now();
    let (lines, timed_out, failure) = attend(command, &messages, started, limits)?;
    let duration = started.elapsed();
    let console = std::fs::read(&console)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    if let Some(failure) = failure {
        bail!(
            "QEMU ended with {failure}: {}",
            std::fs::read_to_string(&messages)
                .unwrap_or_default()
                .trim()
        );
    }
    let stages = protocol::parse(&lines);
    let end = if timed_out {
        End::TimedOut
    } else if lines.last().is_some_and(|(_, line)| line.trim() == "@done")
        || console
            .lines()
            .rev()
            .take(3)
            .any(|line| line.contains(POWERED_OFF))
    {
        End::PoweredOff
    } else {
        End::Reset
    };
    let outcome = GuestRun {
        stages: Vec::new(),
        console,
        duration,
        end,
    };
    match stages {
        Ok(stages) => Ok(GuestRun { stages, ..outcome }),
        Err(error) => Err(error.context(format!(
            "following the guest ({end:?}); the console ends with:\n{}",
            outcome.tail()
        ))),
    }
}

type TimedLines = Vec<(Duration, String)>;

/// Starts QEMU and collects what it says until it ends or the time is up.
/// Third: the status of a QEMU that failed.
fn attend(
    command: &mut Command,
    messages: &Path,
    started: Instant,
    limits: TimeLimits,
) -> Result<(TimedLines, bool, Option<String>)> {
    let log = std::fs::File::create(messages).context("making a file for QEMU's messages")?;
    let mut running = RunningQemu(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?,
    );
    let output = running
        .0
        .stdout
        .take()
        .context("QEMU's standard output is not a pipe")?;
    let receiver = read_lines(output, started);
    let mut lines = Vec::new();
    let mut has_begun = false;
    loop {
        let left = limits.now(has_begun).saturating_sub(started.elapsed());
        match receiver.recv_timeout(left) {
            Ok(line) => {
                has_begun |= protocol::begins_a_stage(&line.1);
                lines.push(line);
            }
            Err(RecvTimeoutError::Timeout) => return Ok((lines, true, None)),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = running.0.wait().context("waiting for QEMU")?;
    Ok((
        lines,
        false,
        (!status.success()).then(|| status.to_string()),
    ))
}

/// Lines of the report with the time of their arrival, until the pipe ends.
fn read_lines(output: ChildStdout, started: Instant) -> Receiver<(Duration, String)> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send((started.elapsed(), text)).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
