//! The configuration on this machine, with the files that it includes.

use kexec_image::Arch;

use super::choose::{ExtlinuxDefault, choose};
use super::config::{ExtlinuxConfig, Located, Placed, assemble};
use super::parse::{ConfigReader, Directive, DirectiveKind, LabelDirective, first, parse};
use super::target::LabelTargets;
use crate::entry::{BootEntry, Boots, Broken, Origin};
use crate::source::{BootMenu, BootedMachine, Choice};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

use super::SOURCE;

/// Where the configuration is: U-Boot (doc/develop/distro.rst) and extlinux look
/// in the folder extlinux on the boot partition, Alpine's update-extlinux writes
/// /boot/extlinux.conf, syslinux looks in three folders of a FAT partition.
const PLACES: &[&str] = &[
    "/boot/extlinux/extlinux.conf",
    "/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/syslinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/syslinux/syslinux.cfg",
    "/boot/syslinux.cfg",
];

/// syslinux for EFI, on the ESP.
const ON_ESP: &str = "/EFI/syslinux/syslinux.cfg";

/// Included files, and how deep they may include others: syslinux goes 16 deep.
const MAX_FILES: usize = 64;
const MAX_DEPTH: usize = 16;

/// How many configurations may lead to each other with `CONFIG`: one to the other is usual.
const MAX_CONFIGS: usize = 4;

/// More labels are not listed; a rescue disk has some hundreds.
const MAX_LABELS: usize = 1024;

pub(super) fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let mut places = places(machine).into_iter();
    let (file, text) = places.next()?;
    let others = places.map(|(other, _)| format!("{other} exists as well, and is not read"));
    let others: Vec<String> = others.collect();
    let readers = readers(machine, &file);
    let mut found = readers.iter().map(|reader| {
        let place = (parent(&file.path).to_owned(), MAX_CONFIGS);
        let mut found = read(machine, &file, &text, *reader, place);
        found.notes.splice(..0, others.iter().cloned());
        found
    });
    let mut first = found.next()?;
    if let (Some(second), [one, other]) = (found.next(), readers.as_slice())
        && let Some(reason) = difference(&first, *one, &second, *other)
    {
        let at = Origin::file(&file);
        first.choice = Choice::Refused(Broken { at, reason });
    }
    Some(first)
}

/// Who reads a configuration: on boards U-Boot, on PCs syslinux. A file that both read, on
/// a PC without syslinux beside it, may be for either.
fn readers(machine: &BootedMachine<'_>, file: &BootFile) -> Vec<ConfigReader> {
    if !is_pc(machine) {
        return vec![ConfigReader::UBoot];
    }
    let volumes = machine.volumes;
    let folder = parent(&file.path);
    let beside = [folder, parent(folder)].into_iter().any(|folder| {
        // extlinux(1) puts both there, older ones only the first.
        let names = ["ldlinux.sys", "ldlinux.c32"].into_iter();
        let mut files = names.map(|name| volumes.file(&file.volume, &format!("{folder}/{name}")));
        files.any(|file| volumes.exists(&file) == Fact::Known(()))
    });
    match beside || !file.path.ends_with("/extlinux/extlinux.conf") {
        true => vec![ConfigReader::Syslinux],
        false => vec![ConfigReader::Syslinux, ConfigReader::UBoot],
    }
}

fn is_pc(machine: &BootedMachine<'_>) -> bool {
    matches!(machine.facts.arch, Some(Arch::X86 | Arch::X86_64))
}

/// Why it matters which of two reads a file; `None` when both boot the same.
fn difference(
    one: &BootMenu,
    reader: ConfigReader,
    other: &BootMenu,
    second: ConfigReader,
) -> Option<String> {
    let boots = |found: &BootMenu| match &found.choice {
        Choice::Entry { index, .. } => found.entries.get(*index).cloned(),
        _ => None,
    };
    let (one, other) = (boots(one), boots(other));
    let target = |entry: &Option<BootEntry>| entry.as_ref()?.target().cloned();
    // What gives up the file did not start this machine with it.
    if other.is_none() || (target(&one).is_some() && target(&one) == target(&other)) {
        return None;
    }
    let said = |entry: &Option<BootEntry>| match entry {
        Some(entry) => format!("takes {:?}", entry.id),
        None => "takes none that is known".to_owned(),
    };
    Some(format!(
        "{reader} and {second} both read such files, and {reader} {}, {second} {}; no other file \
         shows which of them this machine has",
        said(&one),
        said(&other)
    ))
}

