//! `kexec crash estimate` against what is really enough.

use anyhow::{Result, ensure};
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
fn is_enough(labels: &[&str]) -> Result<()> {
    let lab = Lab::open()?;
    for (label, measured) in MEASURED.iter().filter(|(label, _)| labels.contains(label)) {
        let kernel = lab.kernel(label)?;
        let initrds = [
            CaptureInitrd::small(&lab)?,
            CaptureInitrd::packed(&lab, &kernel, UNPACKED)?,
        ];
        for (initrd, measured) in initrds.iter().zip(measured) {
            let trial = CrashSize {
                lab: &lab,
                kernel: &kernel,
                initrd,
                method: "-s",
                words: "",
            };
            let bytes = trial.estimate()?;
            let mb = bytes.div_ceil(1 << 20);
            println!(
                "{}: estimated {mb} MiB, measured {measured}",
                kernel.release
            );
            ensure!(
                *measured <= mb && mb * 10 <= measured * 16,
                "{mb} MiB for {}: {measured} are enough",
                kernel.release
            );
            let end = trial.crash(u32::try_from(mb)?)?;
            ensure!(matches!(end, CrashEnd::Read { .. }), "{mb} MiB: {end:?}");
        }
    }
    Ok(())
}

#[test]
fn the_estimate_is_enough_for_6_12() -> Result<()> {
    is_enough(&["6.12"])
}

#[test]
#[ignore = "eight more machines: cargo xtask test --all"]
fn the_estimate_is_enough_for_6_1_and_7() -> Result<()> {
    is_enough(&["6.1", "7.x"])
}
