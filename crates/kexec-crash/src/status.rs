//! Whether a crash kernel is ready, as one value.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kexec_load::preflight::{Finding, Severity};
use kexec_machine::{Fact, Snapshot};
use serde::Serialize;

use crate::checks::keeps_from_panic;
use crate::facts::{CrashFacts, Sysctl, Watchdog};
use crate::initrd::Contents;
use crate::target::Service;
use crate::watchdog::{JudgedWatchdog, judge};

/// A file that was loaded, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When its content changed, nanoseconds since 1970.
    pub modified: i128,
}

/// Whether a file is still what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Of the same size and time.
    Same,
    /// It was changed.
    Changed,
    /// It does not exist any more.
    Gone,
    /// It cannot be looked at.
    Unknown,
}

/// A file of the loaded crash kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckedFile {
    /// Its path.
    pub path: PathBuf,
    /// Whether it is still what was loaded.
    pub state: FileState,
}

impl LoadedFile {
    /// Looks at the file below `root`.
    pub fn check(&self, root: &Path) -> CheckedFile {
        let below = self.path.strip_prefix("/").unwrap_or(&self.path);
        let state = match fs::metadata(root.join(below)) {
            Ok(now) => {
                let nanoseconds = i128::from(now.mtime()) * 1_000_000_000;
                let modified = nanoseconds + i128::from(now.mtime_nsec());
                match (now.len(), modified) == (self.size, self.modified) {
                    true => FileState::Same,
                    false => FileState::Changed,
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match self.path.is_absolute() {
                true => FileState::Gone,
                false => FileState::Unknown,
            },
            Err(_) => FileState::Unknown,
        };
        CheckedFile {
            path: self.path.clone(),
            state,
        }
    }
}

/// Where the dump goes, and whether there is room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetStatus {
    /// The service whose configuration names it; null where none is installed.
    pub service: Option<Service>,
    /// The folder, device or machine; null where that is unknown.
    pub place: Option<crate::target::Target>,
    /// Whether the folder exists.
    pub exists: Option<bool>,
    /// Bytes that are free there.
    pub free: Option<u64>,
}

impl TargetStatus {
    /// From what was read.
    pub fn of(facts: &CrashFacts) -> TargetStatus {
        let target = &facts.target;
        TargetStatus {
            service: target.service,
            place: target.target.known().cloned(),
            exists: target.exists.known().copied(),
            free: target.free.known().copied(),
        }
    }
}

/// Everything that `kexec crash status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CrashStatus {
    /// Whether a crash kernel is loaded, which is not whether a dump would be saved; null
    /// where the running kernel does not show it.
    pub armed: Option<bool>,
    /// Seconds since 1970 when it was loaded; null where no record of it exists.
    pub since: Option<u64>,
    /// Why it is unknown which image is loaded; null where the record names it, or nothing is
    /// loaded.
    pub image_unknown: Option<String>,
    /// The kernel file of the record.
    pub kernel: Option<String>,
    /// Its release.
    pub release: Option<String>,
    /// The release of the running kernel.
    pub running: String,
    /// The files of the record, as they are now.
    pub files: Vec<CheckedFile>,
    /// Bytes that are reserved; null where the running kernel does not show it.
    pub reserved: Option<u64>,
    /// Bytes of `crashkernel=SIZE,cma`, which the crash kernel gets, too.
    pub reserved_cma: u64,
    /// Bytes that the crash kernel needs, estimated; null where that is unknown.
    pub needed: Option<u64>,
    /// Why the need is unknown.
    pub needed_unknown: Option<String>,
    /// The sysctls that decide about panics, each with a legend of its values.
    pub sysctls: Vec<Sysctl>,
    /// The watchdogs of the machine, and what each does while the dump is saved; null where
    /// they cannot be read.
    pub watchdogs: Option<Vec<JudgedWatchdog>>,
    /// Seconds that a dump of this machine takes, roughly.
    pub dump_seconds: Option<u64>,
    /// Where the dump goes.
    pub target: TargetStatus,
    /// Why a panic would not be saved, where a check has found that; null where none has.
    /// `kexec check -p` has more.
    pub not_saved: Option<String>,
}

