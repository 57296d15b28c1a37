//! Kernels that the firmware starts itself: Boot#### names the file, and what is
//! behind the path is the command line (Documentation/admin-guide/efi-stub.rst).

use kexec_image::formats::uki;
use kexec_image::{FORMATS, Outline};
use kexec_plan::Cmdline;

use super::entry::{BootEntry, BootTarget, Boots, Broken, Origin, Protocol};
use super::facts::{BootOption, EfiVariables, Facts};
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::Lookup;

/// Kernels in the firmware's own menu.
pub(super) const SOURCE: Source = Source {
    name: "firmware",
    about: "kernels that the firmware starts itself, with the command line in Boot####",
    find,
    evidence,
    looked_for: Some("the kernel that Boot#### names"),
};

/// UKIs there are the Boot Loader Specification's.
const UKIS: &str = "\\EFI\\Linux\\";

/// As much of a file as tells its format.
const HEAD: u64 = 64 << 10;

/// The kernel's own EFI stub leaves no word; but no boot loader has arguments
/// of a kernel.
fn evidence(facts: &Facts) -> Evidence {
    let Fact::Known(efi) = &facts.efi else {
        return match facts.efi {
            Fact::Absent => Evidence::Against("this machine was not booted by EFI".to_owned()),
            _ => Evidence::Silent,
        };
    };
    let current = efi.current.known().and_then(|number| efi.option(*number));
    match (&efi.loader.info, current) {
        (Fact::Known(info), _) => {
            Evidence::Against(format!("the boot loader was {info} (LoaderInfo)"))
        }
        (_, Some(option)) if has_arguments(option) => Evidence::For(format!(
            "this boot came from Boot{:04X}, whose arguments are a kernel's",
            option.number
        )),
        _ => Evidence::Silent,
    }
}

fn has_arguments(option: &BootOption) -> bool {
    let line = option.arguments.as_deref().map(Cmdline::from);
    let has = |line: &Cmdline, name| line.value(name).is_some();
    line.is_some_and(|line| has(&line, "root") || has(&line, "initrd"))
}

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let efi = machine.facts.efi.known()?;
    let options = efi.options.iter().filter_map(Fact::known);
    let entries: Vec<(u16, BootEntry)> = options
        .filter_map(|option| Some((option.number, entry(machine, option)?)))
        .collect();
    if entries.is_empty() {
        return None;
    }
    Some(BootMenu {
        choice: choice(efi, &entries),
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
        notes: Vec::new(),
    })
}

/// What the firmware starts next.
fn choice(efi: &EfiVariables, entries: &[(u16, BootEntry)]) -> Choice {
    let active = |number: &&u16| efi.option(**number).is_some_and(|option| option.active);
    let (first, why) = match efi.next.known() {
        Some(next) => (Some(next), "BootNext names it"),
        None => {
            let order = efi.order.known().map(Vec::as_slice).unwrap_or_default();
            (order.iter().find(active), "it is first in BootOrder")
        }
    };
    let Some(first) = first else {
        return Choice::None {
            why: "BootOrder names nothing that is active".to_owned(),
        };
    };
    match entries.iter().position(|(number, _)| number == first) {
        Some(index) => Choice::Entry {
            index,
            why: why.to_owned(),
        },
        None => Choice::None {
            why: format!("the firmware starts Boot{first:04X} first, which is not a kernel"),
        },
    }
}

/// The entry of an option; `None` when what it names is no kernel, as far as can
/// be seen.
fn entry(machine: &BootedMachine<'_>, option: &BootOption) -> Option<BootEntry> {
    let path = option.file.as_ref()?;
    let folder = path.get(..UKIS.len()).unwrap_or_default();
    if folder.eq_ignore_ascii_case(UKIS) {
        return None;
    }
    let name = format!("Boot{:04X}", option.number);
    let origin = Origin::file(&name);
    let new = |boots| {
        BootEntry::new(
            SOURCE.name,
            &name,
            &option.description,
            origin.clone(),
            boots,
        )
    };
    let volume = match machine.volumes.by_partuuid(option.partuuid.as_ref()?) {
        Lookup::One(volume) => volume,
        Lookup::None => return None,
        Lookup::Refused(reason) => {
            let at = origin.clone();
            let broken = || Boots::Broken(Broken { at, reason });
            return has_arguments(option).then(|| new(broken()));
        }
    };
    let file = machine.volumes.file(&volume.id, &path.replace('\\', "/"));
    let protocol = match machine.volumes.head(&file, HEAD) {
        Fact::Known(head) => protocol(&head),
        _ => None,
    };
    // What cannot be looked at, or is gone, may be anything; with arguments of a
    // kernel it is one.
    let protocol = protocol.or(has_arguments(option).then_some(Protocol::Linux))?;
    let boots = match &option.arguments {
        None if option.has_data => Boots::Broken(Broken {
            at: origin.clone(),
            reason: "its arguments are not text".to_owned(),
        }),
        arguments => {
            let arguments = arguments.as_deref().unwrap_or_default();
            Boots::Target(Box::new(target(machine, file, protocol, arguments)))
        }
    };
    Some(new(boots))
}

/// A kernel that the firmware can start is a PE file; so is a boot loader, which
/// has no kernel in it.
fn protocol(head: &[u8]) -> Option<Protocol> {
    let format = FORMATS.iter().find(|format| (format.probe)(head))?;
    if format.name != uki::FORMAT.name {
        return head.starts_with(b"MZ").then_some(Protocol::Linux);
    }
    let outline = Outline::parse(head).ok()?;
    let kernel = outline
        .sections
        .iter()
        .any(|section| section.name == ".linux");
    kernel.then_some(Protocol::Uki)
}

/// The stub reads the files of `initrd=` from the partition that the kernel came
/// from.
fn target(
    machine: &BootedMachine<'_>,
    kernel: BootFile,
    protocol: Protocol,
    arguments: &str,
) -> BootTarget {
    let line = Cmdline::from(arguments);
    let volume = kernel.volume.clone();
    let words = line
        .words()
        .filter_map(|word| word.strip_prefix(b"initrd="));
    let paths = words.map(|path| String::from_utf8_lossy(path).replace('\\', "/"));
    let initrds = paths
        .map(|path| machine.volumes.file(&volume, &path))
        .collect();
    let own = protocol == Protocol::Uki && arguments.is_empty();
    BootTarget {
        protocol,
        initrds,
        cmdline: (!own).then(|| line.without(&["initrd"])),
        ..BootTarget::linux(kernel, Cmdline::default())
    }
}
