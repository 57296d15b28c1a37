//! Whether the kernel is taken out of its bzImage before the jump, and why. This table is
//! the only place where that is decided.

use serde::{Deserialize, Serialize};

use super::UnpackChoice;
use crate::Method;

/// What the decision looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelFacts {
    /// What the caller wants.
    pub choice: UnpackChoice,
    /// The setting that says so, where no option does.
    pub setting: Option<String>,
    /// The system call that loads it.
    pub method: Method,
    /// It is a bzImage of a 64-bit kernel that can be moved.
    pub bzimage: bool,
    /// Its release, where it is older than any that was tried, or cannot be told.
    pub untried: Option<String>,
    /// It is for the crash slot.
    pub crash: bool,
    /// An option says at which address, in which mode or by which format it is started, or
    /// that the running kernel is to be returned to.
    pub special_start: bool,
    /// The memory of this machine is encrypted, or has to be accepted before it is used;
    /// or the next kernel is told to encrypt it.
    pub memory_guarded: bool,
    /// The machine runs with four levels of page tables; the decompressor would go to five.
    pub more_levels: bool,
    /// The command line asks for memory that is mirrored, which nobody shows.
    pub mirrored: bool,
    /// Why the last jump of this machine speaks against it.
    pub not_earned: Option<String>,
    /// Why it could not be told after the next boot whether this one arrives.
    pub forgotten: Option<String>,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KernelUnpacking {
    /// It is unpacked before the jump.
    pub unpacked: bool,
    /// Why, or why not, for people.
    pub reason: String,
}

/// The reason where nobody wants it.
const UNWANTED: &str = "nothing is to be unpacked";

impl Default for KernelUnpacking {
    fn default() -> KernelUnpacking {
        KernelUnpacking::not(UNWANTED)
    }
}

impl KernelUnpacking {
    /// What is to be said of it; nothing where nobody wanted anything else.
    pub fn line(&self) -> Option<String> {
        let KernelUnpacking { unpacked, reason } = self;
        match (unpacked, self.is_unwanted()) {
            (true, _) => Some(format!("kernel unpacked before the jump: {reason}")),
            (false, false) => Some(format!("kernel not unpacked before the jump: {reason}")),
            (false, true) => None,
        }
    }

    /// Whether nobody wanted it to be unpacked.
    pub fn is_unwanted(&self) -> bool {
        !self.unpacked && self.reason == UNWANTED
    }

    /// Whether it is unpacked with `--unpack=always`, although it was not.
    pub fn may_be_insisted(&self) -> bool {
        let speaks = |row: &Row| !row.binding && self.reason.starts_with(row.reason);
        !self.unpacked && TABLE.iter().any(speaks)
    }

    /// The bzImage is loaded as it is.
    pub fn not(reason: impl Into<String>) -> KernelUnpacking {
        KernelUnpacking {
            unpacked: false,
            reason: reason.into(),
        }
    }
}

/// One row: when it applies, the bzImage is loaded as it is.
struct Row {
    applies: fn(&KernelFacts) -> bool,
    reason: &'static str,
    /// What the reason is followed by.
    detail: fn(&KernelFacts) -> Option<&str>,
    /// `--unpack=always` is no reason to do it nevertheless: the next kernel would not
    /// start, or not as it should.
    binding: bool,
}

fn nothing(_: &KernelFacts) -> Option<&str> {
    None
}

/// Why nothing is unpacked where the last image that was did not arrive, as far as was seen.
pub const NOT_EARNED: &str =
    "the last image that was unpacked before the jump was not seen to arrive";

/// The first row that applies decides.
const TABLE: &[Row] = &[
    Row {
        applies: |f| f.choice == UnpackChoice::Never,
        reason: UNWANTED,
        detail: |f| f.setting.as_deref(),
        binding: true,
    },
    Row {
        applies: |f| f.crash,
        reason: "a crash kernel is loaded as it is",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.method == Method::FileLoad,
        reason: "kexec_file_load takes the bzImage only",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| !f.bzimage,
        reason: "it is no bzImage of a 64-bit kernel that can be moved",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.special_start,
        reason: "an option says how it is started",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.memory_guarded,
        reason: "memory is encrypted or accepted piece by piece, which its decompressor sets up",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.more_levels,
        reason: "only its decompressor goes from four-level paging to five",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.mirrored,
        reason: "the kernel is to be in mirrored memory, and nobody shows which that is",
        detail: nothing,
        binding: true,
    },
    Row {
        applies: |f| f.untried.is_some(),
        reason: "no kernel of its release was tried without its decompressor",
        detail: |f| f.untried.as_deref(),
        binding: false,
    },
    Row {
        applies: |f| f.not_earned.is_some(),
        reason: NOT_EARNED,
        detail: |f| f.not_earned.as_deref(),
        binding: false,
    },
    Row {
        applies: |f| f.forgotten.is_some(),
        reason: "whether it arrives would not be remembered",
        detail: |f| f.forgotten.as_deref(),
        binding: false,
    },
];

