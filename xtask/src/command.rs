//! What was typed behind `cargo xtask`: one table of the commands, their flags and
//! their help.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// A flag of a command.
#[derive(Debug)]
pub struct CommandFlag {
    /// Its spelling, with the two dashes.
    pub name: &'static str,
    /// What its value is called; none where it has no value.
    pub value: Option<&'static str>,
    /// What it does, in one line of the help.
    pub help: &'static str,
}

/// A command of the project.
#[derive(Debug)]
pub struct Subcommand {
    /// The first word behind `cargo xtask`.
    pub name: &'static str,
    /// The words behind it, as shown.
    pub words: &'static str,
    /// What it does, in lines of at most 58 characters.
    pub help: &'static [&'static str],
    /// Every flag that it has.
    pub flags: &'static [CommandFlag],
}

const fn flag(name: &'static str, help: &'static str) -> CommandFlag {
    CommandFlag {
        name,
        value: None,
        help,
    }
}

const SECONDS: CommandFlag = CommandFlag {
    name: "--seconds",
    value: Some("N"),
    help: "fuzz each target for N seconds",
};
/// What `dist release` takes, with the check of every package.
const RELEASE_FLAGS: &[CommandFlag] = &[
    CHECK,
    CommandFlag {
        name: "--key",
        value: Some("FPR"),
        help: "release: sign it with this key of gpg",
    },
    flag("--unsigned", "release: without a signature"),
    CommandFlag {
        name: "--url",
        value: Some("URL"),
        help: "release: where the folder will be served",
    },
    CommandFlag {
        name: "--arch",
        value: Some("A,B"),
        help: "release: for x86_64, aarch64 or both",
    },
];
/// What `bench downtime` takes.
const BENCH_FLAGS: &[CommandFlag] = &[
    flag("--quick", "downtime: two sizes of the initrd, zstd alone"),
    CommandFlag {
        name: "--only",
        value: Some("SIZE"),
        help: "downtime: only small, medium or large initrds",
    },
    CommandFlag {
        name: "--way",
        value: Some("NAME"),
        help: "downtime: only one way to load, no rates",
    },
    flag("--native", "downtime: only the rates of this machine"),
    flag("--docs", "downtime: into the documentation"),
    flag("--draw", "downtime: anew from what was measured"),
    CommandFlag {
        name: "--kernel",
        value: Some("LABEL"),
        help: "downtime: 7.x (default), 6.12, 6.1; crash: only it",
    },
];
const CHECK: CommandFlag = flag("--check", "check the result with the programs that read it");

/// Every command, in the order of the help.
pub const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "demo",
        words: "[PICTURE.svg]",
        help: &[
            "boot a Debian kernel in a virtual machine, load another",
            "one with our kexec, jump; and draw the timeline",
        ],
        flags: &[],
    },
    Subcommand {
        name: "test",
        words: "[NAME...]",
        help: &[
            "everything: style, lints, unit and command-line tests,",
            "packages, virtual machines, fuzzing; or only what has",
            "one of these words in its name, as in `test fleet`.",
            "Each writes to target/test-logs/NAME.log, and the end",
            "of what a failed one wrote is shown",
        ],
        flags: &[
            flag("--static", "only what needs no virtual machine"),
            flag("--vm", "only virtual machines"),
            flag("--fuzz", "only fuzzing"),
            flag("--all", "also the long tests, which take hours"),
            flag("--list", "build the tests, and only list their names"),
            SECONDS,
        ],
    },
    Subcommand {
        name: "fuzz",
        words: "[TARGET]",
        help: &["each fuzz target, or this one, for a minute"],
        flags: &[SECONDS],
    },
    Subcommand {
        name: "deny",
        words: "",
        help: &[
            "which dependencies there are, under which licences and",
            "from where: what deny.toml allows, asked of cargo-deny",
        ],
        flags: &[],
    },
    Subcommand {
        name: "msrv",
        words: "",
        help: &["whether the oldest Rust of Cargo.toml is enough"],
        flags: &[],
    },
    Subcommand {
        name: "bench",
        words: "load | downtime | crash",
        help: &[
            "what a load costs in instructions and memory, beside",
            "kexec-tools; or how long a machine is down for a kexec,",
            "phase by phase: the tables of docs/performance.md, into",
            "target/downtime. All of `downtime` takes over an hour.",
            "`crash`: the smallest crashkernel= that is enough",
        ],
        flags: BENCH_FLAGS,
    },
    Subcommand {
        name: "man",
        words: "[DIR]",
        help: &["write manual pages and completions below target/man"],
        flags: &[CHECK],
    },
    Subcommand {
        name: "table",
        words: "run [WORD...] | show",
        help: &[
            "reboot installed systems with the commands that users",
            "type; only the cells with all of these words in their",
            "names; `show` prints what was measured before",
        ],
        flags: &[],
    },
    Subcommand {
        name: "dist",
        words: "KIND | release [DIR]",
        help: &[
            "a package (deb, rpm, arch) in target/dist; `dist stage",
            "KIND DIR` has its files in a folder; `dist release`",
            "makes everything of a release and its repositories,",
            "`dist program` only builds it; docs/packaging.md",
        ],
        flags: RELEASE_FLAGS,
    },
    Subcommand {
        name: "bare",
        words: "[SUITE]",
        help: &[
            "demo and the static tests in a root that has only Rust,",
            "git and certificates; of Debian's trixie, bookworm, sid",
        ],
        flags: &[flag("--again", "although it ran there within a day")],
    },
    Subcommand {
        name: "record-machines",
        words: "",
        help: &[
            "record the memory maps and boot parameters of the lab's",
            "kernels below kexec-lab/fixtures/machines",
        ],
        flags: &[],
    },
];

