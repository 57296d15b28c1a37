//! `cargo xtask bench load`: what a load costs, by each way to load.

use crate::host::{call, cargo};
use crate::product;
use anyhow::{Context, Result};
use kexec_lab::loads::{self, LARGE, LoadCost, LoadMeasurement, MeasuredLoad, MeasuredLoader};
use kexec_lab::{Lab, LabKernel};
use std::path::Path;
use std::process::ExitCode;

/// The kernel that loads, and is loaded.
const KERNEL: &str = "6.12";
/// Size of the large initrd, MiB.
const LARGE_MB: usize = 490;
/// Memory of each measured machine, MiB.
const MEMORY_MB: [u32; 2] = [4096, 2048];

/// One line of the table: a load in a guest of its own, so that nobody finds
/// what another one left.
struct LoadRow {
    memory_mb: u32,
    load: MeasuredLoad,
}

impl LoadRow {
    fn measure(&self, lab: &Lab, kernel: &LabKernel, disk: &Path) -> Result<LoadCost> {
        let loads = LoadMeasurement {
            memory_mb: self.memory_mb,
            disk: Some(disk).filter(|_| !self.load.initrds.is_empty()),
            loads: std::slice::from_ref(&self.load),
        };
        let loads = loads.run(lab, kernel)?;
        loads.first().copied().context("nothing was loaded")
    }

    fn print(&self, result: &Result<LoadCost>) {
        let by = self.load.loader.name();
        match result {
            Ok(LoadCost { files, cost }) => println!(
                "| {} | {} | `{by}` | {} | {} | {} |",
                tenths(*files),
                self.memory_mb,
                cost.instructions / 1_000_000,
                tenths(cost.peak_rss),
                tenths(cost.peak_memory),
            ),
            Err(_) => println!("| | {} | `{by}` | failed | | |", self.memory_mb),
        }
    }
}

/// Loads a small and a large image in machines with much and with little memory;
/// then how fast the checks are on this machine itself.
pub fn run() -> Result<ExitCode> {
    println!("Building kexec ...");
    product::build()?;
    let lab = Lab::open()?;
    let kernel = lab.kernel(KERNEL)?;
    let folder = tempfile::tempdir()?;
    let disk = loads::disk(&lab, folder.path(), LARGE_MB, 1)?;
    println!(
        "\nkernel {}, {}, kexec-tools {}\n",
        kernel.release,
        lab.qemu().version,
        lab.kexec_tools_version()?
    );

    println!("| files, MB | guest, MiB | by | million instructions | RSS, MB | memory, MB |");
    println!("|---:|---:|---|---:|---:|---:|");
    let mut failures = Vec::new();
    for row in rows() {
        // One guest after the other, whatever the lab allows: some are large.
        let result = row.measure(&lab, &kernel, &disk);
        row.print(&result);
        failures.extend(result.err());
    }
    if let Some(failure) = failures.pop() {
        return Err(failure.context("a load failed"));
    }

    println!("\nThe checks, on this machine itself:");
    call(&mut cargo(&[
        "run",
        "--quiet",
        "--release",
        "--package",
        "kexec-purgatory",
        "--example",
        "throughput",
    ]))?;
    Ok(ExitCode::SUCCESS)
}

fn rows() -> Vec<LoadRow> {
    let mut rows = Vec::new();
    for initrds in [&[][..], &[LARGE]] {
        for memory_mb in MEMORY_MB {
            let loaders = MeasuredLoader::ALL
                .into_iter()
                .filter(|loader| match loader {
                    MeasuredLoader::Classic | MeasuredLoader::Tools => true,
                    // The kernel itself reads the files, and where it puts them is its
                    // own matter: one machine says enough.
                    MeasuredLoader::File => memory_mb == MEMORY_MB[0],
                });
            rows.extend(loaders.map(|loader| LoadRow {
                memory_mb,
                load: MeasuredLoad {
                    loader,
                    initrds: initrds.to_vec(),
                },
            }));
        }
    }
    rows
}

/// Megabytes with one decimal.
fn tenths(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
