//! The first step: from what was typed to one load, be it of a boot entry or of a
//! kernel file.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kexec_entries::boot_source::BootSource;
use kexec_entries::entry::{BootEntry, BootTarget, Boots};
use kexec_entries::facts::Facts;
use kexec_entries::named::named;
use kexec_entries::{BootableEntry, BootedMachine, Choice, Survey, choose, find, survey};
use kexec_load::request::{EntryLine, Unpack, UnpackChoice};
use kexec_load::{Error, LoadRequest, SyscallChoice};
use kexec_machine::volumes::{BootFile, BootedFrom, Volumes};
use kexec_machine::{Problem, Snapshot};
use kexec_plan::Cmdline;

use super::{ArrivalOptions, request_of};
use crate::record::Preloaded;
use crate::record::oneshot::{self, OneShot};
use crate::world::{Told, World};

/// What is to be loaded, as it was typed: a boot entry or a kernel file, and what comes
/// on top of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The entry or the file; `None` is what a reboot would boot.
    pub name: Option<OsString>,
    /// `--cmdline`: the command line in place of the entry's.
    pub cmdline: Option<Cmdline>,
    /// `--allow-passphrase`: somebody is there to type one.
    pub allow_passphrase: bool,
    /// `--yes-this-machine`: try it although others have reported failures.
    pub this_machine: bool,
    /// What else was typed.
    pub load: LoadRequest,
}

impl Selection {
    /// What a reboot would boot, loaded as `load` says.
    pub fn new(load: LoadRequest) -> Selection {
        Selection {
            name: None,
            cmdline: None,
            allow_passphrase: false,
            this_machine: false,
            load,
        }
    }

    /// What a reboot would boot, loaded for the shortest downtime.
    pub fn default_entry() -> Selection {
        Selection::new(LoadRequest {
            syscall: SyscallChoice::Fastest,
            unpack: Unpack {
                choice: UnpackChoice::Auto,
                by_default: true,
                ..Unpack::default()
            },
            ..LoadRequest::new("")
        })
    }
}

/// One load that was chosen. Nothing of it is read yet.
#[derive(Debug)]
pub struct ChosenLoad {
    /// What is to be loaded, and how.
    pub request: LoadRequest,
    /// The boot entry, when it is one.
    pub entry: Option<ChosenEntry>,
    /// Whether the checks of the arrival are wanted, and how.
    pub arrival: Option<ArrivalOptions>,
    /// It is loaded ahead, and from what.
    pub preloaded: Option<Preloaded>,
    /// Where the entry's files are.
    pub(super) volumes: Option<Volumes>,
}

/// A boot entry that was chosen.
#[derive(Debug)]
pub struct ChosenEntry {
    /// What it is called on the command line.
    pub id: String,
    /// What the menu shows.
    pub title: String,
    /// Why this one, for people.
    pub why: String,
    /// The boot loader's wish that is fulfilled by booting it.
    pub one_shot: Option<OneShot>,
    /// The partition that the running system was booted from.
    booted: Option<BootedFrom>,
    /// Where it is written, where that is on a file system that is mounted.
    pub(super) written: Option<BootFile>,
    pub(super) target: BootTarget,
}

impl ChosenLoad {
    /// A kernel file as the old spelling names it.
    pub fn file(request: &LoadRequest) -> ChosenLoad {
        ChosenLoad {
            request: request.clone(),
            entry: None,
            arrival: None,
            preloaded: None,
            volumes: None,
        }
    }

    /// Finds what is selected. A name with a slash is a kernel file; any other is a
    /// boot entry's, whatever lies in the current folder: that may be anybody's.
    ///
    /// # Errors
    /// When there is no such entry, or the default cannot be told.
    pub fn choose(
        world: &World<'_>,
        selection: &Selection,
        host: &Snapshot,
    ) -> Result<ChosenLoad, Error> {
        let name = selection.name.as_deref();
        if name.is_some_and(is_file) {
            let mut chosen = ChosenLoad::file(&selection.load);
            if let Some(line) = &selection.cmdline {
                chosen.request.cmdline.entry = Some(EntryLine::Given(line.clone()));
            }
            return Ok(chosen);
        }
        world.tell(Told::Doing("looking for boot entries"));
        let volumes = world.volumes();
        let facts = Facts::read(host, &volumes);
        let survey = survey(&BootedMachine {
            volumes: &volumes,
            facts: &facts,
        });
        let name = name.map(OsStr::to_string_lossy);
        let beside = name.as_deref().and_then(beside);
        let chosen = choose(&survey, name.as_deref());
        let chosen = chosen.map_err(|problem| mentioning(problem, beside.as_deref()))?;
        let mut why = why(&survey, &chosen);
        if let Some(beside) = beside {
            why.push_str(&format!("; {beside}"));
        }
        let entry = chosen.entry.clone();
        ChosenLoad::of_entry(selection, entry, why, facts.booted_from(), volumes)
    }

