//! Crash kernels through `kexec_load(2)`: real panics, what the crash kernel is told of the
//! memory, and the same against what the kernel itself tells it with `kexec_file_load(2)`.

mod compare;
mod core_file;
mod efi;
mod low_memory;
mod ranges;

use anyhow::{Context, Result, ensure};
use core_file::Core;
use kexec_lab::{End, Guest, GuestRun, Initramfs, Lab, MemmapEntry, NextKernel, Stage};
use ranges::{Ranges, cma, joined, named, without};
use std::collections::BTreeSet;

const MIB: u64 = 1 << 20;
/// Written to the log before the crash, and looked for in the dump.
const NEEDLE: &str = "needle 4711: written before the crash";
const PANIC: &str = "Kernel panic - not syncing: sysrq triggered crash";

/// What the crash kernel looks at.
const READ: &str = r#"
head -c 65536 /proc/vmcore | put vmcore
run dmesg sh -c 'vmcore-dmesg /proc/vmcore > /tmp/dmesg'
run needle grep -F "needle 4711" /tmp/dmesg
run panic grep -F "Kernel panic" /tmp/dmesg
run info vmcore-dmesg --vmcoreinfo /proc/vmcore
run total awk '/MemTotal/ {print $2}' /proc/meminfo
"#;

/// A machine, and how its crash kernel is loaded.
struct Crash {
    label: &'static str,
    reservation: &'static str,
    memory_mb: u32,
    cpus: u32,
    /// `-c`, or `-s` for what the kernel itself does.
    call: &'static str,
    /// More options of `kexec`.
    options: &'static str,
}

impl Crash {
    const fn new(label: &'static str) -> Crash {
        Crash {
            label,
            reservation: "crashkernel=256M",
            memory_mb: 1024,
            cpus: 1,
            call: "-c",
            options: "",
        }
    }

    /// Loads, crashes, and checks what came up.
    fn run(&self) -> Result<GuestRun> {
        let lab = Lab::open()?;
        let kernel = lab.kernel(self.label)?;
        let product = lab.product()?.files;
        let outcome = Guest::new(&lab, &kernel)
            .memory_mb(self.memory_mb)
            .cpus(self.cpus)
            .with(&product)
            .append(self.reservation)
            .next(NextKernel::new(&kernel).with(&product).script(READ))
            .script(&format!(
                "run before cat /proc/iomem\n\
                 run cma cat /sys/kernel/kexec/crash_cma_ranges\n\
                 run plan kexec plan --crash -c $NEXT --initrd $NEXT_INITRD\n\
                 run load kexec {} -p $NEXT --initrd $NEXT_INITRD {} \
                 --append \"$CONSOLE nr_cpus=1 reset_devices\"\n\
                 run loaded kexec -S\n\
                 echo '{NEEDLE}' > /dev/kmsg\n\
                 jump sh -c 'echo c > /proc/sysrq-trigger'\n",
                self.call, self.options
            ))
            .run()?;
        println!(
            "{} {}: {:.1} s",
            kernel.release,
            self.reservation,
            outcome.duration.as_secs_f64()
        );
        let one = outcome.stage("first")?;
        let load = one.run("load")?;
        ensure!(load.code == 0, "{}", load.err());
        ensure!(load.err().is_empty(), "{}", load.err());
        assert_eq!(one.run("loaded")?.code, 1);
        let plan = one.run("plan")?;
        ensure!(plan.code == 0, "{}", plan.err());
        for words in ["ELF core header", "the crash kernel saves"] {
            ensure!(plan.out().contains(words), "{words}: {}", plan.out());
        }
        let two = outcome.stage("second")?;
        assert_eq!(two.report.release, kernel.release);
        let narrow = self.options.contains("elf32");
        let dmesg = two.run("dmesg")?;
        ensure!(dmesg.code == 0, "{}", dmesg.err());
        ensure!(two.run("needle")?.out().contains(NEEDLE));
        ensure!(two.run("panic")?.out().contains(PANIC));
        let info = two.run("info")?.out();
        ensure!(
            info.contains(&format!("OSRELEASE={}\n", kernel.release)),
            "{info}"
        );
        // What is saved is all memory of the machine that crashed, and nothing of the
        // crash kernel's own.
        let core = Core::parse(two.file("vmcore")?)?;
        assert_eq!(core.class, if narrow { 1 } else { 2 });
        assert_eq!(core.ranges(), saved(one)?);
        own_memory(one, two)?;
        Ok(outcome)
    }
}

/// The memory of the machine that is to be saved.
fn saved(one: &Stage) -> Result<Ranges> {
    let iomem = one.run("before")?.out();
    let mut out = named(&iomem, "Crash kernel")?;
    out.extend(cma(one)?);
    out.push((0, MIB));
    Ok(without(&named(&iomem, "System RAM")?, &out))
}

