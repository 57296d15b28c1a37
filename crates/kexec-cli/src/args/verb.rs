//! The verbs of the new spelling.

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
    /// The boot entries.
    List,
    /// What would be loaded.
    Plan,
    /// All checks.
    Check,
}

impl Verb {
    /// Every verb, in the order of `--help`.
    pub const ALL: &'static [Verb] = &[
        Verb::Reboot,
        Verb::Load,
        Verb::Unload,
        Verb::Status,
        Verb::History,
        Verb::List,
        Verb::Plan,
        Verb::Check,
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Reboot => "reboot",
            Verb::Load => "load",
            Verb::Unload => "unload",
            Verb::Status => "status",
            Verb::History => "history",
            Verb::List => "list",
            Verb::Plan => "plan",
            Verb::Check => "check",
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
            Verb::List => "kexec list [OPTION]...",
            Verb::Plan => "kexec plan [ENTRY|KERNEL] [OPTION]...",
            Verb::Check => "kexec check [ENTRY|KERNEL] [OPTION]...",
        }
    }

    /// One line for `--help`.
    pub fn about(self) -> &'static str {
        match self {
            Verb::Reboot => "Load what a reboot would boot, then ask init to shut down and jump",
            Verb::Load => "Check a boot entry or a kernel and load it; nothing is jumped into",
            Verb::Unload => "Take the loaded kernel out again",
            Verb::Status => {
                "Show what is loaded and how the last reboot went; write snapshots for bug reports"
            }
            Verb::History => "Show what became of each kexec that was asked for",
            Verb::List => "Show the boot entries, which of them a reboot would take, and why",
            Verb::Plan => "Show what would be loaded, how and from which parts",
            Verb::Check => "Run every check without loading; exit code 1 when one refuses",
        }
    }

    /// Whether it takes a boot entry or a kernel file.
    pub fn takes_kernel(self) -> bool {
        KERNEL_VERBS.contains(&self)
    }

    /// From the word.
    pub fn from_bytes(word: &[u8]) -> Option<Verb> {
        Verb::ALL
            .iter()
            .copied()
            .find(|v| v.name().as_bytes() == word)
    }
}

/// The verbs that understand a kernel.
pub(crate) const KERNEL_VERBS: &[Verb] = &[Verb::Reboot, Verb::Load, Verb::Plan, Verb::Check];
/// All verbs.
pub(crate) const ALL_VERBS: &[Verb] = Verb::ALL;
