//! The Boot Loader Specification (UAPI.1) as systemd-boot follows it: entries in
//! `/loader/entries`, UKIs in `/EFI/Linux`, their order, and which of them is
//! booted next.
//!
//! ```text
//! text  ──entry, conf, name──▶ values
//! UKIs  ──ukis───────────────▶ one value for each profile
//! files ──type1, type2───────▶ DraftEntry ──order──▶ menu ──choose──▶ BootMenu
//! ```

pub mod choose;
mod companions;
pub mod conf;
mod draft;
pub mod entry;
mod firmware;
mod glob;
mod lines;
pub mod name;
mod order;
mod places;
mod systemd_boot;
mod titles;
mod type1;
mod type2;
pub mod ukis;

use choose::{BlsChoice, BlsDefault, Candidate, LoaderSettings};
use conf::LoaderConf;
use draft::DraftEntry;
use firmware::FirmwareNext;
use places::EntryPlace;
use systemd_boot::SystemdBoot;

use super::entry::{BootEntry, Broken, Origin};
use super::facts::{Facts, LoaderVars};
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;
use kexec_machine::volumes::MAX_TEXT;

/// The name of the source.
const NAME: &str = "bls";

/// Entries of the Boot Loader Specification.
pub(super) const SOURCE: Source = Source {
    name: NAME,
    about: "Boot Loader Specification: systemd-boot, and UKIs that the firmware starts",
    find,
    evidence,
    looked_for: Some("loader/entries and EFI/Linux on the ESP and beside it"),
};

/// Whether systemd-boot started this machine, or the firmware did so with a UKI.
fn evidence(facts: &Facts) -> Evidence {
    let efi = match &facts.efi {
        Fact::Known(efi) => efi,
        // systemd-boot needs EFI, but other boot loaders read these entries too.
        Fact::Absent | Fact::Unreadable(_) => return Evidence::Silent,
    };
    match &efi.loader.info {
        Fact::Known(info) if info.starts_with("systemd-boot") => {
            Evidence::For(format!("the boot loader was {info} (LoaderInfo)"))
        }
        Fact::Known(info) => Evidence::Against(format!("the boot loader was {info} (LoaderInfo)")),
        Fact::Absent => match firmware::started(efi) {
            Some(option) => Evidence::For(format!(
                "the firmware started {} itself (BootCurrent is Boot{:04X})",
                option.file.as_deref().unwrap_or_default(),
                option.number
            )),
            None => Evidence::Against(
                "systemd-boot leaves its name in LoaderInfo, which does not exist".to_owned(),
            ),
        },
        Fact::Unreadable(_) => Evidence::Silent,
    }
}

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let mut notes = Vec::new();
    let places = match places::places(machine, &mut notes) {
        Ok(places) => places,
        Err(reason) if matches!(evidence(machine.facts), Evidence::For(_)) => {
            let at = Origin::file("the EFI system partition");
            return Some(BootMenu {
                entries: Vec::new(),
                choice: Choice::Refused(Broken { at, reason }),
                notes,
            });
        }
        Err(_) => return None,
    };
    let mut drafts = Vec::new();
    for place in &places {
        drafts.extend(type1::drafts(machine, place, &mut notes));
        drafts.extend(type2::drafts(machine, place, &mut notes));
    }
    if drafts.is_empty() {
        return None;
    }
    let loader = SystemdBoot::of(machine.facts);
    let counted = loader
        .as_ref()
        .map_or(Some(false), SystemdBoot::counted_ids);
    if loader.as_ref().is_some_and(|loader| !loader.sorts_by_key()) {
        for draft in &mut drafts {
            draft.entry.sort_key = None;
        }
    }
    sort(&mut drafts, counted.unwrap_or(false));
    let conf = loader_conf(machine, places.first());
    let choice = match conf {
        Ok((file, conf)) => match counted {
            Some(counted) => choice(machine, (&drafts, counted), &file, conf, &mut notes),
            None => either_way(machine, &drafts, &file, &conf, &mut notes),
        },
        Err(broken) => Choice::Refused(broken),
    };
    draft::mark_running(machine.facts, &mut drafts);
    for draft in &mut drafts {
        mark(machine.facts, draft);
    }
    titles::tell_apart(&mut drafts);
    Some(BootMenu {
        entries: drafts.into_iter().map(|draft| draft.entry).collect(),
        choice,
        notes,
    })
}

