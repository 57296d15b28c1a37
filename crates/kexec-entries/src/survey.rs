//! Every source asked, and the decision whose word counts: what would a reboot
//! through the firmware boot?

use serde::Serialize;

use super::SOURCES;
use super::boot_source::BootSource;
use super::check::EntryChecker;
use super::entry::{BootEntry, BootTarget};
use super::facts::EfiVariables;
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;

/// Everything that was found, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Survey {
    /// What each source found, in the order of [`SOURCES`].
    pub sources: Vec<ListedSource>,
    /// Whose word counts; `None` when nothing was found.
    pub answer: Option<AnsweringSource>,
    /// What else has to be known, for people.
    pub notes: Vec<String>,
}

/// One source with its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListedSource {
    /// The name of the source, [`Source::name`].
    pub source: &'static str,
    /// What the machine says about it.
    pub evidence: Evidence,
    /// The file systems that its configuration was read from and that its entries' files
    /// are on.
    pub read_from: Vec<BootSource>,
    /// The entries that it shows, and which of them it would boot.
    pub found: BootMenu,
}

/// The source that answers for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnsweringSource {
    /// Its place in [`Survey::sources`].
    pub index: usize,
    /// The name of the source, [`Source::name`].
    pub source: &'static str,
    /// What makes it this one, for people.
    pub why: String,
}

/// Asks every source.
pub fn survey(machine: &BootedMachine<'_>) -> Survey {
    survey_of(SOURCES, machine)
}

