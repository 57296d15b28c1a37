//! Which of the entries is meant: the one that a reboot through the firmware
//! would take, or the one that somebody named.

use super::entry::{BootEntry, BootTarget, Boots};
use super::survey::Survey;
use crate::source::Choice;
use kexec_machine::Problem;

/// The most entries that an error names.
const NAMED: usize = 8;

/// An entry that can be booted, and why it is this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootableEntry<'a> {
    /// The line of the menu that was named or is the default.
    pub entry: &'a BootEntry,
    /// What it boots.
    pub target: &'a BootTarget,
    /// Whether it was named, and not the default.
    pub named: bool,
}

/// The entry that `wanted` names, or the default when nothing is wanted.
///
/// A name is an id or a title, whole or in part; upper and lower case do not
/// matter for a part. It has to fit one entry only: the source that answers for
/// this machine is asked first, then the others.
///
/// # Errors
/// A [`Problem`]: no entry, none by that name, several, or one that cannot
/// be booted from here, with its file and line.
pub fn choose<'a>(survey: &'a Survey, wanted: Option<&str>) -> Result<BootableEntry<'a>, Problem> {
    let entry = match wanted {
        Some(name) => find(survey, name)?,
        None => default(survey)?,
    };
    match &entry.boots {
        Boots::Target(target) => Ok(BootableEntry {
            entry,
            target,
            named: wanted.is_some(),
        }),
        Boots::Broken(broken) => Err(Problem::new(
            format!("boot entry {}", entry.id),
            broken.to_string(),
            "repair the entry, or name another one: kexec list shows them",
        )),
    }
}

fn default(survey: &Survey) -> Result<&BootEntry, Problem> {
    let refused = |why: String| {
        Problem::new(
            "finding what a reboot would boot".to_owned(),
            why,
            "kexec list shows the entries and why none is the default; name one of them, or a kernel file",
        )
    };
    let listed = survey.answer.as_ref();
    let listed = listed.and_then(|answer| survey.sources.get(answer.index));
    let listed = listed.ok_or_else(|| {
        let mut why = "no boot loader's entries and no kernels were found".to_owned();
        for note in &survey.notes {
            why.push_str("; ");
            why.push_str(note);
        }
        refused(why)
    })?;
    match &listed.found.choice {
        Choice::Entry { index, .. } => {
            let entry = listed.found.entries.get(*index);
            entry.ok_or_else(|| refused(format!("{} names no entry", listed.source)))
        }
        Choice::None { why } => Err(refused(format!("{}: {why}", listed.source))),
        Choice::Refused(broken) => Err(refused(broken.to_string())),
    }
}

/// How a name may fit, the strictest first.
const FITS: &[fn(&BootEntry, &str) -> bool] = &[
    |entry, name| entry.id == name,
    |entry, name| entry.title == name,
    |entry, name| {
        let kernel = entry.target().map(|target| target.kernel.shown.as_str());
        kernel == Some(name) || entry.version.as_deref() == Some(name)
    },
    |entry, name| {
        let name = name.to_lowercase();
        let part = |text: &str| text.to_lowercase().contains(&name);
        part(&entry.id) || part(&entry.title) || entry.version.as_deref().is_some_and(part)
    },
];

/// The entry of that name, whether it can be booted or not.
///
/// # Errors
/// A [`Problem`]: there is none, or there are several.
pub fn find<'a>(survey: &'a Survey, name: &str) -> Result<&'a BootEntry, Problem> {
    let answering = survey.answer.as_ref().map(|answer| answer.index);
    let of = |mine: bool| {
        let sources = survey.sources.iter().enumerate();
        sources
            .filter(move |(index, _)| (Some(*index) == answering) == mine)
            .flat_map(|(_, listed)| &listed.found.entries)
            .collect::<Vec<_>>()
    };
    let refused =
        |why: String, remedy: &str| Problem::new(format!("boot entry {name:?}"), why, remedy);
    for entries in [of(true), of(false)] {
        for fits in FITS {
            let fitting = entries.iter().copied().filter(|entry| fits(entry, name));
            match fitting.collect::<Vec<_>>().as_slice() {
                [] => {}
                [one] => return Ok(one),
                several => {
                    return Err(refused(
                        format!("{} entries fit: {}", several.len(), names(several)),
                        "give more of the name, or the whole id",
                    ));
                }
            }
        }
    }
    let all: Vec<_> = of(true).into_iter().chain(of(false)).collect();
    Err(refused(
        format!(
            "there is no entry of that name; the entries are: {}",
            names(&all)
        ),
        "kexec list shows all of them",
    ))
}

