//! One crash: a row of the table, run in a guest, and everything that must be true of it.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestRun, KeptFiles, Lab, LabKernel, NextKernel, monitor_port};
use std::path::Path;
use std::time::Duration;

/// Written before the crash.
const NEEDLE: &str = "needle in the log";

/// What makes the kernel panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `echo c > /proc/sysrq-trigger`.
    Sysrq,
    /// A module that reads through a NULL pointer.
    NullPointer,
    /// Sysrq on one of two processors, while both have more than they can do.
    UnderLoad,
    /// A non-maskable interrupt that nobody expects.
    Nmi,
}

impl Cause {
    /// Shell that causes it. The crash must come within it.
    fn script(self) -> &'static str {
        match self {
            Self::Sysrq => "jump sh -c 'echo c > /proc/sysrq-trigger'\n",
            Self::NullPointer => {
                "echo 1 > /proc/sys/kernel/panic_on_oops\n\
                 jump insmod /lab/lab_crash.ko what=null\n"
            }
            Self::UnderLoad => {
                "for one in 1 2 3; do\n\
                 \tsha256sum /dev/zero &\n\
                 \twhile :; do cat /proc/interrupts > /tmp/load-$one; done &\n\
                 done\n\
                 sleep 2\n\
                 jump sh -c 'echo c > /proc/sysrq-trigger'\n"
            }
            // The third serial port is QEMU's monitor. What it said before the echo was off
            // may stand in front of a command: an empty line ends that, and it is said again.
            Self::Nmi => {
                "echo 1 > /proc/sys/kernel/unknown_nmi_panic\n\
                 stty -F /dev/ttyS2 raw -echo\n\
                 jump sh -c 'for n in 1 2 3 4 5; do echo; echo nmi; sleep 4; done > /dev/ttyS2'\n"
            }
        }
    }

    /// What the log ends with, before the processor's state.
    fn message(self) -> &'static str {
        match self {
            Self::Sysrq | Self::UnderLoad => "Kernel panic - not syncing: sysrq triggered crash",
            // The crash kernel is started by the oops (oops_end), before there is a panic.
            Self::NullPointer => "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            Self::Nmi => "Kernel panic - not syncing: NMI: Not continuing",
        }
    }

    fn cpus(self) -> u32 {
        match self {
            Self::UnderLoad => 2,
            _ => 1,
        }
    }
}

/// The reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// Below 4 GiB.
    Plain,
    /// Above 4 GiB, with a small one below.
    High,
    /// A small one, and pages that the system may use for what it can do without.
    Cma,
}

impl Reservation {
    fn words(self) -> &'static str {
        match self {
            Self::Plain => "crashkernel=256M",
            Self::High => "crashkernel=256M,high crashkernel=64M,low",
            Self::Cma => "crashkernel=128M crashkernel=256M,cma",
        }
    }

    /// MiB; from 2816 on q35 has memory above 4 GiB.
    fn memory_mb(self) -> u32 {
        match self {
            Self::High => 3072,
            Self::Plain | Self::Cma => 1024,
        }
    }

    /// Whether the kernel has given what was asked for.
    fn check(self, run: &GuestRun) -> Result<()> {
        let stage = run.stage("first")?;
        let regions: Vec<u64> = stage
            .report
            .iomem
            .lines()
            .filter(|line| line.trim_end().ends_with(": Crash kernel"))
            .filter_map(|line| line.trim().split('-').next())
            .map(|start| u64::from_str_radix(start, 16))
            .collect::<Result<_, _>>()?;
        let above = regions.iter().filter(|start| **start >= 1 << 32).count();
        let expected = match self {
            Self::Plain | Self::Cma => (1, 0),
            Self::High => (2, 1),
        };
        ensure!(
            (regions.len(), above) == expected,
            "{self:?}: {}",
            stage.report.iomem
        );
        let cma = stage.run("cma")?.out();
        ensure!(
            cma.trim().is_empty() != (self == Self::Cma),
            "{self:?}: {cma}"
        );
        Ok(())
    }
}

/// One crash.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// Of [`kexec_lab::KERNELS`].
    pub kernel: &'static str,
    /// `-s` or `-c`.
    pub method: &'static str,
    pub cause: Cause,
    pub reservation: Reservation,
    /// How makedumpfile packs: `-c` zlib, `-l` lzo, `-z` zstd. Debian's knows no snappy.
    pub packing: &'static str,
}

/// What the crash kernel does. makedumpfile is told to say what it left out.
const CAPTURE: &str = r#"
. /lab/kept
mkdir /tmp/out
# More than half of the memory, as it has by default.
mount -t tmpfs -o size=90% out /tmp/out
run dmesg sh -c 'vmcore-dmesg /proc/vmcore > /tmp/out/dmesg'
run makedumpfile makedumpfile --message-level 23 PACKING -d 31 /proc/vmcore /tmp/out/dump
run keep keep /tmp/out && jump reboot -f
"#;

