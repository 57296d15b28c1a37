//! Every source asked, and the decision whose word counts: what would a reboot
//! through the firmware boot?

use serde::Serialize;

use super::facts::Efi;
use super::judge::Judge;
use super::{Choice, Evidence, Found, Machine, SOURCES, Source};
use crate::host::Fact;

/// Everything that was found, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// What each source found, in the order of [`SOURCES`].
    pub sources: Vec<Listed>,
    /// Whose word counts; `None` when nothing was found.
    pub answer: Option<Answer>,
    /// What else has to be known, for people.
    pub notes: Vec<String>,
}

/// One source with its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub source: &'static str,
    /// What the machine says about it.
    pub evidence: Evidence,
    /// Its entries.
    pub found: Found,
}

/// The source that answers for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its place in [`Survey::sources`].
    pub index: usize,
    /// Its name.
    pub source: &'static str,
    /// Why this one.
    pub why: String,
}

/// Asks every source.
pub fn survey(machine: &Machine<'_>) -> Survey {
    survey_of(SOURCES, machine)
}

fn survey_of(sources: &[Source], machine: &Machine<'_>) -> Survey {
    let mut notes = machine.volumes.notes().to_vec();
    let mut listed = Vec::new();
    let mut judge = Judge::new(machine);
    for source in sources {
        let evidence = (source.evidence)(machine.facts);
        match ((source.find)(machine), &evidence) {
            (Some(mut found), _) => {
                for entry in &mut found.entries {
                    judge.entry(entry);
                }
                listed.push(Listed {
                    source: source.name,
                    evidence,
                    found,
                });
            }
            (None, Evidence::For(why)) => {
                notes.push(format!(
                    "{why}, but no entries of {} were found",
                    source.name
                ));
            }
            (None, _) => {}
        }
    }
    if let Fact::Known(efi) = &machine.facts.efi {
        notes.extend(firmware(efi));
    }
    let answer = decide(&listed);
    if let Some(listed) = answer.as_ref().and_then(|a| listed.get_mut(a.index))
        && let Choice::Entry { index, .. } = listed.found.choice
        && let Some(entry) = listed.found.entries.get_mut(index)
    {
        entry.marks.default = true;
    }
    Survey {
        sources: listed,
        answer,
        notes,
    }
}

/// Which source answers: the first one that something speaks for; else the first
/// that nothing speaks against; else the first.
fn decide(listed: &[Listed]) -> Option<Answer> {
    let answer = |(index, one): (usize, &Listed), why: String| Answer {
        index,
        source: one.source,
        why,
    };
    let numbered = || listed.iter().enumerate();
    if let Some((at, why)) = numbered().find_map(|at| match &at.1.evidence {
        Evidence::For(why) => Some((at, why.clone())),
        _ => None,
    }) {
        return Some(answer(at, why));
    }
    let against: Vec<String> = numbered()
        .filter_map(|(_, one)| match &one.evidence {
            Evidence::Against(why) => Some(format!("not {}: {why}", one.source)),
            _ => None,
        })
        .collect();
    let open = numbered().find(|(_, one)| one.evidence == Evidence::Silent);
    let at = open.or_else(|| numbered().next())?;
    let mut why = "nothing says which boot loader started this machine; it is the first, in the \
                   order of this list, whose files are there"
        .to_owned();
    if open.is_some() && !against.is_empty() {
        why = format!("{why} ({})", against.join("; "));
    }
    Some(answer(at, why))
}

/// What the firmware will do that no boot loader decides.
fn firmware(efi: &Efi) -> Vec<String> {
    let name = |number: u16| match efi.option(number) {
        Some(option) => format!("Boot{number:04X} ({})", option.description),
        None => format!("Boot{number:04X}"),
    };
    let mut notes = Vec::new();
    if let Fact::Known(next) = efi.next {
        notes.push(format!(
            "the firmware's next boot takes {}, once (BootNext); a kexec does not",
            name(next)
        ));
    }
    let order = efi.order.known().into_iter().flatten().copied();
    let first = order
        .into_iter()
        .find(|number| efi.option(*number).is_some_and(|option| option.active));
    if let (Some(first), Fact::Known(current)) = (first, &efi.current)
        && first != *current
    {
        notes.push(format!(
            "this boot came from {}, but {} is first in the firmware's order",
            name(*current),
            name(first)
        ));
    }
    notes
}
