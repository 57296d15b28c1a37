//! What can be typed behind `vmcore-dmesg`, which is the same program under another
//! name: its options as data, as in [`crate::args`], and what is said of them.

mod manual;
mod select;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub use manual::{EXAMPLES, EXIT_CODES, FILES, SAYS, SEE_ALSO};
pub use select::{FACILITIES, LEVELS, Select};

use crate::args::typed::{Spelling, Token, Tokens};
use crate::args::{ALWAYS, Effect, Flag, Group, Id, Origin, crash_dmesg};

/// The name under which the program is this one.
pub const NAME: &str = "vmcore-dmesg";
/// One line for headings.
pub const ABOUT: &str = "print the log of a crashed kernel";
/// What may follow the name.
pub const SYNOPSIS: &str = "vmcore-dmesg [OPTION]... VMCORE...";

/// The options that only it has; `kexec crash dmesg` has its own of these names.
const OWN: &[Flag] = &[
    Flag {
        doc_short: "Print JSON, with everything that is known of each message",
        ..flag(Id::Json, "json")
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

/// Every option, in the order of the help.
pub fn flags() -> Vec<&'static Flag> {
    let (output, rest) = OWN.split_at(1);
    let all = output.iter().chain(crash_dmesg::FLAGS).chain(rest);
    all.collect()
}

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

/// What is in front of the lines of [`Show::Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Facility and level.
    pub decode: bool,
    /// The thread or processor that wrote it.
    pub caller: bool,
    /// The same on each line of a message.
    pub force_prefix: bool,
}

/// Which log, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// The dump, or all parts of a split one. `-` is standard input.
    pub dumps: Vec<PathBuf>,
    /// In which form.
    pub show: Show,
    /// What is in front of each line.
    pub style: Style,
    /// Which messages.
    pub select: Select,
}

/// What is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmesgRequest {
    /// The log of a dump.
    Log(LogRequest),
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
    let mut options = Vec::new();
    let mut operands = Vec::new();
    for token in Tokens::new(&flags(), Spelling::Exact, words) {
        match token.map_err(|error| error.to_string())? {
            Token::Operand(word) => operands.push(word),
            Token::Option(flag, _) if flag.id == Id::Help => return Ok(DmesgRequest::Help),
            Token::Option(flag, _) if flag.id == Id::Version => return Ok(DmesgRequest::Version),
            Token::Option(flag, value) => options.push((flag.id, value.unwrap_or_default())),
        }
    }
    log(&options, &operands).map(DmesgRequest::Log)
}

/// What the options of a log, each with its value, and its dumps mean.
///
/// # Errors
/// What is wrong with them.
pub fn log(options: &[(Id, OsString)], operands: &[OsString]) -> Result<LogRequest, String> {
    let mut show = None;
    let mut style = Style::default();
    let mut select = Select::default();
    for (id, value) in options {
        let wanted = match id {
            Id::Raw => Show::Raw,
            Id::Json => Show::Json,
            Id::Vmcoreinfo => Show::Vmcoreinfo,
            _ => {
                option(*id, value, &mut style, &mut select)?;
                continue;
            }
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
    match show {
        Some(Show::Json | Show::Raw) if style != Style::default() => {
            return Err(
                "--decode, --caller and --force-prefix are for text: use them without --raw \
                 and --json"
                    .to_owned(),
            );
        }
        Some(Show::Vmcoreinfo) if style != Style::default() || select != Select::default() => {
            return Err("--vmcoreinfo prints no messages: use it alone".to_owned());
        }
        _ => {}
    }
    if operands.is_empty() {
        return Err("no dump is named; after a crash it is /proc/vmcore".to_owned());
    }
    if operands.len() > 1 && operands.iter().any(|dump| dump == STDIN) {
        return Err("- is standard input, which is one dump: use it alone".to_owned());
    }
    Ok(LogRequest {
        dumps: operands.iter().map(PathBuf::from).collect(),
        show: show.unwrap_or(Show::Text),
        style,
        select,
    })
}

/// What stands for standard input.
pub const STDIN: &str = "-";

/// Takes in an option that does not choose a form.
fn option(id: Id, value: &OsStr, style: &mut Style, select: &mut Select) -> Result<(), String> {
    let text = value.to_string_lossy();
    match id {
        Id::SinceClear => select.since_clear = true,
        Id::Level => select.levels = Some(select::levels(&text)?),
        Id::Facility => select.facilities = Some(select::facilities(&text)?),
        Id::Decode => style.decode = true,
        Id::Caller => style.caller = true,
        Id::ForcePrefix => style.force_prefix = true,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<DmesgRequest, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn log(vmcore: &str, show: Show) -> Result<DmesgRequest, String> {
        Ok(DmesgRequest::Log(LogRequest {
            dumps: vec![vmcore.into()],
            show,
            style: Style::default(),
            select: Select::default(),
        }))
    }

    #[test]
    fn one_dump_and_one_way_to_show_it() {
        assert_eq!(said("/proc/vmcore"), log("/proc/vmcore", Show::Text));
        assert_eq!(said("-r x"), log("x", Show::Raw));
        assert_eq!(said("x --json"), log("x", Show::Json));
        assert_eq!(said("-- --json"), log("--json", Show::Text));
        assert_eq!(said("--vmcoreinfo x"), log("x", Show::Vmcoreinfo));
        assert_eq!(said("-"), log("-", Show::Text));
        assert_eq!(
            said("-xP --caller --since-clear --level err+,debug --facility kern a b"),
            Ok(DmesgRequest::Log(LogRequest {
                dumps: vec!["a".into(), "b".into()],
                show: Show::Text,
                style: Style {
                    decode: true,
                    caller: true,
                    force_prefix: true,
                },
                select: Select {
                    since_clear: true,
                    levels: Some(0b1000_1111),
                    facilities: Some(1),
                },
            }))
        );
        assert_eq!(said("--help"), Ok(DmesgRequest::Help));
        assert_eq!(said("-V x"), Ok(DmesgRequest::Version));
        for (line, words) in [
            ("", "no dump is named"),
            ("a -", "use it alone"),
            ("--level loud x", "no level \"loud\""),
            ("--facility x y", "no facility \"x\""),
            ("--json -x x", "are for text"),
            ("--vmcoreinfo --level err x", "prints no messages"),
            ("--level", "needs a value: LIST"),
            ("--json -r x", "contradict each other"),
            ("--colour x", "no option --colour"),
            ("--js x", "no option --js"),
        ] {
            let said = said(line);
            assert!(said.as_ref().is_err_and(|e| e.contains(words)), "{said:?}");
        }
    }
}
