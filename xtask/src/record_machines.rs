//! `cargo xtask record-machines`.

use anyhow::Result;
use std::process::ExitCode;

/// Records every machine of the lab into the repository's fixtures.
pub fn run() -> Result<ExitCode> {
    let lab = vm::Lab::open()?;
    for folder in vm::machines::record_all(&lab, &vm::machines::folder())? {
        println!("{}", folder.display());
    }
    Ok(ExitCode::SUCCESS)
}
