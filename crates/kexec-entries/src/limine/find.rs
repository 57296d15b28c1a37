//! Where Limine's configuration is on this machine, and its menu as boot entries.

use kexec_image::Arch;

use super::choose::{LimineDefault, LimineVariables, choose};
use super::parse::{LiminePlatform, Malformed, parse};
use super::target::EntryTargets;
use super::version::LimineVersion;
use super::{SOURCE, evidence};
use crate::entry::{BootEntry, Broken, Origin};
use crate::source::{BootMenu, BootedMachine, Choice, Evidence};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::Volume;

/// Where the configuration is on a file system, besides the folder of Limine's program. In
/// which order they are looked for differs between versions.
const PLACES: &[&str] = &[
    "/boot/limine/limine.conf",
    "/boot/limine.conf",
    "/limine/limine.conf",
    "/limine.conf",
    "/EFI/BOOT/limine.conf",
    "/EFI/limine/limine.conf",
];

/// The configuration of Limine before version 8, in another language.
const OLD: &[&str] = &["/limine.cfg", "/limine/limine.cfg", "/boot/limine.cfg"];

pub(super) fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let for_sure = matches!(evidence(machine.facts), Evidence::For(_));
    let refused = |at: Origin, reason: String| BootMenu {
        entries: Vec::new(),
        choice: Choice::Refused(Broken { at, reason }),
        notes: Vec::new(),
    };
    let (file, text) = match config(machine, for_sure) {
        Ok(found) => found,
        Err(None) => return None,
        Err(Some(Broken { at, reason })) => return Some(refused(at, reason)),
    };
    let platform = platform(machine);
    let config = match parse(&text, platform) {
        Ok(config) => config,
        Err(Malformed { line, reason }) => {
            return Some(refused(Origin::line(&file, line), reason));
        }
    };
    let context = EntryTargets {
        volumes: machine.volumes,
        file: &file,
    };
    let mut titles: Vec<&str> = Vec::new();
    let mut entries = Vec::new();
    // Where each entry of the file is among those that boot something.
    let mut places = Vec::new();
    for (at, entry) in config.entries.iter().enumerate() {
        titles.truncate(entry.depth.saturating_sub(1));
        titles.push(&entry.title);
        if config.is_folder(at) {
            places.push(None);
            continue;
        }
        places.push(Some(entries.len()));
        let path = titles.join("/");
        let origin = Origin::line(&file, entry.line);
        let boots = context.boots(entry);
        entries.push(BootEntry::new(
            SOURCE.name,
            &path,
            &entry.title,
            origin,
            boots,
        ));
    }
    let info = machine
        .facts
        .loader()
        .and_then(|loader| loader.info.known());
    let version = info.and_then(|info| LimineVersion::of(info));
    let remembers = config.global("remember_last_entry").is_some();
    let choice = match variables(machine, remembers) {
        Err(reason) => Choice::Refused(Broken {
            at: Origin::file("/sys/firmware/efi/efivars"),
            reason,
        }),
        Ok(variables) => match choose(&config, platform, &variables, version) {
            LimineDefault::Entry(at, why) => match places.get(at).copied().flatten() {
                Some(index) => Choice::Entry { index, why },
                None => Choice::None { why },
            },
            LimineDefault::Unclear(line, reason) => Choice::Refused(Broken {
                at: Origin {
                    line,
                    ..Origin::file(&file)
                },
                reason,
            }),
        },
    };
    Some(BootMenu {
        entries,
        choice,
        notes: Vec::new(),
    })
}

fn platform(machine: &BootedMachine<'_>) -> LiminePlatform {
    LiminePlatform {
        arch: match machine.facts.arch {
            Some(Arch::X86_64) => "x86-64",
            Some(Arch::X86) => "ia-32",
            Some(Arch::Arm64) => "aarch64",
            Some(Arch::Riscv64) => "riscv64",
            Some(Arch::LoongArch64) => "loongarch64",
            _ => "",
        },
        uefi: !matches!(machine.facts.efi, Fact::Absent),
    }
}

