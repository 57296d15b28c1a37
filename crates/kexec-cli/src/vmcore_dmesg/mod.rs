//! What can be typed behind `vmcore-dmesg`, which is the same program under another
//! name: its options as data, as in [`crate::args`], and what is said of them.

mod manual;

use std::ffi::OsString;
use std::path::PathBuf;

pub use manual::{EXAMPLES, EXIT_CODES, FILES, SAYS, SEE_ALSO};

use crate::args::typed::{Spelling, Token, Tokens};
use crate::args::{ALWAYS, Effect, Flag, Group, Id, Origin};

/// The name under which the program is this one.
pub const NAME: &str = "vmcore-dmesg";
/// One line for headings.
pub const ABOUT: &str = "print the log of a crashed kernel";
/// What may follow the name.
pub const SYNOPSIS: &str = "vmcore-dmesg [OPTION]... VMCORE";

/// Every option.
pub const FLAGS: &[Flag] = &[
    Flag {
        short: Some(b'r'),
        doc_short: "Print the priority in front of each message, as in /dev/kmsg: `<6>`",
        ..flag(Id::Raw, "raw")
    },
    Flag {
        doc_short: "Print JSON, with everything that is known of each message",
        ..flag(Id::Json, "json")
    },
    Flag {
        doc_short: "Print the crashed kernel's description of itself (vmcoreinfo), not its log",
        ..flag(Id::Vmcoreinfo, "vmcoreinfo")
    },
    Flag {
        short: Some(b'h'),
        doc_short: "This help",
        ..flag(Id::Help, "help")
    },
    Flag {
        short: Some(b'V'),
        doc_short: "The version",
        ..flag(Id::Version, "version")
    },
];

const fn flag(id: Id, long: &'static str) -> Flag {
    Flag {
        origin: Origin::Later,
        old: false,
        ..Flag::new(id, long, Group::Verbs, Effect::modes(ALWAYS))
    }
}

/// How the log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// As `dmesg` shows it.
    Text,
    /// With priorities.
    Raw,
    /// As JSON.
    Json,
    /// The description, and no log.
    Vmcoreinfo,
}

/// What is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmesgRequest {
    /// The log of a dump.
    Log {
        /// The dump.
        vmcore: PathBuf,
        /// In which form.
        show: Show,
    },
    /// The help.
    Help,
    /// The version.
    Version,
}

/// What the words behind the name mean.
///
/// # Errors
/// What is wrong with them.
pub fn parse(words: &[OsString]) -> Result<DmesgRequest, String> {
    let table: Vec<&'static Flag> = FLAGS.iter().collect();
    let mut show = None;
    let mut operands = Vec::new();
    for token in Tokens::new(&table, Spelling::Exact, words) {
        let wanted = match token.map_err(|error| error.to_string())? {
            Token::Operand(word) => {
                operands.push(PathBuf::from(word));
                continue;
            }
            Token::Option(flag, _) => match flag.id {
                Id::Raw => Show::Raw,
                Id::Json => Show::Json,
                Id::Vmcoreinfo => Show::Vmcoreinfo,
                Id::Help => return Ok(DmesgRequest::Help),
                Id::Version => return Ok(DmesgRequest::Version),
                _ => continue,
            },
        };
        if show.is_some_and(|before| before != wanted) {
            return Err(
                "--raw, --json and --vmcoreinfo contradict each other: use one of \
                        them"
                    .to_owned(),
            );
        }
        show = Some(wanted);
    }
    match <[PathBuf; 1]>::try_from(operands) {
        Ok([vmcore]) => Ok(DmesgRequest::Log {
            vmcore,
            show: show.unwrap_or(Show::Text),
        }),
        Err(operands) if operands.is_empty() => {
            Err("no dump is named; after a crash it is /proc/vmcore".to_owned())
        }
        Err(operands) => Err(format!("{} dumps are named, expected one", operands.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<DmesgRequest, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn log(vmcore: &str, show: Show) -> Result<DmesgRequest, String> {
        let vmcore = vmcore.into();
        Ok(DmesgRequest::Log { vmcore, show })
    }

    #[test]
    fn one_dump_and_one_way_to_show_it() {
        assert_eq!(said("/proc/vmcore"), log("/proc/vmcore", Show::Text));
        assert_eq!(said("-r x"), log("x", Show::Raw));
        assert_eq!(said("x --json"), log("x", Show::Json));
        assert_eq!(said("-- --json"), log("--json", Show::Text));
        assert_eq!(said("--vmcoreinfo x"), log("x", Show::Vmcoreinfo));
        assert_eq!(said("--help"), Ok(DmesgRequest::Help));
        assert_eq!(said("-V x"), Ok(DmesgRequest::Version));
        for (line, words) in [
            ("", "no dump is named"),
            ("a b", "2 dumps"),
            ("--json -r x", "contradict each other"),
            ("--colour x", "no option --colour"),
            ("--js x", "no option --js"),
        ] {
            let said = said(line);
            assert!(said.as_ref().is_err_and(|e| e.contains(words)), "{said:?}");
        }
    }
}