/// What to do where nothing or too little is reserved for so many bytes.
pub fn reserve(needed: u64) -> String {
    let parameter = format!("crashkernel={}", crate::size::parameter(needed));
    crate::checks::reserve(Some(&parameter))
}

/// Bytes of `crashkernel=SIZE,cma`.
pub fn reserved_cma(host: &Snapshot) -> u64 {
    crate::checks::lent(host)
}

/// Why a panic would not be saved, of what the checks of a crash kernel have found. The
/// reserved memory has its own row.
pub fn not_saved(findings: &[Finding]) -> Option<String> {
    let is_lost = |finding: &&Finding| match finding.check {
        "dump-region" => false,
        "dump-program" => finding.severity >= Severity::Warning,
        _ => finding.severity == Severity::Refusal,
    };
    let lost = findings.iter().filter(is_lost);
    let lost = lost.max_by_key(|finding| finding.severity)?;
    Some(format!("{}: {}", lost.problem.what, lost.problem.why))
}

/// The watchdogs of the machine, judged for a crash kernel with this initrd; `None` where they
/// cannot be read.
pub fn watchdogs(
    facts: &CrashFacts,
    host: &Snapshot,
    initrd: Option<&Contents>,
) -> Option<Vec<JudgedWatchdog>> {
    let memory = host.memory.total.known().copied();
    let judged = |watchdog: &Watchdog| JudgedWatchdog {
        judgement: judge(watchdog, memory, initrd),
        watchdog: watchdog.clone(),
    };
    match &facts.watchdogs {
        Fact::Known(watchdogs) => Some(watchdogs.iter().map(judged).collect()),
        Fact::Absent => Some(Vec::new()),
        Fact::Unreadable(_) => None,
    }
}

impl CrashStatus {
    /// The sysctls that keep a dump from being made: as the checks judge them, and where nothing
    /// is loaded, the one that keeps it so.
    pub fn preventing(&self) -> Vec<&Sysctl> {
        let locked = |one: &&Sysctl| {
            (one.name, one.value) == ("kernel.kexec_load_disabled", Some(1))
                && self.armed != Some(true)
        };
        let prevents = |one: &&Sysctl| keeps_from_panic(one) || locked(one);
        self.sysctls.iter().filter(prevents).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_named() {
        let finding = |check, severity| Finding {
            check,
            group: kexec_load::preflight::CheckGroup::Dump,
            severity,
            problem: kexec_machine::Problem::new(check, "why", "remedy"),
        };
        let region = finding("dump-region", Severity::Refusal);
        let program = finding("dump-program", Severity::Warning);
        let support = finding("vmcore-support", Severity::Refusal);
        let target = finding("dump-target", Severity::Warning);
        let of = |findings: &[&Finding]| {
            not_saved(&findings.iter().map(|f| (*f).clone()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[&region, &target]), None);
        assert_eq!(of(&[&program]).as_deref(), Some("dump-program: why"));
        let both = of(&[&support, &program]);
        assert_eq!(both.as_deref(), Some("vmcore-support: why"));
    }

    #[test]
    fn a_file_that_was_changed_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("k");
        fs::write(&path, "kernel").unwrap();
        let now = fs::metadata(&path).unwrap();
        let loaded = LoadedFile {
            path: "/k".into(),
            size: 6,
            modified: i128::from(now.mtime()) * 1_000_000_000 + i128::from(now.mtime_nsec()),
        };
        let state = || loaded.check(root.path()).state;
        assert_eq!(state(), FileState::Same);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "KERNEL").unwrap();
        assert_eq!(state(), FileState::Changed);
        fs::remove_file(&path).unwrap();
        assert_eq!(state(), FileState::Gone);
        let unmounted = LoadedFile {
            path: "vda2 (not mounted): /k".into(),
            ..loaded
        };
        assert_eq!(unmounted.check(root.path()).state, FileState::Unknown);
    }
}
