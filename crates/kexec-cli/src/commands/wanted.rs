//! From the words of a verb to one load: a kernel file as it was named, or a
//! boot entry with all of its files.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kexec_entries::Chosen;
use kexec_entries::Machine;
use kexec_entries::Survey;
use kexec_entries::believed::BootSource;
use kexec_entries::entry::{BootEntry, BootTarget, Boots};
use kexec_entries::facts::Facts;
use kexec_entries::named::named;
use kexec_entries::{choose, survey};
use kexec_image::Image;
use kexec_load::pipeline::{self, Inputs, Prepared};
use kexec_load::preflight::Finding;
use kexec_load::{Error, LoadRequest};
use kexec_machine::Snapshot;
use kexec_machine::open;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{Volumes, Word};
use kexec_reboot::arrival::{self, Arrival};
use kexec_reboot::preload::{Fingerprint, Preloaded};
use kexec_reboot::record::oneshot;
use kexec_reboot::record::oneshot::OneShot;
use kexec_reboot::target;
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
    /// It is loaded ahead, and from what.
    pub preloaded: Option<Preloaded>,
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
    /// `--yes-this-machine`.
    pub this_machine: bool,
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
    /// The partition that the running system was booted from.
    booted: Option<Word>,
    /// Where it is written, where that is on a file system that is mounted.
    written: Option<BootFile>,
    target: BootTarget,
}

impl Found {
    /// A kernel file as the old spelling names it.
    pub fn file(request: &LoadRequest) -> Found {
        Found {
            request: request.clone(),
            entry: None,
            arrival: None,
            preloaded: None,
            volumes: None,
        }
    }

    /// Finds what is wanted. A name with a slash is a kernel file; any other is a
    /// boot entry's, whatever lies in the current folder: that may be anybody's.
    ///
    /// # Errors
    /// When there is no such entry, or the default cannot be told.
    pub fn new(world: &World<'_>, wanted: &Wanted, here: &Snapshot) -> Result<Found, Error> {
        let name = wanted.name.as_deref();
        if name.is_some_and(is_file) {
            let mut found = Found::file(&wanted.load);
            if let Some(line) = &wanted.cmdline {
                let line = kexec_load::request::EntryLine::Text(line.clone());
                found.request.cmdline.entry = Some(line);
            }
            return Ok(found);
        }
        let volumes = world.volumes();
        let facts = Facts::read(here, &volumes);
        let survey = survey(&Machine {
            volumes: &volumes,
            facts: &facts,
        });
        let name = name.map(OsStr::to_string_lossy);
        let beside = name.as_deref().and_then(beside);
        let chosen = choose(&survey, name.as_deref());
        let chosen = chosen.map_err(|problem| mentioning(problem.into(), beside.as_deref()))?;
        let mut why = why(&survey, &chosen);
        if let Some(beside) = beside {
            why.push_str(&format!("; {beside}"));
        }
        let entry = chosen.entry.clone();
        Found::of_entry(wanted, entry, why, facts.booted_from(), volumes)
    }

