//! Entries in `/loader/entries/*.conf`, with the files that they name.

use kexec_image::formats::uki::companions::Kind;
use kexec_image::{Arch, Outline};
use kexec_plan::Cmdline;

use super::draft::{DraftEntry, EntryFault};
use super::entry::{self, LineValue, Starts, Type1Entry};
use super::lines::LineProblem;
use super::name::{self, FileName};
use super::places::{self, EntryPlace};
use super::systemd_boot::SystemdBoot;
use super::{NAME, companions};
use crate::entry::{BootEntry, BootTarget, Boots, Origin, Protocol};
use crate::source::BootedMachine;
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::MAX_TEXT;

/// The entries of a place.
pub(super) fn drafts(
    machine: &BootedMachine<'_>,
    place: &EntryPlace,
    notes: &mut Vec<String>,
) -> Vec<DraftEntry> {
    let folder = place.file(machine.volumes, "/loader/entries");
    let names = places::names(machine.volumes, &folder, notes);
    let files = names.into_iter().filter_map(|name| {
        let parsed = name::parse(&name, ".conf")?;
        let file = place.file(machine.volumes, &format!("/loader/entries/{name}"));
        Some(draft(machine, place, file, &name, parsed))
    });
    files.collect()
}

fn draft(
    machine: &BootedMachine<'_>,
    place: &EntryPlace,
    file: BootFile,
    name: &str,
    parsed: Result<FileName, String>,
) -> DraftEntry {
    let (id, tries, named) = match parsed {
        Ok(FileName { id, tries }) => (id, tries, Ok(())),
        Err(reason) => (name.to_owned(), None, Err(reason)),
    };
    let text = machine.volumes.bytes(&file, MAX_TEXT);
    let mut entry = text
        .known()
        .map(|bytes| entry::parse(bytes))
        .unwrap_or_default();
    let loader = SystemdBoot::of(machine.facts);
    entry.unquote(loader.map_or(Some(true), |loader| loader.single_quotes()));
    let mut reader = EntryReader {
        machine,
        place,
        entry: &entry,
        notes: Vec::new(),
    };
    let target = match (text, named) {
        (_, Err(reason)) => Err(EntryFault::hidden(LineProblem::whole(reason))),
        (Fact::Known(_), Ok(())) => reader.target(),
        (Fact::Absent, _) => Err(EntryFault::hidden(LineProblem::whole("it is gone"))),
        (Fact::Unreadable(reason), _) => Err(EntryFault::hidden(LineProblem::whole(reason))),
    };
    if !name::is_portable(name) {
        let note = "the file name has characters that systemd's own programs do not take";
        reader.notes.push(note.to_owned());
    }
    let notes = reader.notes;
    // "If this key is set, and the system is not an EFI system, this entry should be
    // hidden" (UAPI.1, `efi` and `uki`).
    let fits = machine.facts.efi != Fact::Absent || matches!(entry.starts(), Ok(Starts::Linux(_)));
    let hidden = matches!(&target, Err(fault) if fault.hidden);
    let in_menu = place.in_menu && fits && !hidden;
    let boots = match target {
        Ok(mut target) => {
            target.notes.extend(notes);
            Boots::Target(Box::new(target))
        }
        Err(fault) => fault.boots(&file),
    };
    let text = |value: &Option<LineValue>| value.as_ref().map(|v| v.text.clone());
    let title = text(&entry.title).unwrap_or_else(|| id.clone());
    let mut shown = BootEntry::new(NAME, &id, &title, Origin::file(&file), boots);
    shown.version = text(&entry.version);
    shown.machine_id = text(&entry.machine_id);
    shown.sort_key = text(&entry.sort_key);
    shown.tries = tries;
    DraftEntry {
        aliases: Vec::new(),
        file: id.to_ascii_lowercase(),
        counted: name.to_ascii_lowercase(),
        profile: entry.profile().ok().flatten().unwrap_or(0),
        in_menu,
        brings: None,
        entry: shown,
    }
}

/// One entry on its way to what it boots.
struct EntryReader<'a> {
    machine: &'a BootedMachine<'a>,
    place: &'a EntryPlace,
    entry: &'a Type1Entry,
    notes: Vec<String>,
}

/// A kernel that an entry names.
struct NamedKernel {
    file: BootFile,
    /// What the file is made of, when it is a UKI.
    uki: Option<Outline>,
}

