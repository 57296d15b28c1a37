//! How long a machine is down for a kexec, in instructions: `kexec load` beside the
//! least that is possible, and beside kexec-tools. `cargo xtask bench downtime` measures
//! all ways and sizes; here are the three of one small initrd. And how much memory such a
//! load takes.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::downtime::{Downtime, DowntimeFiles, DowntimeRun, LoadWay, MEDIUM, Packing, SMALL};

/// `kexec load` may take so much longer than the floor, in percent: the same kernel,
/// unpacked by hand, with an unpacked initrd and no check.
///
/// The loader's own part is the check and the placement alone.
const MAX_OVER_FLOOR_PERCENT: u64 = 3;

/// What is above the floor must be at least so many times larger with kexec-tools -c.
///
/// The same jump differs by up to 10 million instructions from run to run, so that this is
/// a ratio of a small difference.
const MIN_TIMES_SMALLER: u64 = 150;

/// kexec-tools -c must take so many times as long as `kexec load` in all, in tenths.
///
/// Most of what kexec-tools needs is its checksum.
const MIN_RATIO_TENTHS: u64 = 43;

/// `kexec load` may have so many bytes mapped beside what it unpacked: the program, what it
/// still reads of the packed files, and room to spare.
const MAX_BESIDE_UNPACKED: u64 = 64_000_000;

/// Fails where a load had more mapped than what it unpacked and [`MAX_BESIDE_UNPACKED`].
fn maps_little_beside(files: &DowntimeFiles, downtime: &Downtime) -> Result<()> {
    let unpacked = files.unpacked_kernel_bytes + files.initrd_bytes(Packing::Raw)?;
    let peak = downtime.load.peak_rss;
    println!("{peak} bytes of RSS for {unpacked} unpacked");
    // It holds all of that while it loads.
    ensure!(peak > unpacked, "{peak} bytes for {unpacked}: not unpacked");
    ensure!(
        peak <= unpacked + MAX_BESIDE_UNPACKED,
        "{peak} bytes of RSS for {unpacked} unpacked, and {MAX_BESIDE_UNPACKED} may be beside them"
    );
    Ok(())
}

/// Kernel and initrd are in memory unpacked; packed as well they would be beyond the limit.
#[test]
fn a_large_load_maps_little_beside_what_it_unpacks() -> Result<()> {
    let lab = Lab::open()?;
    let tsc = std::fs::read(env!("CARGO_BIN_EXE_tsc"))?;
    let packings = [Packing::Raw, Packing::Zstd];
    let files = DowntimeFiles::prepare(&lab, &lab.kernel("7.x")?, MEDIUM, &packings, &tsc)?;
    let run = DowntimeRun {
        way: LoadWay::Load,
        size: MEDIUM,
        packing: Packing::Zstd,
        files: &files,
    };
    maps_little_beside(&files, &run.run(&lab)?)
}

#[test]
fn a_kexec_is_short() -> Result<()> {
    let lab = Lab::open()?;
    let tsc = std::fs::read(env!("CARGO_BIN_EXE_tsc"))?;
    let packings = [Packing::Raw, Packing::Zstd];
    let files = DowntimeFiles::prepare(&lab, &lab.kernel("7.x")?, SMALL, &packings, &tsc)?;
    let downtime = |way, packing| {
        let run = DowntimeRun {
            way,
            size: SMALL,
            packing,
            files: &files,
        };
        let downtime = run.run(&lab)?;
        println!("{}, {}: {downtime:?}", way.name(), packing.name());
        if way == LoadWay::Load {
            maps_little_beside(&files, &downtime)?;
        }
        anyhow::Ok(downtime.instructions)
    };
    let floor = downtime(LoadWay::Unpacked, Packing::Raw)?;
    let ours = downtime(LoadWay::Load, Packing::Zstd)?;
    let theirs = downtime(LoadWay::ToolsClassic, Packing::Zstd)?;

    let all = format!("floor {floor}, kexec load {ours}, kexec-tools -c {theirs} instructions");
    // The checks and the unpacking of kexec-tools are really in its figure, or nothing
    // below would mean anything.
    ensure!(theirs > floor.saturating_mul(3), "{all}");
    // Nobody is faster than the floor; a figure that is would be a mistake.
    ensure!(ours > floor / 100 * 98, "{all}");
    ensure!(
        ours <= floor / 100 * (100 + MAX_OVER_FLOOR_PERCENT),
        "{all}: more than {MAX_OVER_FLOOR_PERCENT} % above the floor"
    );
    let (own, their_own) = (ours.saturating_sub(floor), theirs.saturating_sub(floor));
    ensure!(
        own.saturating_mul(MIN_TIMES_SMALLER) <= their_own,
        "{all}: {own} and {their_own} above the floor, expected {MIN_TIMES_SMALLER} times less"
    );
    ensure!(
        ours.saturating_mul(MIN_RATIO_TENTHS) <= theirs.saturating_mul(10),
        "{all}: expected {MIN_RATIO_TENTHS} tenths of our time"
    );
    Ok(())
}