    /// A kernel by its name in /boot.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_name(
        world: &World<'_>,
        wanted: &Wanted,
        name: &str,
        here: &Snapshot,
    ) -> Result<Found, Error> {
        let volumes = world.volumes();
        let facts = Facts::read(here, &volumes);
        let machine = Machine {
            volumes: &volumes,
            facts: &facts,
        };
        let entry = named(&machine, name)?;
        let why = "it was named".to_owned();
        Found::of_entry(wanted, entry, why, facts.booted_from(), volumes)
    }

    fn of_entry(
        wanted: &Wanted,
        entry: BootEntry,
        why: String,
        booted: Option<Word>,
        volumes: Volumes,
    ) -> Result<Found, Error> {
        let one_shot = oneshot::of(&entry, &volumes);
        let file = Some(&entry.origin.file).filter(|file| file.starts_with('/'));
        let written = file.and_then(|file| volumes.locate(file).ok());
        let target = match entry.boots {
            Boots::Target(target) => *target,
            Boots::Broken(broken) => {
                return Err(Error::Refused {
                    what: format!("boot entry {}", entry.id),
                    why: broken.to_string(),
                    remedy: "repair the entry".to_owned(),
                });
            }
        };
        Ok(Found {
            request: target::aim(wanted.load.clone(), &target, wanted.cmdline.clone())?,
            entry: Some(Entry {
                id: entry.id,
                title: entry.title,
                why,
                one_shot,
                booted,
                written,
                target,
            }),
            arrival: Some(ArrivalAsk {
                by_init: true,
                allow_passphrase: wanted.allow_passphrase,
                this_machine: wanted.this_machine,
            }),
            preloaded: None,
            volumes: Some(volumes),
        })
    }

    /// What the load is made of now.
    ///
    /// # Errors
    /// With the file that cannot be looked at, and why.
    pub fn fingerprint(&self) -> Result<Fingerprint, String> {
        match (&self.entry, &self.volumes) {
            (Some(entry), Some(volumes)) => {
                let open = target::opener(&entry.target, volumes);
                Fingerprint::of(&entry.id, &self.request, &open)
            }
            _ => Fingerprint::of("", &self.request, &open::regular),
        }
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
                read = world.volumes();
                &read
            }
        };
        let facts = Arrival::read(world.root, volumes, &prepared.plan.cmdline);
        let facts = match &self.entry {
            Some(entry) => {
                let files = entry.written.iter().chain(entry.target.files());
                facts.of_entry(volumes, self.boot_sources(), files)
            }
            None => facts,
        };
        arrival::checks::run(&arrival::checks::Context {
            host,
            plan: &prepared.plan,
            arrival: &facts,
            by_init: ask.by_init,
            allow_passphrase: ask.allow_passphrase,
            this_machine: ask.this_machine,
        })
    }

    /// Where the files of the entry are read from.
    fn boot_sources(&self) -> Vec<BootSource> {
        match (&self.entry, &self.volumes) {
            (Some(entry), Some(volumes)) => {
                let ids = entry.target.files().map(|file| &file.volume);
                BootSource::all(volumes, ids, entry.booted.as_ref())
            }
            _ => Vec::new(),
        }
    }

    /// What the kernel file is.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn kernel(&self, here: &Snapshot) -> Result<Image, Error> {
        let alone = LoadRequest {
            profile: self.request.profile,
            ..LoadRequest::new(&self.request.kernel)
        };
        let available = here.memory.available.known().copied();
        let inputs = match (&self.entry, &self.volumes) {
            (Some(entry), Some(volumes)) => {
                let open = target::opener(&entry.target, volumes);
                pipeline::read_with(&alone, available, &open)?
            }
            _ => pipeline::read(&alone, available)?,
        };
        let options = pipeline::image_options(alone.profile, &inputs, here);
        let image = kexec_image::recognise(inputs.kernel.sealed.bytes(), &options);
        image.map_err(|source| Error::Image {
            path: alone.kernel,
            source,
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
    name.as_bytes().contains(&b'/')
}

/// What is said of a file of that name in the current folder, which is not taken.
fn beside(name: &str) -> Option<String> {
    Path::new(name)
        .is_file()
        .then(|| format!("the file {name} in the current folder is ./{name}"))
}

/// The same refusal, with the file that may have been meant.
fn mentioning(error: Error, beside: Option<&str>) -> Error {
    match (error, beside) {
        (Error::Refused { what, why, remedy }, Some(beside)) => Error::Refused {
            what,
            why: format!("{why}; {beside}"),
            remedy: format!("{remedy}; a kernel file is named with a slash"),
        },
        (error, _) => error,
    }
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
        Some(kexec_entries::Choice::Entry { why, .. }) => why.as_str(),
        _ => "",
    };
    let answers = answer.map_or("", |answer| answer.why.as_str());
    format!("{source}'s default: {choice}; {source}: {answers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests run in the folder of this crate, in which there is a Cargo.toml.
    #[test]
    fn a_file_of_the_current_folder_is_named_with_a_slash() {
        assert!(is_file(OsStr::new("./Cargo.toml")));
        assert!(!is_file(OsStr::new("Cargo.toml")));
        let said = beside("Cargo.toml").unwrap_or_default();
        assert_eq!(
            said,
            "the file Cargo.toml in the current folder is ./Cargo.toml"
        );
        assert_eq!(beside("no-such-file"), None);
        let none = Error::Refused {
            what: "boot entry Cargo.toml".to_owned(),
            why: "there is none".to_owned(),
            remedy: "kexec list shows them".to_owned(),
        };
        let error = mentioning(none, Some(&said));
        assert!(error.to_string().ends_with("is ./Cargo.toml"), "{error}");
        assert!(error.hint().ends_with("named with a slash"), "{error}");
    }
}
