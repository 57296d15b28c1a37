//! How long each job took the last time it passed.

use super::pool::{FinishedJob, JobRank};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds by job, kept in the lab's folder, which outlives a checkout.
#[derive(Debug, Default)]
pub struct Times {
    seconds: BTreeMap<String, f64>,
}

impl Times {
    /// The file in the lab's folder.
    pub fn file() -> PathBuf {
        kexec_lab::lab_folder().join("test-seconds.json")
    }

    /// What is known; nothing where there was no run yet.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut seconds: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap_or_default();
        seconds.retain(|_, seconds| seconds.is_finite() && *seconds >= 0.0);
        Times { seconds }
    }

    /// What a job will take: as the last time, or what its kind takes as a rule.
    pub fn estimate(&self, name: &str, rank: JobRank) -> Duration {
        match self.seconds.get(name) {
            Some(seconds) => Duration::from_secs_f64(seconds.min(86_400.0)),
            None => Duration::from_secs(match rank {
                JobRank::Build => 60,
                JobRank::Static => 3,
                JobRank::Guest => 40,
                JobRank::Fuzz => 9,
            }),
        }
    }

    /// Seconds that the job took when it passed last.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.seconds.get(name).copied()
    }

    /// Whether no job was ever timed.
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Writes the file anew, with the times of the jobs that passed.
    pub fn keep(mut self, ended: &[FinishedJob], file: &Path) -> Result<()> {
        for one in ended.iter().filter(|one| one.failure.is_none()) {
            self.seconds
                .insert(one.name.clone(), one.took.as_secs_f64());
        }
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(&self.seconds)?;
        let partial = file.with_extension(format!("partial-{}", std::process::id()));
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("writing {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_remembered_and_a_broken_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab/seconds.json");
        let ended = |name: &str, failure| FinishedJob {
            name: name.to_owned(),
            took: Duration::from_secs(7),
            passed: 1,
            note: String::new(),
            failure,
        };
        let failure = Some(super::super::pool::Failure {
            reason: "no".to_owned(),
            log: None,
        });
        let all = [ended("good", None), ended("bad", failure)];
        Times::read(&file).keep(&all, &file).unwrap();
        let times = Times::read(&file);
        assert_eq!(times.estimate("good", JobRank::Guest).as_secs(), 7);
        assert_eq!(times.estimate("bad", JobRank::Guest).as_secs(), 40);
        std::fs::write(&file, "{\"good\": -1e300, \"x\": \"y\"}").unwrap();
        assert!(Times::read(&file).is_empty());
        std::fs::write(&file, "{\"good\": -5}").unwrap();
        assert!(Times::read(&file).is_empty());
    }
}
