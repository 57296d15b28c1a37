//! How long a machine is down for a kexec, in instructions: `kexec load` beside the
//! least that is possible, and beside kexec-tools. `cargo xtask bench downtime` measures
//! all ways and sizes; here are the three of one small initrd.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::downtime::{DowntimeFiles, DowntimeRun, LoadWay, Packing, SMALL};

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
