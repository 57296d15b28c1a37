//! Tests of other packages that need a kernel or a QEMU of the lab, or root. They are
//! marked as ignored, so that nobody takes them for run who has none.

use super::binaries::{self, Binary};
use super::pool::{Job, JobRank};
use anyhow::{Context, Result};
use std::ffi::OsString;

/// Finds the value of an environment variable in the lab.
type LabValue = fn(&kexec_lab::Lab) -> Result<OsString>;

/// A test outside of kexec-lab that needs something of the lab, or root.
pub struct LabTest {
    package: &'static str,
    target: &'static str,
    /// The test, where it is not the whole program.
    pub test: Option<&'static str>,
    /// The variable that names what it needs, and what that is; nothing where it needs
    /// root and namespaces of its own, as the lab does.
    needs: Option<(&'static str, LabValue)>,
}

/// Every such test; one that is not here stays ignored.
pub const LAB_TESTS: &[LabTest] = &[
    LabTest {
        package: "kexec-image",
        target: "real",
        test: None,
        needs: Some(("KEXEC_TEST_KERNELS", kernels)),
    },
    LabTest {
        package: "kexec-image",
        target: "lib",
        test: Some("authenticode::tests::real_files_match"),
        needs: Some(("KEXEC_SIGNED_FILES", kernels)),
    },
    LabTest {
        package: "kexec-purgatory",
        target: "guest",
        test: None,
        needs: Some(("KEXEC_QEMU", qemu)),
    },
    LabTest {
        package: "kexec-reboot",
        target: "network_namespace",
        test: None,
        needs: None,
    },
];

impl LabTest {
    /// Its path, as `cargo xtask test NAME` takes it.
    pub fn name(&self) -> String {
        let of = format!("{}::{}", self.package, self.target);
        match self.test {
            Some(test) => format!("{of}::{test}"),
            None => of,
        }
    }

    /// The job that runs it with what it needs.
    pub fn job(&'static self, binary: Binary) -> Job {
        Job::twice(self.name(), JobRank::Guest, move |log| {
            let mut command = binary.command(&["--include-ignored"]);
            if let Some((variable, value)) = self.needs {
                command.env(variable, value(&kexec_lab::Lab::open()?)?);
            }
            if let Some(test) = self.test {
                command.args(["--exact", test]);
            }
            binaries::count(&binary.name(), log.run(&mut command)?, &log.text()?)
        })
    }

    /// Whether it is a test, or all tests, of this program.
    pub fn is_of(&self, binary: &Binary) -> bool {
        self.package == binary.package && self.target == binary.target
    }
}

/// The files of the lab's kernels, `:` between them.
fn kernels(lab: &kexec_lab::Lab) -> Result<OsString> {
    let mut paths = Vec::new();
    for label in kexec_lab::KERNELS.iter().map(|kernel| kernel.label) {
        paths.push(lab.kernel(label)?.path);
    }
    std::env::join_paths(&paths).context("a path of the lab has a colon")
}

/// A program that runs the lab's QEMU.
fn qemu(lab: &kexec_lab::Lab) -> Result<OsString> {
    let program = lab.folder().join("qemu");
    lab.qemu().wrapper(&program)?;
    Ok(program.into())
}
