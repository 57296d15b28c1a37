//! UKIs in `/EFI/Linux`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use kexec_image::{Outline, Section};
use kexec_plan::Cmdline;

use super::draft::{Brings, DraftEntry, EntryFault};
use super::lines::LineProblem;
use super::name::{self, FileName};
use super::places::{self, EntryPlace};
use super::ukis::{self, UkiEntry};
use super::{NAME, companions};
use crate::entry::{BootEntry, BootTarget, Boots, Origin, Protocol, Tries};
use crate::source::BootedMachine;
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

/// No section of text is longer than this many bytes: an os-release file has some
/// hundreds, a command line some thousands at most.
const MAX_TEXT: u64 = 64 << 10;

/// The entries of a place.
pub(super) fn drafts(
    machine: &BootedMachine<'_>,
    place: &EntryPlace,
    notes: &mut Vec<String>,
) -> Vec<DraftEntry> {
    let folder = place.file(machine.volumes, "/EFI/Linux");
    let names = places::names(machine.volumes, &folder, notes);
    let files = names.into_iter().filter_map(|name| {
        let parsed = name::parse(&name, ".efi")?;
        let file = place.file(machine.volumes, &format!("/EFI/Linux/{name}"));
        Some(of_file(machine, place, &file, &name, parsed))
    });
    files.flatten().collect()
}

fn of_file(
    machine: &BootedMachine<'_>,
    place: &EntryPlace,
    file: &BootFile,
    name: &str,
    parsed: Result<FileName, String>,
) -> Vec<DraftEntry> {
    let (id, tries) = match &parsed {
        Ok(FileName { id, tries }) => (id.as_str(), *tries),
        Err(_) => (name, None),
    };
    let items = parsed
        .clone()
        .and_then(|parsed| items(machine, file, &parsed.id));
    match items {
        Ok(items) => {
            let mut notes = Vec::new();
            let extras = companions::find(machine.volumes, file, &mut notes);
            let made = items.into_iter().map(|item| {
                let target = target(file, &item, extras.clone(), notes.clone());
                let boots = Boots::Target(Box::new(target));
                let mut draft = draft(file, (id, name), tries, item, boots);
                // They are for machines with EFI (UAPI.1, "Type #2 EFI Unified
                // Kernel Images").
                draft.in_menu = place.in_menu && machine.facts.efi != Fact::Absent;
                draft
            });
            made.collect()
        }
        Err(reason) => {
            let boots = EntryFault::hidden(LineProblem::whole(reason)).boots(file);
            let entry = BootEntry::new(NAME, id, id, Origin::file(file), boots);
            vec![DraftEntry {
                entry: BootEntry { tries, ..entry },
                aliases: Vec::new(),
                file: id.to_ascii_lowercase(),
                counted: name.to_ascii_lowercase(),
                profile: 0,
                in_menu: false,
                brings: None,
            }]
        }
    }
}

/// What the file adds to the menu, from its headers and its short sections.
fn items(machine: &BootedMachine<'_>, file: &BootFile, id: &str) -> Result<Vec<UkiEntry>, String> {
    let known = |fact: Fact<Vec<u8>>| match fact {
        Fact::Known(bytes) => Ok(bytes),
        Fact::Absent => Err("it is gone".to_owned()),
        Fact::Unreadable(reason) => Err(reason),
    };
    let head = known(places::head(machine.volumes, file))?;
    let outline = Outline::parse(&head).map_err(|e| e.to_string())?;
    let open = match machine.volumes.open(file) {
        Fact::Known(fd) => File::from(fd),
        Fact::Absent => return Err("it is gone".to_owned()),
        Fact::Unreadable(reason) => return Err(reason),
    };
    ukis::items(id, &outline, &mut |section| text(&open, section))
}

fn text(file: &File, section: &Section) -> Result<Vec<u8>, String> {
    let Section { name, len, .. } = section;
    let len = usize::try_from(*len).ok().filter(|_| *len <= MAX_TEXT);
    let len = len.ok_or_else(|| {
        format!(
            "its section {name} claims {} bytes, expected {MAX_TEXT} at most",
            section.len
        )
    })?;
    let mut bytes = vec![0; len];
    let read = file.read_exact_at(&mut bytes, section.offset);
    read.map_err(|e| format!("its section {name} cannot be read: {e}"))?;
    Ok(bytes)
}

fn target(
    file: &BootFile,
    item: &UkiEntry,
    extras: Vec<BootFile>,
    mut notes: Vec<String>,
) -> BootTarget {
    if item.device_tree {
        let note = "the device tree in the UKI is left out: the next kernel gets the running \
                    kernel's";
        notes.push(note.to_owned());
    }
    BootTarget {
        protocol: Protocol::Uki,
        cmdline: None,
        profile: item.profile,
        extras,
        notes,
        ..BootTarget::linux(file.clone(), Cmdline::default())
    }
}

/// The draft of an item; its file is called by the id and, with counters, by the name.
fn draft(
    file: &BootFile,
    (id, name): (&str, &str),
    tries: Option<Tries>,
    item: UkiEntry,
    boots: Boots,
) -> DraftEntry {
    let entry = BootEntry::new(NAME, &item.id, &item.title, Origin::file(file), boots);
    DraftEntry {
        entry: BootEntry {
            version: item.version,
            sort_key: item.sort_key,
            tries,
            ..entry
        },
        aliases: item.aliases,
        file: id.to_ascii_lowercase(),
        counted: name.to_ascii_lowercase(),
        profile: item.profile.unwrap_or(0),
        in_menu: true,
        brings: item.release.map(|release| Brings {
            release,
            cmdline: Cmdline::exact(&item.cmdline.unwrap_or_default()),
        }),
    }
}
