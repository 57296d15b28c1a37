//! `cargo xtask bench crash`: the smallest reservation with which a crash kernel reads the dump.

use crate::product;
use anyhow::Result;
use kexec_lab::crash_size::{CaptureInitrd, CrashSize};
use kexec_lab::{KERNELS, Lab};
use std::process::ExitCode;

/// Bytes of the larger initrd, unpacked.
const UNPACKED: usize = 60_000_000;

/// Bisects the reservation of every kernel of the lab, with a small initrd and a larger one.
pub fn run() -> Result<ExitCode> {
    // Which program loads does not matter.
    if std::env::var_os("KEXEC_BIN").is_none() {
        println!("Building kexec ...");
        product::build()?;
    }
    let lab = Lab::open()?;
    let mut rows = Vec::new();
    for source in KERNELS {
        let kernel = lab.kernel(source.label)?;
        for initrd in [
            CaptureInitrd::small(&lab)?,
            CaptureInitrd::packed(&lab, &kernel, UNPACKED)?,
        ] {
            let trial = CrashSize {
                lab: &lab,
                kernel: &kernel,
                initrd: &initrd,
                method: "-s",
                words: "",
            };
            let (smallest, below) = trial.smallest(|mb, end| {
                eprintln!("{}: {mb} MiB: {end:?}", kernel.release);
            })?;
            rows.push(format!(
                "| {} | {:.1} | {:.1} | {smallest} | {below:?} |",
                kernel.release,
                initrd.bytes.len() as f64 / 1e6,
                initrd.unpacked as f64 / 1e6,
            ));
        }
    }
    println!("| kernel | initrd, MB | unpacked, MB | crashkernel=, MiB | 8 MiB less |");
    println!("|---|---:|---:|---:|---|");
    for row in rows {
        println!("{row}");
    }
    Ok(ExitCode::SUCCESS)
}
