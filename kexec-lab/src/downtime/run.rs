//! One load and one jump in a guest of its own.

use super::files::{DowntimeFiles, Packing};
use super::{ARRIVED, InitrdSize, LoadWay};
use crate::guest::{Cost, Guest, Stage};
use crate::lab::Lab;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Words of both kernels: no messages, which cost what the console costs, and the same
/// places in every run.
const WORDS: &str = "quiet nokaslr";
/// The slowest jump that is measured, xz with a check, takes a few minutes.
const LIMIT: Duration = Duration::from_secs(1800);

/// A load to be measured with the jump that follows it.
#[derive(Debug, Clone, Copy)]
pub struct DowntimeRun<'a> {
    /// Who loads, and how.
    pub way: LoadWay,
    /// The initrd's size, which must be among the files.
    pub size: InitrdSize,
    /// What the initrd is packed with.
    pub packing: Packing,
    /// The kernels and initrds.
    pub files: &'a DowntimeFiles,
}

/// What a load and the jump after it cost.
#[derive(Debug, Clone, Copy)]
pub struct Downtime {
    /// Instructions from the start of `kexec -e` to the first act of the next `/init`.
    pub instructions: u64,
    /// Instructions and memory of the load before.
    pub load: Cost,
}

impl DowntimeRun<'_> {
    /// Runs the guest.
    ///
    /// # Errors
    /// If the guest fails, the load, or the jump.
    pub fn run(&self, lab: &Lab) -> Result<Downtime> {
        let cma = match self.way {
            LoadWay::ToolsFileCma => format!(" cma={}M", self.size.cma_mb),
            _ => String::new(),
        };
        let outcome = Guest::new(lab, &self.files.kernel)
            .counting()
            .memory_mb(self.size.memory_mb)
            .append(&format!("{WORDS}{cma}"))
            .with(&lab.product()?.files)
            .with(&lab.kexec_tools()?)
            .program("bin/tsc", self.files.tsc.as_slice())
            .disk(&self.files.disk)
            .script(&self.script())
            .timeout(LIMIT)
            .run()?;
        let first = outcome.stage("first")?;
        first.good("load")?;
        ensure!(
            first.good("loaded")?.out().trim() == "1",
            "{} ended well and loaded nothing",
            self.way.name()
        );
        let next = outcome.stage("second").with_context(|| {
            let jump = first.run("jump").map(|run| run.err()).unwrap_or_default();
            format!("{} did not jump: {jump}", self.way.jump())
        })?;
        let release = &next.report.release;
        ensure!(
            *release == self.files.kernel.release,
            "jumped into {release}, expected {}",
            self.files.kernel.release
        );
        let (left, arrived) = (number(first, "left")?, number(next, "arrived")?);
        let instructions = arrived.checked_sub(left).with_context(|| {
            format!("left at {left} and arrived at {arrived}: the counter was reset")
        })?;
        Ok(Downtime {
            instructions,
            load: first.cost("load")?,
        })
    }

    /// The files are in the page cache before anything is measured.
    fn script(&self) -> String {
        let initrd = DowntimeFiles::initrd(self.packing);
        format!(
            "cat {kernel} {initrd} > /dev/null\n\
             {before}\
             measure load {load} --append=\"$CONSOLE {WORDS}\"\n\
             run loaded cat /sys/kernel/kexec_loaded\n\
             soon=$(tsc soon)\n\
             echo $soon | put left\n\
             jump tsc at $soon {jump}\n",
            before = self.way.preparation(),
            kernel = self.way.kernel(),
            load = self.way.command(&initrd),
            jump = self.way.jump(),
        )
    }
}

/// The script of the next kernel: it puts out what its first program read.
pub(super) fn arrival() -> String {
    format!("echo ${ARRIVED} | put arrived\n")
}

fn number(stage: &Stage, name: &str) -> Result<u64> {
    let text = String::from_utf8_lossy(stage.file(name)?).into_owned();
    text.trim().parse().with_context(|| {
        format!(
            "reading the counter {name} of stage {}: {text:?}",
            stage.name
        )
    })
}
