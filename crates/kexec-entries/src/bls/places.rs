//! Where entries of the Boot Loader Specification are: the ESP and the XBOOTLDR
//! partition beside it, else /boot.

use kexec_image::formats::uki::HEAD;

use crate::source::BootedMachine;
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{VolumeId, Volumes};

/// A place with `/loader/entries` and `/EFI/Linux`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryPlace {
    /// Its file system.
    pub(super) volume: VolumeId,
    /// The folder of it that stands for the partition: empty, but for a /boot
    /// that is a folder of a larger file system.
    folder: String,
    /// Whether systemd-boot looks there.
    pub(super) in_menu: bool,
}

impl EntryPlace {
    fn top(volume: &VolumeId) -> EntryPlace {
        EntryPlace {
            volume: volume.clone(),
            folder: String::new(),
            in_menu: true,
        }
    }

    /// A file of this place.
    pub(super) fn file(&self, volumes: &Volumes, path: &str) -> BootFile {
        volumes.file(&self.volume, &format!("{}{path}", self.folder))
    }

    /// A file that an entry names: from the top of the file system, as the
    /// specification says; else below the folder, where that is another.
    pub(super) fn named(&self, volumes: &Volumes, path: &str) -> BootFile {
        let top = volumes.file(&self.volume, path);
        if !self.folder.is_empty() && volumes.exists(&top) == Fact::Absent {
            let below = self.file(volumes, path);
            if volumes.exists(&below) == Fact::Known(()) {
                return below;
            }
        }
        top
    }
}

/// The places of this machine, the ESP first.
///
/// # Errors
/// Why the partition that this boot came from may not be read: then no other one is
/// taken for it.
pub(super) fn places(
    machine: &BootedMachine<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<EntryPlace>, String> {
    let volumes = machine.volumes;
    let found = volumes.boot_partitions(machine.facts.booted_from().as_ref());
    if found.refused {
        return Err(found.why);
    }
    let mut places = Vec::new();
    places.extend(found.esp.map(|v| EntryPlace::top(&v.id)));
    places.extend(found.xbootldr.map(|v| EntryPlace::top(&v.id)));
    if found.esp.is_none() && matches!(machine.facts.efi, Fact::Known(_)) {
        notes.push(found.why);
    }
    if found.xbootldr.is_none() {
        places.extend(boot(volumes, &places, notes));
    }
    for place in &places {
        standard(volumes, place, notes);
    }
    Ok(places)
}

/// /boot, where it is none of the two partitions and has entries.
fn boot(volumes: &Volumes, known: &[EntryPlace], notes: &mut Vec<String>) -> Option<EntryPlace> {
    let boot = volumes.locate("/boot").ok()?;
    if known.iter().any(|place| place.volume == boot.volume) {
        return None;
    }
    let kind = volumes.get(&boot.volume)?.partition.as_ref();
    let kind = kind.and_then(|partition| partition.kind.clone());
    let mut place = EntryPlace {
        folder: boot.path.trim_end_matches('/').to_owned(),
        volume: boot.volume,
        in_menu: true,
    };
    let entries = place.file(volumes, "/loader/entries");
    if volumes.exists(&entries) == Fact::Absent {
        return None;
    }
    // Beside an ESP, systemd-boot goes by the type of the partition.
    if let (Some(kind), false) = (kind, known.is_empty()) {
        place.in_menu = false;
        notes.push(format!(
            "{entries}: systemd-boot does not look there: the type of the partition is {kind}, not \
             that of an extended boot loader partition"
        ));
    }
    Some(place)
}

/// `/loader/entries.srel` says who wrote the entries (UAPI.1,
/// "Standard-conformance Marker File").
fn standard(volumes: &Volumes, place: &EntryPlace, notes: &mut Vec<String>) {
    let file = place.file(volumes, "/loader/entries.srel");
    if let Fact::Known(bytes) = volumes.head(&file, 64) {
        let text = String::from_utf8_lossy(&bytes);
        if text.trim() != "type1" {
            notes.push(format!(
                "{file} says {:?}, not \"type1\": the entries may not be of the specification",
                text.trim()
            ));
        }
    }
}

/// Not more files of a folder than these are read. Boot loaders read all; machines that
/// build kernels have a thousand.
const MAX_FILES: usize = 1 << 14;

/// The names of the files in a folder of entries.
pub(super) fn names(volumes: &Volumes, folder: &BootFile, notes: &mut Vec<String>) -> Vec<String> {
    match volumes.entries(folder) {
        Fact::Known(mut names) => {
            if names.len() > MAX_FILES {
                let left = names.len().saturating_sub(MAX_FILES);
                notes.push(format!(
                    "{folder}: {left} of {} files were not read",
                    names.len()
                ));
                names.truncate(MAX_FILES);
            }
            names
        }
        Fact::Absent => Vec::new(),
        Fact::Unreadable(reason) => {
            notes.push(format!("entries were not read: {reason}"));
            Vec::new()
        }
    }
}

/// The first bytes of a kernel, enough to tell what it is.
pub(super) fn head(volumes: &Volumes, file: &BootFile) -> Fact<Vec<u8>> {
    volumes.head(file, HEAD)
}
