//! Which of the two system calls loads the image, and why. This table is the
//! only place where that is decided; plan, check and load all ask it.

use serde::Serialize;

/// Which system call the caller asked for: `-s`, `-c`, `-a`, or with a verb none
/// of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyscallChoice {
    /// `-s`: `kexec_file_load(2)` and nothing else.
    File,
    /// `-c`: `kexec_load(2)` and nothing else.
    Classic,
    /// `-a`: `kexec_file_load(2)` first, the other where that cannot do it.
    #[default]
    Auto,
    /// The one that leaves the machine down for the shortest time, among those
    /// that it allows.
    Fastest,
}

/// A system call that loads a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `kexec_file_load(2)`: the running kernel reads, verifies and places.
    FileLoad,
    /// `kexec_load(2)`: this program places, and brings its own purgatory.
    ClassicLoad,
}

impl Method {
    /// The other one.
    fn other(self) -> Method {
        match self {
            Method::FileLoad => Method::ClassicLoad,
            Method::ClassicLoad => Method::FileLoad,
        }
    }

    /// The system call's name.
    pub fn name(self) -> &'static str {
        match self {
            Method::FileLoad => "kexec_file_load",
            Method::ClassicLoad => "kexec_load",
        }
    }
}

/// What the decision looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MethodFacts {
    /// What the caller asked for.
    pub choice: SyscallChoice,
    /// Firmware booted with Secure Boot on, and the caller did not say
    /// `--unverified`.
    pub secure_boot: bool,
    /// Why it cannot be seen whether Secure Boot is on, where the caller did not
    /// say `--unverified`.
    pub secure_boot_unseen: Option<String>,
    /// The running kernel is locked down.
    pub locked_down: bool,
    /// Why it cannot be seen whether it is.
    pub lockdown_unseen: Option<String>,
    /// The running kernel accepts signed images only.
    pub signature_enforced: bool,
    /// An IMA rule appraises the kernel file.
    pub ima_appraises: bool,
    /// SELinux is enforcing.
    pub selinux_enforcing: bool,
    /// Live-update sessions or KHO state would be lost, and the caller did not say
    /// `--discard-liveupdate`.
    pub handover_state: bool,
    /// `kexec_file_load(2)` of this architecture does not take the image.
    pub not_for_file_load: bool,
    /// The machine would reset behind `kexec_file_load(2)`: from five-level paging into
    /// a kernel that does not cope, see [`crate::paging`].
    pub file_load_resets: bool,
    /// The command line is longer than `kexec_file_load(2)` takes.
    pub long_cmdline: bool,
    /// An option asks for what only `kexec_load(2)` can do.
    pub classic_option: bool,
    /// It is for the crash slot.
    pub crash: bool,
    /// It is for the crash slot, and the running kernel keeps keys of an encrypted dump
    /// target for it.
    pub dump_keys: bool,
    /// This program places nothing itself on such a machine.
    pub not_placed_here: bool,
    /// The running kernel was built without `kexec_load(2)`.
    pub classic_not_built: bool,
    /// Nobody shows this process where the memory is.
    pub memory_hidden: bool,
    /// The memory of this machine is encrypted, or has to be accepted before it
    /// is used.
    pub memory_guarded: bool,
}

