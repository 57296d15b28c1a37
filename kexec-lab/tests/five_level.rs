//! From a kernel that uses five-level paging, as on every recent server, into one
//! that was built without it, and back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kexec_image::{Kernel as Inner, Options, recognise};
use kexec_lab::{Guest, GuestRun, Lab, LabKernel, NextKernel};

/// From one kernel into another; the first says whether it uses five levels.
fn jump(lab: &Lab, first: &LabKernel, second: &LabKernel, load: &str) -> Result<GuestRun> {
    Guest::new(lab, first)
        .memory_mb(5 * 1024)
        .with(&lab.product()?.files)
        .with(&lab.kexec_tools()?)
        .next(NextKernel::new(second))
        .script(&format!(
            "run flags grep -m 1 ^flags /proc/cpuinfo\n\
             run plan kexec plan $NEXT\n\
             run file kexec -s -l $NEXT\n\
             run load {load} -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             jump kexec -e\n"
        ))
        .timeout(Duration::from_secs(120))
        .observe()
}

fn five_levels(outcome: &GuestRun) -> Result<bool> {
    let flags = outcome.stage("first")?.run("flags")?.out();
    Ok(flags.split_whitespace().any(|flag| flag == "la57"))
}

fn arrives(outcome: &GuestRun, second: &LabKernel) -> Result<()> {
    assert_eq!(outcome.stage("first")?.run("load")?.err(), "");
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    Ok(())
}

/// The purgatory goes down to four levels; the kernel lies above 4 GiB. `-s` is refused,
/// and `-a` takes the other call.
#[test]
fn into_a_kernel_that_has_four() -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.four_level_kernel()?;
    let outcome = jump(&lab, &lab.kernel("6.12")?, &second, "kexec -a")?;
    ensure!(five_levels(&outcome)?, "the first kernel uses four levels");
    let file = outcome.stage("first")?.run("file")?;
    ensure!(
        file.code != 0 && file.err().contains("five-level paging"),
        "{}",
        file.err()
    );
    let plan = outcome.stage("first")?.run("plan")?.out();
    ensure!(plan.contains("four-level paging"), "{plan}");
    arrives(&outcome, &second)
}

/// A vmlinux that was built without, which is entered as it is: nothing in front of
/// it goes down from five levels.
#[test]
fn into_the_vmlinux_that_has_four() -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.four_level_kernel()?;
    let file = recognise(std::fs::read(&second.path)?.into(), &Options::default())?;
    let Inner::BzImage(bzimage) = &file.kernel else {
        anyhow::bail!("{} is no bzImage", second.path.display());
    };
    let vmlinux = bzimage
        .unpack(&file.bytes, 1 << 30)?
        .context("no payload")?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(1536)
        .with(&lab.product()?.files)
        .file("vmlinux", vmlinux.bytes)
        .next(NextKernel::new(&second))
        .script(
            "run flags grep -m 1 ^flags /proc/cpuinfo\n\
             run load kexec -l /vmlinux --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    ensure!(five_levels(&outcome)?, "the first kernel uses four levels");
    arrives(&outcome, &second)
}

/// What this is about: kexec_file_load ends in a reset before the next kernel's first
/// word, and so does kexec-tools with either call.
#[test]
#[ignore = "the reference's silent resets: cargo xtask test --all"]
fn kexec_tools_does_not_arrive() -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.four_level_kernel()?;
    for load in ["/ref/kexec -s", "/ref/kexec -c"] {
        let outcome = jump(&lab, &lab.kernel("6.12")?, &second, load)?;
        assert_eq!(outcome.stage("first")?.run("load")?.err(), "", "{load}");
        ensure!(outcome.stage("second").is_err(), "{load}: it arrived");
    }
    Ok(())
}

/// The other way, and among its own kind, there is nothing to do.
#[test]
#[ignore = "two more jumps: cargo xtask test --all"]
fn out_of_a_kernel_that_has_four() -> Result<()> {
    let lab = Lab::open()?;
    let first = lab.four_level_kernel()?;
    for second in [lab.kernel("7.x")?, first.clone()] {
        let outcome = jump(&lab, &first, &second, "kexec -a")?;
        ensure!(!five_levels(&outcome)?, "the first kernel uses five levels");
        arrives(&outcome, &second)?;
    }
    Ok(())
}
