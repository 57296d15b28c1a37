//! A GRUB whose configuration is inside its own program, and whose menu are the entries of
//! the Boot Loader Specification: openSUSE's package grub2-*-efi-bls, which sdbootutil
//! looks after (openSUSE wiki, "Portal:MicroOS/grub2-bls"; sdbootutil's manual).

use crate::bls;
use crate::entry::{BootEntry, Boots, Broken, Origin};
use crate::source::{BootMenu, BootedMachine, Choice};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

use super::find::SOURCE;
use super::grubenv;

/// Where its program and its environment block are, when the firmware does not say.
const FOLDER: &str = "/EFI/opensuse";

/// GRUB's own `blscfg` makes a script of an entry, in which these mean something (GRUB
/// manual, "Shell-like scripting").
const SCRIPT: &[u8] = b"$\"'\\;{}|&<>";

/// Its menu; `None` where it is not this GRUB that started the machine.
pub(super) fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let loader = machine.facts.loader()?;
    let info = loader.info.known()?;
    if !info.starts_with("GRUB") {
        return None;
    }
    let esp = machine
        .volumes
        .boot_partitions(machine.facts.booted_from().as_ref())
        .esp?;
    let mut notes = Vec::new();
    let mut entries = bls::entries(machine, &mut notes)?;
    for entry in &mut entries {
        SOURCE.name.clone_into(&mut entry.source);
        let line = entry.target().and_then(|target| target.cmdline.as_ref());
        if line.is_some_and(|line| line.as_bytes().iter().any(|byte| SCRIPT.contains(byte))) {
            entry.boots = Boots::Broken(Broken {
                at: entry.origin.clone(),
                reason: "its options have characters that mean something to GRUB, and how this \
                         GRUB reads them is unknown"
                    .to_owned(),
            });
        }
    }
    notes.push(format!(
        "{info} has no grub.cfg here: its configuration is inside its program, and its menu \
         consists of the entries of the Boot Loader Specification"
    ));
    let folder = folder(machine).unwrap_or_else(|| FOLDER.to_owned());
    let block = machine.volumes.file(&esp.id, &format!("{folder}/grubenv"));
    let choice = match choice(machine, &entries, &block) {
        Ok((index, why)) => Choice::Entry { index, why },
        Err(broken) => Choice::Refused(broken),
    };
    Some(BootMenu {
        entries,
        choice,
        notes,
    })
}

/// The folder of the program that the firmware started.
fn folder(machine: &BootedMachine<'_>) -> Option<String> {
    let efi = machine.facts.efi.known()?;
    let program = efi.option(*efi.current.known()?)?.file.as_ref()?;
    let program = program.replace('\\', "/");
    program
        .rsplit_once('/')
        .map(|(folder, _)| folder.to_owned())
}

/// LoaderEntryDefault, else `default` in the environment block.
fn choice(
    machine: &BootedMachine<'_>,
    entries: &[BootEntry],
    block: &BootFile,
) -> Result<(usize, String), Broken> {
    let variables = Origin::file("/sys/firmware/efi/efivars");
    let refused = |at: &Origin, reason: String| Broken {
        at: at.clone(),
        reason,
    };
    if let Some(loader) = machine.facts.loader() {
        for (name, fact) in [
            ("LoaderEntryOneShot", &loader.entry_one_shot),
            ("LoaderEntryDefault", &loader.entry_default),
        ] {
            match fact {
                Fact::Unreadable(reason) => return Err(refused(&variables, reason.clone())),
                Fact::Known(id) if !id.is_empty() && name == "LoaderEntryOneShot" => {
                    return Err(refused(
                        &variables,
                        format!("{name} names {id:?}; whether this GRUB uses it is unknown"),
                    ));
                }
                Fact::Known(id) if !id.is_empty() => {
                    return pick(entries, id)
                        .map(|index| (index, format!("{name} names {id:?}")))
                        .map_err(|reason| {
                            refused(&variables, format!("{name} names {id:?}, {reason}"))
                        });
                }
                Fact::Known(_) | Fact::Absent => {}
            }
        }
    }
    let at = Origin::file(block);
    let limit = u64::try_from(grubenv::MAX_SIZE).unwrap_or(u64::MAX);
    let bytes = match machine.volumes.bytes(block, limit) {
        Fact::Known(bytes) => bytes,
        Fact::Absent => {
            return Err(refused(
                &at,
                "it does not exist, and LoaderEntryDefault is not set: which entry GRUB takes is \
                 unknown"
                    .to_owned(),
            ));
        }
        Fact::Unreadable(reason) => return Err(refused(&at, reason)),
    };
    let variables = grubenv::parse(&bytes).map_err(|reason| refused(&at, reason))?;
    let value = |wanted: &str| {
        let found = variables.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    };
    if let Some(next) = value("next_entry") {
        let reason = format!("next_entry names {next:?}; whether this GRUB uses it is unknown");
        return Err(refused(&at, reason));
    }
    let Some(id) = value("default") else {
        return Err(refused(
            &at,
            "it has no default, and LoaderEntryDefault is not set: which entry GRUB takes is \
             unknown"
                .to_owned(),
        ));
    };
    pick(entries, id)
        .map(|index| (index, format!("default in {block} is {id:?}")))
        .map_err(|reason| refused(&at, format!("default is {id:?}, {reason}")))
}

/// The one entry with that id, with or without its suffix.
fn pick(entries: &[BootEntry], id: &str) -> Result<usize, String> {
    let bare = |id: &str| id.strip_suffix(".conf").unwrap_or(id).to_owned();
    let mut fitting = (0..entries.len()).filter(|at| {
        let entry = entries.get(*at);
        entry.is_some_and(|entry| bare(&entry.id) == bare(id))
    });
    match (fitting.next(), fitting.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => Err("which does not exist".to_owned()),
        (Some(_), Some(_)) => Err("the name of several entries".to_owned()),
    }
}
