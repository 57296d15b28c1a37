//! The last resort: the running kernel again, with the command line it has.

use super::entry::{BootEntry, BootTarget, Boots, Broken, Origin};
use super::{kernels, plain};
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;

/// The running kernel.
pub(super) const SOURCE: Source = Source {
    name: "running",
    about: "the running kernel again, with its own command line",
    find,
    evidence: |_| Evidence::Silent,
    looked_for: None,
};

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let release = &machine.facts.release;
    if release.is_empty() {
        return None;
    }
    let boots = boots(machine, release);
    let choice = match &boots {
        Boots::Target(_) => Choice::Entry {
            index: 0,
            why: "it is the only one".to_owned(),
        },
        Boots::Broken(broken) => Choice::None {
            why: broken.reason.clone(),
        },
    };
    let title = format!("Linux {release}, as it is running");
    let origin = Origin::file("/proc/cmdline");
    let mut entry = BootEntry::new(SOURCE.name, "running", &title, origin, boots);
    entry.version = Some(release.clone());
    Some(BootMenu {
        entries: vec![entry],
        choice,
        notes: Vec::new(),
    })
}

/// The running kernel as a boot entry: its file, its initrd and its own command line.
/// `None` where its release is unknown.
pub fn entry(machine: &BootedMachine<'_>) -> Option<BootEntry> {
    find(machine)?.entries.pop()
}

fn boots(machine: &BootedMachine<'_>, release: &str) -> Boots {
    let broken = |file: &str, reason: String| {
        Boots::Broken(Broken {
            at: Origin::file(file),
            reason,
        })
    };
    let line = match kernels::running_cmdline(machine.facts) {
        Fact::Known(line) => line,
        Fact::Absent => return broken("/proc/cmdline", "it does not exist".to_owned()),
        Fact::Unreadable(reason) => return broken("/proc/cmdline", reason),
    };
    let (kernel, note) = match kernel(machine, release) {
        Ok(found) => found,
        Err(reason) => return broken("/boot", reason),
    };
    let mut target = BootTarget::linux(kernel, line);
    target.notes.extend(note);
    match initrds(machine, release) {
        Ok(found) => target.initrds = found,
        Err(reason) => return broken("/boot", reason),
    }
    if target.initrds.is_empty() {
        target
            .notes
            .push(format!("no initrd of {release} was found"));
    }
    Boots::Target(Box::new(target))
}

/// The value of a parameter of the whole running command line, as a path.
fn named(machine: &BootedMachine<'_>, parameter: &str) -> Vec<String> {
    let Fact::Known(line) = &machine.facts.cmdline else {
        return Vec::new();
    };
    let words = line.words().filter_map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        let value = word.strip_prefix(parameter)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_owned())
    });
    let paths = words.flat_map(|value| {
        let paths = value.split(',').filter(|path| !path.is_empty());
        paths.map(path_of).collect::<Vec<_>>()
    });
    paths.collect()
}

/// A path as boot loaders write it: GRUB puts its name of the disk in front,
/// EFI has backslashes.
fn path_of(text: &str) -> String {
    let path = match text.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, path)| path),
        None => text,
    };
    let path = path.replace('\\', "/");
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    }
}

/// A file that the boot loader named: from the top of /boot, of the partitions
/// of an EFI boot loader, or of the root.
fn booted(machine: &BootedMachine<'_>, path: &str) -> Fact<BootFile> {
    let volumes = machine.volumes;
    let parts = volumes.boot_partitions(machine.facts.booted_from().as_ref());
    let parts = parts.xbootldr.into_iter().chain(parts.esp);
    let below_boot = || kernels::at(machine, &format!("/boot{path}"));
    let on_parts = || {
        let files = parts.map(|volume| volumes.file(&volume.id, path));
        let mut there = files.filter(|file| volumes.exists(file) == Fact::Known(()));
        there.next().map_or(Fact::Absent, Fact::Known)
    };
    below_boot().or(on_parts).or(|| kernels::at(machine, path))
}

/// The running kernel's file, and what is not sure about it.
fn kernel(
    machine: &BootedMachine<'_>,
    release: &str,
) -> Result<(BootFile, Option<String>), String> {
    let gone = || {
        format!(
            "the file of the running kernel {release} does not exist (looked for: {})",
            kernels::usual_names(release).join(", ")
        )
    };
    let remedy = "its package was removed or updated, or /boot is not mounted: mount /boot, name \
                  another kernel, or reboot first";
    match kernels::kernel(machine, release) {
        Fact::Known(kernel) => return Ok((kernel, None)),
        Fact::Unreadable(reason) => return Err(reason),
        Fact::Absent => {}
    }
    if let Some(kernel) = plain::kernel(machine, release) {
        return Ok((kernel, None));
    }
    let Some(path) = named(machine, "BOOT_IMAGE").into_iter().next() else {
        return Err(format!("{}; {remedy}", gone()));
    };
    let file = match booted(machine, &path) {
        Fact::Known(file) => file,
        Fact::Unreadable(reason) => return Err(reason),
        Fact::Absent => {
            return Err(format!(
                "{}: the boot loader read it from {path} (BOOT_IMAGE in /proc/cmdline), and there is \
                 no such file below /boot, on the boot partitions or below /; {remedy}",
                gone()
            ));
        }
    };
    match kernels::release(machine, &file) {
        Some(found) if found != release => Err(format!(
            "{}: {file} is {found} now; name that one, or reboot first",
            gone()
        )),
        Some(_) => Ok((file, None)),
        None => {
            let note = format!("{file} was booted; whether it still is {release} is unknown");
            Ok((file, Some(note)))
        }
    }
}

/// The initrds that the boot loader named, else the one of the release.
fn initrds(machine: &BootedMachine<'_>, release: &str) -> Result<Vec<BootFile>, String> {
    let paths = named(machine, "initrd");
    let mut found = Vec::with_capacity(paths.len());
    for path in &paths {
        if let Fact::Known(file) = booted(machine, path) {
            found.push(file);
        }
    }
    if !found.is_empty() && found.len() == paths.len() {
        return Ok(found);
    }
    match kernels::initrd(machine, release) {
        Fact::Known(initrd) => Ok(vec![initrd]),
        Fact::Absent => Ok(Vec::new()),
        Fact::Unreadable(reason) => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_boot_loaders() {
        assert_eq!(path_of("(hd0,gpt2)/vmlinuz-6.1"), "/vmlinuz-6.1");
        assert_eq!(path_of("\\EFI\\arch\\initrd"), "/EFI/arch/initrd");
        assert_eq!(path_of("vmlinuz-lts"), "/vmlinuz-lts");
        assert_eq!(path_of("(hd0"), "/");
    }
}
