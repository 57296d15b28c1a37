//! What follows `kexec crash`: its subcommands, as data. Which options each of them takes
//! is in its row, because `crash` is one verb with one table of options.

use super::{Flag, Id};

/// A subcommand of `kexec crash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashAction {
    /// Load a crash kernel.
    Load,
    /// Show whether one is loaded and ready.
    Status,
    /// Unload it.
    Unload,
    /// How much memory has to be reserved for it.
    Estimate,
    /// Give back what is reserved and not needed.
    Shrink,
    /// Print the log of a dump.
    Dmesg,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CrashCommand {
    /// What it does, inside the program.
    pub action: CrashAction,
    /// The word behind `kexec crash`.
    pub name: &'static str,
    /// What may follow the word; empty for nothing.
    pub operand: &'static str,
    /// One line for the help.
    pub about: &'static str,
    /// The options that it takes, besides those that every subcommand takes.
    pub takes: &'static [Id],
}

/// Every subcommand takes these: they are about the output.
const OUTPUT: &[Id] = &[Id::Help, Id::Json, Id::Color, Id::NoPager];

/// What describes a load.
const LOAD: &[Id] = &[
    Id::DryRun,
    Id::ByUnit,
    Id::Debug,
    Id::Append,
    Id::Cmdline,
    Id::Initrd,
    Id::Profile,
    Id::Unverified,
    Id::FileSyscall,
    Id::ClassicSyscall,
    Id::AutoSyscall,
];

/// The words, in the order of [`COMMANDS`].
pub(crate) const NAMES: &[&str] = &["load", "status", "unload", "estimate", "shrink", "dmesg"];

/// Every subcommand, in the order of the help.
pub const COMMANDS: &[CrashCommand] = &[
    CrashCommand {
        action: CrashAction::Load,
        name: "load",
        operand: "[ENTRY|KERNEL]",
        about: "Check the running kernel, or another one, and load it as the crash kernel",
        takes: LOAD,
    },
    CrashCommand {
        action: CrashAction::Status,
        name: "status",
        operand: "",
        about: "Show whether a crash kernel is loaded, and what would keep it from its work; with -d, every sysctl",
        takes: &[Id::Debug],
    },
    CrashCommand {
        action: CrashAction::Unload,
        name: "unload",
        operand: "",
        about: "Unload the crash kernel",
        takes: &[Id::FileSyscall, Id::ClassicSyscall, Id::AutoSyscall],
    },
    CrashCommand {
        action: CrashAction::Estimate,
        name: "estimate",
        operand: "[ENTRY|KERNEL]",
        about: "Show how much memory to reserve, and the parameter that does it",
        takes: &[Id::Append, Id::Initrd],
    },
    CrashCommand {
        action: CrashAction::Shrink,
        name: "shrink",
        operand: "[SIZE]",
        about: "Return reserved memory that the crash kernel does not need",
        takes: &[Id::DryRun],
    },
    CrashCommand {
        action: CrashAction::Dmesg,
        name: "dmesg",
        operand: "DUMP...",
        about: "Print the log of the kernel that crashed, from a dump of its memory",
        takes: super::crash_dmesg::IDS,
    },
];

impl CrashCommand {
    /// The row of a word.
    pub fn named(word: &[u8]) -> Option<&'static CrashCommand> {
        COMMANDS.iter().find(|row| row.name.as_bytes() == word)
    }

    /// Whether it takes an option.
    pub fn has(&self, id: Id) -> bool {
        OUTPUT.contains(&id) || self.takes.contains(&id)
    }

    /// As it is typed.
    pub fn synopsis(&self) -> String {
        let operand = match self.operand {
            "" => String::new(),
            operand => format!(" {operand}"),
        };
        format!("kexec crash {}{operand} [OPTION]...", self.name)
    }

    /// Which subcommands take an option that not every one of them takes: `With load and
    /// shrink: `; nothing for the others.
    pub fn takers(flag: &Flag) -> String {
        let who = COMMANDS.iter().filter(|row| row.has(flag.id));
        let who: Vec<&str> = who.map(|row| row.name).collect();
        match who.len() == COMMANDS.len() {
            true => String::new(),
            false => format!("With {}: ", super::listed(&who, "and")),
        }
    }

    /// What is said of an option that it does not take.
    pub fn refusal(&self, flag: &Flag) -> String {
        let who = COMMANDS.iter().filter(|row| row.has(flag.id));
        let who: Vec<String> = who.map(|row| format!("crash {}", row.name)).collect();
        let takes = match who.len() {
            1 => "does",
            _ => "do",
        };
        format!(
            "crash {} does not take {}: {} {takes}",
            self.name,
            flag.name(),
            super::listed(&who, "and")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Verb, flags_of};

    fn flag(id: Id) -> Option<&'static Flag> {
        flags_of(Verb::Crash).into_iter().find(|flag| flag.id == id)
    }

    #[test]
    fn every_subcommand_takes_options_of_the_verb_and_every_option_has_one() {
        assert!(
            COMMANDS
                .iter()
                .map(|row| row.name)
                .eq(NAMES.iter().copied())
        );
        for row in COMMANDS {
            for id in row.takes {
                assert!(flag(*id).is_some(), "{} {id:?}", row.name);
            }
            assert!(!row.about.ends_with('.'), "{}", row.name);
        }
        for flag in flags_of(Verb::Crash) {
            let taken = COMMANDS.iter().any(|row| row.has(flag.id));
            assert!(taken, "{}", flag.name());
        }
    }

    #[test]
    fn who_takes_an_option_is_said() {
        let status = CrashCommand::named(b"status").unwrap();
        let said = |id| status.refusal(flag(id).unwrap());
        assert_eq!(
            said(Id::Append),
            "crash status does not take --append: crash load and crash estimate do"
        );
        assert_eq!(
            said(Id::Initrd),
            "crash status does not take --initrd: crash load and crash estimate do"
        );
    }
}
