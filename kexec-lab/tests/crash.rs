//! The crash slot: a panic jumps into what `-p` loaded.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel};

#[test]
fn a_panic_ends_in_the_crash_kernel() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .append("crashkernel=256M BOOT_IMAGE=/vmlinuz kept=1")
        .next(NextKernel::new(&kernel).script(
            "run dump ls -l /proc/vmcore\n\
             run elf head -c 4 /proc/vmcore\n",
        ))
        .script(
            "run before kexec -S\n\
             run load kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             run after kexec -S\n\
             run normal kexec -S -l\n\
             run status kexec status\n\
             run unload kexec -p -u\n\
             run unloaded kexec -S\n\
             run again kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    let code = |label: &str| one.run(label).map(|run| run.code);
    assert_eq!(code("before")?, 0);
    assert_eq!(code("load")?, 0, "{}", one.run("load")?.err());
    assert_eq!(code("after")?, 1);
    assert_eq!(code("normal")?, 0);
    ensure!(one.run("status")?.out().contains("next/vmlinuz"));
    assert_eq!(code("unload")?, 0, "{}", one.run("unload")?.err());
    assert_eq!(code("unloaded")?, 0);
    assert_eq!(code("again")?, 0);

    let two = outcome.stage("second")?;
    assert_eq!(two.run("elf")?.stdout, b"\x7fELF");
    // The kernel itself adds elfcorehdr= to what it was given.
    let line = two.report.command_line();
    ensure!(line.contains("kept=1 nr_cpus=1"), "{line}");
    ensure!(
        !line.contains("crashkernel=") && !line.contains("BOOT_IMAGE="),
        "{line}"
    );
    Ok(())
}

/// Without a reservation there is nothing to load into.
#[test]
fn without_a_reservation_it_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .script("run load kexec -p $NEXT --initrd $NEXT_INITRD\n")
        .run()?;
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!(load.code, 1);
    ensure!(load.err().contains("crashkernel=256M"), "{}", load.err());
    Ok(())
}
