//! The boot entries of a machine.

use std::path::Path;

use kexec_entries::BootedMachine;
use kexec_entries::Survey;
use kexec_entries::facts::Facts;
use kexec_entries::survey;
use kexec_load::Error;
use kexec_machine::volumes::Volumes;
use kexec_machine::{Inside, Problem, Snapshot};
use kexec_reboot::world::World;

use super::{exit, load, print, print_json, progress, terminal};
use crate::render::{entries, json};

/// `kexec list`: exit 0 when there is something to list.
pub fn verb(world: &World<'_>, root: Option<&Path>, names: bool, as_json: bool) -> u8 {
    progress::doing("looking for boot entries");
    match surveyed(root.unwrap_or(world.root)) {
        Ok(survey) => {
            if as_json {
                print_json(&json::entries(&survey));
            } else if names {
                print(&entries::names(&survey));
            } else {
                terminal::page(&entries::list(&survey, terminal::layout()));
            }
            exit::DONE
        }
        Err(error) => {
            load::refuse(&error, as_json);
            exit::REFUSED
        }
    }
}

/// What was not looked at, because it is another system's.
fn outside(inside: Inside) -> String {
    if inside == Inside::NoProc {
        return format!("{inside}: only the files here were read");
    }
    format!(
        "{inside}: only the files here were read; the running kernel, its command line, the \
         firmware's variables and disks that are not mounted here belong to another system"
    )
}

/// Everything that can be booted on the machine below `root`.
///
/// # Errors
/// When that is no folder, or nothing at all was found.
pub fn surveyed(root: &Path) -> Result<Survey, Error> {
    let folder = std::fs::metadata(root);
    if let Err(reason) = folder.and_then(|_| std::fs::read_dir(root)) {
        return Err(Error::NotRead(Problem::caused(
            format!("cannot read the folder of --root {}", root.display()),
            reason,
            "name the folder below which the other system is mounted",
        )));
    }
    let inside = Inside::of(root);
    let volumes = match inside {
        None => Volumes::read(root),
        Some(_) => Volumes::read_inside(root),
    };
    let mut facts = Facts::read(&Snapshot::read(root), &volumes);
    if let Some(inside) = inside {
        facts = facts.of_files_alone(&inside.to_string());
    }
    let mut survey = survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    });
    if let Some(inside) = inside {
        survey.notes.insert(0, outside(inside));
    }
    if survey.sources.is_empty() {
        return Err(Error::not_ready(
            "looking for boot entries",
            match survey.notes.as_slice() {
                [] => "there are none".to_owned(),
                notes => format!("there are none ({})", notes.join("; ")),
            },
            "name a kernel file instead",
        ));
    }
    Ok(survey)
}