/// Whether the kernel is unpacked before the jump.
///
/// # Errors
/// Why it cannot be, where the caller insists.
pub fn decide(facts: &KernelFacts) -> Result<KernelUnpacking, String> {
    let insists = facts.choice == UnpackChoice::Always;
    let row = TABLE
        .iter()
        .find(|row| (row.applies)(facts) && (row.binding || !insists));
    let Some(row) = row else {
        return Ok(KernelUnpacking {
            unpacked: true,
            reason: match insists {
                true => match &facts.setting {
                    Some(setting) => setting.clone(),
                    None => "--unpack=always was given".to_owned(),
                },
                false => "the next kernel need not unpack it".to_owned(),
            },
        });
    };
    let reason = match (row.detail)(facts) {
        Some(detail) => format!("{} ({detail})", row.reason),
        None => row.reason.to_owned(),
    };
    // Which call loads was not the caller's choice here.
    match insists && facts.method == Method::ClassicLoad && !facts.crash {
        true => Err(reason),
        false => Ok(KernelUnpacking::not(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> KernelFacts {
        KernelFacts {
            choice: UnpackChoice::Auto,
            setting: None,
            method: Method::ClassicLoad,
            bzimage: true,
            untried: None,
            crash: false,
            special_start: false,
            memory_guarded: false,
            more_levels: false,
            mirrored: false,
            not_earned: None,
            forgotten: None,
        }
    }

    #[test]
    fn a_setting_is_named() {
        let setting = |choice| KernelFacts {
            choice,
            setting: Some("unpack = it in the.conf".into()),
            ..facts()
        };
        let never = decide(&setting(UnpackChoice::Never)).unwrap();
        assert!(!never.unpacked && !never.is_unwanted());
        let line = never.line().unwrap();
        assert!(line.ends_with("nothing is to be unpacked (unpack = it in the.conf)"));
        let always = decide(&setting(UnpackChoice::Always)).unwrap();
        assert_eq!(
            always.line().unwrap(),
            "kernel unpacked before the jump: unpack = it in the.conf"
        );
    }

    #[test]
    fn the_table() {
        type Change = fn(&mut KernelFacts);
        let rows: &[(Change, &str, bool)] = &[
            (
                |f| f.choice = UnpackChoice::Never,
                "nothing is to be",
                false,
            ),
            (|f| f.crash = true, "crash kernel", true),
            (
                |f| f.method = Method::FileLoad,
                "kexec_file_load takes",
                true,
            ),
            (|f| f.bzimage = false, "no bzImage", true),
            (|f| f.special_start = true, "an option", true),
            (|f| f.memory_guarded = true, "encrypted", true),
            (|f| f.more_levels = true, "four-level paging to five", true),
            (|f| f.mirrored = true, "mirrored memory", true),
            (
                |f| f.untried = Some("2.6".into()),
                "tried without its decompressor (2.6)",
                false,
            ),
            (
                |f| f.not_earned = Some("x".into()),
                "was not seen to arrive (x)",
                false,
            ),
            (
                |f| f.forgotten = Some("x".into()),
                "would not be remembered (x)",
                false,
            ),
        ];
        assert_eq!(rows.len(), TABLE.len());
        for (change, expected, binding) in rows {
            let mut one = facts();
            change(&mut one);
            let decided = decide(&one).unwrap();
            assert!(!decided.unpacked, "{expected}");
            assert!(decided.reason.contains(expected), "{}", decided.reason);
            let unwanted = one.choice == UnpackChoice::Never;
            assert_eq!(decided.is_unwanted(), unwanted);
            assert_eq!(
                decided.may_be_insisted(),
                !binding && !unwanted,
                "{expected}"
            );
            if one.choice == UnpackChoice::Never {
                continue;
            }
            one.choice = UnpackChoice::Always;
            let insisted = decide(&one);
            let unpacked = insisted.as_ref().is_ok_and(|d| d.unpacked);
            assert_eq!(unpacked, !binding, "{expected}: {insisted:?}");
        }
        let unpacked = decide(&facts()).unwrap();
        assert!(unpacked.unpacked && !unpacked.may_be_insisted());
    }
}