/// The crash kernel has what is reserved for it, but for the ELF core header, and the first
/// MiB; and what is not RAM as the first kernel has it.
fn own_memory(one: &Stage, two: &Stage) -> Result<()> {
    let iomem = one.run("before")?.out();
    let mut reserved = named(&iomem, "Crash kernel")?;
    reserved.extend(cma(one)?);
    let reserved = joined(reserved);
    let ram: Ranges = two
        .report
        .memmap
        .iter()
        .filter(|entry| entry.kind == "System RAM")
        .map(|entry| (entry.start, entry.end + 1))
        .collect();
    let outside = without(&ram, &reserved);
    ensure!(
        outside.iter().all(|(_, end)| *end <= MIB),
        "not its own: {outside:x?}"
    );
    let high: Ranges = ram.iter().filter(|r| r.0 >= MIB).copied().collect();
    let hole = without(&reserved, &high);
    let missing: u64 = hole.iter().map(|(a, b)| b - a).sum();
    ensure!(
        hole.len() == 1 && missing <= 2 * MIB,
        "besides the ELF core header, it lacks {hole:x?}"
    );
    let header = hole.first().context("no hole")?.0;
    let word = format!("elfcorehdr={header:#x}");
    let line = two.report.command_line();
    ensure!(line.split(' ').any(|one| one == word), "{word}: {line}");
    let others = |stage: &Stage| -> BTreeSet<_> {
        let entries = stage.report.memmap.iter();
        entries
            .filter(|e| e.kind != "System RAM" && !is_first_page(e))
            .cloned()
            .collect()
    };
    assert_eq!(others(one), others(two));
    Ok(())
}

#[test]
fn a_panic_of_6_1() -> Result<()> {
    Crash::new("6.1").run().map(|_| ())
}

#[test]
fn a_panic_of_6_12_with_two_processors() -> Result<()> {
    let crash = Crash {
        cpus: 2,
        options: "--pass-memmap-cmdline",
        ..Crash::new("6.12")
    };
    let outcome = crash.run()?;
    let line = outcome.stage("second")?.report.command_line();
    ensure!(line.contains(" memmap=exactmap memmap="), "{line}");
    Ok(())
}

#[test]
fn a_panic_of_7() -> Result<()> {
    Crash::new("7.x").run().map(|_| ())
}

/// The image goes into the part above 4 GiB; the one below is memory for devices.
#[test]
fn a_panic_with_a_high_and_a_low_part() -> Result<()> {
    let crash = Crash {
        reservation: "crashkernel=256M,high crashkernel=72M,low",
        memory_mb: 4608,
        ..Crash::new("6.12")
    };
    let outcome = crash.run()?;
    let iomem = outcome.stage("first")?.run("before")?.out();
    let parts = named(&iomem, "Crash kernel")?;
    let [low, high] = parts.as_slice() else {
        anyhow::bail!("{parts:x?}");
    };
    ensure!(low.1 <= 1 << 32 && high.0 >= 1 << 32, "{parts:x?}");
    Ok(())
}

/// The crash kernel has the memory of `,cma`, and it is no part of the dump.
#[test]
fn a_panic_with_cma() -> Result<()> {
    let crash = Crash {
        reservation: "crashkernel=384M,cma crashkernel=160M",
        memory_mb: 2048,
        ..Crash::new("7.x")
    };
    let outcome = crash.run()?;
    let ranges = cma(outcome.stage("first")?)?;
    ensure!(!ranges.is_empty(), "there is no memory of ,cma");
    let total = outcome.stage("second")?.run("total")?.out();
    let total: u64 = total.trim().parse()?;
    ensure!(
        total > 200 << 10,
        "{total} KiB of memory in the crash kernel"
    );
    Ok(())
}

#[test]
fn a_panic_with_a_32_bit_header() -> Result<()> {
    let crash = Crash {
        options: "--elf32-core-headers",
        ..Crash::new("6.12")
    };
    crash.run().map(|_| ())
}

/// One byte of the initrd is wrong when the crash kernel is to be started.
#[test]
fn a_damaged_crash_image_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let mut mark = Initramfs::new();
    mark.file("mark", "Harmless: nothing reads it");
    let outcome = Guest::new(&lab, &kernel)
        .append("crashkernel=256M")
        .program(
            "bin/spoilt-load",
            std::fs::read(env!("CARGO_BIN_EXE_spoilt-load"))?,
        )
        .next(NextKernel::new(&kernel).with(&mark))
        .script(
            "run load spoilt-load $NEXT $NEXT_INITRD \"$CONSOLE\" crc32c 'Harmless: nothing' crash\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n",
        )
        .observe()?;
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    ensure!(
        outcome.console.contains("kexec: initrd at 0x")
            && outcome.console.contains("is not what was loaded"),
        "{}",
        outcome.tail()
    );
    assert_eq!(outcome.end, End::Reset, "{}", outcome.tail());
    assert_eq!(outcome.stages.len(), 1, "the crash kernel ran");
    Ok(())
}

/// Difference: the running kernel lists the first page, which it never uses, as reserved; with
/// `-c` it is in no range. It is RAM in neither.
fn is_first_page(entry: &MemmapEntry) -> bool {
    entry.end == 0xfff && entry.kind == "Reserved"
}
