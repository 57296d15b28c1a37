//! The last step of some installations: the system's own tools, run in a guest
//! that has the finished disk, write the boot loader into it.

use super::layout::{CONSOLE, SystemLayout};
use super::machine::{disk_arguments, qemu};
use crate::guest::restart::TimeLimits;
use crate::guest::{End, watch};
use crate::lab::Lab;
use crate::qemu::GuestSlot;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// The first program of that guest.
pub(super) const SCRIPT: &str = include_str!("scripts/installer.sh");
const MEMORY_MB: u32 = 1024;
/// An interpreted grub-mkconfig takes its time.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the layout's script on the disk. The machine's turn is handed on, so
/// that a trial does not have to wait a second time.
pub(super) fn run(
    lab: &Lab,
    layout: SystemLayout,
    disk: &Path,
    kernel: &Path,
    initrd: &Path,
) -> Result<GuestSlot> {
    let scratch = tempfile::tempdir().context("making a folder for the installer")?;
    let firmware = lab.qemu().firmware(layout.firmware(), scratch.path())?;
    let mut command = qemu(lab, &firmware, MEMORY_MB);
    command
        .args(disk_arguments(disk))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd)
        .arg("-append")
        .arg(format!("root=LABEL=root rw init=/lab/install {CONSOLE}"));
    let slot = GuestSlot::wait()?;
    let outcome = watch(
        &mut command,
        scratch.path(),
        TimeLimits::whole(TIMEOUT),
        &slot,
    )?;
    let stage = outcome.stage("install")?;
    for run in &stage.runs {
        if run.code != 0 {
            bail!(
                "{} in the installing guest ended with {}: {}{}",
                run.label,
                run.code,
                run.out(),
                run.err()
            );
        }
    }
    if outcome.end != End::PoweredOff {
        bail!(
            "the installing guest ended as {:?}; its console ends with:\n{}",
            outcome.end,
            outcome.tail()
        );
    }
    Ok(slot)
}
