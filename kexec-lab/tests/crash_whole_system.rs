//! A crash kernel that starts the whole system on the disk: how much memory that takes, against
//! what `kexec crash estimate` adds up.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout};
use kexec_lab::{Lab, Stage};
use serde_json::Value;
use std::time::Duration;

/// What was seen in a crash kernel, MiB.
#[derive(Debug)]
struct Measured {
    /// The reservation.
    reserved: u64,
    /// The estimate for the same files.
    estimated: u64,
    /// What was available at the worst time.
    least: u64,
}

fn kib(meminfo: &str, name: &str) -> Result<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.with_context(|| format!("no {name} in {meminfo}"))?
        .parse()
        .with_context(|| format!("reading {name}"))
}

fn show(stage: &Stage) {
    for run in &stage.runs {
        println!("# {} {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
}

/// Crashes with this reservation; the crash kernel starts the system.
fn measure(suite: Suite, mib: u64) -> Result<Measured> {
    let lab = Lab::open()?;
    let trial = InstalledMachine::new(&lab, suite, SystemLayout::BiosGrub)
        .product()?
        .distribution_initrd()
        .least_memory()
        .memory_mb(1536)
        .timeout(Duration::from_secs(900))
        .cold_boots(1)
        .stage(
            "reserve",
            &format!(
                "sed -i 's/ panic=-1/ panic=-1 crashkernel={mib}M/' /boot/grub/grub.cfg\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "armed",
            "mkdir -p /var/crash\n\
             run estimate kexec crash estimate --json\n\
             run told kexec crash estimate\n\
             run load kexec crash load --append sysctl.vm.panic_on_oom=1\n\
             run status kexec crash status\n\
             sync\n\
             jump sh -c 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger'\n",
        )
        .stage(
            "crash",
            "run elf head -c 4 /proc/vmcore\n\
             run memory cat /proc/meminfo\n\
             run least cat /var/lib/least\n\
             run failed systemctl --failed --no-legend\n",
        )
        .run()?;
    let (armed, crash) = (trial.stage("armed")?, trial.stage("crash")?);
    show(armed);
    show(crash);
    armed.good("load")?;
    assert_eq!(crash.good("elf")?.stdout, b"\x7fELF");
    let estimate: Value = serde_json::from_slice(&armed.good("estimate")?.stdout)?;
    let bytes = estimate.get("bytes").and_then(Value::as_u64);
    let memory = crash.good("memory")?.out();
    let measured = Measured {
        reserved: mib,
        estimated: bytes.context("no bytes")? >> 20,
        least: crash.good("least")?.out().trim().parse::<u64>()? >> 10,
    };
    println!(
        "{}, {:.0} s: {measured:?}; {} MiB available once all is started",
        suite.name(),
        trial.seconds(),
        kib(&memory, "MemAvailable:")? >> 10
    );
    Ok(measured)
}

/// With a large region, what is left at the worst time says how much was needed; and a region of
/// the estimate is enough.
fn is_enough(suite: Suite) -> Result<()> {
    let large = measure(suite, 512)?;
    let needed = large.reserved - large.least;
    println!("{}: {needed} MiB are needed", suite.name());
    ensure!(needed <= large.estimated, "{large:?}");
    let estimated = measure(suite, large.estimated)?;
    ensure!(estimated.least > 8, "{estimated:?}");
    Ok(())
}

#[test]
#[ignore = "two installed systems that crash: cargo xtask test --all"]
fn the_estimate_is_enough_for_the_whole_system_of_debian_13() -> Result<()> {
    is_enough(Suite::Trixie)
}

#[test]
#[ignore = "two installed systems that crash: cargo xtask test --all"]
fn the_estimate_is_enough_for_the_whole_system_of_debian_12() -> Result<()> {
    is_enough(Suite::Bookworm)
}
