//! What is refused before there is a crash, and a crash image that is not what was loaded.

use anyhow::{Result, ensure};
use kexec_lab::{End, Guest, GuestRun, Lab, NextKernel, Stage};
use std::time::Duration;

const LOAD: &str = "--initrd $NEXT_INITRD --append \"$CONSOLE nr_cpus=1 reset_devices\"";

/// The command failed, and said all of these words.
fn refused(stage: &Stage, label: &str, words: &[&str]) -> Result<()> {
    let run = stage.run(label)?;
    println!("{label}: {} {}", run.code, run.err());
    ensure!(run.code != 0, "{label} was not refused");
    for word in words {
        ensure!(
            run.err().contains(word),
            "{label}: no {word:?} in: {}",
            run.err()
        );
    }
    Ok(())
}

/// Whether the crash slot has an image, by `kexec -S -p`.
fn is_armed(stage: &Stage, label: &str) -> Result<bool> {
    Ok(stage.run(label)?.code == 1)
}

/// An initrd that does not fit is refused with both sizes, and what was loaded before still
/// takes over when the kernel panics.
#[test]
fn what_does_not_fit_is_refused_and_the_old_image_stays() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .append("crashkernel=128M")
        .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
        .script(&format!(
            "head -c 130000000 /dev/zero > /tmp/large\n\
             run good kexec -c -p $NEXT {LOAD}\n\
             run classic kexec -c -p $NEXT --initrd /tmp/large --append nr_cpus=1\n\
             run after-classic kexec -S -p\n\
             run file kexec -s -p $NEXT --initrd /tmp/large --append nr_cpus=1\n\
             run after-file kexec -S -p\n\
             rm /tmp/large\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    one.good("good")?;
    let memory = "reserved for crash kernels";
    refused(
        one,
        "classic",
        &["no place for initrd", memory, "crashkernel="],
    )?;
    refused(one, "file", &["128 MiB", "raise crashkernel="])?;
    for after in ["after-classic", "after-file"] {
        ensure!(is_armed(one, after)?, "{after}: nothing is loaded any more");
    }
    assert_eq!(outcome.stage("second")?.good("elf")?.stdout, b"\x7fELF");
    Ok(())
}

/// No crashkernel=, and the two sysctls of the kernel: each by its name, with both calls.
#[test]
fn what_this_machine_does_not_let_load() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let run = |append: &str, before: &str| -> Result<GuestRun> {
        Guest::new(&lab, &kernel)
            .with(&lab.product()?.files)
            .append(append)
            .next(NextKernel::new(&kernel))
            .script(&format!(
                "{before}\
                 run classic kexec -c -p $NEXT {LOAD}\n\
                 run file kexec -s -p $NEXT {LOAD}\n\
                 run armed kexec -S -p\n"
            ))
            .run()
    };
    let outcome = run("", "")?;
    let one = outcome.stage("first")?;
    for label in ["classic", "file"] {
        refused(one, label, &["add crashkernel=SIZE"])?;
    }
    ensure!(!is_armed(one, "armed")?);
    // The limit counts down, and what is at 0 stays there; the other one is for good.
    let limits = format!(
        "echo 1 > /proc/sys/kernel/kexec_load_limit_panic\n\
         run allowed kexec -s -p $NEXT {LOAD}\n\
         run limit-classic kexec -c -p $NEXT {LOAD}\n\
         run limit-file kexec -s -p $NEXT {LOAD}\n\
         run limit-armed kexec -S -p\n\
         echo 1 > /proc/sys/kernel/kexec_load_disabled\n"
    );
    let outcome = run("crashkernel=256M", &limits)?;
    let one = outcome.stage("first")?;
    one.good("allowed")?;
    for label in ["limit-classic", "limit-file"] {
        refused(one, label, &["kexec_load_limit_panic"])?;
    }
    for label in ["classic", "file"] {
        refused(one, label, &["kexec_load_disabled"])?;
    }
    ensure!(is_armed(one, "limit-armed")? && is_armed(one, "armed")?);
    Ok(())
}

/// A machine whose crash image was changed after the load, when it panics.
fn spoilt(method: &str, limit: Duration) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .file("lab/lab_crash.ko", lab.crash_module(&kernel)?)
        .append("crashkernel=256M")
        .next(NextKernel::new(&kernel))
        .script(&format!(
            "run size stat -c %s $NEXT_INITRD\n\
             run load kexec {method} -p $NEXT {LOAD}\n\
             range=$(sed -n 's/^ *\\(.*\\) : Crash kernel$/\\1/p' /proc/iomem)\n\
             run spoil insmod /lab/lab_crash.ko what=spoil from=0x${{range%-*}} to=0x${{range#*-}}\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .timeout(limit)
        .observe()?;
    let one = outcome.stage("first")?;
    one.good("load")?;
    one.good("spoil")?;
    ensure!(
        outcome
            .console
            .contains("Kernel panic - not syncing: sysrq"),
        "{}",
        outcome.tail()
    );
    assert_eq!(outcome.stages.len(), 1, "the crash kernel ran");
    Ok(outcome)
}

/// Our purgatory names the segment on the console and resets the machine.
#[test]
fn a_spoilt_image_is_named_and_the_machine_is_reset() -> Result<()> {
    let outcome = spoilt("-c", Duration::from_secs(180))?;
    let line = outcome
        .console
        .lines()
        .find(|line| line.contains("is not what was loaded"))
        .unwrap_or_default()
        .to_owned();
    println!("{line}");
    let size: u64 = outcome.stage("first")?.good("size")?.out().trim().parse()?;
    ensure!(
        line.contains("kexec: initrd at 0x") && line.contains(&format!(", {size:#x} bytes")),
        "{line:?}:\n{}",
        outcome.tail()
    );
    assert_eq!(outcome.console.matches("is not what was loaded").count(), 1);
    assert_eq!(outcome.end, End::Reset, "{}", outcome.tail());
    Ok(())
}

/// The kernel's own purgatory hangs, and says nothing.
#[test]
#[ignore = "waits for a machine that hangs: cargo xtask test --all"]
fn the_kernels_own_purgatory_hangs_on_a_spoilt_image() -> Result<()> {
    let outcome = spoilt("-s", Duration::from_secs(90))?;
    assert_eq!(outcome.end, End::TimedOut, "{}", outcome.tail());
    Ok(())
}
