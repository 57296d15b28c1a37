//! What came out of a trial.

use crate::guest::{End, GuestRun, Stage};
use anyhow::{Context, Result, bail};

/// The time from one run of the firmware to the end of the machine or its next
/// cold boot.
pub type FirmwareBoot = GuestRun;

/// Everything that a machine reported.
#[derive(Debug, Clone)]
pub struct Trial {
    /// One for each time that the firmware ran.
    pub boots: Vec<FirmwareBoot>,
}

/// What started a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// Firmware and boot loader.
    Cold,
    /// The kernel before it.
    Kexec,
}

impl Trial {
    /// Every stage with how its kernel was started, in order.
    pub fn stages(&self) -> impl Iterator<Item = (&Stage, StartedBy)> {
        self.boots.iter().flat_map(|boot| {
            boot.stages.iter().enumerate().map(|(number, stage)| {
                let started_by = if number == 0 {
                    StartedBy::Cold
                } else {
                    StartedBy::Kexec
                };
                (stage, started_by)
            })
        })
    }

    /// The stage with this name.
    ///
    /// # Errors
    /// If it was not reached.
    pub fn stage(&self, name: &str) -> Result<&Stage> {
        self.find(name).map(|(stage, _)| stage)
    }

    /// How the kernel of the stage with this name was started.
    ///
    /// # Errors
    /// If it was not reached.
    pub fn started_by(&self, name: &str) -> Result<StartedBy> {
        self.find(name).map(|(_, started_by)| started_by)
    }

    fn find(&self, name: &str) -> Result<(&Stage, StartedBy)> {
        self.stages()
            .find(|(stage, _)| stage.name == name)
            .with_context(|| {
                let names: Vec<_> = self.stages().map(|(stage, _)| &stage.name).collect();
                format!(
                    "looked for the stage {name}: the machine reached {names:?}{}",
                    self.summary()
                )
            })
    }

    /// What the machine said on its console, over all boots.
    #[must_use]
    pub fn console(&self) -> String {
        let texts: Vec<_> = self
            .boots
            .iter()
            .map(|boot| boot.console.as_str())
            .collect();
        texts.join("\n")
    }

    /// Seconds that QEMU ran, over all boots.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let seconds = self.boots.iter().map(|boot| boot.duration.as_secs_f64());
        seconds.sum()
    }

    /// How each boot ended, the commands that failed, and the end of the
    /// console: what an error message needs.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (number, boot) in (1_u32..).zip(&self.boots) {
            text.push_str(&format!(
                "\nboot {number} ended as {:?} after {:.1} s",
                boot.end,
                boot.duration.as_secs_f64()
            ));
            for stage in &boot.stages {
                text.push_str(&format!(
                    "\n  stage {} on {} at {:.1} s{}",
                    stage.name,
                    stage.report.release,
                    stage.started.as_secs_f64(),
                    if stage.done { ", finished" } else { "" }
                ));
                for run in &stage.runs {
                    text.push_str(&format!("\n    {} ended with {}", run.label, run.code));
                    if run.code != 0 {
                        text.push_str(&format!(": {}{}", run.out(), run.err()));
                    }
                }
            }
        }
        if let Some(boot) = self.boots.last() {
            text.push_str("\nthe console ends with:\n");
            text.push_str(&boot.tail());
        }
        text
    }

    /// Refuses everything but these stages in this order, an orderly end, and
    /// this number of cold boots.
    pub(super) fn check(self, names: &[String], cold_boots: usize) -> Result<Self> {
        let reached: Vec<_> = self.stages().map(|(stage, _)| stage.name.clone()).collect();
        let last = self.boots.last();
        let finished = last.is_some_and(|boot| {
            boot.end == End::PoweredOff && boot.stages.last().is_some_and(|stage| stage.done)
        });
        let firmware = self.boots.len().saturating_sub(1);
        if reached == names && finished && firmware == cold_boots {
            return Ok(self);
        }
        let what = match last.map(|boot| boot.end) {
            Some(End::TimedOut) => "did not end in time",
            Some(End::Reset) => "was reset (a panic, a triple fault or a cold reboot)",
            _ => "ended",
        };
        bail!(
            "the machine {what}: expected the stages {names:?} and {cold_boots} cold reboots, \
             found {reached:?} and {firmware}{}",
            self.summary()
        )
    }
}

impl Stage {
    /// What this kernel found wrong with the file systems: lines of its log which
    /// say that one had not been unmounted. None: all were clean.
    ///
    /// # Errors
    /// If this stage is not one of an installed system.
    pub fn file_system_errors(&self) -> Result<Vec<String>> {
        let log = String::from_utf8_lossy(self.file("file-systems")?);
        // ext4 and JBD2 "recovery required", "recovery complete", "orphan
        // cleanup"; FAT "Volume was not properly unmounted".
        let signs = ["recover", "orphan", "not properly unmounted", "unchecked"];
        Ok(log
            .lines()
            .filter(|line| signs.iter().any(|sign| line.to_lowercase().contains(sign)))
            .map(str::to_owned)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{CommandRun, Report};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn stage(name: &str, done: bool) -> Stage {
        Stage {
            name: name.to_owned(),
            started: Duration::ZERO,
            jumped: None,
            done,
            report: Report::default(),
            runs: vec![CommandRun {
                label: "load".to_owned(),
                code: 1,
                stdout: Vec::new(),
                stderr: b"no".to_vec(),
            }],
            files: BTreeMap::new(),
        }
    }

    fn boot(stages: Vec<Stage>, end: End) -> FirmwareBoot {
        GuestRun {
            stages,
            console: "last line".to_owned(),
            duration: Duration::from_secs(1),
            end,
        }
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_jump_is_two_stages_of_one_boot() {
        let boots = vec![boot(
            vec![stage("a", false), stage("b", true)],
            End::PoweredOff,
        )];
        let trial = Trial { boots }.check(&names(&["a", "b"]), 0).unwrap();
        assert_eq!(trial.started_by("a").unwrap(), StartedBy::Cold);
        assert_eq!(trial.started_by("b").unwrap(), StartedBy::Kexec);
    }

    #[test]
    fn a_cold_boot_has_to_be_expected() {
        let trial = || Trial {
            boots: vec![
                boot(vec![stage("a", false)], End::Reset),
                boot(vec![stage("b", true)], End::PoweredOff),
            ],
        };
        assert!(trial().check(&names(&["a", "b"]), 0).is_err());
        let trial = trial().check(&names(&["a", "b"]), 1).unwrap();
        assert_eq!(trial.started_by("b").unwrap(), StartedBy::Cold);
    }

    #[test]
    fn a_jump_where_a_cold_boot_was_expected_is_an_error() {
        let boots = vec![boot(
            vec![stage("a", false), stage("b", true)],
            End::PoweredOff,
        )];
        assert!(Trial { boots }.check(&names(&["a", "b"]), 1).is_err());
    }

    #[test]
    fn errors_tell_the_story() {
        let boots = vec![boot(vec![stage("a", false)], End::Reset)];
        let error = Trial { boots }.check(&names(&["a", "b"]), 0).unwrap_err();
        let text = error.to_string();
        for part in ["was reset", "load ended with 1: no", "last line"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
