//! Where GRUB's configuration is on this machine, and its menu as boot entries.

use kexec_image::Arch;
use kexec_plan::Cmdline;

use super::bytes;
use super::configuration::{Configuration, PLACES, configurations};
use super::disk::Disks;
use super::menu::{Boot, GrubEntry, Refusal};
use super::{Evaluation, GrubPlatform, NEXT_ENTRY, Save, elsewhere, evaluate, inside};
use crate::entry::{BootEntry, BootModule, BootTarget, Boots, Broken, Origin, Protocol};
use crate::facts::Facts;
use crate::kernels::without;
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

/// GRUB's menu, from its configuration files.
pub(crate) const SOURCE: Source = Source {
    name: "grub",
    about: "GRUB's menu, by evaluating grub.cfg as GRUB would",
    find,
    evidence,
    looked_for: Some(
        "grub.cfg in /boot/grub and /boot/grub2, on the ESP and on the boot partitions; where /boot \
         is not mounted, mount it",
    ),
};

/// `OsIndicationsSupported` (UEFI specification, 8.5.4 "Exchanging information
/// between the OS and Firmware"), whose bit 0 is EFI_OS_INDICATIONS_BOOT_TO_FW_UI.
const INDICATIONS: &str =
    "/sys/firmware/efi/efivars/OsIndicationsSupported-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Whether GRUB started this machine: it says so with its `bli` module, or it
/// put its word in front of the command line. syslinux puts `BOOT_IMAGE=` there,
/// too, mostly without a path from the root, and with `initrd=`; so do hosts that
/// read GRUB's files and boot the kernel themselves.
pub(super) fn evidence(facts: &Facts) -> Evidence {
    if let Some(name) = facts.loader().and_then(|loader| loader.info.known()) {
        let says = format!("the boot loader calls itself {name:?}");
        return match name.starts_with("GRUB") {
            true => Evidence::For(says),
            false => Evidence::Against(says),
        };
    }
    let line = facts.cmdline.known();
    let image = line.and_then(|line| line.value("BOOT_IMAGE"));
    let initrd = line.and_then(|line| line.value("initrd"));
    match (image, initrd) {
        // Backslashes are those of a kernel that EFI starts, by systemd-boot for example.
        (_, Some(initrd)) if initrd.starts_with('\\') => Evidence::Against(
            "the command line has initrd= with backslashes, which GRUB does not write".to_owned(),
        ),
        // Without a file system or a path from its top GRUB finds nothing; syslinux does.
        (Some(image), _) if !image.starts_with(['(', '/']) => Evidence::Against(format!(
            "the command line has BOOT_IMAGE={image}, which is not a GRUB path"
        )),
        (Some(image), None) if image.starts_with(['(', '/']) => {
            Evidence::Likely("the command line begins with GRUB's BOOT_IMAGE=".to_owned())
        }
        _ => Evidence::Silent,
    }
}

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let mut notes = Vec::new();
    let configs = match configurations(machine) {
        Ok(configs) => configs,
        Err(broken) => return Some(refused(broken)),
    };
    let mut configs = configs.into_iter();
    let Some(config) = configs.next() else {
        return inside::find(machine).or_else(|| nowhere(machine));
    };
    for other in configs.filter(|other| !matches!(other.there, Fact::Unreadable(_))) {
        notes.push(format!("{} exists as well, and is not read", other.file));
    }
    if let Fact::Unreadable(reason) = &config.there {
        let at = Origin::file(&config.file);
        let reason = reason.clone();
        return Some(BootMenu {
            entries: Vec::new(),
            choice: Choice::Refused(Broken { at, reason }),
            notes,
        });
    }
    let disks = Disks::new(machine.volumes);
    let outcome = evaluate(&disks, &facts(machine), &config.start(machine, &mut notes));
    let context = EntryBuilder { disks, config };
    Some(context.found(outcome, notes))
}

