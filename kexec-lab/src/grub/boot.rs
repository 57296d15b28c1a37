//! Starting a machine from such a disk.

use crate::lab::Lab;
use crate::qemu::{GuestSlot, RunningQemu};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Starts a machine from a disk and collects what it says on its serial port,
/// up to the line for which `last` holds, or until it ends. What it writes to
/// the disk is kept. The turn is for several such short machines, one after the
/// other.
///
/// # Errors
/// If QEMU cannot be started, or nothing ends it within `timeout`; what was said
/// so far is in the error.
pub fn boot(
    lab: &Lab,
    _turn: &GuestSlot,
    image: &Path,
    timeout: Duration,
    last: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let mut command = lab.qemu().command();
    command
        .args(["-accel", "tcg", "-machine", "q35", "-cpu", "max,svm=off"])
        .args([
            "-no-reboot",
            "-display",
            "none",
            "-vga",
            "none",
            "-nic",
            "none",
        ])
        .args(["-no-user-config", "-m", "512", "-monitor", "none"])
        .args([
            "-chardev",
            "stdio,id=serial,signal=off",
            "-serial",
            "chardev:serial",
        ])
        .arg("-drive")
        .arg(format!("format=raw,if=virtio,file={}", image.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut running = RunningQemu(command.spawn().context("starting QEMU")?);
    let output = running.0.stdout.take();
    let output = output.context("QEMU's standard output is not a pipe")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    let started = Instant::now();
    let mut lines: Vec<String> = Vec::new();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        match receiver.recv_timeout(left) {
            Ok(line) => {
                let done = last(&line);
                lines.push(line);
                if done {
                    return Ok(lines);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(lines),
            Err(RecvTimeoutError::Timeout) => {
                let said = lines.join("\n");
                bail!("the machine did not end within {timeout:?}; it said:\n{said}");
            }
        }
    }
}
