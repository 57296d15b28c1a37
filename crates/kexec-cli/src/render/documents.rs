//! The documents of `--json`, each as a value whose fields are its keys: from these the
//! schemas in `docs/json/` are made. Keys are only ever added.

use kexec_entries::{AnsweringSource, ListedSource, Survey};
use kexec_image::Proof;
use kexec_load::downtime::Downtime;
use kexec_load::preflight::Finding;
use kexec_load::unpacked::Unpacked;
use kexec_plan::{Decision, FilePlan, LoadPlan};
use kexec_reboot::enable::FileChange;
use kexec_reboot::handover::shutdown_request::Handover;
use kexec_reboot::parallel_shutdown::{Choice, Unbound};
use kexec_reboot::record::slot::SlotChange;
use kexec_reboot::record::{Attempt, LoadRecord};
use serde::Serialize;

/// Version of the documents: the value of the key `format` in each. It changes when a key
/// is removed or means something else.
pub const FORMAT: u32 = 1;

/// What is loaded, or would be.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan<'a> {
    /// What the kernel is given: the files, the command line.
    pub plan: &'a FilePlan,
    /// Where every byte goes with `kexec_load(2)`; null with `kexec_file_load(2)`, where the
    /// running kernel decides that.
    pub placed: Option<&'a LoadPlan>,
    /// What was unpacked before the jump, and what was not, with the reasons.
    pub unpacked: &'a Unpacked,
    /// The system call, and why it is that one.
    pub method: &'a Decision,
    /// What the kernel file proved about its own bytes; null where it is broken.
    pub proofs: Option<&'a [Proof]>,
}

/// What a reboot boots, or would boot.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reboot<'a> {
    /// What is loaded, or would be.
    #[serde(flatten)]
    pub plan: Plan<'a>,
    /// The boot entry; null for a kernel file.
    pub entry: Option<Entry<'a>>,
    /// How init is asked for the shutdown; null with `--now`.
    pub then: Option<&'a Handover>,
    /// What the checks found.
    pub findings: &'a [Finding],
}

/// A boot entry that was chosen.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Entry<'a> {
    /// Its id, as `kexec list` shows it.
    pub id: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Why it was chosen.
    pub why: &'a str,
}

/// A reboot through the firmware.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cold<'a> {
    /// Always true.
    pub cold: bool,
    /// How init is asked for the shutdown.
    pub then: &'a Handover,
}

/// What is unbound before the jump.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ParallelShutdown<'a> {
    /// Which devices are unbound, and which are kept, with the reasons.
    #[serde(flatten)]
    pub choice: &'a Choice,
    /// What became of each; null with `--dry-run`.
    pub unbound: Option<&'a [Unbound]>,
    /// Why nothing was done at all; else null.
    pub nothing: Option<&'a str>,
}

/// What became of a slot that was to be emptied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unload {
    /// Whether an image was loaded before; null where the running kernel does not say.
    pub was_loaded: Option<bool>,
}

/// What is loaded, and how the last reboot went.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status<'a> {
    /// The release of the running kernel.
    pub running: &'a str,
    /// What a reboot jumps into.
    pub normal: NormalSlot<'a>,
    /// What a panic jumps into.
    pub crash: CrashSlot<'a>,
    /// Which command changes a slot just now.
    pub at_work: Option<&'a str>,
    /// The newest request, and what became of it.
    pub last: Option<&'a Attempt>,
    /// How many kexecs there were since the last cold boot; null where that is unknown.
    pub kexecs_since_cold_boot: Option<u64>,
    /// Every how many reboots one goes through the firmware; null where none has to.
    pub cold_every: Option<u64>,
    /// The features that `kexec enable` switched on, by name; none with `--host`.
    pub enabled: &'a [&'a str],
}

/// The normal slot.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NormalSlot<'a> {
    /// Whether an image is loaded; null where the running kernel does not say.
    pub loaded: Option<bool>,
    /// Which image; null where no record says it.
    pub image: Option<&'a LoadRecord>,
    /// A change that was interrupted.
    pub interrupted: Option<Interrupted<'a>>,
}

/// The crash slot.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CrashSlot<'a> {
    /// Whether an image is loaded; null where the running kernel does not say.
    pub loaded: Option<bool>,
    /// How many bytes are reserved for a crash kernel.
    pub reserved: Option<u64>,
    /// Which image; null where no record says it.
    pub image: Option<&'a LoadRecord>,
    /// A change that was interrupted.
    pub interrupted: Option<Interrupted<'a>>,
}

