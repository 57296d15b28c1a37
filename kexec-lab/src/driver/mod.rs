//! Kernel modules of the lab's own, compiled for one of its kernels by Debian's compiler
//! and headers in a root of its own, which is gone afterwards.

use crate::files::read;
use crate::lab::{Lab, LabKernel};
use crate::progress::watched;
use anyhow::{Context, Result, bail};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules, and their sources: compiled together, because most of the time goes into
/// the root.
const MODULES: &[(&str, &str)] = &[
    (SLOW, include_str!("slow.c")),
    (CRASH, include_str!("crash.c")),
];
const SLOW: &str = "lab_slow";
const CRASH: &str = "lab_crash";

/// Runs in mmdebstrap(1) with the root as its argument. `as` and `ld` are not in the
/// compiler's dependencies.
const HOOK: &str = "#!/bin/sh\n\
    set -e\n\
    mkdir \"$1/lab\"\n\
    cp \"$LAB_FOLDER\"/*.c \"$1/lab/\"\n\
    for source in \"$LAB_FOLDER\"/*.c; do\n\
    \techo \"obj-m += $(basename \"$source\" .c).o\"\n\
    done > \"$1/lab/Makefile\"\n\
    chroot \"$1\" make -C \"/lib/modules/$LAB_RELEASE/build\" M=/lab modules\n\
    cp \"$1\"/lab/*.ko \"$LAB_FOLDER/\"\n";

impl Lab {
    /// `lab_slow.ko` for one of the lab's kernels: the driver of `-device edu`
    /// whose `->shutdown` and `->remove` each take a second. Compiled once, and kept.
    ///
    /// # Errors
    /// If it has to be compiled and this is not root, or if that fails.
    pub fn slow_driver(&self, kernel: &LabKernel) -> Result<Vec<u8>> {
        self.own_module(kernel, SLOW)
    }

    /// `lab_crash.ko`: `insmod lab_crash.ko what=null` reads through a NULL pointer;
    /// `what=spoil from=ADDRESS to=ADDRESS` changes a byte of the initrd that is loaded
    /// between them.
    ///
    /// # Errors
    /// If it has to be compiled and this is not root, or if that fails.
    pub fn crash_module(&self, kernel: &LabKernel) -> Result<Vec<u8>> {
        self.own_module(kernel, CRASH)
    }

    fn own_module(&self, kernel: &LabKernel, name: &str) -> Result<Vec<u8>> {
        let mut hasher = DefaultHasher::new();
        (MODULES, HOOK, &kernel.release).hash(&mut hasher);
        let hash = hasher.finish();
        let folder = self.folder().join("drivers");
        let kept = |name: &str| -> PathBuf { folder.join(format!("{name}-{hash:016x}.ko")) };
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let lock = folder.join("lock");
        let lock =
            fs::File::create(&lock).with_context(|| format!("opening {}", lock.display()))?;
        lock.lock()
            .context("waiting for whoever compiles modules")?;
        if kept(name).exists() {
            return read(&kept(name));
        }
        let scratch = tempfile::tempdir().context("making a folder for modules")?;
        self.compile(kernel, scratch.path())?;
        for (name, _) in MODULES {
            let module = read(&scratch.path().join(format!("{name}.ko")))?;
            let partial = kept(name).with_extension(format!("partial-{}", std::process::id()));
            fs::write(&partial, &module)
                .and_then(|()| fs::rename(&partial, kept(name)))
                .with_context(|| format!("writing {}", kept(name).display()))?;
        }
        read(&kept(name))
    }

    /// Compiles every module into `scratch`.
    fn compile(&self, kernel: &LabKernel, scratch: &Path) -> Result<()> {
        eprintln!("lab: compiling modules for {}", kernel.release);
        let hook = scratch.join("hook");
        let options = scratch.join("apt.conf");
        let (sources, settings) = self.apt_sources(kernel.suite)?;
        for (name, source) in MODULES {
            fs::write(scratch.join(format!("{name}.c")), source)
                .context("writing the source of a module")?;
        }
        fs::write(&hook, HOOK)
            .and_then(|()| fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::write(&options, settings))
            .context("writing the files for modules")?;
        let packages = format!("make,binutils,linux-headers-{}", kernel.release);
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--variant=minbase", "--mode=root", "--format=null"])
            .arg(format!("--include={packages}"))
            .arg(format!("--aptopt={}", options.display()))
            .arg(format!("--customize-hook={}", hook.display()))
            .args([kernel.suite.release(), "-"])
            .arg(&sources)
            .env("LAB_FOLDER", scratch)
            .env("LAB_RELEASE", &kernel.release);
        let output = watched(&mut command, || "compiling modules".to_owned())?;
        let is_made = |name: &str| scratch.join(format!("{name}.ko")).exists();
        if !MODULES.iter().all(|(name, _)| is_made(name)) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            let from = lines.len().saturating_sub(20);
            bail!(
                "mmdebstrap ended with {} and made no modules (it needs root); its last lines \
                 are:\n{}",
                output.status,
                lines.get(from..).unwrap_or_default().join("\n")
            );
        }
        Ok(())
    }
}
