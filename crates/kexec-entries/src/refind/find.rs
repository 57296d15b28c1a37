//! rEFInd's configuration on this machine, and its stanzas as boot entries.

use kexec_plan::Cmdline;

use super::parse::{DefaultStanza, Stanza, WithLine, parse};
use super::{SOURCE, started};
use crate::entry::{BootEntry, BootTarget, Boots, Broken, Origin};
use crate::source::{BootMenu, BootedMachine, Choice};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{Lookup, VolumeId};

pub(super) fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let (number, program) = started(machine.facts)?;
    let volumes = machine.volumes;
    let program = program.replace('\\', "/");
    let (folder, _) = program.rsplit_once('/').unwrap_or_default();
    let option = machine.facts.efi.known().and_then(|efi| efi.option(number));
    let refused = |at: Origin, reason: String| {
        Some(BootMenu {
            entries: Vec::new(),
            choice: Choice::Refused(Broken { at, reason }),
            notes: Vec::new(),
        })
    };
    // Some options of the firmware name another file.
    if let Some(option) = option.filter(|option| option.has_data) {
        let said = option
            .arguments
            .as_deref()
            .unwrap_or("arguments that are not text");
        let at = Origin::file(format!("Boot{number:04X}"));
        let reason = format!("rEFInd is given {said}; name an entry or a kernel");
        return refused(at, reason);
    }
    let word = machine.facts.booted_from();
    let esp = volumes.boot_partitions(word.as_ref()).esp?;
    let file = volumes.file(&esp.id, &format!("{folder}/refind.conf"));
    let text = match volumes.text(&file) {
        Fact::Known(text) => text,
        Fact::Absent => return None,
        Fact::Unreadable(reason) => return refused(Origin::file(&file), reason),
    };
    let config = parse(&text);
    let entries = config.stanzas.iter().map(|stanza| {
        let title = &stanza.title;
        let origin = Origin::line(&file, title.line);
        let boots = match target(machine, &file, stanza) {
            Ok(target) => Boots::Target(Box::new(target)),
            Err((line, reason)) => Boots::Broken(Broken {
                at: Origin::line(&file, line),
                reason,
            }),
        };
        BootEntry::new(SOURCE.name, &title.value, &title.value, origin, boots)
    });
    let names = |stanza: &Stanza| {
        let named = stanza.volume.as_ref();
        let other = named.and_then(|name| volume(machine, name).ok());
        let mut names: Vec<String> = named.map(|name| name.value.clone()).into_iter().collect();
        for id in [Some(&file.volume), other.as_ref()].into_iter().flatten() {
            if let Some(volume) = volumes.get(id) {
                let partition = volume.partition.as_ref();
                names.extend(volume.label.clone());
                names.extend(partition.and_then(|partition| partition.label.clone()));
            }
        }
        names
    };
    let choice = match config.choose(&names) {
        DefaultStanza::Stanza(index, why) => Choice::Entry { index, why },
        DefaultStanza::Unclear(line, reason) => Choice::Refused(Broken {
            at: Origin {
                line,
                ..Origin::file(&file)
            },
            reason,
        }),
    };
    Some(BootMenu {
        entries: entries.collect(),
        choice,
        notes: Vec::new(),
    })
}

fn target(
    machine: &BootedMachine<'_>,
    file: &BootFile,
    stanza: &Stanza,
) -> Result<BootTarget, (u32, String)> {
    if let Some(line) = stanza.firmware {
        return Err((line, "it starts an option of the firmware".to_owned()));
    }
    if stanza.disabled {
        return Err((stanza.title.line, "it is disabled".to_owned()));
    }
    let loader = stanza.loader.as_ref();
    let loader = loader.ok_or_else(|| (stanza.title.line, "it has no loader".to_owned()))?;
    let volume = match &stanza.volume {
        None => file.volume.clone(),
        Some(name) => volume(machine, name)?,
    };
    let on = |at: &WithLine<String>| {
        let path = at.value.replace('\\', "/");
        match path.contains('%') {
            true => Err((at.line, format!("how rEFInd starts {path} is unknown"))),
            false => Ok(machine.volumes.file(&volume, &format!("/{path}"))),
        }
    };
    let line = match &stanza.options {
        None => "",
        Some(WithLine {
            value: (options, true),
            ..
        }) => options,
        Some(WithLine { line, .. }) => {
            let reason = "its options are not quoted, and rEFInd uses only the first word";
            return Err((*line, reason.to_owned()));
        }
    };
    let line = Cmdline::from(line);
    let kernel = on(loader)?;
    if kernel.path.to_ascii_lowercase().ends_with(".efi") && stanza.initrds.is_empty() {
        let reason = "it starts a program of the firmware, which may be another boot loader";
        return Err((loader.line, reason.to_owned()));
    }
    let mut target = BootTarget::linux(kernel, line.without(&["initrd"]));
    // The kernel's own stub takes these, from the partition of the kernel.
    for word in line.words() {
        if let Some(path) = word.strip_prefix(b"initrd=") {
            let path = String::from_utf8_lossy(path).replace('\\', "/");
            target.initrds.push(machine.volumes.file(&volume, &path));
        }
    }
    // rEFInd puts the last one behind the options.
    if let Some(initrd) = stanza.initrds.last() {
        target.initrds.push(on(initrd)?);
    }
    Ok(target)
}

/// A file system by its label, the name of its partition or the partition's UUID.
fn volume(machine: &BootedMachine<'_>, name: &WithLine<String>) -> Result<VolumeId, (u32, String)> {
    let wanted = name.value.trim_end_matches(':');
    let what = format!("the name {wanted}");
    let found = machine.volumes.only(&what, |volume| {
        let partition = volume.partition.as_ref();
        let is = |text: Option<&String>| text.is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        is(volume.label.as_ref())
            || is(partition.and_then(|p| p.label.as_ref()))
            || is(partition.and_then(|p| p.uuid.as_ref()))
    });
    match found {
        Lookup::One(volume) => Ok(volume.id.clone()),
        Lookup::None => Err((
            name.line,
            format!("no file system of this machine has {what}"),
        )),
        Lookup::Refused(reason) => Err((name.line, reason)),
    }
}