    /// A kernel by its name in /boot.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(
        world: &World<'_>,
        selection: &Selection,
        name: &str,
        host: &Snapshot,
    ) -> Result<ChosenLoad, Error> {
        let volumes = world.volumes();
        let facts = Facts::read(host, &volumes);
        let machine = BootedMachine {
            volumes: &volumes,
            facts: &facts,
        };
        let entry = named(&machine, name)?;
        let why = "it was named".to_owned();
        ChosenLoad::of_entry(selection, entry, why, facts.booted_from(), volumes)
    }

    /// The running kernel, from its file.
    ///
    /// # Errors
    /// When its file cannot be found.
    pub fn running(
        world: &World<'_>,
        selection: &Selection,
        host: &Snapshot,
    ) -> Result<ChosenLoad, Error> {
        world.tell(Told::Doing("looking for the running kernel"));
        let volumes = world.volumes();
        let facts = Facts::read(host, &volumes);
        let machine = BootedMachine {
            volumes: &volumes,
            facts: &facts,
        };
        let missing = |why: String| {
            Error::refused(
                "finding the file of the running kernel",
                why,
                "mount /boot, or install the package of that kernel again, or name a boot entry \
                 (kexec list) or a kernel file",
            )
        };
        let entry = kexec_entries::running(&machine)
            .ok_or_else(|| missing("its release is unknown".to_owned()))?;
        if let Boots::Broken(broken) = &entry.boots {
            return Err(missing(broken.to_string()));
        }
        let why = "it is running".to_owned();
        ChosenLoad::of_entry(selection, entry, why, facts.booted_from(), volumes)
    }

    fn of_entry(
        selection: &Selection,
        entry: BootEntry,
        why: String,
        booted: Option<BootedFrom>,
        volumes: Volumes,
    ) -> Result<ChosenLoad, Error> {
        let one_shot = oneshot::of(&entry, &volumes);
        let file = Some(&entry.origin.file).filter(|file| file.starts_with('/'));
        let written = file.and_then(|file| volumes.locate(file).ok());
        let target = match entry.boots {
            Boots::Target(target) => *target,
            Boots::Broken(broken) => {
                let what = format!("boot entry {}", entry.id);
                return Err(Problem::new(what, broken.to_string(), "repair the entry").into());
            }
        };
        Ok(ChosenLoad {
            request: request_of(selection.load.clone(), &target, selection.cmdline.clone()),
            entry: Some(ChosenEntry {
                id: entry.id,
                title: entry.title,
                why,
                one_shot,
                booted,
                written,
                target,
            }),
            arrival: Some(ArrivalOptions::of(selection)),
            preloaded: None,
            volumes: Some(volumes),
        })
    }

    /// Where the files of the entry are read from.
    pub(super) fn boot_sources(&self) -> Vec<BootSource> {
        match (&self.entry, &self.volumes) {
            (Some(entry), Some(volumes)) => {
                let ids = entry.target.files().map(|file| &file.volume);
                BootSource::all(volumes, ids, entry.booted.as_ref())
            }
            _ => Vec::new(),
        }
    }
}

/// Why what is selected by its name does not exist: a mistyped name. Nothing where
/// something has that name, whatever is wrong with it.
pub fn unnamed(world: &World<'_>, selection: &Selection) -> Option<Error> {
    let name = selection.name.as_deref()?;
    if is_file(name) {
        let gone = Path::new(name).symlink_metadata();
        let gone = gone.err().filter(|e| e.kind() == ErrorKind::NotFound)?;
        return Some(Error::KernelNotRead(Problem::caused(
            format!("kernel {}", name.to_string_lossy()),
            gone,
            "check the path, and that its file system is mounted",
        )));
    }
    let host = world.snapshot();
    let volumes = world.volumes();
    let facts = Facts::read(&host, &volumes);
    let survey = survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    });
    find(&survey, &name.to_string_lossy())
        .err()
        .map(Error::Refused)
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
fn mentioning(mut problem: Problem, beside: Option<&str>) -> Problem {
    if let Some(beside) = beside {
        problem.why.push_str(&format!("; {beside}"));
        problem
            .remedy
            .push_str("; a kernel file is named with a slash");
    }
    problem
}

/// Which source has it, and why it is the one.
fn why(survey: &Survey, chosen: &BootableEntry<'_>) -> String {
    let source = &chosen.entry.source;
    if chosen.named {
        return format!("{source}: {}", chosen.entry.origin);
    }
    let answer = survey.answer.as_ref();
    let listed = answer.and_then(|answer| survey.sources.get(answer.index));
    let choice = match listed.map(|listed| &listed.found.choice) {
        Some(Choice::Entry { why, .. }) => why.as_str(),
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
        let none = Problem::new(
            "boot entry Cargo.toml",
            "there is none",
            "kexec list shows them",
        );
        let problem = mentioning(none, Some(&said));
        assert!(problem.why.ends_with("is ./Cargo.toml"), "{problem}");
        assert!(
            problem.remedy.ends_with("named with a slash"),
            "{}",
            problem.remedy
        );
    }
}