fn names(entries: &[&BootEntry]) -> String {
    let mut text: Vec<&str> = entries.iter().take(NAMED).map(|e| e.id.as_str()).collect();
    if entries.len() > NAMED {
        text.push("...");
    }
    match text.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Broken, Origin};
    use super::super::survey::{AnsweringSource, ListedSource};
    use super::*;
    use crate::source::{BootMenu, Evidence};
    use kexec_machine::volumes::BootFile;
    use kexec_machine::volumes::VolumeId;

    fn entry(id: &str, title: &str) -> BootEntry {
        let kernel = BootFile {
            volume: VolumeId("vda1".into()),
            path: format!("/boot/vmlinuz-{id}"),
            shown: format!("/boot/vmlinuz-{id}"),
        };
        let target = BootTarget::linux(kernel, "quiet".into());
        let boots = Boots::Target(Box::new(target));
        BootEntry::new(
            "GRUB",
            id,
            title,
            Origin::file("/boot/grub/grub.cfg"),
            boots,
        )
    }

    fn survey(choice: Choice) -> Survey {
        let listed = |source, entries, choice| ListedSource {
            source,
            evidence: Evidence::Silent,
            read_from: vec![],
            found: BootMenu {
                entries,
                choice,
                notes: vec![],
            },
        };
        let nothing = || Choice::None { why: "n".into() };
        let mut broken = entry("other-os", "Windows");
        broken.boots = Boots::Broken(Broken {
            at: Origin::line("/boot/grub/grub.cfg", 40),
            reason: "it starts another boot loader".into(),
        });
        Survey {
            sources: vec![
                listed("links", vec![entry("debian-6.12", "links")], nothing()),
                listed(
                    "GRUB",
                    vec![
                        entry("debian-6.12", "Debian 6.12"),
                        entry("debian-7.3", "Debian 7.3"),
                        entry("debian-7.3-recovery", "Debian 7.3 (recovery)"),
                        broken,
                    ],
                    choice,
                ),
            ],
            answer: Some(AnsweringSource {
                index: 1,
                source: "GRUB",
                why: String::new(),
            }),
            notes: vec![],
        }
    }

    fn by_default() -> Survey {
        survey(Choice::Entry {
            index: 1,
            why: String::new(),
        })
    }

    fn error(survey: &Survey, wanted: Option<&str>) -> String {
        choose(survey, wanted).unwrap_err().to_string()
    }

    #[test]
    fn names_whole_and_in_part() {
        let survey = by_default();
        let id = |wanted| choose(&survey, wanted).unwrap().entry.id.as_str();
        assert_eq!(id(None), "debian-7.3");
        assert_eq!(id(Some("debian-7.3")), "debian-7.3");
        assert_eq!(id(Some("Debian 7.3 (recovery)")), "debian-7.3-recovery");
        assert_eq!(id(Some("RECOVERY")), "debian-7.3-recovery");
        assert_eq!(id(Some("6.12")), "debian-6.12");
        assert_eq!(id(Some("/boot/vmlinuz-debian-7.3")), "debian-7.3");
        assert_eq!(id(Some("links")), "debian-6.12");
    }

    #[test]
    fn several_or_none_are_named() {
        let survey = by_default();
        assert_eq!(
            error(&survey, Some("debian")),
            "boot entry \"debian\": 3 entries fit: debian-6.12, debian-7.3, debian-7.3-recovery"
        );
        assert!(error(&survey, Some("arch")).contains("there is no entry of that name"));
    }

    #[test]
    fn what_cannot_be_booted_says_where() {
        let survey = by_default();
        assert_eq!(
            error(&survey, Some("Windows")),
            "boot entry other-os: /boot/grub/grub.cfg:40: it starts another boot loader"
        );
        let refused = Broken {
            at: Origin::line("/boot/grub/grub.cfg", 7),
            reason: "keystatus is unknown here".into(),
        };
        assert!(error(&self::survey(Choice::Refused(refused)), None).contains(":7: "));
        assert!(error(&self::survey(Choice::None { why: "so".into() }), None).contains("so"));
    }

    #[test]
    fn without_any_source_the_notes_are_the_reason() {
        let survey = Survey {
            sources: vec![],
            answer: None,
            notes: vec!["/boot cannot be read".into()],
        };
        assert!(error(&survey, None).contains("/boot cannot be read"));
        assert!(error(&survey, Some("x")).contains("the entries are: none"));
    }
}
