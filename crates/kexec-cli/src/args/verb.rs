//! The verbs of the new spelling.

use super::Offer;

/// The first word of the new spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Choose, check, load, and hand over to init.
    Reboot,
    /// Check and load.
    Load,
    /// Empty a slot.
    Unload,
    /// What is loaded.
    Status,
    /// What became of earlier requests.
    History,
    /// The same for Prometheus.
    Metrics,
    /// The boot entries.
    List,
    /// What would be loaded.
    Plan,
    /// All checks.
    Check,
    /// Is a reboot due?
    NeedsReboot,
    /// Crash kernels: load, look, unload, estimate, shrink; the log of a dump.
    Crash,
    /// Switch a feature on.
    Enable,
    /// Switch a feature off.
    Disable,
    /// Load ahead.
    Preload,
    /// Unbind devices before the jump.
    ParallelShutdown,
    /// Print help.
    Help,
    /// Print the version.
    Version,
}

impl Verb {
    /// Every verb, in the order of `--help`.
    pub const ALL: &'static [Verb] = &[
        Verb::Reboot,
        Verb::Load,
        Verb::Unload,
        Verb::Status,
        Verb::History,
        Verb::Metrics,
        Verb::List,
        Verb::Plan,
        Verb::Check,
        Verb::NeedsReboot,
        Verb::Crash,
        Verb::Enable,
        Verb::Disable,
        Verb::Preload,
        Verb::ParallelShutdown,
        Verb::Help,
        Verb::Version,
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Reboot => "reboot",
            Verb::Load => "load",
            Verb::Unload => "unload",
            Verb::Status => "status",
            Verb::History => "history",
            Verb::Metrics => "metrics",
            Verb::List => "list",
            Verb::Plan => "plan",
            Verb::Check => "check",
            Verb::NeedsReboot => "needs-reboot",
            Verb::Crash => "crash",
            Verb::Enable => "enable",
            Verb::Disable => "disable",
            Verb::Preload => "preload",
            Verb::ParallelShutdown => "parallel-shutdown",
            Verb::Help => "help",
            Verb::Version => "version",
        }
    }

    /// What may follow it.
    pub fn synopsis(self) -> &'static str {
        match self {
            Verb::Reboot => "kexec reboot [ENTRY|KERNEL] [OPTION]...",
            Verb::Load => "kexec load [ENTRY|KERNEL] [OPTION]...",
            Verb::Unload => "kexec unload [OPTION]...",
            Verb::Status => "kexec status [OPTION]...",
            Verb::History => "kexec history [OPTION]...",
            Verb::Metrics => "kexec metrics [OPTION]...",
            Verb::List => "kexec list [OPTION]...",
            Verb::Plan => "kexec plan [ENTRY|KERNEL] [OPTION]...",
            Verb::Check => "kexec check [ENTRY|KERNEL] [OPTION]...",
            Verb::NeedsReboot => "kexec needs-reboot [OPTION]...",
            Verb::Crash => {
                "kexec crash load|status|unload|estimate|shrink|dmesg [ENTRY|KERNEL|SIZE|DUMP] \
                 [OPTION]..."
            }
            Verb::Enable => {
                "kexec enable preload|refresh|exitrd|metrics|parallel-shutdown|crash [OPTION]..."
            }
            Verb::Disable => {
                "kexec disable preload|refresh|exitrd|metrics|parallel-shutdown|crash [OPTION]..."
            }
            Verb::Preload => "kexec preload [OPTION]...",
            Verb::ParallelShutdown => "kexec parallel-shutdown [ACTION] [OPTION]...",
            Verb::Help => "kexec help [VERB [SUBCOMMAND]]",
            Verb::Version => "kexec version [OPTION]...",
        }
    }

    /// One line for `--help`.
    pub fn about(self) -> &'static str {
        match self {
            Verb::Reboot => "Load what a reboot would boot, then ask init to shut down and jump",
            Verb::Load => "Check a boot entry or a kernel and load it; do not jump",
            Verb::Unload => "Unload the loaded kernel",
            Verb::Status => {
                "Show what is loaded and how the last reboot went; write snapshots for bug reports"
            }
            Verb::History => "Show the outcome of each requested kexec",
            Verb::Metrics => "Print how reboots went as metrics for Prometheus",
            Verb::List => "Show the boot entries, which of them a reboot would boot, and why",
            Verb::Plan => "Show what would be loaded, how and from which parts",
            Verb::Check => "Run every check without loading; exit with 1 if one refuses",
            Verb::NeedsReboot => {
                "Exit with 0 if a reboot is due: it would boot something else; else with 1"
            }
            Verb::Crash => {
                "Load a crash kernel, show whether it is ready; print the log of a kernel that crashed"
            }
            Verb::Enable => "Make every reboot a kexec (preload), or switch on another feature",
            Verb::Disable => "Switch a feature off, and remove what enable wrote",
            Verb::Preload => {
                "Load ahead what a reboot would boot; for units and hooks (kexec enable preload)"
            }
            Verb::ParallelShutdown => {
                "Unbind unused devices before the jump; for a hook (kexec enable parallel-shutdown)"
            }
            Verb::Help => "Print the help of a verb, or of all verbs and options",
            Verb::Version => "Print the version",
        }
    }

    /// How many words may follow it that are no options.
    pub fn operands(self) -> usize {
        match self {
            Verb::Enable | Verb::Disable | Verb::ParallelShutdown => 1,
            // One, and a subcommand of it.
            Verb::Help => 2,
            // Its subcommands count them: a dump may have any number of parts.
            Verb::Crash => usize::MAX,
            _ => usize::from(self.takes_kernel()),
        }
    }

    /// Whether it takes a boot entry or a kernel file.
    pub fn takes_kernel(self) -> bool {
        KERNEL_VERBS.contains(&self)
    }

    /// What a shell can offer for its operand.
    pub fn offer(self) -> Offer {
        match self {
            Verb::Enable | Verb::Disable => Offer::Words(FEATURES),
            Verb::ParallelShutdown => Offer::Words(ACTIONS),
            Verb::Crash => Offer::Words(super::crash_verb::NAMES),
            Verb::Help => Offer::Words(NAMES),
            verb if verb.takes_kernel() => Offer::Entries,
            _ => Offer::Nothing,
        }
    }

    /// From the word.
    pub fn from_bytes(word: &[u8]) -> Option<Verb> {
        Verb::ALL
            .iter()
            .copied()
            .find(|v| v.name().as_bytes() == word)
    }
}