impl MethodFacts {
    /// The shortest downtime is wanted, and `obstacle` is in the way of the call
    /// that gives it.
    fn slowed_by(&self, obstacle: bool) -> bool {
        self.choice == SyscallChoice::Fastest && obstacle
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// The system call.
    pub method: Method,
    /// Why that one, for people.
    pub reason: String,
}

/// One row: when `applies` says so, `method` is taken because of `reason`.
struct Row {
    applies: fn(&MethodFacts) -> bool,
    method: Method,
    reason: &'static str,
    /// What the reason is followed by: why a fact is not known.
    detail: fn(&MethodFacts) -> Option<&str>,
    /// When the call is refused, the other one is no way out.
    binding: bool,
}

/// A reason that says all.
fn nothing(_: &MethodFacts) -> Option<&str> {
    None
}

impl Row {
    /// The reason, with what is behind it.
    fn because(&self, facts: &MethodFacts) -> String {
        match (self.detail)(facts) {
            Some(detail) => format!("{} ({detail})", self.reason),
            None => self.reason.to_owned(),
        }
    }
}

/// Fact, method, reason: the first row that applies decides.
const TABLE: &[Row] = &[
    Row {
        applies: |f| f.choice == SyscallChoice::File,
        method: Method::FileLoad,
        reason: "-s was given",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.choice == SyscallChoice::Classic,
        method: Method::ClassicLoad,
        reason: "-c was given",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.locked_down,
        method: Method::FileLoad,
        reason: "the running kernel is locked down and must verify the image itself",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.secure_boot,
        method: Method::FileLoad,
        reason: "Secure Boot is on: the running kernel should verify the image",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.signature_enforced,
        method: Method::FileLoad,
        reason: "the running kernel takes signed images only",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.ima_appraises,
        method: Method::FileLoad,
        reason: "an IMA rule appraises the kernel file",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.handover_state,
        method: Method::FileLoad,
        reason: "only this call carries live-update state into the next kernel",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.dump_keys,
        method: Method::FileLoad,
        reason: "only this call gives the crash kernel the keys of an encrypted dump target",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.secure_boot_unseen.is_some(),
        method: Method::FileLoad,
        reason: "whether Secure Boot is on is unknown, which counts as on",
        detail: |f| f.secure_boot_unseen.as_deref(),
        binding: false,
    },
    Row {
        applies: |f| f.selinux_enforcing,
        method: Method::FileLoad,
        reason: "SELinux is enforcing and judges the kernel file",
        detail: nothing,
        binding: false,
    },
    Row {
        applies: |f| f.not_for_file_load,
        method: Method::ClassicLoad,
        reason: "kexec_file_load does not accept this format",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.file_load_resets,
        method: Method::ClassicLoad,
        reason: "from five-level paging, only this call can start this kernel",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.long_cmdline,
        method: Method::ClassicLoad,
        reason: "kexec_file_load does not accept a command line of this length",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.classic_option,
        method: Method::ClassicLoad,
        reason: "an option needs what only this call can do",
        detail: nothing,
        binding: true,
    },
    // Behind what only the other call can do: a kernel that is locked down refuses
    // that call itself.
    Row {
        applies: |f| f.lockdown_unseen.is_some(),
        method: Method::FileLoad,
        reason: "whether the running kernel is locked down is unknown, which counts as locked down",
        detail: |f| f.lockdown_unseen.as_deref(),
        binding: false,
    },
    Row {
        applies: |f| f.slowed_by(f.crash),
        method: Method::FileLoad,
        reason: "it is a crash kernel: the running kernel describes its memory to it",
        detail: nothing,
        binding: false,
    },
    Row {
        applies: |f| f.slowed_by(f.not_placed_here),
        method: Method::FileLoad,
        reason: "on this architecture the running kernel places the image",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.slowed_by(f.classic_not_built),
        method: Method::FileLoad,
        reason: "the running kernel was built without kexec_load (CONFIG_KEXEC)",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.slowed_by(f.memory_hidden),
        method: Method::FileLoad,
        reason: "/proc/iomem shows this process no addresses, so only the running kernel can \
                 place it",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.slowed_by(f.memory_guarded),
        method: Method::FileLoad,
        reason: "this machine's memory is encrypted or accepted piece by piece, and only the \
                 running kernel can handle that",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.choice == SyscallChoice::Fastest,
        method: Method::ClassicLoad,
        reason: "the shortest downtime: the purgatory checks the image at the speed of memory",
        detail: nothing,
        binding: false,
    },
    Row {
        applies: |_| true,
        method: Method::FileLoad,
        reason: "the running kernel reads, verifies and places the image",
        detail: nothing,
        binding: false,
    },
];

/// The first row that applies. The last one always does.
fn row(facts: &MethodFacts) -> Option<&'static Row> {
    TABLE.iter().find(|row| (row.applies)(facts))
}

/// Which system call, and why.
pub fn decide(facts: &MethodFacts) -> Decision {
    row(facts).map_or(
        Decision {
            method: Method::FileLoad,
            reason: String::new(),
        },
        |row| Decision {
            method: row.method,
            reason: row.because(facts),
        },
    )
}

/// What is done when the call that was decided on has `failed` (`answered
/// ENOSYS`): nothing, or the other call. A machine that has to verify the image
/// gets no second way.
pub fn second_choice(facts: &MethodFacts, failed: &str) -> Option<Decision> {
    let row = row(facts).filter(|row| !row.binding)?;
    Some(Decision {
        method: row.method.other(),
        reason: format!(
            "{} was tried first ({}) and {failed}",
            row.method.name(),
            row.because(facts)
        ),
    })
}

#[cfg(test)]
mod tests;
