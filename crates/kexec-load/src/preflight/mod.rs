//! Everything that is looked at before anything is done: one file per check,
//! one list. A check that could not look says so and is not a pass.

mod architecture;
mod capture_words;
mod cmdline_length;
mod crash_region;
mod dump_keys;
mod image_intact;
mod initrd_intact;
mod initrd_known;
mod jump;
mod live_update;
mod load_disabled;
mod load_limit;
mod lockdown_signature;
mod memory;
mod paging;
mod permission;
mod screen;
mod syscall_built;
mod uki_companions;

pub use crate::demand::held;
pub use crate::explain::say::crash_size;

use kexec_image::{Image, ImageError, Proof};
use kexec_plan::{Decision, FilePlan, LoadPlan, Piece};
use serde::Serialize;

use crate::next_config::NextConfig;
use crate::request::ClassicLoadOptions;
use crate::unpacked::Unpacked;
use kexec_machine::{Problem, Snapshot};

pub(crate) use cmdline_length::longest as longest_cmdline;
pub(crate) use paging::file_load_resets;

/// What a check looks at: the machine, the image and what is planned.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext<'a> {
    /// The machine that the load is planned for.
    pub host: &'a Snapshot,
    /// The formats of the kernel file, and what they say.
    pub image: &'a Image,
    /// What will be handed to the kernel.
    pub plan: &'a FilePlan,
    /// The initrd as it is in its files; in the plan, parts of it may be unpacked.
    pub initrds: &'a [Piece],
    /// What was unpacked.
    pub unpacked: &'a Unpacked,
    /// Where `kexec_load(2)` will put it; `None` with the other call.
    pub placed: Option<&'a LoadPlan>,
    /// What the caller asks of `kexec_load(2)`.
    pub classic: &'a ClassicLoadOptions,
    /// By which system call, and why.
    pub decision: &'a Decision,
    /// What the image proved about its own bytes.
    pub proofs: &'a Result<Vec<Proof>, ImageError>,
    /// What is known of how the kernel was built.
    pub config: &'a NextConfig,
    /// As in [`crate::LoadRequest::old_spelling`].
    pub old_spelling: bool,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Looked at, and in order.
    Pass,
    /// Nothing is wrong; the user may want to know it.
    Note,
    /// The check could not look; this is not a pass.
    Unknown,
    /// It may not do what was wanted.
    Warning,
    /// It would not work, or must not be done: nothing is loaded.
    Refusal,
}

impl Severity {
    /// The word in front of a finding.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Pass => "ok",
            Severity::Note => "note",
            Severity::Unknown => "could not check",
            Severity::Warning => "warning",
            Severity::Refusal => "refused",
        }
    }
}

/// What a check is about. Findings are shown in these groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckGroup {
    /// The kernel file.
    Kernel,
    /// The initrds.
    Initrd,
    /// The command line, and what it names.
    CommandLine,
    /// The boot entry, and where its files are.
    BootEntry,
    /// The system call that loads: whether the running kernel has it and allows it.
    SystemCall,
    /// The machine: its memory, its devices, its model.
    Machine,
    /// The way of the reboot: what the shutdown needs, and what waits for the firmware.
    Reboot,
    /// The dump of a crash: what starts it, and where it goes.
    Dump,
}

impl CheckGroup {
    /// Every group, in the order in which they are shown.
    pub const ALL: &'static [CheckGroup] = &[
        CheckGroup::Kernel,
        CheckGroup::Initrd,
        CheckGroup::CommandLine,
        CheckGroup::BootEntry,
        CheckGroup::SystemCall,
        CheckGroup::Machine,
        CheckGroup::Reboot,
        CheckGroup::Dump,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            CheckGroup::Kernel => "Kernel",
            CheckGroup::Initrd => "Initrd",
            CheckGroup::CommandLine => "Command line",
            CheckGroup::BootEntry => "Boot entry",
            CheckGroup::SystemCall => "System call",
            CheckGroup::Machine => "Machine",
            CheckGroup::Reboot => "Reboot",
            CheckGroup::Dump => "Dump",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What the check is about.
    pub group: CheckGroup,
    /// How much it weighs.
    pub severity: Severity,
    /// What was looked at, what was found, and what to do; the remedy is empty when there
    /// is nothing to do.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What a check returns for each thing it looked at; [`run`] adds its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// How much it weighs.
    pub severity: Severity,
    /// As in [`Finding::problem`].
    pub problem: Problem,
}

impl Observation {
    /// Looked at `what`: in order, because of `why`.
    pub fn pass(what: impl Into<String>, why: impl Into<String>) -> Observation {
        Observation::new(Severity::Pass, what, why, "")
    }

    /// The finding of a check.
    fn of<Run>(self, check: &Check<Run>) -> Finding {
        Finding {
            check: check.name,
            group: check.group,
            severity: self.severity,
            problem: self.problem,
        }
    }

    /// What was found of `what`, how much that weighs, and what to do about it.
    pub fn new(
        severity: Severity,
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Observation {
        Observation {
            severity,
            problem: Problem::new(what, why, remedy),
        }
    }
}

/// One check. `Run` is the function that looks: at a [`LoadContext`] here, and at more for
/// a reboot.
pub struct Check<Run = fn(&LoadContext<'_>) -> Vec<Observation>> {
    /// Its name, as `kexec check` shows it.
    pub name: &'static str,
    /// What it is about.
    pub group: CheckGroup,
    /// One line for people: what it makes sure of.
    pub about: &'static str,
    /// Looks, and says what it found; nothing when it does not concern this load.
    pub run: Run,
}

impl<Run> std::fmt::Debug for Check<Run> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every check, in the order in which people read them: first the files, then
/// the machine.
pub const CHECKS: &[Check] = &[
    image_intact::CHECK,
    architecture::CHECK,
    cmdline_length::CHECK,
    capture_words::CHECK,
    initrd_known::CHECK,
    initrd_intact::CHECK,
    uki_companions::CHECK,
    permission::CHECK,
    syscall_built::CHECK,
    paging::CHECK,
    load_disabled::CHECK,
    load_limit::CHECK,
    lockdown_signature::CHECK,
    memory::CHECK,
    crash_region::CHECK,
    dump_keys::CHECK,
    live_update::CHECK,
    jump::CHECK,
    screen::CHECK,
];

/// Runs every check of [`CHECKS`] on one load.
pub fn run(context: &LoadContext<'_>) -> Vec<Finding> {
    findings(CHECKS, |look| look(context))
}

/// What the checks of a list find, each under its name; `look` calls one of them.
pub fn findings<Run>(
    checks: &[Check<Run>],
    look: impl Fn(&Run) -> Vec<Observation>,
) -> Vec<Finding> {
    let findings = checks.iter().flat_map(|check| {
        let outcomes = look(&check.run).into_iter();
        outcomes.map(|outcome| outcome.of(check))
    });
    findings.collect()
}

/// The first finding that refuses.
pub fn refusal(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().find(|f| f.severity == Severity::Refusal)
}
