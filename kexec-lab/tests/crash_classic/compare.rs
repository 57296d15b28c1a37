//! What the crash kernel is told, against what the kernel itself tells it.

use anyhow::{Result, ensure};
use kexec_lab::modules::load_order;
use kexec_lab::{Guest, GuestRun, Initramfs, Lab, NextKernel, Stage};
use std::collections::BTreeSet;

use super::core_file::Core;
use super::ranges::{named, without};
use super::{Crash, NEEDLE, READ, is_first_page, saved};

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

/// Memory beyond that of the machine.
#[derive(Default)]
struct Extra {
    /// Arguments of QEMU.
    arguments: &'static [&'static str],
    /// Modules that the guest inserts, with what they need.
    drivers: &'static [&'static str],
    /// What it runs then.
    script: &'static str,
}

/// Two memory modules.
const TWO_MODULES: Extra = Extra {
    arguments: MODULES,
    drivers: &[],
    script: "",
};

/// Memory that the driver of `virtio-mem` adds: `System RAM (virtio_mem)`. Half of what the
/// device could have, so that the driver does not add all of it.
const VIRTIO_MEM: Extra = Extra {
    arguments: &[
        "-m",
        "maxmem=8G",
        "-object",
        "memory-backend-ram,id=more,size=512M",
        "-device",
        "virtio-mem-pci,memdev=more,requested-size=256M",
    ],
    drivers: &["virtio_pci", "virtio_mem"],
    script: "\
        n=0\n\
        until [ \"$(cat /sys/devices/system/memory/memory*/state | grep -c online)\" -ge 10 ] || \
        [ $n = 40 ]; do n=$((n + 1)); usleep 250000; \
        for state in /sys/devices/system/memory/memory*/state; do \
        [ $(cat $state) = offline ] && echo online > $state; done; done\n",
};

/// Memory that is set aside (`Soft Reserved`, as EFI does for special purposes), and that a
/// driver then adds: `System RAM (kmem)`.
const KMEM: Extra = Extra {
    arguments: &[],
    drivers: &["dax_hmem", "device_dax", "kmem"],
    script: "\
        cd /sys/bus/dax/drivers\n\
        echo dax0.0 > device_dax/unbind\n\
        echo dax0.0 > kmem/new_id\n\
        cd /\n\
        for state in /sys/devices/system/memory/memory*/state; do \
        [ $(cat $state) = offline ] && echo online > $state; done\n",
};

/// Headers as they were loaded, by the labels of their runs.
struct Loaded {
    outcome: GuestRun,
}

impl Loaded {
    /// Runs `script` in a machine with two processors of four, once its memory is there.
    fn run(
        label: &str,
        reservation: &str,
        memory_mb: u32,
        more: &Extra,
        script: &str,
    ) -> Result<Loaded> {
        let lab = Lab::open()?;
        let kernel = lab.kernel(label)?;
        let product = lab.product()?.files;
        let mut drivers = Initramfs::new();
        let mut insert = String::new();
        for (name, content) in load_order(&kernel.modules, more.drivers)? {
            let path = format!("lab/{name}.ko");
            insert.push_str(&format!("insmod /{path}\n"));
            drivers.file(&path, content);
        }
        let outcome = Guest::new(&lab, &kernel)
            .memory_mb(memory_mb)
            .cpus(2)
            .qemu_arguments(&["-smp", "2,maxcpus=4"])
            .qemu_arguments(more.arguments)
            .with(&product)
            .with(&drivers)
            .program(
                "bin/loaded-core-header",
                std::fs::read(env!("CARGO_BIN_EXE_loaded-core-header"))?,
            )
            .append(reservation)
            .next(NextKernel::new(&kernel).with(&product).script(READ))
            .script(&format!(
                "{insert}{}\
                 run possible cat /sys/devices/system/cpu/possible\n\
                 run before cat /proc/iomem\n\
                 run cma cat /sys/kernel/kexec/crash_cma_ranges\n\
                 {script}",
                more.script
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
fn compare(label: &str, reservation: &str, memory_mb: u32, more: &Extra) -> Result<Loaded> {
    let modules = more.arguments == MODULES;
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
    Ok(loaded)
}

/// The ranges of this name are in both headers, whole.
fn with_memory_of(
    name: &str,
    label: &str,
    reservation: &str,
    memory_mb: u32,
    more: &Extra,
) -> Result<()> {
    let loaded = compare(label, reservation, memory_mb, more)?;
    let iomem = loaded.one()?.run("before")?.out();
    let added = named(&iomem, name)?;
    println!("{added:x?}");
    let len: u64 = added.iter().map(|(start, end)| end - start).sum();
    ensure!(len == 256 << 20, "{name}: {len:#x}: {iomem}");
    let (_, ours) = loaded.header("ours")?;
    ensure!(without(&added, &ours.ranges()).is_empty(), "{ours:x?}");
    Ok(())
}

#[test]
fn the_header_is_that_of_the_kernel_6_1() -> Result<()> {
    compare("6.1", "crashkernel=256M", 1024, &TWO_MODULES).map(drop)
}

#[test]
fn the_header_is_that_of_the_kernel_6_12() -> Result<()> {
    compare(
        "6.12",
        "crashkernel=256M,high crashkernel=72M,low",
        4608,
        &Extra::default(),
    )
    .map(drop)
}

#[test]
fn the_header_is_that_of_the_kernel_7_with_cma() -> Result<()> {
    let reservation = "crashkernel=384M,cma crashkernel=160M";
    compare("7.x", reservation, 2048, &Extra::default()).map(drop)
}

#[test]
fn the_header_has_the_memory_of_virtio_mem() -> Result<()> {
    let name = "System RAM (virtio_mem)";
    with_memory_of(name, "6.12", "crashkernel=256M", 1024, &VIRTIO_MEM)
}

/// Type 0xefffffff of the memory map is memory that is set aside
/// (Documentation/admin-guide/kernel-parameters.txt, `memmap=` with `%`; `enum e820_type`).
#[test]
fn the_header_has_the_memory_of_kmem() -> Result<()> {
    let words = "crashkernel=256M memmap=0x10000000%0x50000000-1+0xefffffff";
    with_memory_of("System RAM (kmem)", "6.12", words, 1792, &KMEM)
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
        let mut entries = outcome.stage("second")?.report.memmap.clone();
        entries.retain(|entry| !is_first_page(entry));
        let (ram, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|e| e.kind == "System RAM");
        let ram = ram.iter().map(|e| (e.start, e.end + 1)).collect();
        let reserved = named(
            &outcome.stage("first")?.run("before")?.out(),
            "Crash kernel",
        )?;
        // Where the region is differs from boot to boot.
        Ok((without(&ram, &reserved), others))
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
    let loaded = Loaded::run("6.12", "crashkernel=256M", 1024, &TWO_MODULES, script)?;
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