/// Reads a configuration; `folder` is what other paths are relative to, and `depth` how
/// many other configurations it may lead to.
fn read(
    machine: &BootedMachine<'_>,
    file: &BootFile,
    text: &str,
    who: ConfigReader,
    (folder, depth): (String, usize),
) -> BootMenu {
    let mut lines = Lines {
        machine,
        folder: &folder,
        who,
        files: vec![file.clone()],
        way: vec![file.clone()],
        found: Vec::new(),
        notes: Vec::new(),
    };
    lines.take(0, text);
    let Lines {
        files,
        found,
        mut notes,
        ..
    } = lines;
    let config = assemble(found, who);
    if config.labels.len() > MAX_LABELS {
        notes.push(format!("only the first {MAX_LABELS} labels are listed"));
    }
    let context = LabelTargets {
        volumes: machine.volumes,
        volume: &file.volume,
        folder: &folder,
        files: &files,
        reader: who,
    };
    let mut entries: Vec<BootEntry> = config
        .labels
        .iter()
        .take(MAX_LABELS)
        .map(|label| {
            let boots = context.label(&config, label, "");
            let title = label.title.as_ref().unwrap_or(&label.name.value);
            entry(&context, &label.name, title, boots)
        })
        .collect();
    let choice = chosen(&context, &config, &mut entries);
    let mut found = BootMenu {
        entries,
        choice,
        notes,
    };
    if let (Choice::Entry { index, why }, ConfigReader::Syslinux) = (&found.choice, who)
        && let Some(boots) = config.labels.get(*index).and_then(|l| l.boots.as_ref())
        && let (LabelDirective::Config, name) = &boots.value
    {
        let at = context.origin(boots);
        let why = why.clone();
        match led_to(machine, file, name, (&folder, depth)) {
            Ok(next) => follow(&mut found, next, &why),
            Err(reason) => found.choice = Choice::Refused(Broken { at, reason }),
        }
    }
    found
}

/// The configuration that `CONFIG` goes on to. Paths stay relative to the folder of the
/// first one, unless a second word names another.
fn led_to(
    machine: &BootedMachine<'_>,
    file: &BootFile,
    command: &str,
    (folder, depth): (&str, usize),
) -> Result<BootMenu, String> {
    let (name, other) = first(command);
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("CONFIG {name}: configurations include each other without end"))?;
    let absolute = |name: &str| match name.starts_with('/') {
        true => name.to_owned(),
        false => format!("{folder}/{name}"),
    };
    let next = machine.volumes.file(&file.volume, &absolute(name));
    let folder = match other {
        "" => folder.to_owned(),
        other => absolute(other).trim_end_matches('/').to_owned(),
    };
    match machine.volumes.text(&next) {
        Fact::Known(text) => Ok(read(
            machine,
            &next,
            &text,
            ConfigReader::Syslinux,
            (folder, depth),
        )),
        Fact::Absent => Err(format!("it continues with {next}, which does not exist")),
        Fact::Unreadable(reason) => Err(format!("it continues with {next}: {reason}")),
    }
}

/// Takes over what another configuration says.
fn follow(found: &mut BootMenu, next: BootMenu, why: &str) {
    found.notes.extend(next.notes);
    found.choice = match next.choice {
        Choice::Entry { index, why: then } => {
            let before = found.entries.len();
            found.entries.extend(next.entries);
            Choice::Entry {
                index: before.saturating_add(index),
                why: format!("{why}, and it continues with another configuration: {then}"),
            }
        }
        other => other,
    };
}

fn entry(
    context: &LabelTargets<'_>,
    name: &Located<String>,
    title: &str,
    boots: Boots,
) -> BootEntry {
    BootEntry::new(SOURCE.name, &name.value, title, context.origin(name), boots)
}