const LAB: &str = "\
The lab's kernels, QEMU and firmware are Debian packages, kept below target/lab
(or $KEXEC_LAB); nothing of them is installed on this machine.";

/// What was typed: a command of the table, its words, and its flags with their values.
#[derive(Debug)]
pub struct Arguments {
    /// The row of [`SUBCOMMANDS`].
    pub command: &'static Subcommand,
    /// The words behind the command, without flags.
    pub words: Vec<String>,
    flags: BTreeMap<&'static str, String>,
}

/// What the words ask for.
#[derive(Debug)]
pub enum Invocation {
    /// Print this text.
    Help(String),
    /// Nothing was typed: print this text as an error.
    Nothing(String),
    /// Run a command.
    Run(Arguments),
}

impl Arguments {
    /// Whether this flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// The value behind this flag, if it was given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }

    /// The number behind this flag, if it was given.
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.flags.get(name) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .with_context(|| format!("{name} {text}: expected a whole number"))?;
        Ok(Some(number))
    }
}

/// Understands the words behind `cargo xtask`.
///
/// # Errors
/// If there is no such command, or it does not have such a flag.
pub fn parse(mut parser: lexopt::Parser) -> Result<Invocation> {
    use lexopt::Arg::{Long, Short, Value};
    let mut command: Option<&'static Subcommand> = None;
    let mut words = Vec::new();
    let mut flags = BTreeMap::new();
    while let Some(argument) = parser.next()? {
        let name = match argument {
            Long("help") | Short('h') => {
                return Ok(Invocation::Help(
                    command.map_or_else(usage, Subcommand::usage),
                ));
            }
            Value(word) => {
                let word = word.string()?;
                if command.is_some() {
                    words.push(word);
                } else {
                    command = Some(named(&word)?);
                }
                continue;
            }
            Long(name) => format!("--{name}"),
            Short(letter) => format!("-{letter}"),
        };
        let command =
            command.with_context(|| format!("{name} stands before the command\n{}", usage()))?;
        let Some(flag) = command.flags.iter().find(|flag| flag.name == name) else {
            bail!("`{}` has no flag {name}\n{}", command.name, command.usage());
        };
        let value = match flag.value {
            Some(_) => parser.value()?.string()?,
            None => String::new(),
        };
        flags.insert(flag.name, value);
    }
    let Some(command) = command else {
        return Ok(Invocation::Nothing(usage()));
    };
    ensure!(
        words.is_empty() || !command.words.is_empty(),
        "`{}` takes no words, found {}",
        command.name,
        words.join(" ")
    );
    Ok(Invocation::Run(Arguments {
        command,
        words,
        flags,
    }))
}

use lexopt::ValueExt as _;

fn named(word: &str) -> Result<&'static Subcommand> {
    SUBCOMMANDS
        .iter()
        .find(|command| command.name == word)
        .with_context(|| format!("there is no command {word:?}\n{}", usage()))
}

impl Subcommand {
    /// The help of this command: its words, what it does, its flags.
    pub fn usage(&self) -> String {
        let head = format!("cargo xtask {} {}", self.name, self.words);
        let mut rows = vec![(head, self.help.first().copied().unwrap_or_default())];
        rows.extend(self.help.iter().skip(1).map(|line| (String::new(), *line)));
        for flag in self.flags {
            let name = match flag.value {
                Some(value) => format!("    {} {value}", flag.name),
                None => format!("    {}", flag.name),
            };
            rows.push((name, flag.help));
        }
        let mut text = String::new();
        for (left, right) in rows {
            text.push_str(&format!("{left:<42} {right}\n"));
        }
        text
    }
}

/// The help of all commands.
pub fn usage() -> String {
    let all: String = SUBCOMMANDS.iter().map(Subcommand::usage).collect();
    format!("{all}\n{LAB}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Result<Invocation> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn a_command_takes_its_own_flags_only() {
        let Invocation::Run(typed_test) = typed(&["test", "--seconds=3", "--vm", "fleet"]).unwrap()
        else {
            panic!("expected a command");
        };
        assert!(typed_test.has("--vm") && !typed_test.has("--all"));
        assert_eq!(typed_test.number("--seconds").unwrap(), Some(3));
        assert_eq!(typed_test.words, ["fleet"]);
        for (words, said) in [
            (&["demo", "--all"][..], "`demo` has no flag --all"),
            (&["test", "--check"], "`test` has no flag --check"),
            (&["test", "-x"], "`test` has no flag -x"),
            (&["test", "--vm=1"], "--vm"),
            (&["test", "--seconds"], "--seconds"),
            (&["--all", "test"], "before the command"),
            (&["tset"], "no command \"tset\""),
            (&["record-machines", "now"], "takes no words"),
        ] {
            let error = typed(words).unwrap_err().to_string();
            assert!(error.contains(said), "{words:?}: {error}");
        }
        let Invocation::Run(wrong) = typed(&["test", "--seconds", "many"]).unwrap() else {
            panic!("expected a command");
        };
        assert!(wrong.number("--seconds").is_err());
    }

    #[test]
    fn help_is_of_everything_or_of_one_command() {
        let Invocation::Help(all) = typed(&["--help"]).unwrap() else {
            panic!("expected help");
        };
        for command in SUBCOMMANDS {
            assert!(all.contains(&format!("cargo xtask {}", command.name)));
        }
        let Invocation::Help(one) = typed(&["test", "-h"]).unwrap() else {
            panic!("expected help");
        };
        assert!(one.contains("--list") && !one.contains("xtask demo"));
        assert!(all.lines().all(|line| line.len() <= 100), "{all}");
        assert!(matches!(typed(&[]).unwrap(), Invocation::Nothing(_)));
    }
}
