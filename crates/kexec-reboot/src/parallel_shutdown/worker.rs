//! What one process does for one device. It is a process, and not a thread, because the
//! kernel cannot be interrupted while a driver lets go of its device: a process that waits
//! for its threads would wait as long.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use kexec_sys::in_words;

use super::{Bus, Unbinding, is_plain};

/// One step of a process, as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkStep {
    /// `free NAME`: nothing in the kernel may have this block device.
    Free(String),
    /// `unbind BUS NAME`: the device loses its driver.
    Unbind(Bus, String),
}

/// The lines for a device.
pub(super) fn lines(unbinding: &Unbinding) -> String {
    let free = unbinding.disks.iter().map(|disk| format!("free {disk}\n"));
    let steps = unbinding.steps.iter();
    let steps = steps.map(|step| format!("unbind {} {}\n", step.bus.name(), step.device));
    free.chain(steps).collect()
}

/// The steps of these lines.
///
/// # Errors
/// The line that is none.
pub fn parse(text: &str) -> Result<Vec<WorkStep>, String> {
    let step = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["free", name] if is_plain(name) => Some(WorkStep::Free((*name).to_owned())),
            ["unbind", bus, name] if is_plain(name) => {
                Some(WorkStep::Unbind(Bus::from_name(bus)?, (*name).to_owned()))
            }
            _ => None,
        }
    };
    let steps = text.lines().map(|line| {
        step(line).ok_or_else(|| format!("the line {line:?} is not a step of parallel-shutdown"))
    });
    steps.collect()
}

/// Carries the steps out, and ends with the first that fails.
///
/// # Errors
/// What failed, in one line.
pub fn carry_out(root: &Path, steps: &[WorkStep]) -> Result<(), String> {
    steps.iter().try_for_each(|step| match step {
        WorkStep::Free(disk) => free(root, disk),
        WorkStep::Unbind(bus, device) => unbind(root, *bus, device),
    })
}

/// That a block device can be opened by one alone, which the kernel refuses while it is
/// mounted, swapped to, or a part of something else (open(2), `O_EXCL`).
fn free(root: &Path, disk: &str) -> Result<(), String> {
    let path = root.join("dev").join(disk.replace('!', "/"));
    let flags = OFlags::EXCL | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(|e| e.to_string())?;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&path);
    let Err(e) = opened else {
        return Ok(());
    };
    match e.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::BUSY) => Err(format!("{disk} is in use by the kernel")),
        // A drive without a disk.
        Some(Errno::NOMEDIUM) => Ok(()),
        _ => Err(format!(
            "whether {disk} is in use is unknown: opening {}: {}",
            path.display(),
            in_words(e)
        )),
    }
}

fn unbind(root: &Path, bus: Bus, device: &str) -> Result<(), String> {
    let folder = root.join(format!("sys/bus/{}/devices/{device}", bus.name()));
    let path = folder.join("driver/unbind");
    match fs::write(&path, device) {
        Ok(()) => Ok(()),
        // Its driver is gone already.
        Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.join("driver").exists() => Ok(()),
        Err(e) => Err(format!(
            "writing {device} to {}: {}",
            path.display(),
            in_words(e)
        )),
    }
}
