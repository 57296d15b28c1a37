//! `kexec crash estimate` against what is really enough.

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::crash_size::{CaptureInitrd, CrashEnd, CrashSize};

/// Bytes of the larger initrd, unpacked.
const UNPACKED: usize = 60_000_000;

/// The smallest reservations with which the crash kernel read the dump, MiB, as
/// `cargo xtask bench crash` printed them on 2026-11-29: with the lab's initrd of 2 MB, and
/// with one of 60 MB unpacked.
const MEASURED: &[(&str, [u64; 2])] = &[
    // 6.1.176
    ("6.1", [80, 184]),
    // 6.12.117
    ("6.12", [72, 184]),
    // 7.3.4
    ("7.x", [88, 192]),
];

/// The estimate is not much more than what is enough, and a panic with it is read.
fn is_enough(label: &str, unpacked: Option<usize>) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let row = MEASURED.iter().find(|(known, _)| *known == label);
    let (_, [small, packed]) = row.context("nothing was measured")?;
    let (initrd, measured) = match unpacked {
        None => (CaptureInitrd::small(&lab)?, *small),
        Some(bytes) => (CaptureInitrd::packed(&lab, &kernel, bytes)?, *packed),
    };
    let trial = CrashSize {
        lab: &lab,
        kernel: &kernel,
        initrd: &initrd,
        method: "-s",
        words: "",
    };
    let mb = trial.estimate()?.div_ceil(1 << 20);
    println!(
        "{}: estimated {mb} MiB, measured {measured}",
        kernel.release
    );
    ensure!(
        measured <= mb && mb * 10 <= measured * 16,
        "{mb} MiB for {}: {measured} are enough",
        kernel.release
    );
    let end = trial.crash(u32::try_from(mb)?)?;
    ensure!(matches!(end, CrashEnd::Read { .. }), "{mb} MiB: {end:?}");
    Ok(())
}

/// Small initrds of every kernel are in `crash_verbs.rs`.
#[test]
fn the_estimate_is_enough_for_6_12_with_a_packed_initrd() -> Result<()> {
    is_enough("6.12", Some(UNPACKED))
}

#[test]
#[ignore = "ten more machines: cargo xtask test --all"]
fn the_estimates_are_enough() -> Result<()> {
    for (label, _) in MEASURED {
        is_enough(label, None)?;
    }
    is_enough("6.1", Some(UNPACKED))?;
    is_enough("7.x", Some(UNPACKED))
}
