//! One virtual machine: what it is made of, its run, and what it reported.

mod boot_params;
mod measure;
mod outcome;
mod protocol;
pub(crate) mod restart;
mod run;

pub(crate) use run::{CPU, watch};

pub use boot_params::{BootParams, ReportedSetupData};
pub use measure::Cost;
pub use outcome::{CommandRun, End, GuestRun, MemmapEntry, Report, Stage};

use crate::disk;
use crate::files::read;
use crate::initramfs::Initramfs;
use crate::lab::{Lab, LabKernel};
use crate::qemu::GuestFirmware;
use anyhow::Result;
use restart::TimeLimits;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Words that every kernel of the lab is started with: messages on the first
/// serial port, and a panic resets the machine, which ends the run.
const CONSOLE: &str = "console=ttyS0 panic=-1";

/// How long a first kernel may take to its user space; see [`Guest::first_stage`].
const FIRST_STAGE: Duration = Duration::from_secs(120);

/// The kernel to jump into, and what happens there.
#[derive(Debug, Clone)]
pub struct NextKernel {
    kernel: LabKernel,
    stage: String,
    script: String,
    extra: Initramfs,
}

impl NextKernel {
    /// A second stage that reports and powers the machine off.
    #[must_use]
    pub fn new(kernel: &LabKernel) -> Self {
        Self {
            kernel: kernel.clone(),
            stage: "second".to_owned(),
            script: String::new(),
            extra: Initramfs::new(),
        }
    }

    /// What the second kernel runs after its report (see [`Guest::script`]).
    #[must_use]
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// Adds files to the second initramfs.
    #[must_use]
    pub fn with(mut self, files: &Initramfs) -> Self {
        self.extra.merge(files);
        self
    }
}

/// A virtual machine to be run once.
#[derive(Debug)]
pub struct Guest<'lab> {
    lab: &'lab Lab,
    kernel: LabKernel,
    firmware: GuestFirmware,
    memory_mb: u32,
    cpus: u32,
    append: String,
    script: String,
    extra: Initramfs,
    next: Option<NextKernel>,
    timeout: Duration,
    first_stage: Duration,
    disk: Option<PathBuf>,
    counting: bool,
    qemu_arguments: Vec<String>,
}

impl<'lab> Guest<'lab> {
    /// A machine with SeaBIOS, one processor and 1024 MiB that boots this
    /// kernel, reports, and powers off.
    #[must_use]
    pub fn new(lab: &'lab Lab, kernel: &LabKernel) -> Self {
        Self {
            lab,
            kernel: kernel.clone(),
            firmware: GuestFirmware::SeaBios,
            memory_mb: 1024,
            cpus: 1,
            append: String::new(),
            script: String::new(),
            extra: Initramfs::new(),
            next: None,
            timeout: Duration::from_secs(180),
            first_stage: FIRST_STAGE,
            disk: None,
            counting: false,
            qemu_arguments: Vec::new(),
        }
    }

    /// Chooses the firmware.
    #[must_use]
    pub fn firmware(mut self, firmware: GuestFirmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// Number of processors.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// More words for the first kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        words.clone_into(&mut self.append);
        self
    }

    /// Adds a file of mode 0644 to the first initramfs.
    #[must_use]
    pub fn file(mut self, name: &str, data: impl Into<Vec<u8>>) -> Self {
        self.extra.file(name, data);
        self
    }

    /// Adds a program to the first initramfs.
    #[must_use]
    pub fn program(mut self, name: &str, data: impl Into<Vec<u8>>) -> Self {
        self.extra.program(name, data);
        self
    }

    /// Adds files to the first initramfs.
    #[must_use]
    pub fn with(mut self, files: &Initramfs) -> Self {
        self.extra.merge(files);
        self
    }

    /// What the first kernel runs after its report: a busybox shell script.
    ///
    /// Beyond the shell: `run LABEL COMMAND...` (exit code and both outputs
    /// end up in [`Stage::runs`]), `jump COMMAND...` (the same for a command
    /// that is meant to leave this kernel), `put NAME` and `put_file NAME
    /// PATH` (bytes for [`Stage::files`]), and the variables `$NEXT` and
    /// `$NEXT_INITRD` (files of the [`NextKernel`] kernel) and `$CONSOLE` (words
    /// that a next command line needs so that the run can be followed).
    #[must_use]
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// The kernel to jump into; its files are at `$NEXT` and `$NEXT_INITRD`.
    #[must_use]
    pub fn next(mut self, next: NextKernel) -> Self {
        self.next = Some(next);
        self
    }

    /// How long the machine may run, not counting the wait for other guests.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the first kernel may take to its user space. A machine that takes
    /// longer is started once more, and then has the time of [`Guest::timeout`].
    #[must_use]
    pub fn first_stage(mut self, limit: Duration) -> Self {
        self.first_stage = limit;
        self
    }

    /// A disk with this image of a file system, read only, which is mounted at
    /// `/mnt` before the script runs.
    #[must_use]
    pub fn disk(mut self, image: &Path) -> Self {
        self.disk = Some(image.to_owned());
        self
    }

    /// Lets the clock go forward by one nanosecond with every instruction: 2 to
    /// 3 times slower, and the script has `measure LABEL COMMAND...`, which is
    /// `run` and keeps what the command cost ([`Stage::cost`]).
    #[must_use]
    pub fn counting(mut self) -> Self {
        self.counting = true;
        self
    }

    /// More arguments for QEMU.
    #[must_use]
    pub fn qemu_arguments(mut self, arguments: &[&str]) -> Self {
        self.qemu_arguments
            .extend(arguments.iter().map(|one| (*one).to_owned()));
        self
    }

    /// Runs the machine to its end.
    ///
    /// # Errors
    /// If the machine cannot be started, does not end in time, or ends in any
    /// other way than by powering itself off after its last stage: a panic or
    /// a cold reboot is an error, with the end of the console.
    pub fn run(self) -> Result<GuestRun> {
        run::run(&self)?.check()
    }

    /// Runs the machine and reports however it ends, for scenarios that are
    /// meant to go wrong.
    ///
    /// # Errors
    /// If the machine cannot be started or its reports cannot be read.
    pub fn observe(self) -> Result<GuestRun> {
        run::run(&self)
    }

    fn limits(&self) -> TimeLimits {
        let slower = if self.counting { 3 } else { 1 };
        TimeLimits {
            whole: self.timeout,
            first_stage: self.first_stage.saturating_mul(slower),
        }
    }

    /// The first kernel's initramfs.
    fn root(&self) -> Result<Vec<u8>> {
        let mut root = self.lab.initramfs("first")?;
        if let Some(next) = &self.next {
            let mut second = self.lab.initramfs(&next.stage)?;
            second.file("lab/script", next.script.as_str());
            second.merge(&next.extra);
            root.file("next/vmlinuz", read(&next.kernel.path)?);
            root.file("next/initrd", second.build()?);
        }
        let mut script = String::new();
        if self.disk.is_some() {
            root.file(disk::DRIVER, self.kernel.module(disk::MODULE)?);
            script.push_str(disk::MOUNT);
        }
        if self.counting {
            script.push_str(measure::FUNCTIONS);
        }
        script.push_str(&self.script);
        root.file("lab/script", script);
        root.merge(&self.extra);
        Ok(root.build()?)
    }
}
