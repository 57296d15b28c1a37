//! What a load costs: instructions and memory, ours beside kexec-tools.

use anyhow::{Context, Result, ensure};
use kexec_lab::Lab;
use kexec_lab::loads::{
    self, LARGE, LoadCost, LoadMeasurement, MeasuredLoad, MeasuredLoader, PART,
};
use std::path::Path;

/// The large initrd, MiB, and a part of one that has several.
const LARGE_MB: usize = 490;
const PART_MB: usize = 96;

/// What may be in memory beside the files themselves.
const SPARE: u64 = 32 << 20;

/// A large load with `kexec_load(2)` may take this many instructions for each byte
/// of the files: 525 MB take 6.8, and 213 MB in two initrds 7.3.
const FOR_A_BYTE: u64 = 8;

/// How many instructions the same load may take in a machine of half the
/// memory, in hundredths.
const TIGHT: u64 = 150;

/// Neither in the process nor elsewhere in user space is there a second copy.
fn memory_is_bounded(loaded: &LoadCost) -> Result<()> {
    let limit = loaded.files + SPARE;
    let LoadCost { files, cost } = loaded;
    ensure!(cost.peak_rss <= limit, "{files} bytes loaded: {cost:?}");
    ensure!(cost.peak_memory <= limit, "{files} bytes loaded: {cost:?}");
    // What cannot be would be a mistake of the measurement.
    ensure!(cost.peak_memory >= *files, "{files} bytes loaded: {cost:?}");
    Ok(())
}

fn ours(initrds: &[&'static str]) -> MeasuredLoad {
    MeasuredLoad {
        loader: MeasuredLoader::Classic,
        initrds: initrds.to_vec(),
    }
}

/// A small image takes less than half of the instructions that kexec-tools takes,
/// which checks by a slow SHA-256.
#[test]
fn a_small_image_is_quick() -> Result<()> {
    let lab = Lab::open()?;
    let tools = MeasuredLoad {
        loader: MeasuredLoader::Tools,
        ..ours(&[])
    };
    let small = LoadMeasurement {
        memory_mb: 2048,
        disk: None,
        loads: &[ours(&[]), tools],
    };
    let loads = small.run(&lab, &lab.kernel("6.12")?)?;
    println!("{loads:?}");
    let [ours, theirs] = loads.as_slice() else {
        anyhow::bail!("{loads:?}");
    };
    memory_is_bounded(ours)?;
    ensure!(
        ours.cost.instructions * 2 <= theirs.cost.instructions,
        "{loads:?}"
    );
    Ok(())
}

/// 490 MiB: read once, checked once, never copied in user space, and placed where
/// the kernel need not search for pages.
#[test]
fn a_large_image_is_linear_in_tight_memory_too() -> Result<()> {
    let lab = Lab::open()?;
    let folder = tempfile::tempdir()?;
    let disk = loads::disk(&lab, folder.path(), LARGE_MB, PART_MB)?;
    let ample = large(&lab, &disk, 4096, &[ours(&[LARGE])])?;
    // Several initrds are not joined in memory.
    let tight = large(&lab, &disk, 2048, &[ours(&[LARGE]), ours(&[PART, PART])])?;
    ensure!(
        tight.cost.instructions <= ample.cost.instructions * TIGHT / 100,
        "{ample:?}, and in tight memory {tight:?}"
    );
    Ok(())
}

/// What the first of the loads took; all of them are within bounds.
fn large(lab: &Lab, disk: &Path, memory_mb: u32, loads: &[MeasuredLoad]) -> Result<LoadCost> {
    let loads = LoadMeasurement {
        memory_mb,
        disk: Some(disk),
        loads,
    };
    let loads = loads.run(lab, &lab.kernel("6.12")?)?;
    println!("{memory_mb} MiB: {loads:?}");
    for loaded in &loads {
        memory_is_bounded(loaded)?;
        let most = loaded.files * FOR_A_BYTE;
        ensure!(loaded.cost.instructions <= most, "{loaded:?}");
    }
    loads.first().copied().context("nothing was loaded")
}