fn survey_of(sources: &[Source], machine: &BootedMachine<'_>) -> Survey {
    let mut notes = Vec::new();
    let mut listed = Vec::new();
    let mut checker = EntryChecker::new(machine);
    let booted = machine.facts.booted_from();
    for source in sources {
        let evidence = (source.evidence)(machine.facts);
        machine.volumes.forget_reads();
        let found = (source.find)(machine).or_else(|| missing(source, &evidence));
        let Some(mut found) = found else {
            continue;
        };
        for entry in &mut found.entries {
            checker.entry(entry);
        }
        let mut ids = machine.volumes.reads();
        let targets = found.entries.iter().filter_map(BootEntry::target);
        ids.extend(
            targets
                .flat_map(BootTarget::files)
                .map(|f| f.volume.clone()),
        );
        listed.push(ListedSource {
            source: source.name,
            evidence,
            read_from: BootSource::all(machine.volumes, ids.iter(), booted.as_ref()),
            found,
        });
    }
    notes.extend(machine.volumes.notes());
    match &machine.facts.efi {
        Fact::Known(efi) => notes.extend(firmware(efi)),
        Fact::Absent => {}
        Fact::Unreadable(reason) => {
            notes.push(format!(
                "the traces of the boot loader cannot be read: {reason}"
            ));
        }
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

/// What boots this machine and has no entries here: to take another source's
/// would be a guess.
fn missing(source: &Source, evidence: &Evidence) -> Option<BootMenu> {
    let Evidence::For(_) = evidence else {
        return None;
    };
    let looked_for = source
        .looked_for
        .map(|what| format!("; looked for: {what}"));
    Some(BootMenu {
        entries: Vec::new(),
        choice: Choice::None {
            why: format!(
                "{} boots this machine, but none of its entries was found{}",
                source.name,
                looked_for.unwrap_or_default()
            ),
        },
        notes: Vec::new(),
    })
}

/// Which source answers: the first one that is said to boot this machine, else
/// the first that is likely to, else the first that nothing speaks against, else
/// the first.
fn decide(listed: &[ListedSource]) -> Option<AnsweringSource> {
    let first = |fits: fn(&Evidence) -> bool| listed.iter().position(|one| fits(&one.evidence));
    let index = first(|e| matches!(e, Evidence::For(_)))
        .or_else(|| first(|e| matches!(e, Evidence::Likely(_))))
        .or_else(|| first(|e| matches!(e, Evidence::Silent)))
        .or_else(|| first(|_| true))?;
    let one = listed.get(index)?;
    let why = match &one.evidence {
        Evidence::For(why) | Evidence::Likely(why) => why.clone(),
        Evidence::Silent => by_order(listed),
        Evidence::Against(_) => by_order(&[]),
    };
    Some(AnsweringSource {
        index,
        source: one.source,
        why,
    })
}

/// Why the first one that is not ruled out.
fn by_order(listed: &[ListedSource]) -> String {
    let against = listed.iter().filter_map(|one| match &one.evidence {
        Evidence::Against(why) => Some(format!("not {}: {why}", one.source)),
        _ => None,
    });
    let against: Vec<String> = against.collect();
    let why = "the boot loader that started this machine is unknown; this one is the first in \
               this list whose files exist";
    if against.is_empty() {
        why.to_owned()
    } else {
        format!("{why} ({})", against.join("; "))
    }
}

/// What the firmware will do that no boot loader decides.
fn firmware(efi: &EfiVariables) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{BootOption, LoaderVars};

    fn listed(source: &'static str, evidence: Evidence) -> ListedSource {
        ListedSource {
            source,
            evidence,
            read_from: Vec::new(),
            found: BootMenu {
                entries: Vec::new(),
                choice: Choice::None { why: String::new() },
                notes: Vec::new(),
            },
        }
    }

    fn answer(sources: &[(&'static str, Evidence)]) -> Option<(&'static str, String)> {
        let sources = sources
            .iter()
            .map(|(name, evidence)| listed(name, evidence.clone()));
        let sources: Vec<ListedSource> = sources.collect();
        decide(&sources).map(|answer| (answer.source, answer.why))
    }

    fn said(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn what_something_speaks_for_comes_before_the_order() {
        let (name, why) = answer(&[
            ("bls", Evidence::Against(said("no LoaderInfo"))),
            ("grub", Evidence::Silent),
            ("extlinux", Evidence::For(said("its own word"))),
        ])
        .unwrap();
        assert_eq!((name, why.as_str()), ("extlinux", "its own word"));
        let (name, why) = answer(&[
            ("bls", Evidence::Silent),
            ("grub", Evidence::Likely(said("BOOT_IMAGE="))),
            ("extlinux", Evidence::Silent),
        ])
        .unwrap();
        assert_eq!((name, why.as_str()), ("grub", "BOOT_IMAGE="));
    }

    #[test]
    fn without_a_word_the_first_that_is_not_ruled_out() {
        let (name, why) = answer(&[
            ("bls", Evidence::Against(said("no LoaderInfo"))),
            ("grub", Evidence::Silent),
            ("plain", Evidence::Silent),
        ])
        .unwrap();
        assert_eq!(name, "grub");
        assert!(why.ends_with("(not bls: no LoaderInfo)"), "{why}");
        // Leftovers of a boot loader that did not start this machine are all there is.
        let only = [("bls", Evidence::Against(said("no LoaderInfo")))];
        assert_eq!(answer(&only).unwrap().0, "bls");
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn a_boot_loader_without_entries_is_not_replaced_by_another() {
        let source = Source {
            name: "bls",
            about: "",
            find: |_| None,
            evidence: |_| Evidence::Silent,
            looked_for: Some("its entries on the ESP"),
        };
        assert_eq!(missing(&source, &Evidence::Silent), None);
        assert_eq!(
            missing(&source, &Evidence::Likely(said("BOOT_IMAGE="))),
            None
        );
        let found = missing(&source, &Evidence::For(said("LoaderInfo"))).unwrap();
        let Choice::None { why } = found.choice else {
            panic!("{:?}", found.choice);
        };
        assert_eq!(
            why,
            "bls boots this machine, but none of its entries was found; looked for: its entries \
             on the \
             ESP"
        );
    }

    fn efi(current: u16, next: Fact<u16>, order: &[u16]) -> EfiVariables {
        let unset = || Fact::Absent;
        let option = |number: u16| {
            Fact::Known(BootOption {
                number,
                active: number != 2,
                description: format!("number {number}"),
                partuuid: None,
                file: None,
                arguments: None,
                has_data: false,
            })
        };
        EfiVariables {
            loader: LoaderVars {
                info: unset(),
                device_partuuid: unset(),
                entry_selected: unset(),
                entry_one_shot: unset(),
                entry_preferred: unset(),
                entry_default: unset(),
                entry_last_booted: unset(),
                entry_sys_fail: unset(),
                entries: Fact::Absent,
                stub_info: unset(),
            },
            limine_last: Fact::Absent,
            current: Fact::Known(current),
            next,
            order: Fact::Known(order.to_vec()),
            options: (1..4).map(option).collect(),
        }
    }

    #[test]
    fn the_firmware_may_have_another_mind() {
        assert_eq!(firmware(&efi(1, Fact::Absent, &[1, 3])), [""; 0]);
        // An option that is off, or gone, is passed over.
        assert_eq!(firmware(&efi(1, Fact::Absent, &[2, 9, 1, 3])), [""; 0]);
        assert_eq!(
            firmware(&efi(1, Fact::Absent, &[3, 1])),
            [
                "this boot came from Boot0001 (number 1), but Boot0003 (number 3) is first in the \
              firmware's order"
            ]
        );
        assert_eq!(
            firmware(&efi(1, Fact::Known(9), &[1])),
            ["the firmware's next boot takes Boot0009, once (BootNext); a kexec does not"]
        );
    }
}
