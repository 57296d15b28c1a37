//! `cargo xtask bench crash`: the smallest reservation with which a crash kernel reads the dump.

use crate::command::Arguments;
use crate::product;
use anyhow::Result;
use kexec_lab::crash_size::{CaptureInitrd, CrashEnd, CrashSize};
use kexec_lab::{KERNELS, Lab};
use std::process::ExitCode;

/// Bytes of the larger initrd, unpacked.
const UNPACKED: usize = 60_000_000;
/// With a root file system named, the initrd is unpacked into ramfs, and without into tmpfs,
/// which takes no more than half of the memory (init_rootfs() in init/do_mounts.c; the
/// document ramfs-rootfs-initramfs.rst).
const ROOT: &str = "root=/dev/vda1";

/// Bisects the reservation of the kernels of the lab, or of one, with a small initrd and a
/// larger one.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Which program loads does not matter.
    if std::env::var_os("KEXEC_BIN").is_none() {
        println!("Building kexec ...");
        product::build()?;
    }
    let lab = Lab::open()?;
    let only = arguments.value("--kernel");
    let mut rows = Vec::new();
    let wanted = KERNELS
        .iter()
        .filter(|source| only.is_none_or(|label| label == source.label));
    for source in wanted {
        let kernel = lab.kernel(source.label)?;
        let small = CaptureInitrd::small(&lab)?;
        let packed = CaptureInitrd::packed(&lab, &kernel, UNPACKED)?;
        for (initrd, words) in [(&small, ""), (&packed, ""), (&packed, ROOT)] {
            let trial = CrashSize {
                lab: &lab,
                kernel: &kernel,
                initrd,
                method: "-s",
                words,
            };
            let (smallest, below) = trial.smallest(|mb, end| {
                eprintln!("{}: {words} {mb} MiB: {end:?}", kernel.release);
            })?;
            let below = match below {
                CrashEnd::Refused(words) => words.lines().next().unwrap_or_default().to_owned(),
                CrashEnd::Lost(words) => words,
                CrashEnd::Read { .. } => String::new(),
            };
            rows.push(format!(
                "| {} | {} | {} | {words} | {smallest} | {below} |",
                kernel.release,
                megabytes(initrd.bytes.len()),
                megabytes(initrd.unpacked),
            ));
        }
    }
    println!("| kernel | initrd, MB | unpacked, MB | words | crashkernel=, MiB | 8 MiB less |");
    println!("|---|---:|---:|---|---:|---|");
    for row in rows {
        println!("{row}");
    }
    Ok(ExitCode::SUCCESS)
}

/// With one decimal.
fn megabytes(bytes: usize) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
