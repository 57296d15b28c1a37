//! A kernel module of the lab's own, compiled for one of its kernels by Debian's compiler
//! and headers in a root of its own, which is gone afterwards.

use crate::apt::Suite;
use crate::files::read;
use crate::lab::{Lab, LabKernel};
use crate::progress::watched;
use anyhow::{Context, Result, bail};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const SOURCE: &str = include_str!("slow.c");

/// Runs in mmdebstrap(1) with the root as its argument. `as` and `ld` are not in the
/// compiler's dependencies.
const HOOK: &str = "#!/bin/sh\n\
    set -e\n\
    mkdir \"$1/lab\"\n\
    cp \"$LAB_FOLDER/lab_slow.c\" \"$1/lab/\"\n\
    echo 'obj-m := lab_slow.o' > \"$1/lab/Makefile\"\n\
    chroot \"$1\" make -C \"/lib/modules/$LAB_RELEASE/build\" M=/lab modules\n\
    cp \"$1/lab/lab_slow.ko\" \"$LAB_FOLDER/\"\n";

impl Lab {
    /// `lab_slow.ko` for one of the kernels of Debian 13: the driver of `-device edu`
    /// whose `->shutdown` and `->remove` each take a second. Compiled once, and kept.
    ///
    /// # Errors
    /// If it has to be compiled and this is not root, or if that fails.
    pub fn slow_driver(&self, kernel: &LabKernel) -> Result<Vec<u8>> {
        let mut hasher = DefaultHasher::new();
        (SOURCE, HOOK, &kernel.release).hash(&mut hasher);
        let folder = self.folder().join("drivers");
        let kept = folder.join(format!("lab_slow-{:016x}.ko", hasher.finish()));
        if kept.exists() {
            return read(&kept);
        }
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let module = self.compile(kernel)?;
        let partial = kept.with_extension(format!("partial-{}", std::process::id()));
        fs::write(&partial, &module)
            .and_then(|()| fs::rename(&partial, &kept))
            .with_context(|| format!("writing {}", kept.display()))?;
        Ok(module)
    }

    fn compile(&self, kernel: &LabKernel) -> Result<Vec<u8>> {
        eprintln!("lab: compiling a driver for {}", kernel.release);
        let scratch = tempfile::tempdir().context("making a folder for a driver")?;
        let hook = scratch.path().join("hook");
        let options = scratch.path().join("apt.conf");
        let (sources, settings) = self.apt_sources(Suite::Trixie)?;
        fs::write(scratch.path().join("lab_slow.c"), SOURCE)
            .and_then(|()| fs::write(&hook, HOOK))
            .and_then(|()| fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::write(&options, settings))
            .context("writing the files of a driver")?;
        let packages = format!("make,binutils,linux-headers-{}", kernel.release);
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--variant=minbase", "--mode=root", "--format=null"])
            .arg(format!("--include={packages}"))
            .arg(format!("--aptopt={}", options.display()))
            .arg(format!("--customize-hook={}", hook.display()))
            .args([Suite::Trixie.name(), "-"])
            .arg(&sources)
            .env("LAB_FOLDER", scratch.path())
            .env("LAB_RELEASE", &kernel.release);
        let output = watched(&mut command, || "compiling a driver".to_owned())?;
        let module = scratch.path().join("lab_slow.ko");
        if !module.exists() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            let from = lines.len().saturating_sub(20);
            bail!(
                "mmdebstrap ended with {} and made no driver (it needs root); its last lines are:\n{}",
                output.status,
                lines.get(from..).unwrap_or_default().join("\n")
            );
        }
        read(&module)
    }
}
