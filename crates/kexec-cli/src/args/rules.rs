//! Which options do not go together. Each option's row has its rules; they are
//! checked in one place, and `--help` and the manual pages show them.

use std::os::unix::ffi::OsStrExt;

use super::typed::{Typed, printable};
use super::{Call, Flag, Id, Verb, all, listed};

/// What an option does not go with, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it does not go with.
    pub limit: Limit,
    /// Why, behind a colon.
    pub why: &'static str,
}

/// What an option does not go with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// It goes with these options alone, and with no operand.
    OnlyWith(&'static [Id]),
    /// It goes with none of these.
    NotWith(&'static [Id]),
    /// It goes with none of these, unless this one is given, too.
    NotWithUnless(&'static [Id], Id),
    /// With this value it goes with none of these.
    ValueNotWith(&'static str, &'static [Id]),
    /// It does something only beside this one.
    Needs(Id),
    /// Behind a verb it needs a kernel file, which is named with a slash.
    NeedsFile,
}

/// What only says how the output is shown goes with everything.
const OUTPUT: &[Id] = &[Id::Color, Id::NoPager];

/// An option's name, by what it is called inside the program.
fn name(id: Id) -> String {
    let flag = all().find(|flag| flag.id == id);
    flag.map(Flag::name).unwrap_or_default()
}

/// The same for messages.
pub fn spelled(id: Id) -> String {
    let flag = all().find(|flag| flag.id == id);
    flag.map(Flag::spelled).unwrap_or_default()
}

impl Limit {
    /// What is said of it in a description, where only the options are known for which
    /// `taken` is true; nothing when it is about none of them.
    pub fn sentence(self, taken: &dyn Fn(Id) -> bool) -> Option<String> {
        let names = |ids: &[Id], and: &str| {
            let ids = ids.iter().copied().filter(|id| taken(*id));
            let names: Vec<String> = ids.map(name).collect();
            Some(listed(&names, and)).filter(|names| !names.is_empty())
        };
        Some(match self {
            Limit::OnlyWith(ids) => format!("Can be combined only with {}.", names(ids, "and")?),
            Limit::NotWith(ids) => format!("Not with {}.", names(ids, "or")?),
            Limit::NotWithUnless(ids, other) => {
                let unless = match taken(other) {
                    true => format!(", unless {} is given", name(other)),
                    false => String::new(),
                };
                format!("Not with {}{unless}.", names(ids, "or")?)
            }
            Limit::ValueNotWith(value, ids) => format!("{value} not with {}.", names(ids, "or")?),
            Limit::Needs(id) => format!("Only with {}.", names(&[id], "or")?),
            Limit::NeedsFile => "With a verb only for a kernel file.".to_owned(),
        })
    }

    /// What of a command line breaks it, for an option that is given there: a
    /// sentence that the reason follows.
    fn broken(self, flag: &Flag, typed: &Typed, verb: Option<Verb>) -> Option<String> {
        let own = flag.spelled();
        let with = |other: String| format!("{own} does not go with {other}");
        let one_of = |ids: &[Id]| ids.iter().copied().find(|id| typed.has(*id)).map(spelled);
        match self {
            Limit::OnlyWith(ids) => {
                let others = all().map(|other| other.id);
                let goes = |id: &Id| *id == flag.id || ids.contains(id) || OUTPUT.contains(id);
                let mut others = others.filter(|id| !goes(id));
                let option = others.find(|id| typed.has(*id)).map(spelled);
                let operand = || typed.operands.first().map(|word| printable(word));
                option.or_else(operand).map(with)
            }
            Limit::NotWithUnless(_, unless) if typed.has(unless) => None,
            Limit::NotWith(ids) | Limit::NotWithUnless(ids, _) => one_of(ids).map(with),
            Limit::ValueNotWith(value, ids) => {
                let given = typed.last(flag.id).is_some_and(|given| given == value);
                let other = one_of(ids).filter(|_| given)?;
                Some(format!("{own}={value} does not go with {other}"))
            }
            Limit::Needs(id) => (!typed.has(id)).then(|| format!("{own} needs {}", spelled(id))),
            Limit::NeedsFile => {
                let file = typed.operands.first();
                let file = file.is_some_and(|word| word.as_bytes().contains(&b'/'));
                (verb.is_some() && !file).then(|| format!("{own} needs a kernel file"))
            }
        }
    }
}

/// The first rule that a command line breaks, of the options in `table` and in its
/// order, so that the answer does not depend on the order of the words.
pub fn broken(table: &[&'static Flag], typed: &Typed, verb: Option<Verb>) -> Option<String> {
    for flag in table.iter().filter(|flag| typed.has(flag.id)) {
        for rule in flag.rules {
            if let Some(broken) = rule.limit.broken(flag, typed, verb) {
                return Some(format!("{broken}: {}", rule.why));
            }
        }
        // Without a verb that is a note, because kexec-tools accepts it.
        let file_only = typed.call() == Some(Id::FileSyscall);
        if verb.is_some() && file_only && flag.effect.call == Call::Classic {
            return Some(format!(
                "{} does not go with {}: it is for kexec_load(2)",
                flag.spelled(),
                spelled(Id::FileSyscall)
            ));
        }
    }
    None
}
