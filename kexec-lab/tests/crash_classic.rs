//! Crash kernels through `kexec_load(2)`: real panics, what the crash kernel is told of the
//! memory, and the same against what the kernel itself tells it with `kexec_file_load(2)`.

use anyhow::{Context, Result, ensure};
use kexec_image::fields::{u16_at, u32_at, u64_at};
use kexec_lab::{End, Guest, GuestRun, Initramfs, Lab, NextKernel, Stage};
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
        let two = outcome.stage("second")?;
        assert_eq!(two.report.release, kernel.release);
        let narrow = self.options.contains("elf32");
        // A 32-bit header has no virtual addresses, which are needed for the log.
        if !narrow {
            let dmesg = two.run("dmesg")?;
            ensure!(dmesg.code == 0, "{}", dmesg.err());
            ensure!(two.run("needle")?.out().contains(NEEDLE));
            ensure!(two.run("panic")?.out().contains(PANIC));
        }
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

/// Ranges by their first address and the one behind the last.
type Ranges = Vec<(u64, u64)>;

/// Ranges of /proc/iomem with this name, or that begins so.
fn named(iomem: &str, name: &str) -> Result<Ranges> {
    let mut found = Vec::new();
    for line in iomem.lines() {
        let (range, kind) = line.trim().split_once(" : ").context("a line of iomem")?;
        if kind != name && !kind.starts_with(&format!("{name} (")) {
            continue;
        }
        let (start, last) = range.split_once('-').context("a range")?;
        let number = |text| u64::from_str_radix(text, 16);
        found.push((number(start)?, number(last)? + 1));
    }
    Ok(found)
}

/// The ranges of `crashkernel=SIZE,cma`; none on kernels that do not know it.
fn cma(one: &Stage) -> Result<Ranges> {
    let shown = one.run("cma")?;
    let mut ranges = Vec::new();
    for line in shown.out().lines() {
        let (start, last) = line.split_once('-').context("a range")?;
        let number = |text| u64::from_str_radix(text, 16);
        ranges.push((number(start)?, number(last)? + 1));
    }
    Ok(ranges)
}

/// `all` without what is in `out`, joined where they touch.
fn without(all: &Ranges, out: &Ranges) -> Ranges {
    let mut left: Ranges = all.clone();
    for (start, end) in out {
        left = left
            .iter()
            .flat_map(|(a, b)| [(*a, (*b).min(*start)), ((*a).max(*end), *b)])
            .filter(|(a, b)| a < b)
            .collect();
    }
    joined(left)
}

fn joined(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut joined: Ranges = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
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
            .filter(|e| e.kind != "System RAM")
            .cloned()
            .collect()
    };
    assert_eq!(others(one), others(two));
    Ok(())
}

/// An ELF core file's header: of /proc/vmcore, or as it was loaded.
#[derive(Debug)]
struct Core {
    class: u8,
    machine: u16,
    notes: Vec<Entry>,
    loads: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    physical: u64,
    virtual_start: u64,
    len: u64,
    flags: u32,
}

impl Core {
    fn parse(bytes: &[u8]) -> Result<Core> {
        ensure!(bytes.starts_with(b"\x7fELF"), "no ELF file");
        let class = *bytes.get(4).context("cut short")?;
        assert_eq!(u16_at(bytes, 16), Some(4), "e_type");
        let wide = class == 2;
        let (phoff, size, count) = match wide {
            true => (u64_at(bytes, 32), 56, u16_at(bytes, 56)),
            false => (u32_at(bytes, 28).map(u64::from), 32, u16_at(bytes, 44)),
        };
        let from = usize::try_from(phoff.context("e_phoff")?)?;
        let table = bytes.get(from..).context("no program headers")?;
        let mut core = Core {
            class,
            machine: u16_at(bytes, 18).context("e_machine")?,
            notes: Vec::new(),
            loads: Vec::new(),
        };
        for entry in table.chunks(size).take(count.context("e_phnum")?.into()) {
            let number = |at: usize| match wide {
                true => u64_at(entry, 8 + 8 * at),
                false => u32_at(entry, 4 + 4 * at).map(u64::from),
            };
            let field = |at| number(at).context("cut short");
            // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz
            let parsed = Entry {
                physical: field(2)?,
                virtual_start: field(1)?,
                len: field(4)?,
                flags: u32_at(entry, if wide { 4 } else { 24 }).context("p_flags")?,
            };
            match u32_at(entry, 0) {
                Some(1) => core.loads.push(parsed),
                Some(4) => core.notes.push(parsed),
                other => anyhow::bail!("an entry of type {other:?}"),
            }
        }
        Ok(core)
    }

