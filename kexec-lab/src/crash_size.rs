//! How large a reservation for the crash kernel must be, found by crashing: the smallest
//! `crashkernel=` with which the crash kernel comes up and reads the dump.

use crate::downtime::{self, Packing};
use crate::guest::{End, Guest, GuestRun};
use crate::lab::{Lab, LabKernel};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Reservations are tried in steps of so many MiB.
pub const STEP_MB: u32 = 8;
/// No reservation is larger, MiB: half of the machine.
const LARGEST_MB: u32 = 512;
const MEMORY_MB: u32 = 1024;
/// A crash kernel that has not read the dump after so long does not.
const LIMIT: Duration = Duration::from_secs(90);

/// What the crash kernel runs: it reads the head of the dump.
const CAPTURE: &str = "run elf head -c 4 /proc/vmcore\nrun memory cat /proc/meminfo\n";

/// The initrd of a crash kernel.
#[derive(Debug, Clone)]
pub struct CaptureInitrd {
    /// As it is loaded.
    pub bytes: Vec<u8>,
    /// Bytes of the archive when it is unpacked.
    pub unpacked: usize,
}

impl CaptureInitrd {
    /// The lab's own small one, not packed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn small(lab: &Lab) -> Result<Self> {
        let mut root = lab.initramfs("second")?;
        root.file("lab/script", CAPTURE);
        let bytes = root.build()?;
        Ok(Self {
            unpacked: bytes.len(),
            bytes,
        })
    }

    /// One of this size with the kernel's modules, packed with zstd.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn packed(lab: &Lab, kernel: &LabKernel, unpacked: usize) -> Result<Self> {
        let mut root = lab.initramfs("second")?;
        root.file("lab/script", CAPTURE);
        downtime::fill(&mut root, lab, kernel, unpacked)?;
        let raw = root.build()?;
        let name = format!("crash-{}", kernel.label);
        Ok(Self {
            unpacked: raw.len(),
            bytes: downtime::packed_once(lab, &name, Packing::Zstd, &raw)?,
        })
    }
}

/// How a crash with one reservation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashEnd {
    /// The crash kernel read the dump; so many KiB were free then, of so many.
    Read {
        /// `MemFree` of the crash kernel.
        free_kib: u64,
        /// `MemTotal` of the crash kernel.
        total_kib: u64,
    },
    /// The load was refused, with these words.
    Refused(String),
    /// The crash kernel did not come that far; how the machine ended, and why as far as the
    /// console says.
    Lost(String),
}

/// One kernel, which crashes and is the crash kernel, with one initrd.
#[derive(Debug)]
pub struct CrashSize<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The kernel.
    pub kernel: &'a LabKernel,
    /// The crash kernel's initrd.
    pub initrd: &'a CaptureInitrd,
    /// Options for `kexec -p`, as `-s`.
    pub method: &'a str,
    /// More words for the crash kernel's command line.
    pub words: &'a str,
}

impl CrashSize<'_> {
    /// Crashes with this reservation.
    ///
    /// # Errors
    /// If the guest does not come as far as the load.
    pub fn crash(&self, mb: u32) -> Result<CrashEnd> {
        let outcome = Guest::new(self.lab, self.kernel)
            .memory_mb(MEMORY_MB)
            .append(&format!("crashkernel={mb}M"))
            .with(&self.lab.product()?.files)
            .file("next/vmlinuz", crate::files::read(&self.kernel.path)?)
            .file("next/initrd", self.initrd.bytes.as_slice())
            .script(&format!(
                "run load kexec {} -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline \
                 --append \"nr_cpus=1 reset_devices {}\" && \
                 jump sh -c 'echo c > /proc/sysrq-trigger'\n",
                self.method, self.words
            ))
            .timeout(LIMIT)
            .observe()?;
        self.end(&outcome)
    }

    fn end(&self, outcome: &GuestRun) -> Result<CrashEnd> {
        let load = outcome.stage("first")?.run("load")?;
        if load.code != 0 {
            return Ok(CrashEnd::Refused(load.err()));
        }
        let Ok(second) = outcome.stage("second") else {
            // The cause before its consequence, if the kernel told it.
            let told = ["Initramfs unpacking failed", "Kernel panic - ", ""]
                .iter()
                .find_map(|words| outcome.console.lines().rfind(|line| line.contains(words)));
            let told = told.unwrap_or_default().trim();
            return Ok(CrashEnd::Lost(format!("{:?}: {told}", outcome.end)));
        };
        ensure!(
            outcome.end == End::PoweredOff && second.good("elf")?.stdout == b"\x7fELF",
            "the crash kernel came up and did not read the dump:\n{}",
            outcome.tail()
        );
        let memory = second.good("memory")?.out();
        let kib = |name: &str| -> Result<u64> {
            let line = memory.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            let word = word.with_context(|| format!("no {name} in /proc/meminfo: {memory}"))?;
            word.parse()
                .with_context(|| format!("reading {name} {word}"))
        };
        Ok(CrashEnd::Read {
            free_kib: kib("MemFree:")?,
            total_kib: kib("MemTotal:")?,
        })
    }

    /// The smallest reservation, MiB, with which the crash kernel reads the dump, and how the
    /// next smaller one ended. `told` hears of every crash.
    ///
    /// # Errors
    /// If not even the largest one is enough, or a guest fails.
    pub fn smallest(&self, mut told: impl FnMut(u32, &CrashEnd)) -> Result<(u32, CrashEnd)> {
        let mut crash = |mb: u32| {
            let end = self.crash(mb)?;
            told(mb, &end);
            Ok::<_, anyhow::Error>(end)
        };
        let largest = crash(LARGEST_MB)?;
        ensure!(
            matches!(largest, CrashEnd::Read { .. }),
            "{LARGEST_MB} MiB are not enough for {}: {largest:?}",
            self.kernel.release
        );
        // `none` fails, `enough` does not.
        let (mut none, mut enough) = (0, LARGEST_MB / STEP_MB);
        let mut below = CrashEnd::Refused(String::new());
        while enough - none > 1 {
            let middle = none + (enough - none) / 2;
            match crash(middle * STEP_MB)? {
                CrashEnd::Read { .. } => enough = middle,
                end => (none, below) = (middle, end),
            }
        }
        Ok((enough * STEP_MB, below))
    }
}
