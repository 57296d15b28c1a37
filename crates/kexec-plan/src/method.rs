//! Which of the two system calls loads the image, and why. This table is the
//! only place where that is decided; plan, check and load all ask it.

use serde::Serialize;

/// Which system call the caller asked for (`-s`, `-c`, `-a`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyscallChoice {
    /// `-s`: `kexec_file_load(2)` and nothing else.
    File,
    /// `-c`: `kexec_load(2)` and nothing else.
    Classic,
    /// `-a`: `kexec_file_load(2)` first, the other where that cannot do it.
    #[default]
    Auto,
}

/// A system call that loads a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `kexec_file_load(2)`: the running kernel reads, verifies and places.
    FileLoad,
    /// `kexec_load(2)`: this program places, and brings its own purgatory.
    ClassicLoad,
}

impl Method {
    /// The system call's name.
    pub fn name(self) -> &'static str {
        match self {
            Method::FileLoad => "kexec_file_load",
            Method::ClassicLoad => "kexec_load",
        }
    }
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MethodFacts {
    /// What the caller asked for.
    pub choice: SyscallChoice,
    /// Firmware booted with Secure Boot on.
    pub secure_boot: bool,
    /// The running kernel is locked down.
    pub locked_down: bool,
    /// The running kernel accepts signed images only.
    pub signature_enforced: bool,
    /// An IMA rule appraises the kernel file.
    pub ima_appraises: bool,
    /// SELinux is enforcing.
    pub selinux_enforcing: bool,
    /// Live-update sessions or KHO state would be lost.
    pub handover_state: bool,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
}

/// Fact, method, reason: the first row that applies decides.
const TABLE: &[Row] = &[
    Row {
        applies: |f| f.choice == SyscallChoice::File,
        method: Method::FileLoad,
        reason: "-s asks for it",
    },
    Row {
        applies: |f| f.choice == SyscallChoice::Classic,
        method: Method::ClassicLoad,
        reason: "-c asks for it",
    },
    Row {
        applies: |f| f.locked_down,
        method: Method::FileLoad,
        reason: "the running kernel is locked down and must verify the image itself",
    },
    Row {
        applies: |f| f.secure_boot,
        method: Method::FileLoad,
        reason: "Secure Boot is on: the running kernel should verify the image",
    },
    Row {
        applies: |f| f.signature_enforced,
        method: Method::FileLoad,
        reason: "the running kernel takes signed images only",
    },
    Row {
        applies: |f| f.ima_appraises,
        method: Method::FileLoad,
        reason: "an IMA rule appraises the kernel file",
    },
    Row {
        applies: |f| f.handover_state,
        method: Method::FileLoad,
        reason: "only this call carries live-update state into the next kernel",
    },
    Row {
        applies: |f| f.selinux_enforcing,
        method: Method::FileLoad,
        reason: "SELinux is enforcing and judges the kernel file",
    },
    Row {
        applies: |_| true,
        method: Method::FileLoad,
        reason: "the running kernel reads, verifies and places the image",
    },
];

/// Which system call, and why.
pub fn decide(facts: &MethodFacts) -> Decision {
    let row = TABLE.iter().find(|row| (row.applies)(facts));
    // The last row always applies; the fallback only keeps this total.
    row.map_or(
        Decision {
            method: Method::FileLoad,
            reason: String::new(),
        },
        |row| Decision {
            method: row.method,
            reason: row.reason.to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_facts() {
        let facts = MethodFacts {
            choice: SyscallChoice::Classic,
            locked_down: true,
            ..MethodFacts::default()
        };
        assert_eq!(decide(&facts).method, Method::ClassicLoad);
    }

    #[test]
    fn every_row_gives_its_own_reason() {
        let with = |change: fn(&mut MethodFacts)| {
            let mut facts = MethodFacts::default();
            change(&mut facts);
            decide(&facts).reason
        };
        let reasons = [
            with(|f| f.choice = SyscallChoice::File),
            with(|f| f.choice = SyscallChoice::Classic),
            with(|f| f.locked_down = true),
            with(|f| f.secure_boot = true),
            with(|f| f.signature_enforced = true),
            with(|f| f.ima_appraises = true),
            with(|f| f.handover_state = true),
            with(|f| f.selinux_enforcing = true),
            with(|_| {}),
        ];
        assert_eq!(reasons.len(), TABLE.len());
        for (reason, row) in reasons.iter().zip(TABLE) {
            assert_eq!(reason, row.reason);
        }
    }
}