/// The order of the menu; with `counted`, counters are part of the names.
fn sort(drafts: &mut [DraftEntry], counted: bool) {
    drafts.sort_by(|a, b| order::compare(&a.rank(counted), &b.rank(counted)));
}

/// What the next boot takes where it is not known whether counters are part of the names.
fn either_way(
    machine: &BootedMachine<'_>,
    drafts: &[DraftEntry],
    file: &Origin,
    conf: &LoaderConf,
    notes: &mut Vec<String>,
) -> Choice {
    let mut other = drafts.to_vec();
    sort(&mut other, true);
    let with = choice(machine, (&other, true), file, conf.clone(), &mut Vec::new());
    let without = choice(machine, (drafts, false), file, conf.clone(), notes);
    let taken = |drafts: &[DraftEntry], choice: &Choice| match choice {
        Choice::Entry { index, .. } => drafts.get(*index).map(|draft| draft.entry.clone()),
        Choice::None { .. } | Choice::Refused(_) => None,
    };
    let (one, two) = (taken(drafts, &without), taken(&other, &with));
    match (&one, &two) {
        (Some(first), Some(second)) if first != second => Choice::Refused(Broken {
            at: file.clone(),
            reason: format!(
                "whether this systemd-boot counts the boot counter as part of a name is unknown: \
                 if so it takes {}, otherwise {}",
                second.id, first.id
            ),
        }),
        _ => without,
    }
}

/// The entries for another boot loader that reads them, without a default; `None` when
/// there are none.
pub(super) fn entries(
    machine: &BootedMachine<'_>,
    notes: &mut Vec<String>,
) -> Option<Vec<BootEntry>> {
    let mut drafts = Vec::new();
    for place in &places::places(machine, notes).ok()? {
        drafts.extend(type1::drafts(machine, place, notes));
    }
    sort(&mut drafts, false);
    titles::tell_apart(&mut drafts);
    let entries: Vec<BootEntry> = drafts.into_iter().map(|draft| draft.entry).collect();
    (!entries.is_empty()).then_some(entries)
}

/// loader.conf "only from the ESP"; none is an empty one.
fn loader_conf(
    machine: &BootedMachine<'_>,
    esp: Option<&EntryPlace>,
) -> Result<(Origin, LoaderConf), Broken> {
    let Some(esp) = esp else {
        return Ok((Origin::file("loader.conf"), LoaderConf::default()));
    };
    let file = esp.file(machine.volumes, "/loader/loader.conf");
    let at = Origin::file(&file);
    match machine.volumes.bytes(&file, MAX_TEXT) {
        Fact::Known(bytes) => Ok((at, conf::parse(&bytes))),
        Fact::Absent => Ok((at, LoaderConf::default())),
        Fact::Unreadable(reason) => Err(Broken { at, reason }),
    }
}

/// What the next boot takes.
fn choice(
    machine: &BootedMachine<'_>,
    (drafts, counted): (&[DraftEntry], bool),
    file: &Origin,
    mut conf: LoaderConf,
    notes: &mut Vec<String>,
) -> Choice {
    let facts = machine.facts;
    if let Fact::Known(efi) = &facts.efi {
        match firmware::next(efi, machine.volumes, drafts) {
            FirmwareNext::Entry(index, why) => return Choice::Entry { index, why },
            FirmwareNext::Other(why) => return Choice::None { why },
            FirmwareNext::Menu => {}
        }
    }
    let loader = SystemdBoot::of(facts);
    let single = loader
        .as_ref()
        .map_or(Some(true), SystemdBoot::single_quotes);
    if let Err(problem) = conf.unquote(single) {
        let at = Origin {
            line: problem.line,
            ..file.clone()
        };
        let reason = problem.reason;
        return Choice::Refused(Broken { at, reason });
    }
    let mut settings = match settings(facts, conf) {
        Ok(settings) => settings,
        Err(broken) => return Choice::Refused(broken),
    };
    if let Some(loader) = &loader {
        settings.suffix = loader.suffix();
        drop_unknown_settings(loader, &mut settings, notes);
    }
    if let Some(name) = facts.loader().and_then(|l| l.entry_sys_fail.known()) {
        notes.push(format!(
            "LoaderEntrySysFail: {name} is booted instead if the firmware reports a failure"
        ));
    }
    // What the menu shows, and where that is among all entries.
    let shown: Vec<usize> = (0..drafts.len())
        .filter(|at| drafts.get(*at).is_some_and(|draft| draft.in_menu))
        .collect();
    let candidates: Vec<Candidate> = shown
        .iter()
        .filter_map(|at| drafts.get(*at))
        .map(|draft| candidate(draft, counted))
        .collect();
    let BlsChoice {
        decision,
        passed_over,
    } = choose::choose(&candidates, &settings);
    notes.extend(passed_over);
    match decision {
        BlsDefault::Entry { at, why } => Choice::Entry {
            index: shown.get(at).copied().unwrap_or_default(),
            why: why.to_string(),
        },
        BlsDefault::Foreign { id, why } => Choice::Refused(Broken {
            at: file.clone(),
            reason: format!(
                "{why}: {id} belongs to the boot loader, and only the boot loader can \
                             start it"
            ),
        }),
        BlsDefault::Unclear { line, reason } => Choice::Refused(Broken {
            at: Origin {
                line,
                ..file.clone()
            },
            reason,
        }),
        BlsDefault::Nothing => Choice::None {
            why: "the boot loader shows none of these entries".to_owned(),
        },
    }
}