/// GRUB started this machine, and where its configuration belongs nothing may be read:
/// to go on with another source's entries would be a guess.
fn nowhere(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let said = match evidence(machine.facts) {
        Evidence::For(said) | Evidence::Likely(said) => said,
        Evidence::Against(_) | Evidence::Silent => return None,
    };
    let mut unread = PLACES.iter().filter_map(|path| {
        let reason = machine.volumes.locate(path).err()?;
        Some((path, without(path, reason)))
    });
    if let Some((path, reason)) = unread.next() {
        let at = Origin::file(path);
        return Some(refused(Broken { at, reason }));
    }
    // Where the kernel is in sight and no configuration is, a host started it that reads
    // GRUB's files or writes GRUB's word.
    let elsewhere::BootedKernel::Gone(kernel) = elsewhere::kernel(machine) else {
        return None;
    };
    Some(refused(Broken {
        at: Origin::file(PLACES.join(" and ")),
        reason: format!(
            "GRUB seems to have started this machine ({said}), but neither its configuration nor \
             the kernel {kernel} that it booted was found on a file system that may be read; \
             mount /boot"
        ),
    }))
}

/// Nothing is known but why.
fn refused(broken: Broken) -> BootMenu {
    BootMenu {
        entries: Vec::new(),
        choice: Choice::Refused(broken),
        notes: Vec::new(),
    }
}

/// What GRUB knows of this machine.
pub(super) fn facts(machine: &BootedMachine<'_>) -> GrubPlatform {
    let efi = !matches!(machine.facts.efi, Fact::Absent);
    let arch = machine.facts.arch;
    let platform = match arch {
        _ if efi => "efi",
        Some(Arch::X86 | Arch::X86_64) => "pc",
        Some(Arch::Ppc64) => "ieee1275",
        _ => "",
    };
    // Firmware of 32 bits starts a GRUB of 32 bits.
    let size = machine
        .volumes
        .machine_bytes("/sys/firmware/efi/fw_platform_size");
    let narrow = size.known().is_some_and(|size| size.starts_with(b"32"));
    let cpu = match arch {
        Some(Arch::X86) => "i386",
        Some(Arch::X86_64) if efi && !narrow => "x86_64",
        Some(Arch::X86_64) => "i386",
        Some(Arch::Arm) => "arm",
        Some(Arch::Arm64) => "arm64",
        Some(Arch::Riscv64) => "riscv64",
        Some(Arch::Ppc64) => "powerpc",
        _ => "",
    };
    let indications = machine.volumes.machine_bytes(INDICATIONS);
    GrubPlatform {
        platform: platform.to_owned(),
        cpu: cpu.to_owned(),
        long_mode: (arch == Some(Arch::X86_64)).then_some(true),
        // Four bytes of attributes, then the value.
        firmware_setup: match indications {
            Fact::Known(value) => value.get(4).map(|bits| bits & 1 == 1),
            Fact::Absent => Some(false),
            Fact::Unreadable(_) => None,
        },
    }
}

/// What it takes to make boot entries of GRUB's.
struct EntryBuilder<'a> {
    disks: Disks<'a>,
    config: Configuration,
}