/// The configurations that are there, with what is in them.
fn places(machine: &BootedMachine<'_>) -> Vec<(BootFile, String)> {
    let volumes = machine.volumes;
    let word = machine.facts.booted_from();
    let esp = volumes.boot_partitions(word.as_ref()).esp;
    // U-Boot reads only the first ones; others are left over or for another machine.
    let known = |path: &&&str| is_pc(machine) || path.ends_with("/extlinux/extlinux.conf");
    let located = PLACES.iter().filter(known);
    let located = located.filter_map(|path| volumes.locate(path).ok());
    let esp = esp.filter(|_| is_pc(machine));
    let esp = esp.map(|esp| volumes.file(&esp.id, ON_ESP));
    let mut found: Vec<(BootFile, String)> = Vec::new();
    for file in located.chain(esp) {
        if found.iter().any(|(known, _)| *known == file) {
            continue;
        }
        if let Fact::Known(text) = volumes.text(&file) {
            found.push((file, text));
        }
    }
    found
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Reads a configuration with everything that it includes.
struct Lines<'a> {
    machine: &'a BootedMachine<'a>,
    folder: &'a str,
    who: ConfigReader,
    files: Vec<BootFile>,
    /// The files that include the one that is being read.
    way: Vec<BootFile>,
    found: Vec<Placed>,
    notes: Vec<String>,
}

impl Lines<'_> {
    fn take(&mut self, file: usize, text: &str) {
        for directive in parse(text, self.who) {
            let line = directive.line;
            let DirectiveKind::Include(name, submenu) = &directive.says else {
                self.put(file, line, directive.says);
                continue;
            };
            let (name, submenu) = (name.clone(), *submenu);
            match submenu {
                true => self.put(file, line, DirectiveKind::MenuBegin),
                false => self.put(file, line, directive.says),
            }
            let at = Located {
                file,
                line,
                value: name.clone(),
            };
            if let Err(reason) = self.include(&at) {
                let from = self.files.get(file).map_or("", |file| &file.shown);
                let note = format!("{from}:{line}: INCLUDE {name}: {reason}");
                self.notes.push(note.clone());
                if self.who == ConfigReader::UBoot {
                    self.put(file, line, DirectiveKind::Fatal(note));
                }
            }
            if submenu {
                self.put(file, line, DirectiveKind::MenuEnd);
            }
        }
    }

    fn put(&mut self, file: usize, line: u32, says: DirectiveKind) {
        let directive = Directive { line, says };
        self.found.push(Placed { file, directive });
    }

    fn include(&mut self, name: &Located<String>) -> Result<(), String> {
        if self.way.len() > MAX_DEPTH || self.files.len() == MAX_FILES {
            return Err(format!(
                "more than {MAX_FILES} files or {MAX_DEPTH} levels are not read"
            ));
        }
        let volume = self.files.first().map(|file| file.volume.clone());
        let volume = volume.ok_or("there is no configuration")?;
        let path = if name.value.starts_with('/') {
            name.value.clone()
        } else {
            format!("{}/{}", self.folder, name.value)
        };
        let file = self.machine.volumes.file(&volume, &path);
        if self.way.contains(&file) {
            return Err("it includes itself".to_owned());
        }
        let text = match self.machine.volumes.text(&file) {
            Fact::Known(text) => text,
            Fact::Absent => return Err("it does not exist".to_owned()),
            Fact::Unreadable(reason) => return Err(reason),
        };
        self.files.push(file.clone());
        self.way.push(file);
        self.take(self.files.len().saturating_sub(1), &text);
        self.way.pop();
        Ok(())
    }
}

/// The choice; a `DEFAULT` with options or a kernel of its own becomes an entry.
fn chosen(
    context: &LabelTargets<'_>,
    config: &ExtlinuxConfig,
    entries: &mut Vec<BootEntry>,
) -> Choice {
    match choose(config) {
        ExtlinuxDefault::Label(index, why) if index < entries.len() => Choice::Entry { index, why },
        ExtlinuxDefault::Label(..) => Choice::None {
            why: "its label is not listed".to_owned(),
        },
        ExtlinuxDefault::Command(command, why) => {
            let (name, options) = first(&command.value);
            let label = config
                .label(name)
                .and_then(|index| config.labels.get(index));
            let boots = match label {
                Some(label) => context.label(config, label, options),
                None => context.kernel_of_default(config, &command),
            };
            entries.push(entry(context, &command, &command.value, boots));
            Choice::Entry {
                index: entries.len().saturating_sub(1),
                why,
            }
        }
        ExtlinuxDefault::Nothing(why) => Choice::None { why },
        ExtlinuxDefault::Unclear(at, reason) => Choice::Refused(Broken {
            at: context.origin(&at),
            reason,
        }),
    }
}