    /// The memory in it, once each: the kernel's own entry is within it, too.
    fn ranges(&self) -> Ranges {
        let loads = self.loads.iter();
        joined(loads.map(|e| (e.physical, e.physical + e.len)).collect())
    }
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

/// Two memory modules behind each other, which only ACPI knows of: two resources of the
/// kernel that touch.
const MODULES: &[&str] = &[
    "-m",
    "slots=4,maxmem=8G",
    "-object",
    "memory-backend-ram,id=one,size=256M",
    "-device",
    "pc-dimm,id=first,memdev=one",
    "-object",
    "memory-backend-ram,id=two,size=256M",
    "-device",
    "pc-dimm,id=second,memdev=two",
];

/// Headers as they were loaded, by the labels of their runs.
struct Loaded {
    outcome: GuestRun,
}

impl Loaded {
    /// Runs `script` in a machine with two processors of four.
    fn run(
        label: &str,
        reservation: &str,
        memory_mb: u32,
        more: &[&str],
        script: &str,
    ) -> Result<Loaded> {
        let lab = Lab::open()?;
        let kernel = lab.kernel(label)?;
        let product = lab.product()?.files;
        let outcome = Guest::new(&lab, &kernel)
            .memory_mb(memory_mb)
            .cpus(2)
            .qemu_arguments(&["-smp", "2,maxcpus=4"])
            .qemu_arguments(more)
            .with(&product)
            .program(
                "bin/loaded-core-header",
                std::fs::read(env!("CARGO_BIN_EXE_loaded-core-header"))?,
            )
            .append(reservation)
            .next(NextKernel::new(&kernel).with(&product).script(READ))
            .script(&format!(
                "run possible cat /sys/devices/system/cpu/possible\n\
                 run before cat /proc/iomem\n\
                 run cma cat /sys/kernel/kexec/crash_cma_ranges\n\
                 {script}"
            ))
            .run()?;
        println!(
            "{}: {:.1} s",
            kernel.release,
            outcome.duration.as_secs_f64()
        );
        Ok(Loaded { outcome })
    }

    fn one(&self) -> Result<&Stage> {
        self.outcome.stage("first")
    }

