//! `cargo xtask table`: the README's table of reboots, measured.

use crate::host;
use anyhow::{Context, Result, bail};
use kexec_lab::reboot_requests::{self, Cell, Observation};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

/// Where the observations are kept, below the workspace.
const FOLDER: &str = "target/reboot-requests";

/// Runs the cells whose names have all of these words in them (without any: every
/// cell), as many at a time as the lab lets, and prints the table of all cells that
/// were ever run: the last observation of each is kept in [`FOLDER`].
pub fn run(words: &[&str]) -> Result<ExitCode> {
    let folder = host::root().join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = kexec_lab::Lab::open()?;
    let mut cells: Vec<Cell> = reboot_requests::cells()
        .into_iter()
        .filter(|cell| words.iter().all(|word| cell.name().contains(word)))
        .collect();
    if cells.is_empty() {
        let names: Vec<_> = reboot_requests::cells().iter().map(Cell::name).collect();
        bail!(
            "looked for a cell with {words:?} in its name: there is none among {}",
            names.join(", ")
        );
    }
    for cell in &cells {
        // What is not seen again must not look as if it had been.
        let _ = std::fs::remove_file(file(&folder, cell));
    }
    cells.reverse();
    let queue = Mutex::new(cells);
    let failed = Mutex::new(0_u32);
    let workers = thread::available_parallelism().map_or(1, |n| n.get().min(4));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(cell) = next(&queue) {
                    if let Err(error) = one(&lab, &folder, &cell) {
                        println!("{}: FAILED: {error:#}", cell.name());
                        if let Ok(mut failed) = failed.lock() {
                            *failed = failed.saturating_add(1);
                        }
                    }
                }
            });
        }
    });
    println!("\n{}", reboot_requests::table(&known(&folder)?));
    let failed = failed.into_inner().unwrap_or(1);
    if failed > 0 {
        println!("{failed} cells could not be run");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of the cells that were ever run, and runs nothing.
pub fn show() -> Result<ExitCode> {
    println!(
        "{}",
        reboot_requests::table(&known(&host::root().join(FOLDER))?)
    );
    Ok(ExitCode::SUCCESS)
}

fn next(queue: &Mutex<Vec<Cell>>) -> Option<Cell> {
    queue.lock().ok()?.pop()
}

/// Runs a cell, says what it came to, and keeps it.
fn one(lab: &kexec_lab::Lab, folder: &Path, cell: &Cell) -> Result<()> {
    let seen = cell.run(lab)?;
    let mut text = format!("{} ({:.0} s)", cell.name(), seen.seconds);
    for one in &seen.results {
        text.push_str(&format!("\n  {}: {}", one.command, one.result));
        if let reboot_requests::RebootResult::Refused(why) = &one.result {
            text.push_str(&format!(": {}", why.replace('\n', "\n    ")));
        }
    }
    for flaw in &seen.flaws {
        text.push_str(&format!("\n  {flaw}"));
    }
    println!("{text}");
    let path = file(folder, cell);
    std::fs::write(&path, seen.to_json()?).with_context(|| format!("writing {}", path.display()))
}

fn file(folder: &Path, cell: &Cell) -> PathBuf {
    folder.join(format!("{}.json", cell.name()))
}

/// Every cell that was seen here, now or before.
fn known(folder: &Path) -> Result<Vec<(Cell, Observation)>> {
    let mut known = Vec::new();
    for cell in reboot_requests::cells() {
        let path = file(folder, &cell);
        if path.exists() {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            known.push((cell, Observation::from_json(&text)?));
        }
    }
    Ok(known)
}
