//! What a load costs, by our program and by the real kexec-tools in the same
//! guest.

use crate::cpio::{ArchiveMember, newc};
use crate::guest::{Cost, Guest, NextKernel, Stage};
use crate::lab::{Lab, LabKernel};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the large initrd is in a guest.
pub const LARGE: &str = "/mnt/initrd";
/// Where a smaller one is, for initrds of several files.
pub const PART: &str = "/mnt/part";

/// Who loads, and with which system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasuredLoader {
    /// This project's program with `kexec_load(2)`.
    Classic,
    /// This project's program with `kexec_file_load(2)`.
    File,
    /// kexec-tools, `kexec_load(2)`.
    Tools,
}

impl MeasuredLoader {
    /// Every loader, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Classic, Self::File, Self::Tools];

    /// The command as tables show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "kexec -c",
            Self::File => "kexec -s",
            Self::Tools => "kexec-tools -c",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Classic => "kexec -c",
            Self::File => "kexec -s",
            Self::Tools => "/ref/kexec -c",
        }
    }
}

/// One load of the kernel of a machine.
#[derive(Debug, Clone)]
pub struct MeasuredLoad {
    /// The program and system call that load.
    pub loader: MeasuredLoader,
    /// Which initrds: none is the lab's own small one.
    pub initrds: Vec<&'static str>,
}

impl MeasuredLoad {
    /// The files that are loaded: the kernel, and the initrds.
    fn files(&self) -> Vec<&'static str> {
        let initrds: &[&str] = match self.initrds.as_slice() {
            [] => &["$NEXT_INITRD"],
            some => some,
        };
        [&["$NEXT"], initrds].concat()
    }

    /// What was loaded before is unloaded, and the files are in the page cache:
    /// that of the machine, so that it counts for nobody.
    fn script(&self, label: &str) -> String {
        let files = self.files();
        let initrds: Vec<String> = files
            .iter()
            .skip(1)
            .map(|file| format!("--initrd={file}"))
            .collect();
        let (files, initrds) = (files.join(" "), initrds.join(" "));
        format!(
            "stat -L -c %s {files} | put files-{label}\n\
             cat {files} > /dev/null\n\
             measure {label} {command} -l $NEXT {initrds} --append=\"$CONSOLE\"\n\
             run loaded-{label} cat /sys/kernel/kexec_loaded\n\
             kexec -u\n",
            command = self.loader.command(),
        )
    }

    fn loaded(&self, stage: &Stage, label: &str) -> Result<LoadCost> {
        let run = stage.run(label)?;
        let there = stage.run(&format!("loaded-{label}"))?;
        ensure!(
            run.code == 0 && there.out().trim() == "1",
            "{} ended with {}: {}{}",
            self.loader.name(),
            run.code,
            run.out(),
            run.err()
        );
        let sizes = String::from_utf8_lossy(stage.file(&format!("files-{label}"))?).into_owned();
        let sizes = sizes.lines().map(str::parse::<u64>);
        Ok(LoadCost {
            files: sizes.sum::<Result<_, _>>().context("reading sizes")?,
            cost: stage.cost(label)?,
        })
    }
}

/// What one load cost, and how much it loaded.
#[derive(Debug, Clone, Copy)]
pub struct LoadCost {
    /// Bytes of the files, kernel and initrds.
    pub files: u64,
    /// Instructions and memory of the load.
    pub cost: Cost,
}

/// Loads to be measured in one guest.
#[derive(Debug, Clone)]
pub struct LoadMeasurement<'a> {
    /// Memory of the machine, MiB.
    pub memory_mb: u32,
    /// The disk with [`LARGE`] and [`PART`], if they are needed.
    pub disk: Option<&'a Path>,
    /// The loads, in the order in which they are run.
    pub loads: &'a [MeasuredLoad],
}

impl LoadMeasurement<'_> {
    /// Runs the loads in one guest.
    ///
    /// # Errors
    /// If the guest fails, or a load.
    pub fn run(&self, lab: &Lab, kernel: &LabKernel) -> Result<Vec<LoadCost>> {
        let labelled = || {
            let labels = (0..).map(|n| format!("load-{n}"));
            self.loads.iter().zip(labels)
        };
        let script: String = labelled().map(|(l, label)| l.script(&label)).collect();
        let mut guest = Guest::new(lab, kernel)
            .counting()
            .memory_mb(self.memory_mb)
            // The same places in every run.
            .append("nokaslr")
            .with(&lab.product()?.files)
            .with(&lab.kexec_tools()?)
            .next(NextKernel::new(kernel))
            .script(&script)
            .timeout(Duration::from_secs(1800));
        if let Some(disk) = self.disk {
            guest = guest.disk(disk);
        }
        let outcome = guest.run()?;
        let stage = outcome.stage("first")?;
        labelled()
            .map(|(load, label)| load.loaded(stage, &label))
            .collect()
    }
}

/// Makes a disk in `folder` with [`LARGE`] and [`PART`] of so many MiB: archives
/// of one file that does not compress.
///
/// # Errors
/// If it cannot be made.
pub fn disk(lab: &Lab, folder: &Path, large_mb: usize, part_mb: usize) -> Result<PathBuf> {
    let files = folder.join("files");
    std::fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
    for (path, mb) in [(LARGE, large_mb), (PART, part_mb)] {
        let data = noise(mb << 20);
        let member = ArchiveMember::File { mode: 0o644, data };
        let archive = newc(&[("noise".to_owned(), member)].into())?;
        let name = Path::new(path).file_name().context("a path without name")?;
        let path = files.join(name);
        std::fs::write(&path, archive).with_context(|| format!("writing {}", path.display()))?;
    }
    let image = folder.join("disk");
    lab.disk(&files, &image)?;
    std::fs::remove_dir_all(&files).with_context(|| format!("removing {}", files.display()))?;
    Ok(image)
}

/// Bytes that are not alike anywhere, the same in every run (a linear
/// congruential generator, Knuth's MMIX).
#[must_use]
pub fn noise(len: usize) -> Vec<u8> {
    noise_from(1, len)
}

/// The same from another state: what differs from [`noise`].
pub(crate) fn noise_from(mut state: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