/// What can be switched on and off: the names in `kexec_reboot::enable::FEATURES`.
const FEATURES: &[&str] = &[
    "preload",
    "refresh",
    "exitrd",
    "metrics",
    "parallel-shutdown",
    "crash",
];

/// What a shutdown ends in that parallel-shutdown acts for.
const ACTIONS: &[&str] = &["kexec"];

/// Every verb's word: what `help` takes.
const NAMES: &[&str] = &[
    "reboot",
    "load",
    "unload",
    "status",
    "history",
    "metrics",
    "list",
    "plan",
    "check",
    "needs-reboot",
    "crash",
    "enable",
    "disable",
    "preload",
    "parallel-shutdown",
    "help",
    "version",
];

/// The verbs that understand a kernel.
pub(crate) const KERNEL_VERBS: &[Verb] = &[Verb::Reboot, Verb::Load, Verb::Plan, Verb::Check];
/// Those, and `kexec crash`, whose subcommands have a list of their own.
pub(crate) const LOADING_VERBS: &[Verb] = &[
    Verb::Reboot,
    Verb::Load,
    Verb::Plan,
    Verb::Check,
    Verb::Crash,
];
/// All verbs.
pub(crate) const ALL_VERBS: &[Verb] = Verb::ALL;
/// The verbs that can answer as JSON: all but `help` and `metrics`, whose text is for
/// programs already.
pub const ANSWERING: &[Verb] = &[
    Verb::Reboot,
    Verb::Load,
    Verb::Unload,
    Verb::Status,
    Verb::History,
    Verb::List,
    Verb::Plan,
    Verb::Check,
    Verb::NeedsReboot,
    Verb::Crash,
    Verb::Enable,
    Verb::Disable,
    Verb::Preload,
    Verb::ParallelShutdown,
    Verb::Version,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_are_those_that_there_are() {
        let names: Vec<&str> = kexec_reboot::enable::FEATURES
            .iter()
            .map(|f| f.name)
            .collect();
        assert_eq!(FEATURES, names);
        for verb in [Verb::Enable, Verb::Disable] {
            assert!(verb.synopsis().contains(&FEATURES.join("|")));
        }
    }

    #[test]
    fn the_commands_of_crash_are_those_that_there_are() {
        let names = super::super::crash_verb::NAMES.join("|");
        let synopsis = Verb::Crash.synopsis();
        assert!(synopsis.contains(&format!(" {names} ")), "{synopsis}");
    }

    #[test]
    fn help_takes_every_verb_and_all_but_two_have_json() {
        let answering = Verb::ALL.iter();
        let answering = answering.filter(|verb| !matches!(verb, Verb::Help | Verb::Metrics));
        assert!(answering.eq(ANSWERING));
        let names = Verb::ALL.iter().map(|verb| verb.name());
        assert!(names.eq(NAMES.iter().copied()));
    }
}