impl Crash {
    /// Crashes, and looks at everything that is left of it.
    pub fn run(self) -> Result<()> {
        let lab = Lab::open()?;
        let kernel = lab.kernel(self.kernel)?;
        let folder = tempfile::tempdir()?;
        let kept = KeptFiles::new(folder.path(), 512)?;
        let run = self.guest(&lab, &kernel, &kept, folder.path())?;
        self.reservation.check(&run)?;
        let first = run.stage("first")?;
        first.good("load")?;
        assert_eq!(first.run("armed")?.code, 1);
        let second = run.stage("second")?;
        assert_eq!(second.report.release, kernel.release);
        second.good("dmesg")?;
        let made = second.good("makedumpfile")?.out();
        second.good("keep")?;
        // The crash kernel's own reboot went through the firmware.
        let names: Vec<&str> = run.stages.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "first"]);
        let out = folder.path().join("out");
        std::fs::create_dir(&out)?;
        kept.unpack(&out)?;
        let dump = out.join("dump");
        let read = || std::fs::read_to_string(out.join("dmesg"));
        let log = read().context("reading the log that came out")?;
        self.ends_with_the_panic(&log)?;
        let drgn = lab.drgn()?;
        let facts = drgn.facts(&dump)?;
        let banner = format!("banner: Linux version {} ", kernel.release);
        ensure!(facts.contains(&banner), "{facts}");
        same_messages(&log, &drgn.log(&dump)?)?;
        let told = |start: &str| {
            let line = made.lines().find(|line| line.trim().starts_with(start));
            line.unwrap_or_default().trim().to_owned()
        };
        println!(
            "{self:?}: {:.1} s; {}; {} MB",
            run.duration.as_secs_f64(),
            told("(The number of pages"),
            dump.metadata()?.len() / 1_000_000
        );
        Ok(())
    }

    fn guest(
        self,
        lab: &Lab,
        kernel: &LabKernel,
        kept: &KeptFiles,
        folder: &Path,
    ) -> Result<GuestRun> {
        let mut arguments = kept.qemu_arguments().to_vec();
        // In the place of the lab's -no-reboot.
        arguments.extend(["-action".to_owned(), "reboot=reset".to_owned()]);
        if self.cause == Cause::Nmi {
            arguments.extend(monitor_port(&folder.join("monitor")));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let product = lab.product()?.files;
        let driver = KeptFiles::files(kernel)?;
        let mut tools = lab.makedumpfile()?;
        tools.merge(&product);
        tools.merge(&driver);
        let mut guest = Guest::new(lab, kernel)
            .memory_mb(self.reservation.memory_mb())
            .cpus(self.cause.cpus())
            .with(&product)
            .with(&driver)
            .append(self.reservation.words())
            .qemu_arguments(&arguments)
            .next(
                NextKernel::new(kernel)
                    .with(&tools)
                    .script(&CAPTURE.replace("PACKING", self.packing)),
            )
            .script(&format!(
                ". /lab/kept\n\
                 if is_kept; then say @done; poweroff -f; fi\n\
                 run cma cat /sys/kernel/kexec/crash_cma_ranges\n\
                 run load kexec {} -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline \
                 --append \"nr_cpus=1 reset_devices\"\n\
                 run armed kexec -S -p\n\
                 rm -r /next\n\
                 echo '{NEEDLE}' > /dev/kmsg\n{}",
                self.method,
                self.cause.script()
            ))
            .timeout(Duration::from_secs(240));
        if self.cause == Cause::NullPointer {
            guest = guest.file("lab/lab_crash.ko", lab.crash_module(kernel)?);
        }
        guest.run()
    }

    /// The needle, then the panic, then nothing but what belongs to it.
    fn ends_with_the_panic(self, log: &str) -> Result<()> {
        let lines: Vec<&str> = log.lines().collect();
        let at = |wanted: &str| {
            let found = lines.iter().rposition(|line| line.contains(wanted));
            found.with_context(|| format!("{wanted:?} is not in the log: {log}"))
        };
        let (needle, panic) = (at(NEEDLE)?, at(self.cause.message())?);
        let rest = lines.len() - panic;
        ensure!(
            needle < panic && rest < 120,
            "line {needle}, {panic}: {log}"
        );
        let first = log.find("] Linux version ").context("no beginning")?;
        ensure!(first < 100, "{log}");
        // A processor's state ends with these, and the log with it.
        let last = lines.last().copied().unwrap_or_default();
        ensure!(
            [
                "</TASK>",
                "CR2:",
                "CR3:",
                "Modules linked in:",
                "R13:",
                "PKRU:"
            ]
            .iter()
            .any(|end| last.contains(end)),
            "the log ends with {last:?}"
        );
        Ok(())
    }
}

/// The log of vmcore-dmesg, without times, and that of drgn. A message of several lines has its
/// time before the first, or before each.
fn same_messages(ours: &str, theirs: &str) -> Result<()> {
    let ours: Vec<&str> = ours
        .lines()
        .map(|line| match line.split_once("] ") {
            Some((time, text)) if time.starts_with('[') => text,
            _ => line,
        })
        .map(str::trim_end)
        .collect();
    let theirs: Vec<&str> = theirs.lines().map(str::trim_end).collect();
    let differ = ours.iter().zip(&theirs).find(|(one, two)| one != two);
    ensure!(
        differ.is_none() && ours.len() == theirs.len(),
        "vmcore-dmesg has {} lines, drgn {}; the first that differ are {differ:?}",
        ours.len(),
        theirs.len()
    );
    Ok(())
}
