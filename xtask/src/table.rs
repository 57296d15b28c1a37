//! `cargo xtask table asked`: the README's table, measured.

use crate::host;
use anyhow::{Context, Result, bail};
use kexec_lab::asked::{self, Cell, Seen};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

/// Runs the cells whose names hold all of these words (without any: every
/// cell), as many at a time as the lab lets, and prints the table of all that
/// is known: each cell's last result is kept below target/asked.
pub fn asked(words: &[&str]) -> Result<ExitCode> {
    let folder = host::root().join("target/asked");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let lab = kexec_lab::Lab::open()?;
    let mut cells: Vec<Cell> = asked::cells()
        .into_iter()
        .filter(|cell| words.iter().all(|word| cell.name().contains(word)))
        .collect();
    if cells.is_empty() {
        let names: Vec<_> = asked::cells().iter().map(Cell::name).collect();
        bail!(
            "looked for a cell whose name holds {words:?}: there is none among {}",
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
    println!("\n{}", asked::table(&known(&folder)?));
    let failed = failed.into_inner().unwrap_or(1);
    if failed > 0 {
        println!("{failed} cells could not be run");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of what was seen so far, and runs nothing.
pub fn seen() -> Result<ExitCode> {
    println!(
        "{}",
        asked::table(&known(&host::root().join("target/asked"))?)
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
    for answer in &seen.answers {
        text.push_str(&format!("\n  {}: {}", answer.command, answer.outcome));
        if let asked::Outcome::Refused(why) = &answer.outcome {
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
fn known(folder: &Path) -> Result<Vec<(Cell, Seen)>> {
    let mut known = Vec::new();
    for cell in asked::cells() {
        let path = file(folder, &cell);
        if path.exists() {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            known.push((cell, Seen::from_json(&text)?));
        }
    }
    Ok(known)
}
