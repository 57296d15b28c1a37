//! Which configuration file GRUB begins with.

use super::disk::device_of;
use super::find::{evidence, facts};
use super::{FilePath, Start, elsewhere};
use crate::entry::{Broken, Origin};
use crate::source::{BootedMachine, Evidence};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{MAX_TEXT, Volume};

/// Where grub-mkconfig's output is: upstream's place, and that of Fedora and
/// openSUSE.
pub(super) const PLACES: [&str; 2] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];

/// A configuration file with which GRUB may begin.
pub(super) struct Configuration {
    pub(super) file: BootFile,
    pub(super) there: Fact<()>,
}

impl Configuration {
    /// Where GRUB begins with it.
    pub(super) fn start(&self, machine: &BootedMachine<'_>, notes: &mut Vec<String>) -> Start {
        let device = device_of(&self.file.volume);
        let at = |path: &str| FilePath {
            device: device.clone(),
            path: path.to_owned(),
        };
        let volume = machine.volumes.get(&self.file.volume);
        let btrfs = volume.filter(|volume| volume.kind.as_deref() == Some("btrfs"));
        let text = machine.volumes.text(&self.file);
        let word = |text: &String| text.contains("btrfs_relative_path");
        let relative = text.known().is_some_and(word).then_some(btrfs).flatten();
        let mut path = self.file.path.as_str();
        if let Some(inside) = relative.and_then(|volume| below_root(volume, path)) {
            path = inside;
            notes.push(format!(
                "paths on {} are taken from the subvolume that is mounted at /; GRUB takes them \
                 from the default one",
                self.file.volume
            ));
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Start {
            config: at(path),
            prefix: at(folder),
            cmdpath: folder.starts_with("/EFI/").then(|| at(folder)),
            relative: relative.is_some(),
        }
    }
}

/// A path without the subvolume that is mounted at `/`.
fn below_root<'a>(volume: &Volume, path: &'a str) -> Option<&'a str> {
    let root = volume.mounts.iter().find(|mount| mount.point == "/")?;
    path.strip_prefix(root.top.trim_end_matches('/'))
}

/// The configurations that are there: the one beside the program that the
/// firmware started, then that of proxmox-boot-tool, then those that grub-mkconfig writes,
/// and one beside the kernel that was booted.
///
/// # Errors
/// When several are there, and which one GRUB reads cannot be said.
pub(super) fn configurations(machine: &BootedMachine<'_>) -> Result<Vec<Configuration>, Broken> {
    let volumes = machine.volumes;
    let own = stub(machine).filter(|file| volumes.exists(file) != Fact::Absent);
    let others = match own {
        Some(_) => mkconfigs(machine).unwrap_or_default(),
        None => match elsewhere::proxmox(machine) {
            Some(file) if !matches!(evidence(machine.facts), Evidence::Against(_)) => vec![file?],
            _ => mkconfigs(machine)?,
        },
    };
    let mut found: Vec<Configuration> = Vec::new();
    for file in own.into_iter().chain(others) {
        let there = volumes.exists(&file);
        if there != Fact::Absent && !found.iter().any(|known| known.file == file) {
            found.push(Configuration { file, there });
        }
    }
    // What the first one leads to is not "there as well".
    if found
        .first()
        .is_some_and(|first| first.file.path.starts_with("/EFI/"))
    {
        found.truncate(1);
    }
    Ok(found)
}

/// What grub-mkconfig wrote, that of GRUB's own folder first.
fn mkconfigs(machine: &BootedMachine<'_>) -> Result<Vec<BootFile>, Broken> {
    let volumes = machine.volumes;
    let there = |file: &BootFile| volumes.exists(file) == Fact::Known(());
    let located = PLACES.iter().filter_map(|path| volumes.locate(path).ok());
    let mut found: Vec<BootFile> = located.collect();
    let [first, second] = found.as_slice() else {
        return Ok(found);
    };
    match (there(first), there(second)) {
        (true, true) => match (has_modules(machine, first), has_modules(machine, second)) {
            (true, false) => {}
            (false, true) => found.reverse(),
            _ if volumes.bytes(first, MAX_TEXT) == volumes.bytes(second, MAX_TEXT) => {}
            _ => {
                return Err(Broken {
                    at: Origin::file(second),
                    reason: format!(
                        "{first} exists as well, and which of them GRUB reads is unknown: its \
                         modules are beside both or neither; remove the one that is left over"
                    ),
                });
            }
        },
        (true, false) | (false, true) => {
            if let (elsewhere::BootedKernel::Beside(others), Evidence::Likely(_)) =
                (elsewhere::kernel(machine), evidence(machine.facts))
            {
                let names: Vec<String> = others.iter().map(BootFile::to_string).collect();
                return Err(Broken {
                    at: Origin::file(if there(first) { first } else { second }),
                    reason: format!(
                        "the running kernel is not beside it, but beside {}: which of them GRUB \
                         reads is unknown; mount /boot",
                        names.join(" and ")
                    ),
                });
            }
        }
        (false, false) => {
            if let (
                elsewhere::BootedKernel::Beside(others),
                Evidence::Likely(_) | Evidence::For(_),
            ) = (elsewhere::kernel(machine), evidence(machine.facts))
            {
                match others.as_slice() {
                    [_] => found.extend(others),
                    several => {
                        let names: Vec<String> = several.iter().map(BootFile::to_string).collect();
                        return Err(Broken {
                            at: Origin::file(PLACES.join(" and ")),
                            reason: format!(
                                "neither exists, and which of {} GRUB reads is unknown; mount \
                                 /boot",
                                names.join(" and ")
                            ),
                        });
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Whether GRUB's modules are beside a configuration: grub-install puts them there, in a
/// folder for each platform.
fn has_modules(machine: &BootedMachine<'_>, config: &BootFile) -> bool {
    let facts = facts(machine);
    let (folder, _) = config.path.rsplit_once('/').unwrap_or_default();
    let path = format!("{folder}/{}-{}/normal.mod", facts.cpu, facts.platform);
    let file = machine.volumes.file(&config.volume, &path);
    machine.volumes.exists(&file) == Fact::Known(())
}

/// The configuration in the folder of the program that the firmware started.
fn stub(machine: &BootedMachine<'_>) -> Option<BootFile> {
    let efi = machine.facts.efi.known()?;
    let option = efi.option(*efi.current.known()?)?;
    let program = option.file.as_ref()?.replace('\\', "/");
    let (folder, _) = program.rsplit_once('/')?;
    let volumes = machine.volumes;
    let own = option.partuuid.as_deref();
    let own = own.and_then(|uuid| volumes.by_partuuid(uuid).one());
    let word = machine.facts.booted_from();
    let esp = own.or_else(|| volumes.boot_partitions(word.as_ref()).esp)?;
    Some(volumes.file(&esp.id, &format!("{folder}/grub.cfg")))
}