    /// The bytes that were there, and what they say.
    fn header(&self, label: &str) -> Result<(&[u8], Core)> {
        let run = self.one()?.run(label)?;
        ensure!(run.code == 0, "{label}: {}", run.err());
        Ok((&run.stdout, Core::parse(&run.stdout)?))
    }
}

const BOTH: &str = "\
    run load-s kexec -s -p $NEXT --initrd $NEXT_INITRD --append nr_cpus=1\n\
    run kernel loaded-core-header\n\
    run load-c kexec -c -p $NEXT --initrd $NEXT_INITRD --append nr_cpus=1\n\
    run ours loaded-core-header\n";

/// Both calls in one machine: what the crash kernel is told of the machine.
fn compare(label: &str, reservation: &str, memory_mb: u32, modules: bool) -> Result<()> {
    let more = if modules { MODULES } else { &[] };
    let loaded = Loaded::run(label, reservation, memory_mb, more, BOTH)?;
    let one = loaded.one()?;
    for label in ["load-s", "load-c"] {
        let run = one.run(label)?;
        ensure!(run.code == 0, "{label}: {}", run.err());
    }
    let (their_bytes, theirs) = loaded.header("kernel")?;
    let (our_bytes, ours) = loaded.header("ours")?;
    let possible = one.run("possible")?.out();
    println!("possible {possible}kernel {theirs:x?}\nours {ours:x?}");
    assert_eq!((ours.class, ours.machine), (theirs.class, theirs.machine));
    // Difference: a processor that is possible and was never plugged in has a note of the
    // kernel, and shows no address in /sys/devices/system/cpu; it has left nothing.
    for note in &ours.notes {
        ensure!(theirs.notes.contains(note), "{note:x?} is not the kernel's");
    }
    // Two processors, and vmcoreinfo as the last one.
    assert_eq!(ours.notes.len(), 3);
    assert_eq!(ours.notes.last(), theirs.notes.last());
    // The running kernel itself.
    assert_eq!(ours.loads.first(), theirs.loads.first());
    // Difference: ranges that touch are one here. It is the same memory.
    assert_eq!(ours.ranges(), theirs.ranges());
    assert_eq!(ours.ranges(), saved(one)?);
    // The same virtual addresses.
    let base = |core: &Core| -> BTreeSet<u64> {
        let loads = core.loads.iter().skip(1);
        loads.map(|e| e.virtual_start - e.physical).collect()
    };
    assert_eq!(base(&ours).len(), 1, "one direct mapping");
    assert_eq!(base(&ours), base(&theirs));
    let flags = |core: &Core| -> BTreeSet<u32> { core.loads.iter().map(|e| e.flags).collect() };
    assert_eq!(flags(&ours), flags(&theirs));
    let same = ours.notes == theirs.notes && ours.loads == theirs.loads;
    assert_eq!(our_bytes == their_bytes, same, "the same but for entries");
    if !modules && theirs.notes.len() == 3 {
        ensure!(same, "without a reason: {theirs:x?} {ours:x?}");
    }
    if modules {
        assert_eq!(
            ours.loads.len() + 1,
            theirs.loads.len(),
            "two modules that touch"
        );
    }
    Ok(())
}

#[test]
fn the_header_is_that_of_the_kernel_6_1() -> Result<()> {
    compare("6.1", "crashkernel=256M", 1024, true)
}

#[test]
fn the_header_is_that_of_the_kernel_6_12() -> Result<()> {
    compare(
        "6.12",
        "crashkernel=256M,high crashkernel=72M,low",
        4608,
        false,
    )
}

#[test]
fn the_header_is_that_of_the_kernel_7_with_cma() -> Result<()> {
    compare("7.x", "crashkernel=384M,cma crashkernel=160M", 2048, false)
}

/// The crash kernel's own memory with both calls: the same but for the place of the header.
#[test]
fn the_memory_map_is_that_of_the_kernel() -> Result<()> {
    let map = |call| -> Result<_> {
        let crash = Crash {
            call,
            ..Crash::new("7.x")
        };
        let outcome = crash.run()?;
        let entries = outcome.stage("second")?.report.memmap.clone();
        let (ram, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|e| e.kind == "System RAM");
        let ram = ram.iter().map(|e| (e.start, e.end + 1)).collect();
        let reserved = named(
            &outcome.stage("first")?.run("before")?.out(),
            "Crash kernel",
        )?;
        Ok((without(&ram, &reserved), reserved, others))
    };
    assert_eq!(map("-s")?, map("-c")?);
    Ok(())
}

/// With `--hotplug` the running kernel writes the header anew when a processor goes, and the
/// purgatory takes that for what it is.
#[test]
fn the_running_kernel_rewrites_the_header() -> Result<()> {
    let script = "\
        run load kexec -c -p --hotplug $NEXT --initrd $NEXT_INITRD \
        --append \"$CONSOLE nr_cpus=1 reset_devices\"\n\
        run loaded loaded-core-header\n\
        run offline sh -c 'echo 0 > /sys/devices/system/cpu/cpu1/online'\n\
        run rewritten loaded-core-header\n\
        echo 'needle 4711: written before the crash' > /dev/kmsg\n\
        jump sh -c 'echo c > /proc/sysrq-trigger'\n";
    let loaded = Loaded::run("6.12", "crashkernel=256M", 1024, MODULES, script)?;
    for label in ["load", "offline"] {
        let run = loaded.one()?.run(label)?;
        ensure!(run.code == 0, "{label}: {}", run.err());
    }
    let (_, ours) = loaded.header("loaded")?;
    let (_, theirs) = loaded.header("rewritten")?;
    println!("ours {ours:x?}\nrewritten {theirs:x?}");
    // Two modules that touch are one range here, and two of the kernel's.
    assert_eq!(ours.loads.len() + 1, theirs.loads.len(), "not rewritten");
    assert_eq!(ours.ranges(), theirs.ranges());
    let two = loaded.outcome.stage("second")?;
    let dmesg = two.run("dmesg")?;
    ensure!(dmesg.code == 0, "{}", dmesg.err());
    ensure!(two.run("needle")?.out().contains(NEEDLE));
    assert_eq!(
        Core::parse(two.file("vmcore")?)?.ranges(),
        saved(loaded.one()?)?
    );
    Ok(())
}
