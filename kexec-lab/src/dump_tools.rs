//! Programs of others that read dumps: makedumpfile in a guest, drgn on the host.

use crate::apt::{Keep, Suite};
use crate::initramfs::Initramfs;
use crate::lab::Lab;
use crate::linked;
use crate::programs::StartProgram;
use crate::pypi::PythonProgram;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// drgn's wheels have libkdumpfile, for dumps in makedumpfile's own format.
const DRGN: PythonProgram = PythonProgram {
    folder: "drgn",
    package: "drgn==0.3.0",
    program: "drgn",
};

/// Finds the log by vmcoreinfo alone (no type of the kernel is known without its debugging
/// information) and prints the messages.
const LOG: &str = include_str!("scripts/log.py");
/// Opens the dump of the first argument with the VMCOREINFO of the second.
const OPEN: &str = "import sys, drgn\n\
                    info = open(sys.argv[2], 'rb').read()\n\
                    prog = drgn.Program(vmcoreinfo=info)\n\
                    prog.set_core_dump(sys.argv[1])\n";
/// Prints what the dump says of its machine, and what drgn can read of the kernel.
const FACTS: &str = include_str!("scripts/facts.py");

impl Lab {
    /// Debian's makedumpfile as `bin/makedumpfile`, with its libraries.
    ///
    /// # Errors
    /// If the package cannot be fetched or does not look as expected.
    pub fn makedumpfile(&self) -> Result<Initramfs> {
        let tree = self.package(Suite::Sid, "makedumpfile", Keep::Closure)?;
        linked::programs(&tree.path, &[("usr/bin/makedumpfile", "bin/makedumpfile")])
    }

    /// The version of [`Lab::makedumpfile`].
    ///
    /// # Errors
    /// As [`Lab::makedumpfile`].
    pub fn makedumpfile_version(&self) -> Result<String> {
        let tree = self.package(Suite::Sid, "makedumpfile", Keep::Closure)?;
        tree.version("makedumpfile")
            .map(str::to_owned)
            .context("the package makedumpfile is not in its own closure")
    }

    /// Debian's dmesg of util-linux as `ref/dmesg`, with its libraries.
    ///
    /// # Errors
    /// If the package cannot be fetched or does not look as expected.
    pub fn util_linux_dmesg(&self) -> Result<Initramfs> {
        let tree = self.package(Suite::Sid, "util-linux", Keep::Closure)?;
        linked::programs(&tree.path, &[("usr/bin/dmesg", "ref/dmesg")])
    }

    /// Debian's setarch of util-linux as `ref/setarch`, with its libraries.
    ///
    /// # Errors
    /// If the package cannot be fetched or does not look as expected.
    pub fn setarch(&self) -> Result<Initramfs> {
        let tree = self.package(Suite::Sid, "util-linux", Keep::Closure)?;
        linked::programs(&tree.path, &[("usr/bin/setarch", "ref/setarch")])
    }

    /// drgn, for dumps on the host.
    ///
    /// # Errors
    /// If it has to be installed, and there is no Python or no PyPI.
    pub fn drgn(&self) -> Result<Drgn> {
        Ok(Drgn {
            program: self.python_program(DRGN)?.join(DRGN.program),
        })
    }
}

/// drgn, without the kernel's debugging information.
#[derive(Debug, Clone)]
pub struct Drgn {
    program: PathBuf,
}

impl Drgn {
    /// Runs a script on a dump; what it prints.
    ///
    /// # Errors
    /// If it fails: with what it said.
    pub fn run(&self, dump: &Path, script: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .args(["--quiet", "--no-default-symbols", "--core"])
            .arg(dump)
            .args(["-e", script])
            // Nothing is fetched.
            .env_remove("DEBUGINFOD_URLS")
            .start_output()?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "drgn on {} ended with {}: {out}{}",
                dump.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(out)
    }

    /// The messages of the kernel's log without their times; what is not printable is `\xNN`,
    /// but for tabs and the line ends within a message.
    ///
    /// # Errors
    /// As [`Drgn::run`].
    pub fn log(&self, dump: &Path) -> Result<String> {
        self.run(dump, LOG)
    }

    /// The same of a dump whose headers lack VMCOREINFO, which is in a file.
    ///
    /// # Errors
    /// As [`Drgn::run`].
    pub fn log_with(&self, dump: &Path, vmcoreinfo: &Path) -> Result<String> {
        let script = format!("{OPEN}{LOG}");
        let output = Command::new(self.program.with_file_name("python3"))
            .args(["-c", &script])
            .args([dump, vmcoreinfo])
            .env_remove("DEBUGINFOD_URLS")
            .start_output()?;
        if !output.status.success() {
            bail!(
                "drgn on {} ended with {}: {}",
                dump.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Lines `key: value` of what the dump holds.
    ///
    /// # Errors
    /// As [`Drgn::run`].
    pub fn facts(&self, dump: &Path) -> Result<String> {
        self.run(dump, FACTS)
    }
}
