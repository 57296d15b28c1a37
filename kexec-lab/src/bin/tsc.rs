//! `tsc`: the cycle counter at both ends of a jump, for the lab's guests.
//!
//! A guest that counts (QEMU's `-icount`) has a counter that goes on by one with each
//! instruction, and a kexec does not reset it.
//!
//! - `tsc soon` prints a moment in the near future;
//! - `tsc at MOMENT PROGRAM ARGUMENT...` waits for that moment and becomes the program:
//!   the moment was reported beforehand, so nothing of the report is measured;
//! - as the first program of a kernel, `tsc` reads the counter before it does anything
//!   else, and becomes the `/init` of the lab with the value in its environment.

use anyhow::{Context, Result, bail, ensure};
use kexec_lab::downtime::ARRIVED;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How far away `soon` is: enough for a shell to report it by a serial port.
const SOON: u64 = 400_000_000;
/// The shell of a guest's initrd.
const BUSYBOX: &str = "/bin/busybox";

fn main() -> Result<()> {
    let now = kexec_sys::cycles().context("this processor has no cycle counter")?;
    if std::process::id() == 1 {
        let error = Command::new(BUSYBOX)
            .args(["sh", "/lab/init"])
            .env(ARRIVED, now.to_string())
            .exec();
        return Err(error).with_context(|| format!("starting {BUSYBOX}"));
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["soon"] => println!("{}", now.saturating_add(SOON)),
        ["at", moment, program, arguments @ ..] => {
            let moment: u64 = moment
                .parse()
                .with_context(|| format!("reading the moment {moment:?}"))?;
            ensure!(now < moment, "{moment} is over: it is {now}");
            let mut command = Command::new(program);
            command.args(arguments);
            while kexec_sys::cycles() < Some(moment) {
                std::hint::spin_loop();
            }
            let error = command.exec();
            return Err(error).with_context(|| format!("starting {program}"));
        }
        _ => bail!("expected soon, or at MOMENT PROGRAM ARGUMENT..., found {words:?}"),
    }
    Ok(())
}
