//! `cargo xtask record-machines`.

use anyhow::Result;
use std::process::ExitCode;

/// Records every machine of the lab into the repository's fixtures.
pub fn run() -> Result<ExitCode> {
    let lab = kexec_lab::Lab::open()?;
    for folder in kexec_lab::machines::record_all(&lab, &kexec_lab::machines::folder())? {
        println!("{}", folder.display());
    }
    Ok(ExitCode::SUCCESS)
}
