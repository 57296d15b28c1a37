//! Memory that was plugged in after the firmware had made its map: no place for the
//! image, and no memory that the next kernel boots with. It comes back through ACPI.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, GuestRun, Lab, NextKernel, Stage};
use std::collections::BTreeMap;

/// What the module has beyond the memory of the machine.
const MODULE: u64 = 512 << 20;

/// From 6.12 to itself, with these options of `kexec`, in a machine with a memory
/// module that only ACPI knows of.
fn cycle(options: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    Guest::new(&lab, &kernel)
        .qemu_arguments(&["-m", "slots=2,maxmem=4G"])
        .qemu_arguments(&["-object", "memory-backend-ram,id=module,size=512M"])
        .qemu_arguments(&["-device", "pc-dimm,id=slot,memdev=module"])
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .script(&format!(
            "run plan kexec plan $NEXT --initrd $NEXT_INITRD {options}\n\
             run load kexec -l $NEXT --initrd $NEXT_INITRD {options} --append \"$CONSOLE\"\n\
             jump kexec -e\n"
        ))
        .run()
}

/// The map that the kernel was started with.
fn ram_at_boot(stage: &Stage) -> Result<BTreeMap<String, String>> {
    let facts = stage.report.boot_params()?.facts();
    let map = facts
        .into_iter()
        .filter(|(name, _)| name.starts_with("e820"));
    Ok(map.collect())
}

/// All of the machine's RAM as the kernel lists it for the firmware's.
fn ram(stage: &Stage) -> u64 {
    let ranges = stage.report.memmap.iter();
    let ranges = ranges.filter(|m| m.kind == "System RAM");
    ranges.map(|m| m.end - m.start + 1).sum()
}

#[test]
#[ignore = "two guests, a minute: cargo xtask test --all"]
fn is_neither_handed_on_nor_used() -> Result<()> {
    for options in ["-c", "-s"] {
        let outcome = cycle(options)?;
        let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
        let load = one.run("load")?;
        assert_eq!((load.code, load.err().as_str()), (0, ""), "{options}");
        // The kernel lists it like the rest, whoever started it.
        ensure!(ram(one) > (1 << 30) && ram(one) < (1 << 30) + MODULE + 1);
        assert_eq!(ram(one), ram(two), "{options}: it is back");
        let map = ram_at_boot(one)?;
        ensure!(!map.is_empty(), "no memory map in boot_params");
        assert_eq!(map, ram_at_boot(two)?, "{options}");
        if options == "-c" {
            let plan = one.run("plan")?.out();
            ensure!(plan.contains("plugged in later are left out"), "{plan}");
        }
    }
    Ok(())
}