impl EntryReader<'_> {
    fn target(&mut self) -> Result<BootTarget, EntryFault> {
        let entry = self.entry;
        if let Some(problem) = entry.broken.first() {
            return Err(EntryFault::shown(problem.clone()));
        }
        self.architecture()?;
        let kernel = self.kernel()?;
        let mut target = match &kernel.uki {
            Some(outline) => self.uki(&kernel.file, outline)?,
            None => {
                let line = Cmdline::exact(entry.options().as_bytes());
                BootTarget::linux(kernel.file, line)
            }
        };
        for value in &entry.initrds {
            target.initrds.push(self.file(value, "initrd")?);
        }
        if let Some(value) = &entry.devicetree {
            target.devicetree = Some(self.file(value, "devicetree")?);
        }
        for value in &entry.overlays {
            target
                .overlays
                .push(self.file(value, "devicetree-overlay")?);
        }
        self.say();
        Ok(target)
    }

    /// "If specified and it does not match the local system architecture this
    /// entry should be hidden" (UAPI.1).
    fn architecture(&self) -> Result<(), EntryFault> {
        let (Some(wanted), Some(arch)) = (&self.entry.architecture, self.machine.facts.arch) else {
            return Ok(());
        };
        if efi_name(arch).is_none_or(|own| wanted.text.eq_ignore_ascii_case(own)) {
            return Ok(());
        }
        let reason = format!("it is for architecture {}, and this is {arch}", wanted.text);
        Err(EntryFault::hidden(LineProblem::new(wanted.line, reason)))
    }

    /// The kernel. systemd-boot does not show an entry whose kernel is not there.
    fn kernel(&self) -> Result<NamedKernel, EntryFault> {
        let (value, key) = match self.entry.starts().map_err(EntryFault::hidden)? {
            Starts::Linux(value) => (value, "linux"),
            Starts::Uki(value) => (value, "uki"),
            Starts::Efi(value) => (value, "efi"),
            Starts::UkiUrl(value) => {
                let reason = format!("the UKI at {} is on the network", value.text);
                return Err(EntryFault::shown(LineProblem::new(value.line, reason)));
            }
        };
        let file = self.file(value, key).map_err(|fault| EntryFault {
            hidden: true,
            ..fault
        })?;
        let head = match places::head(self.machine.volumes, &file) {
            Fact::Known(head) => head,
            Fact::Absent => Vec::new(),
            Fact::Unreadable(reason) => {
                return Err(EntryFault::shown(LineProblem::new(value.line, reason)));
            }
        };
        let outline = Outline::parse(&head).ok();
        let uki = outline.filter(|outline| outline.section(Some(0), ".linux").is_some());
        match (key, &uki) {
            ("uki", None) => {
                let reason = format!("{file} is not a unified kernel image");
                Err(EntryFault::shown(LineProblem::new(value.line, reason)))
            }
            ("efi", None) => {
                let reason = format!("{file} is a program that only the firmware can start");
                Err(EntryFault::shown(LineProblem::new(value.line, reason)))
            }
            _ => Ok(NamedKernel { file, uki }),
        }
    }

    /// A file that the entry names, which has to be there.
    fn file(&self, value: &LineValue, key: &str) -> Result<BootFile, EntryFault> {
        let path = value.path().map_err(EntryFault::shown)?;
        let file = self.place.named(self.machine.volumes, &path);
        let problem = |reason| Err(EntryFault::shown(LineProblem::new(value.line, reason)));
        match self.machine.volumes.exists(&file) {
            Fact::Known(()) => Ok(file),
            Fact::Absent => problem(format!("{key} names {file}, which does not exist")),
            Fact::Unreadable(reason) => problem(reason),
        }
    }

    /// A UKI, with what is different when an entry starts it.
    fn uki(&mut self, file: &BootFile, outline: &Outline) -> Result<BootTarget, EntryFault> {
        let entry = self.entry;
        let profile = entry.profile().map_err(EntryFault::hidden)?;
        if let (Some(profile), Some(value)) = (profile, &entry.profile)
            && profile >= outline.profiles().max(1)
        {
            let reason = format!(
                "profile {profile} of {file}, which has {}",
                outline.profiles().max(1)
            );
            return Err(EntryFault::shown(LineProblem::new(value.line, reason)));
        }
        let own = outline.section(profile.or(Some(0)), ".cmdline").is_some();
        let secure = self.machine.facts.secure_boot.known() == Some(&true);
        let mut cmdline = None;
        if !entry.options.is_empty() {
            if own && secure {
                let note = "Secure Boot is on: the options are ignored, and the UKI's own command \
                            line is used";
                self.notes.push(note.to_owned());
            } else {
                cmdline = Some(Cmdline::exact(entry.options().as_bytes()));
            }
        }
        let mut extras = companions::find(self.machine.volumes, file, &mut self.notes);
        for value in &entry.extras {
            let extra = self.file(value, "extra")?;
            if Kind::of(&extra.path).is_none() {
                let note = format!("line {}: {extra} is of an unknown type", value.line);
                self.notes.push(note);
            }
            extras.push(extra);
        }
        Ok(BootTarget {
            protocol: Protocol::Uki,
            cmdline,
            profile,
            extras,
            ..BootTarget::linux(file.clone(), Cmdline::default())
        })
    }

    /// Lines that were left out.
    fn say(&mut self) {
        for problem in &self.entry.ignored {
            let line = problem.line.unwrap_or_default();
            self.notes.push(format!("line {line}: {}", problem.reason));
        }
        for (key, value) in &self.entry.others {
            // GRUB's own keys are none of systemd-boot's business.
            if !key.starts_with("grub_") {
                self.notes
                    .push(format!("line {}: unknown key {key}", value.line));
            }
        }
    }
}

/// How EFI spells an architecture (UAPI.1, `architecture`; UEFI specification,
/// 3.5.1.1 "Removable Media Boot Behavior").
fn efi_name(arch: Arch) -> Option<&'static str> {
    Some(match arch {
        Arch::X86 => "ia32",
        Arch::X86_64 => "x64",
        Arch::Arm => "arm",
        Arch::Arm64 => "aa64",
        Arch::Riscv64 => "riscv64",
        Arch::LoongArch64 => "loongarch64",
        Arch::Ppc64 | Arch::S390x => return None,
    })
}
