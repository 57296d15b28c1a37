//! `cargo xtask bench downtime`: what a kexec costs while the machine is down, by each
//! way to load, in instructions; and how fast this machine does the same work.

mod matrix;
mod native;
mod picture;
mod report;
mod results;

use crate::command::Arguments;
use crate::host::{self, call, cargo};
use crate::product;
use anyhow::{Context, Result, ensure};
use kexec_lab::downtime::{DowntimeFiles, DowntimeRun};
use kexec_lab::{Lab, LabKernel};
use matrix::{Cell, SizeCells};
use results::{Results, Row, SizeResults};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The kernel that loads, and is loaded, if none is named.
const KERNEL: &str = "7.x";
/// Where the results go, below the workspace.
const FOLDER: &str = "target/downtime";
/// Where those go that are kept.
const DOCS: &str = "docs";
const JSON: &str = "downtime.json";
const SVG: &str = "downtime.svg";
const MARKDOWN: &str = "downtime.md";
/// The page with the tables.
const PAGE: &str = "performance.md";

/// Measures, and writes tables and picture.
///
/// `--quick`, `--only` and `--way`: less, `--kernel`: another kernel, `--native`: the rates of this machine
/// alone, `--docs`: into the documentation, `--draw`: from the file that is there, without
/// a measurement.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = match arguments.has("--docs") {
        true => host::root().join(DOCS),
        false => host::root().join(FOLDER),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    if arguments.has("--draw") {
        let results = read(&folder.join(JSON))?;
        return write(&folder, &results, arguments.has("--docs"));
    }
    println!("Building kexec ...");
    let binary = product::build()?;
    let tsc = tsc()?;
    let lab = Lab::open()?;
    let kernel = lab.kernel(arguments.value("--kernel").unwrap_or(KERNEL))?;
    let mut results = match arguments.has("--native") {
        // The rates alone are new; what was measured in guests stays.
        true => read(&folder.join(JSON)).or_else(|_| nothing_yet(&lab, &kernel, &binary))?,
        false => nothing_yet(&lab, &kernel, &binary)?,
    };
    let way = arguments.value("--way");
    if way.is_none() {
        results.native = Some(native::measure(&lab, &kernel, &tsc)?);
    }
    write(&folder, &results, false)?;
    let mut failed = 0_u32;
    if !arguments.has("--native") {
        let only = arguments.value("--only");
        for mut cells in matrix::chosen(arguments.has("--quick"), only)? {
            cells.keep(way)?;
            failed =
                failed.saturating_add(size(&lab, &kernel, &cells, &tsc, &mut results, &folder)?);
        }
    }
    write(&folder, &results, arguments.has("--docs"))?;
    println!("\n{}", report::markdown(&results));
    if failed > 0 {
        println!("{failed} of the jumps could not be measured");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures every way of one size, one guest after the other; gives how many failed.
/// What is known so far is in the folder after each.
fn size(
    lab: &Lab,
    kernel: &LabKernel,
    cells: &SizeCells,
    tsc: &[u8],
    results: &mut Results,
    folder: &Path,
) -> Result<u32> {
    let files = DowntimeFiles::prepare(lab, kernel, cells.size, &cells.packings(), tsc)?;
    let initrds = files.initrds.iter();
    let mut known = SizeResults {
        name: cells.size.name.to_owned(),
        memory_mb: cells.size.memory_mb,
        initrds: initrds
            .map(|(packing, bytes)| (packing.name().to_owned(), *bytes))
            .collect(),
        rows: Vec::new(),
    };
    results.kernel_bytes = files.kernel_bytes;
    results.unpacked_kernel_bytes = files.unpacked_kernel_bytes;
    results.init_size = files.init_size;
    let (mut failed, before) = (0_u32, results.sizes.len());
    for cell in &cells.cells {
        let started = Instant::now();
        let measured = measure(lab, cells, cell, &files);
        let name = format!(
            "{}, {}, {}",
            cells.size.name,
            cell.packing.name(),
            cell.way.name()
        );
        let seconds = started.elapsed().as_secs();
        match measured {
            Ok(row) => {
                println!(
                    "{name}: {} million instructions down, {} to load ({seconds} s)",
                    row.instructions / 1_000_000,
                    row.load_instructions / 1_000_000,
                );
                known.rows.push(row);
            }
            Err(error) => {
                println!("{name}: FAILED: {error:#}");
                failed = failed.saturating_add(1);
            }
        }
        known.derive();
        results.sizes.truncate(before);
        results.sizes.push(known.clone());
        write(folder, results, false)?;
    }
    Ok(failed)
}

fn measure(lab: &Lab, cells: &SizeCells, cell: &Cell, files: &DowntimeFiles) -> Result<Row> {
    let run = DowntimeRun {
        way: cell.way,
        size: cells.size,
        packing: cell.packing,
        files,
    };
    let downtime = run.run(lab)?;
    Ok(Row {
        packing: cell.packing.name().to_owned(),
        way: cell.way.name().to_owned(),
        instructions: downtime.instructions,
        phases: None,
        load_instructions: downtime.load.instructions,
        load_rss: downtime.load.peak_rss,
        load_memory: downtime.load.peak_memory,
    })
}

/// What a run begins with.
fn nothing_yet(lab: &Lab, kernel: &LabKernel, binary: &Path) -> Result<Results> {
    let version = Command::new(binary)
        .arg("--version")
        .output()
        .with_context(|| format!("asking {} for its version", binary.display()))?;
    let version = String::from_utf8_lossy(&version.stdout);
    Ok(Results {
        kernel: kernel.release.clone(),
        qemu: lab.qemu().version.clone(),
        kexec_tools: lab.kexec_tools_version()?,
        kexec: version.lines().next().unwrap_or_default().to_owned(),
        kernel_bytes: 0,
        unpacked_kernel_bytes: 0,
        init_size: 0,
        sizes: Vec::new(),
        native: None,
    })
}

/// The program that reads the counter at both ends of a jump.
fn tsc() -> Result<Vec<u8>> {
    call(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "kexec-lab",
        "--bin",
        "tsc",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let path: PathBuf = host::root()
        .join(target)
        .join(product::triple(host::arch()?))
        .join("release/tsc");
    std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
}

fn read(path: &Path) -> Result<Results> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut results: Results =
        serde_json::from_str(&text).with_context(|| format!("understanding {}", path.display()))?;
    for size in &mut results.sizes {
        size.derive();
    }
    Ok(results)
}

/// Writes the results as JSON, as a picture and as tables: into a page of the
/// documentation, or into a file of their own.
fn write(folder: &Path, results: &Results, is_docs: bool) -> Result<ExitCode> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    put(
        JSON,
        &format!("{}\n", serde_json::to_string_pretty(results)?),
    )?;
    put(SVG, &picture::svg(results))?;
    let tables = report::markdown(results);
    if !is_docs {
        if folder == host::root().join(FOLDER) {
            put(MARKDOWN, &tables)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let page = std::fs::read_to_string(folder.join(PAGE)).context("reading the page")?;
    let page = report::replaced(&page, &tables)?;
    put(PAGE, &page)?;
    ensure!(!results.sizes.is_empty(), "nothing was measured in guests");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kexec_lab::downtime::SMALL;

    /// What is in the documentation is what the kept file says, drawn as it is drawn now.
    #[test]
    fn the_documentation_is_what_was_measured() {
        let docs = host::root().join(DOCS);
        let results = read(&docs.join(JSON)).unwrap();
        let there = |name| std::fs::read_to_string(docs.join(name)).unwrap();
        assert!(
            there(SVG) == picture::svg(&results),
            "run `cargo xtask bench downtime --docs --draw`"
        );
        let page = there(PAGE);
        assert!(
            page == report::replaced(&page, &report::markdown(&results)).unwrap(),
            "run `cargo xtask bench downtime --docs --draw`"
        );
        assert!(results.sizes.iter().any(|size| size.name == SMALL.name));
    }
}