/// A change of a slot that did not end.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interrupted<'a> {
    /// Which change.
    pub change: SlotChange,
    /// The image that it was about.
    pub record: Option<&'a LoadRecord>,
    /// What happened, in words.
    pub why: String,
}

/// The outcome of each requested kexec.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History<'a> {
    /// The requests, the newest first.
    pub requests: &'a [Attempt],
}

/// The boot entries.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct List<'a> {
    /// The source that says what a reboot would boot; null when none was found.
    pub answer: Option<&'a AnsweringSource>,
    /// Every source in which something was found, with its entries.
    pub sources: &'a [ListedSource],
    /// What else is to be known.
    pub notes: &'a [String],
}

impl<'a> List<'a> {
    /// Of everything that was found.
    pub fn of(survey: &'a Survey) -> List<'a> {
        List {
            answer: survey.answer.as_ref(),
            sources: &survey.sources,
            notes: &survey.notes,
        }
    }
}

/// What the checks found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check<'a> {
    /// Whether no check refuses.
    pub would_load: bool,
    /// What each check found, in the order of the checks.
    pub findings: &'a [Finding],
    /// About how long the machine is down for the load itself; null where a check refuses,
    /// for the crash slot, and for another machine, whose speed is unknown.
    pub downtime: Option<&'a Downtime>,
}

/// Whether a reboot is due.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NeedsReboot<'a> {
    /// Whether it is.
    pub due: bool,
    /// What a reboot would boot.
    pub entry: &'a str,
    /// Why it is due.
    pub reasons: &'a [String],
}

/// What is switched on or off.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Switch<'a> {
    /// The feature.
    pub feature: &'a str,
    /// Whether it was to be on.
    pub on: bool,
    /// Which files change.
    pub changes: &'a [FileChange],
    /// About how many bytes of memory it holds; null where it holds none.
    pub held: Option<u64>,
    /// The folder of the system that does not run, in whose files it is done; null for the
    /// running system.
    pub root: Option<String>,
    /// What could not be checked in that system.
    pub unchecked: &'a [String],
    /// Each step, in this order.
    pub steps: Vec<SwitchStep>,
    /// Why this machine does not need the feature; then nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_needed: Option<&'a str>,
    /// Where a step failed: what, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where a step failed: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A step of switching a feature on or off.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SwitchStep {
    /// What is done, as a user may type it where that is possible.
    pub step: String,
    /// What became of it.
    pub outcome: SwitchOutcome,
    /// Where it failed: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where it failed: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SwitchOutcome {
    /// It is done.
    Done,
    /// It was tried, and failed.
    Failed,
    /// It was not tried, because one before it failed.
    NotTried,
    /// It would be tried.
    Planned,
}

/// What `kexec preload` does, and why.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Preload<'a> {
    /// What it does.
    pub step: PreloadStep,
    /// Why.
    pub why: &'a str,
    /// Whether an image was loaded ahead; with `--dry-run` it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded: Option<bool>,
    /// Where it failed: what was tried, and what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where it failed: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What `kexec preload` does.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum PreloadStep {
    /// Nothing.
    Leave,
    /// Nothing is loaded ahead for now.
    Wait,
    /// An image should be loaded ahead, and cannot be.
    Cannot,
    /// The loaded image stays, although it could not be compared.
    Doubt,
    /// It loads.
    Load,
    /// It unloads the image that was loaded ahead.
    TakeOut,
}

/// What `kexec preload --enabled` starts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Started<'a> {
    /// The units; with `--dry-run`, those that would be started.
    pub started: &'a [String],
    /// What could not be started, each with its reason.
    pub failed: &'a [Failure<'a>],
    /// The first of them: what was tried, and what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first of them: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'a str>,
}

/// Which program this is: the keys of [`kexec_cli::help::version_json`].
#[cfg(test)]
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Version {
    /// Its version.
    pub version: String,
    /// The version of kexec-tools whose command line it takes.
    pub command_line_of_kexec_tools: String,
}

/// Why nothing was done, or not everything: instead of any other document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure<'a> {
    /// What was tried, and what was found.
    pub error: &'a str,
    /// What to do; empty where the error says it.
    pub remedy: &'a str,
}
