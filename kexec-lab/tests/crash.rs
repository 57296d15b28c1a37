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
    ensure!(
        load.err().contains("add crashkernel=SIZE"),
        "{}",
        load.err()
    );
    Ok(())
}

/// The size of the reservation below, in bytes.
const REGION: usize = 96 << 20;

/// `init_size` of a bzImage (Documentation/arch/x86/boot.rst, offset 0x260).
fn init_size(kernel: &[u8]) -> Option<usize> {
    let field = kernel.get(0x260..0x264)?;
    usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
}

/// An initrd that fills the reservation to the last page passes every check, and leaves the
/// kernel no room for its own parts: it refuses the load when it has given up the old crash
/// kernel. That one is there again, and works; what was changed is not loaded again.
#[test]
fn what_the_kernel_gave_up_is_loaded_again() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let taken = init_size(&std::fs::read(&kernel.path)?).unwrap_or_default();
    ensure!(taken > 0, "the kernel has no init_size");
    let initrd = REGION - taken.next_multiple_of(4096) - 4096;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .append("crashkernel=96M")
        .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
        .script(&format!(
            "cp $NEXT /k; cp $NEXT_INITRD /i; cp $NEXT_INITRD /same\n\
             head -c {initrd} /dev/zero > /big\n\
             load=\"kexec -s -p /k\"\n\
             line=\"$CONSOLE nr_cpus=1\"\n\
             run first $load --initrd /i --append \"$line\"\n\
             run refused $load --initrd /big --append big\n\
             run there kexec -S\n\
             run status kexec status\n\
             cat /same > /i\n\
             run lost $load --initrd /big --append big\n\
             run gone kexec -S\n\
             run nothing kexec status\n\
             run last $load --initrd /i --append \"$line\"\n\
             run refused-again $load --initrd /big --append big\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    for run in &one.runs {
        println!("# {} {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
    assert_eq!(one.run("first")?.code, 0);
    for label in ["refused", "refused-again"] {
        let refused = one.run(label)?;
        ensure!(refused.code != 0);
        ensure!(
            refused.err().contains("/k was loaded again"),
            "{}",
            refused.err()
        );
    }
    assert_eq!(one.run("there")?.code, 1);
    let status = one.run("status")?.out();
    ensure!(
        status.contains("nr_cpus=1") && status.contains("/i"),
        "{status}"
    );
    let lost = one.run("lost")?;
    ensure!(lost.code != 0);
    let loud = "THE MACHINE IS NOW WITHOUT A CRASH KERNEL";
    ensure!(lost.err().contains(loud), "{}", lost.err());
    ensure!(lost.err().contains("/i was changed"), "{}", lost.err());
    assert_eq!(one.run("gone")?.code, 0);
    assert_eq!(one.run("last")?.code, 0);
    assert_eq!(outcome.stage("second")?.run("elf")?.stdout, b"\x7fELF");
    Ok(())
}