/// The variables that name an entry; the error is why one cannot be read. What was booted
/// last is of interest only where the configuration says so.
fn variables(machine: &BootedMachine<'_>, remembers: bool) -> Result<LimineVariables, String> {
    fn known<T: Clone>(fact: &Fact<T>) -> Result<Option<T>, String> {
        match fact {
            Fact::Known(value) => Ok(Some(value.clone())),
            Fact::Absent => Ok(None),
            Fact::Unreadable(reason) => Err(reason.clone()),
        }
    }
    let Some(efi) = machine.facts.efi.known() else {
        return Ok(LimineVariables::default());
    };
    Ok(LimineVariables {
        one_shot: known(&efi.loader.entry_one_shot)?,
        default: known(&efi.loader.entry_default)?,
        last: match remembers {
            true => known(&efi.limine_last)?,
            false => None,
        },
    })
}

/// The configuration and its text; the error is why it cannot be read, or nothing where
/// there is none.
fn config(
    machine: &BootedMachine<'_>,
    for_sure: bool,
) -> Result<(BootFile, String), Option<Broken>> {
    let broken = |file: &BootFile, reason: String| {
        Some(Broken {
            at: Origin::file(file),
            reason,
        })
    };
    let own = folder(machine);
    for (number, volume) in partitions(machine, for_sure).into_iter().enumerate() {
        // Its own partition it can read; of others nobody knows.
        let own_one = for_sure && number == 0;
        let beside = own.iter().map(|folder| format!("{folder}/limine.conf"));
        let paths = beside.chain(PLACES.iter().map(|path| (*path).to_owned()));
        let mut found: Option<(BootFile, String)> = None;
        for path in paths {
            let file = machine.volumes.file(&volume.id, &path);
            match (machine.volumes.text(&file), &found) {
                (Fact::Known(text), None) => found = Some((file, text)),
                (Fact::Known(text), Some((first, known))) if text != *known => {
                    let reason = format!(
                        "{first} exists as well, and which of them Limine reads first depends on \
                         its version; remove the one that is left over"
                    );
                    return Err(broken(&file, reason));
                }
                (Fact::Unreadable(reason), None) if own_one => return Err(broken(&file, reason)),
                _ => {}
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        for path in OLD {
            let file = machine.volumes.file(&volume.id, path);
            if machine.volumes.exists(&file) == Fact::Known(()) {
                let reason = "it belongs to Limine before version 8, whose configuration kexec \
                              does not read; name an entry or a kernel";
                return Err(broken(&file, reason.to_owned()));
            }
        }
    }
    Err(None)
}

/// The folder of the program that the firmware started.
fn folder(machine: &BootedMachine<'_>) -> Option<String> {
    let efi = machine.facts.efi.known()?;
    let program = efi.option(*efi.current.known()?)?.file.as_ref()?;
    let program = program.replace('\\', "/");
    let (folder, _) = program.rsplit_once('/')?;
    let ours = program.to_ascii_lowercase().contains("limine");
    ours.then(|| folder.to_owned())
}

/// The partitions in the order in which Limine looks at them: that of its program, then the
/// others of the disk. Where nothing says that it is Limine, only what is mounted from its
/// top on, and the ESP.
fn partitions<'a>(machine: &BootedMachine<'a>, for_sure: bool) -> Vec<&'a Volume> {
    let volumes = machine.volumes;
    let word = machine.facts.booted_from();
    let esp = volumes.boot_partitions(word.as_ref()).esp;
    let root = volumes
        .all()
        .iter()
        .find(|volume| volume.mounts.iter().any(|mount| mount.point == "/"));
    let disks = esp
        .or(root)
        .map_or(&[] as &[String], |volume| &volume.disks);
    let mut others: Vec<&Volume> = volumes
        .disks()
        .filter(|volume| volume.disks.iter().any(|disk| disks.contains(disk)) || disks.is_empty())
        .filter(|volume| for_sure || volume.mounts.iter().any(|mount| mount.top == "/"))
        .collect();
    others.sort_by_key(|volume| volume.partition.as_ref().and_then(|p| p.number));
    let mut all: Vec<&Volume> = esp.into_iter().collect();
    for volume in others {
        if !all.iter().any(|known| known.id == volume.id) {
            all.push(volume);
        }
    }
    all
}
