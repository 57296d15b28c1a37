//! When an option has an effect: in which modes, with which system call.

use super::Id;

/// What is done in the end, as far as an option can matter to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Load into the normal slot.
    Load,
    /// Load into the crash slot.
    LoadCrash,
    /// Load and jump at once.
    LoadAndJump,
    /// Load and shut down.
    LoadAndShutdown,
    /// Empty a slot.
    Unload,
    /// Jump into what is loaded.
    Exec,
    /// Say whether something is loaded.
    Status,
    /// Load the jump-back image for the kernel before this one.
    JumpBack,
    /// Print the size of the memory reserved for a crash kernel.
    CrashSize,
}

impl Mode {
    /// As it is typed, for messages.
    pub fn typed(self) -> &'static str {
        match self {
            Mode::Load => "-l",
            Mode::LoadCrash => "-p",
            Mode::LoadAndJump => "-f",
            Mode::LoadAndShutdown => "a kernel alone",
            Mode::Unload => "-u",
            Mode::Exec => "-e",
            Mode::Status => "-S",
            Mode::JumpBack => "--load-jump-back-helper",
            Mode::CrashSize => "--print-ckr-size",
        }
    }

    /// Whether a kernel is loaded.
    pub fn loads(self) -> bool {
        LOADS.contains(&self)
    }
}

/// Every mode that loads.
pub(crate) const LOADS: &[Mode] = &[
    Mode::Load,
    Mode::LoadCrash,
    Mode::LoadAndJump,
    Mode::LoadAndShutdown,
];
/// Every mode.
pub(crate) const ALWAYS: &[Mode] = &[
    Mode::Load,
    Mode::LoadCrash,
    Mode::LoadAndJump,
    Mode::LoadAndShutdown,
    Mode::Unload,
    Mode::Exec,
    Mode::Status,
    Mode::JumpBack,
    Mode::CrashSize,
];

/// Which of the two system calls an option can matter to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Both.
    Either,
    /// `kexec_file_load(2)`.
    File,
    /// `kexec_load(2)`.
    Classic,
}

/// When an option has an effect. Elsewhere it is accepted, and said to have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// In these modes.
    pub modes: &'static [Mode],
    /// With this system call.
    pub call: Call,
    /// Beside this option only.
    pub beside: Option<Id>,
    /// Why there is none elsewhere, when the generic sentence would not do.
    pub instead: Option<&'static str>,
}

impl Effect {
    /// In all of `modes`, whatever loads.
    pub(crate) const fn modes(modes: &'static [Mode]) -> Effect {
        Effect {
            modes,
            call: Call::Either,
            beside: None,
            instead: None,
        }
    }

    /// In no mode: it is accepted because kexec-tools accepts it.
    pub(crate) const NONE: Effect = Effect::modes(&[]);

    /// In loads with kexec_load(2).
    pub(crate) const CLASSIC: Effect = Effect {
        modes: LOADS,
        call: Call::Classic,
        beside: None,
        instead: None,
    };

    /// The same beside one option only.
    pub(crate) const fn beside(self, id: Id) -> Effect {
        Effect {
            beside: Some(id),
            ..self
        }
    }

    /// The same with a reason of its own why it has no effect elsewhere.
    pub(crate) const fn instead(self, reason: &'static str) -> Effect {
        Effect {
            instead: Some(reason),
            ..self
        }
    }
}