impl EntryBuilder<'_> {
    fn found(&self, outcome: Evaluation, mut notes: Vec<String>) -> BootMenu {
        let mut entries = Vec::new();
        self.flatten(&outcome.entries, "", &mut entries);
        let choice = match outcome.default {
            Err(refusal) => Choice::Refused(self.broken(&refusal)),
            Ok(choice) => {
                notes.extend(choice.saves.iter().map(|save| self.would_save(save)));
                let index = self.chosen(&choice, &mut entries);
                if let Some((_, entry)) = entries.get_mut(index) {
                    let once = choice.through.iter().any(|name| name == NEXT_ENTRY);
                    // A script that does not write it back boots it every time.
                    let save = choice.saves.iter().find(|save| save.name == NEXT_ENTRY);
                    entry.once_in = save.filter(|_| once).map(|save| self.block(save));
                    entry.marks.one_shot = entry.once_in.is_some();
                }
                let why = choice.why;
                Choice::Entry { index, why }
            }
        };
        notes.extend(outcome.fallback.map(|fallback| {
            format!("when the default fails, GRUB continues with `fallback`: {fallback}")
        }));
        notes.extend(outcome.warnings);
        BootMenu {
            entries: entries.into_iter().map(|(_, entry)| entry).collect(),
            choice,
            notes,
        }
    }

    /// The entries of all menus in one row, each with its number.
    fn flatten(&self, menu: &[GrubEntry], around: &str, all: &mut Vec<(String, BootEntry)>) {
        for entry in menu {
            let title = match around {
                "" => entry.title.clone(),
                around => format!("{around}>{}", entry.title),
            };
            if let Ok(Boot::Submenu(inner)) = &entry.boot {
                self.flatten(inner, &title, all);
                continue;
            }
            // People type the id; where two entries share one, its path.
            let id = match all.iter().any(|(_, known)| known.id == entry.id) {
                true => &entry.path,
                false => &entry.id,
            };
            let origin = Origin::line(&entry.place.file, entry.place.line);
            let mut boots = self.boots(&entry.boot, &origin);
            if let Boots::Target(target) = &mut boots {
                if entry.locked {
                    let note = "GRUB asks for a password before it boots this entry";
                    target.notes.push(note.to_owned());
                }
                if let Some(doubt) = &entry.doubt {
                    let note = format!("it may not be in the menu ({doubt})");
                    target.notes.push(note);
                }
            }
            let entry_of = BootEntry::new(SOURCE.name, id, &title, origin, boots);
            all.push((entry.number.clone(), entry_of));
        }
    }

    /// The place of the choice among the entries; one in another file's menu is
    /// added to them.
    fn chosen(&self, choice: &super::GrubDefault, all: &mut Vec<(String, BootEntry)>) -> usize {
        let listed = all.iter().position(|(number, _)| *number == choice.number);
        let origin = match listed.and_then(|at| all.get(at)) {
            Some((_, entry)) => entry.origin.clone(),
            None => Origin::file(&self.config.file),
        };
        let boots = self.boots(&choice.boot, &origin);
        match listed {
            Some(at) => {
                // What it boots as the default may differ from what it boots
                // when it is picked by hand.
                if let Some((_, entry)) = all.get_mut(at)
                    && !matches!((&entry.boots, &boots), (Boots::Target(_), Boots::Target(_)))
                {
                    entry.boots = boots;
                }
                at
            }
            None => {
                let (id, title) = (&choice.number, &choice.title);
                let entry = BootEntry::new(SOURCE.name, id, title, origin, boots);
                all.push((choice.number.clone(), entry));
                all.len().saturating_sub(1)
            }
        }
    }

    fn boots(&self, boot: &Result<Boot, Refusal>, origin: &Origin) -> Boots {
        let broken = |reason: String| {
            Boots::Broken(Broken {
                at: origin.clone(),
                reason,
            })
        };
        match boot {
            Err(refusal) => Boots::Broken(self.broken(refusal)),
            Ok(Boot::Linux {
                kernel,
                cmdline,
                initrds,
                devicetree,
            }) => {
                let line = Cmdline::new(&bytes::encode(cmdline));
                let mut target = BootTarget::linux(self.disks.boot_file(kernel), line);
                target.initrds = initrds
                    .iter()
                    .map(|file| self.disks.boot_file(file))
                    .collect();
                target.devicetree = devicetree.as_ref().map(|file| self.disks.boot_file(file));
                Boots::Target(Box::new(target))
            }
            Ok(Boot::Multiboot {
                version,
                kernel,
                cmdline,
                modules,
            }) => {
                let line = Cmdline::new(&bytes::encode(cmdline));
                let mut target = BootTarget::linux(self.disks.boot_file(kernel), line);
                target.protocol = match version {
                    1 => Protocol::Multiboot,
                    _ => Protocol::Multiboot2,
                };
                target.modules = modules
                    .iter()
                    .map(|(file, arguments)| BootModule {
                        file: self.disks.boot_file(file),
                        arguments: Cmdline::new(&bytes::encode(arguments)),
                    })
                    .collect();
                Boots::Target(Box::new(target))
            }
            Ok(Boot::Other(what)) => broken(format!("{what}, which kexec cannot do")),
            Ok(Boot::Menu(file)) => broken(format!(
                "it opens the menu of {}",
                self.disks.boot_file(file)
            )),
            Ok(Boot::Submenu(_)) => broken("it opens a submenu".to_owned()),
        }
    }

    fn broken(&self, refusal: &Refusal) -> Broken {
        let at = match &refusal.place {
            Some(place) => Origin::line(&place.file, place.line),
            None => Origin::file(&self.config.file),
        };
        Broken {
            at,
            reason: refusal.why.clone(),
        }
    }

    /// The environment block that it is written to.
    fn block(&self, save: &Save) -> BootFile {
        let mut file = self.disks.boot_file(&save.file);
        if !save.file.path.starts_with('/') {
            // No file, but a place on the device.
            file.shown = save.file.to_string();
        }
        file
    }

    fn would_save(&self, save: &Save) -> String {
        let file = self.block(save);
        format!("GRUB would write {}={} into {file}", save.name, save.value)
    }
}
