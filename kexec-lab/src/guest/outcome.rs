//! What came out of a run.

use super::boot_params::BootParams;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that one run of a machine reported.
#[derive(Debug, Clone, Serialize)]
pub struct GuestRun {
    /// One per kernel that reached its user space, in order.
    pub stages: Vec<Stage>,
    /// The first serial port: the kernels' messages.
    pub console: String,
    /// From the start of QEMU to its end.
    pub duration: Duration,
    /// How it ended.
    pub end: End,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum End {
    /// The machine switched itself off, which the last stage does when its
    /// script has ended.
    PoweredOff,
    /// The machine reset itself: a panic, a triple fault, or a cold reboot.
    Reset,
    /// The time was up.
    TimedOut,
}

/// What one kernel reported.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Name of the stage: that of the initramfs which it runs from.
    pub name: String,
    /// When it reached its user space, from the start of QEMU.
    pub started: Duration,
    /// When it was about to jump.
    pub jumped: Option<Duration>,
    /// Whether its script ran to the end.
    pub done: bool,
    /// What it said about its machine.
    pub report: Report,
    /// Commands of its script, in order.
    pub runs: Vec<CommandRun>,
    /// Files that its script put out.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A command that a script ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandRun {
    /// Its name in the script.
    pub label: String,
    /// Its exit code.
    pub code: u8,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl CommandRun {
    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// What a kernel says about the machine that it runs on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// `uname -r`.
    pub release: String,
    /// `/proc/cmdline` without the newline at its end.
    pub cmdline: Vec<u8>,
    /// Number of processors that are online.
    pub cpus: u32,
    /// `/sys/firmware/memmap`, in its own order.
    pub memmap: Vec<MemmapEntry>,
    /// `/proc/iomem`.
    pub iomem: String,
    /// `/sys/kernel/boot_params`; none where the architecture has no such thing.
    pub boot_params: Option<BootParams>,
    /// SHA-256 of each table below `/sys/firmware/acpi/tables`, by path.
    pub acpi: BTreeMap<String, String>,
    /// `/sys/firmware/efi/runtime-map`, one line per entry: type, physical
    /// address, virtual address, pages, attribute. Empty without EFI.
    pub efi_runtime_map: Vec<String>,
    /// Seconds since this kernel started, at the end of the report.
    pub uptime: f64,
}

impl Report {
    /// `/proc/cmdline` as text.
    #[must_use]
    pub fn command_line(&self) -> String {
        String::from_utf8_lossy(&self.cmdline).into_owned()
    }

    /// What the kernel was started with.
    ///
    /// # Errors
    /// If it did not report that.
    pub fn boot_params(&self) -> Result<&BootParams> {
        let params = self.boot_params.as_ref();
        params.with_context(|| format!("kernel {} shows no boot_params", self.release))
    }
}

/// An entry of `/sys/firmware/memmap`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MemmapEntry {
    /// First address of the range.
    pub start: u64,
    /// Last address, inclusive.
    pub end: u64,
    /// What the firmware says it is, in the kernel's words.
    pub kind: String,
}

impl GuestRun {
    /// The stage with this name.
    ///
    /// # Errors
    /// If no kernel of that stage reached its user space.
    pub fn stage(&self, name: &str) -> Result<&Stage> {
        self.stages
            .iter()
            .find(|stage| stage.name == name)
            .with_context(|| {
                let names: Vec<_> = self.stages.iter().map(|stage| &stage.name).collect();
                format!(
                    "looked for the report of stage {name}: there are {names:?}; \
                     the console ends with:\n{}",
                    self.tail()
                )
            })
    }

    /// The last lines of the console.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines: Vec<_> = self.console.lines().collect();
        let from = lines.len().saturating_sub(40);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Refuses any end but an orderly one.
    pub(super) fn check(self) -> Result<Self> {
        let stage = self.stages.last();
        if self.end == End::PoweredOff && stage.is_some_and(|stage| stage.done) {
            return Ok(self);
        }
        let place = stage.map_or_else(
            || "before any user space ran".to_owned(),
            |stage| {
                format!(
                    "in or after stage {} ({}{})",
                    stage.name,
                    stage.report.release,
                    if stage.jumped.is_some() {
                        ", which had tried to jump"
                    } else {
                        ""
                    }
                )
            },
        );
        let how = match self.end {
            End::TimedOut => "did not end in time",
            End::Reset => "was reset (a panic, a triple fault or a cold reboot)",
            End::PoweredOff => "was switched off early",
        };
        let panic = self
            .console
            .lines()
            .rfind(|line| line.contains("Kernel panic") || line.contains("Oops"))
            .map(|line| format!("; {}", line.trim()))
            .unwrap_or_default();
        let mut runs = String::new();
        for run in self.stages.iter().flat_map(|stage| &stage.runs) {
            if run.code != 0 {
                runs.push_str(&format!(
                    "\nrun {} ended with {}: {}{}",
                    run.label,
                    run.code,
                    run.out(),
                    run.err()
                ));
            }
        }
        bail!(
            "the guest {how} {place} after {:.1} s{panic}{runs}\nthe console ends with:\n{}",
            self.duration.as_secs_f64(),
            self.tail()
        )
    }
}

impl Stage {
    /// The command with this label.
    ///
    /// # Errors
    /// If the script did not run it.
    pub fn run(&self, label: &str) -> Result<&CommandRun> {
        self.runs
            .iter()
            .find(|run| run.label == label)
            .with_context(|| {
                let labels: Vec<_> = self.runs.iter().map(|run| &run.label).collect();
                format!(
                    "looked for the command {label} in stage {}: there are {labels:?}",
                    self.name
                )
            })
    }

    /// The command with this label, which must have ended well.
    ///
    /// # Errors
    /// If the script did not run it, or its exit code is not 0: with what it said.
    pub fn good(&self, label: &str) -> Result<&CommandRun> {
        let run = self.run(label)?;
        ensure!(
            run.code == 0,
            "{label} ended with {}: {}{}",
            run.code,
            run.out(),
            run.err()
        );
        Ok(run)
    }

    /// The file that the script put out under this name.
    ///
    /// # Errors
    /// If it did not.
    pub fn file(&self, name: &str) -> Result<&[u8]> {
        self.files.get(name).map(Vec::as_slice).with_context(|| {
            let names: Vec<_> = self.files.keys().collect();
            format!(
                "looked for the file {name} in stage {}: there are {names:?}",
                self.name
            )
        })
    }
}
