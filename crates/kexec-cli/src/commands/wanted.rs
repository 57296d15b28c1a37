//! From the words of a verb to one load: a kernel file as it was named, or a
//! boot entry with all of its files.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kexec_core::arrival::Arrival;
use kexec_core::pipeline::{self, Inputs, Prepared};
use kexec_core::preflight::{self, Finding};
use kexec_core::record::oneshot::{self, OneShot};
use kexec_core::sources::entry::BootTarget;
use kexec_core::sources::facts::Facts;
use kexec_core::sources::volumes::Volumes;
use kexec_core::sources::{Chosen, Machine, Survey, choose, survey};
use kexec_core::{Error, LoadRequest, Snapshot, target};
use kexec_sys::Slot;

use super::{World, progress};
use crate::request::Wanted;

/// What was found for the words.
#[derive(Debug)]
pub struct Found {
    /// The load.
    pub request: LoadRequest,
    /// The boot entry, when it is one.
    pub entry: Option<Entry>,
    /// Whether the checks of the arrival are wanted, and how.
    pub arrival: Option<ArrivalAsk>,
    /// Where the entry's files are.
    volumes: Option<Volumes>,
}

/// How the arrival is checked.
#[derive(Debug, Clone, Copy)]
pub struct ArrivalAsk {
    /// Init is asked for the shutdown.
    pub by_init: bool,
    /// `--allow-passphrase`.
    pub allow_passphrase: bool,
}

/// A boot entry that was chosen.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What the menu shows.
    pub title: String,
    /// Why this one, for people.
    pub why: String,
    /// The boot loader's wish that is fulfilled by booting it.
    pub one_shot: Option<OneShot>,
    target: BootTarget,
}

impl Found {
    /// A kernel file as the old spelling names it.
    pub fn file(request: &LoadRequest) -> Found {
        Found {
            request: request.clone(),
            entry: None,
            arrival: None,
            volumes: None,
        }
    }

    /// Finds what is wanted. A name with a slash, or of a file that is here, is
    /// a kernel file; any other is a boot entry's.
    ///
    /// # Errors
    /// When there is no such entry, or the default cannot be told.
    pub fn new(world: &World<'_>, wanted: &Wanted, here: &Snapshot) -> Result<Found, Error> {
        let name = wanted.name.as_deref();
        if name.is_some_and(is_file) {
            let mut found = Found::file(&wanted.load);
            if let Some(line) = &wanted.cmdline {
                let line = kexec_core::request::EntryLine::Text(line.clone());
                found.request.cmdline.entry = Some(line);
            }
            return Ok(found);
        }
        let volumes = Volumes::read(world.root);
        let facts = Facts::read(here, &volumes);
        let survey = survey(&Machine {
            volumes: &volumes,
            facts: &facts,
        });
        let name = name.map(OsStr::to_string_lossy);
        let chosen = choose(&survey, name.as_deref())?;
        let request = target::aim(wanted.load.clone(), chosen.target, wanted.cmdline.clone())?;
        let entry = Entry {
            id: chosen.entry.id.clone(),
            title: chosen.entry.title.clone(),
            why: why(&survey, &chosen),
            one_shot: oneshot::of(chosen.entry, &volumes),
            target: chosen.target.clone(),
        };
        Ok(Found {
            request,
            entry: Some(entry),
            arrival: Some(ArrivalAsk {
                by_init: true,
                allow_passphrase: wanted.allow_passphrase,
            }),
            volumes: Some(volumes),
        })
    }

    /// What the checks of the arrival find of a load that is prepared; nothing
    /// where none are wanted, or for a crash kernel.
    pub fn arrive(&self, world: &World<'_>, host: &Snapshot, prepared: &Prepared) -> Vec<Finding> {
        let (Some(ask), Slot::Normal) = (self.arrival, self.request.slot) else {
            return Vec::new();
        };
        let read;
        let volumes = match &self.volumes {
            Some(volumes) => volumes,
            None => {
                read = Volumes::read(world.root);
                &read
            }
        };
        let facts = Arrival::read(world.root, volumes, &prepared.plan.cmdline);
        preflight::arrival::run(&preflight::arrival::Context {
            host,
            plan: &prepared.plan,
            arrival: &facts,
            by_init: ask.by_init,
            allow_passphrase: ask.allow_passphrase,
        })
    }

    /// Reads every file of the load once.
    ///
    /// # Errors
    /// As [`pipeline::read`].
    pub fn read(&self, here: &Snapshot) -> Result<Inputs, Error> {
        let available = here.memory.available.known().copied();
        match (&self.entry, &self.volumes) {
            (Some(entry), Some(volumes)) => {
                let open = target::opener(&entry.target, volumes);
                let files = entry.target.files().map(|file| {
                    let size = open(Path::new(&file.shown)).and_then(|f| size_of(&f));
                    (file.shown.clone(), size.unwrap_or(0))
                });
                progress::reading(&files.collect::<Vec<_>>(), || {
                    pipeline::read_with(&self.request, available, &open)
                })
            }
            _ => pipeline::read(&self.request, available),
        }
    }
}

fn size_of(file: &File) -> Result<u64, String> {
    file.metadata().map(|m| m.len()).map_err(|e| e.to_string())
}

fn is_file(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/') || Path::new(name).is_file()
}

/// Which source has it, and why it is the one.
fn why(survey: &Survey, chosen: &Chosen<'_>) -> String {
    let source = &chosen.entry.source;
    if chosen.named {
        return format!("{source}: {}", chosen.entry.origin);
    }
    let answer = survey.answer.as_ref();
    let listed = answer.and_then(|answer| survey.sources.get(answer.index));
    let choice = match listed.map(|listed| &listed.found.choice) {
        Some(kexec_core::sources::Choice::Entry { why, .. }) => why.as_str(),
        _ => "",
    };
    let answers = answer.map_or("", |answer| answer.why.as_str());
    format!("{source}'s default: {choice}; {source}: {answers}")
}