fn candidate(draft: &DraftEntry, counted: bool) -> Candidate {
    Candidate {
        id: draft.called(counted),
        aliases: std::iter::once(&draft.entry.id)
            .chain(&draft.aliases)
            .cloned()
            .collect(),
        bad: draft.entry.tries.is_some_and(|tries| tries.left == 0),
        other_profile: draft.profile > 0,
    }
}

/// What was asked for. A variable that is there and cannot be read may name
/// another entry than what would be taken without it.
fn settings(facts: &Facts, conf: LoaderConf) -> Result<LoaderSettings, Broken> {
    let unreadable = |reason: &String| Broken {
        at: Origin::file("/sys/firmware/efi/efivars"),
        reason: format!("its choice for the next boot is unknown: {reason}"),
    };
    let loader: &LoaderVars = match &facts.efi {
        Fact::Known(efi) => &efi.loader,
        Fact::Absent => {
            return Ok(LoaderSettings {
                conf,
                ..LoaderSettings::default()
            });
        }
        Fact::Unreadable(reason) => return Err(unreadable(reason)),
    };
    let text = |fact: &Fact<String>| match fact {
        Fact::Known(text) => Ok(Some(text.clone())),
        Fact::Absent => Ok(None),
        Fact::Unreadable(reason) => Err(unreadable(reason)),
    };
    Ok(LoaderSettings {
        one_shot: text(&loader.entry_one_shot)?,
        preferred: text(&loader.entry_preferred)?,
        default: text(&loader.entry_default)?,
        last_booted: text(&loader.entry_last_booted)?,
        reported: loader.entries.known().cloned().unwrap_or_default(),
        conf,
        ..LoaderSettings::default()
    })
}

/// Takes out what the systemd-boot that started this machine does not know.
fn drop_unknown_settings(
    loader: &SystemdBoot,
    settings: &mut LoaderSettings,
    notes: &mut Vec<String>,
) {
    if loader.prefers() {
        return;
    }
    let variable = settings.preferred.take().map(|_| "LoaderEntryPreferred");
    let line = settings
        .conf
        .preferred
        .take()
        .map(|_| "preferred in loader.conf");
    for what in variable.into_iter().chain(line) {
        notes.push(format!("{loader} does not support {what}"));
    }
}

/// Marks an entry with what the boot loader says of it.
fn mark(facts: &Facts, draft: &mut DraftEntry) {
    let names = |entry: &BootEntry, name: Option<&String>| {
        let mut names = std::iter::once(&entry.id).chain(&draft.aliases);
        name.is_some_and(|name| names.any(|id| id.eq_ignore_ascii_case(name)))
    };
    let loader = facts.loader();
    let selected = names(&draft.entry, loader.and_then(|l| l.entry_selected.known()));
    let one_shot = names(&draft.entry, loader.and_then(|l| l.entry_one_shot.known()));
    let marks = &mut draft.entry.marks;
    marks.selected = selected;
    marks.one_shot = one_shot;
    marks.bad = draft.entry.tries.is_some_and(|tries| tries.left == 0);
}
