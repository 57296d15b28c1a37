//! What an entry boots, as a target.

use kexec_plan::Cmdline;

use super::parse::{LimineEntry, Setting};
use crate::entry::{BootModule, BootTarget, Boots, Broken, Origin, Protocol};
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{Lookup, Volume, Volumes};

/// What the entries are read against.
pub(super) struct EntryTargets<'a> {
    pub(super) volumes: &'a Volumes,
    /// The configuration, as people see it.
    pub(super) file: &'a BootFile,
}

impl EntryTargets<'_> {
    pub(super) fn boots(&self, entry: &LimineEntry) -> Boots {
        match self.target(entry) {
            Ok(target) => Boots::Target(Box::new(target)),
            Err((line, reason)) => Boots::Broken(Broken {
                at: Origin::line(self.file, line),
                reason,
            }),
        }
    }

    fn target(&self, entry: &LimineEntry) -> Result<BootTarget, (u32, String)> {
        let missing = |name: &str| (entry.line, format!("it has no {name}"));
        let protocol = entry.setting(&["protocol"]);
        let protocol = protocol.ok_or_else(|| missing("protocol"))?;
        let multiboot = match protocol.value.as_str() {
            "linux" => None,
            "multiboot" | "multiboot1" => Some(Protocol::Multiboot),
            "multiboot2" => Some(Protocol::Multiboot2),
            other => {
                let reason = format!("protocol {other}, which kexec does not support");
                return Err((protocol.line, reason));
            }
        };
        let path = entry.setting(&["path", "kernel_path"]);
        let mut notes = Vec::new();
        let kernel = self.file(path.ok_or_else(|| missing("path"))?, &mut notes)?;
        let cmdline = entry.setting(&["cmdline", "kernel_cmdline"]);
        let modules = entry
            .settings
            .iter()
            .filter(|s| s.name.starts_with("module_"));
        let mut written = cmdline.into_iter().chain(modules);
        if let Some(setting) = written.find(|setting| setting.value.contains("${")) {
            let reason = format!("it has an undefined macro: {}", setting.value);
            return Err((setting.line, reason));
        }
        let line = cmdline.map_or("", |setting| setting.value.as_str());
        let mut target = BootTarget::linux(kernel, Cmdline::exact(line.as_bytes()));
        for setting in &entry.settings {
            match setting.name.as_str() {
                "module_path" => {
                    let file = self.file(setting, &mut notes)?;
                    match multiboot {
                        None => target.initrds.push(file),
                        Some(_) => target.modules.push(BootModule {
                            file,
                            arguments: Cmdline::default(),
                        }),
                    }
                }
                "module_string" | "module_cmdline" => {
                    if let Some(module) = target.modules.last_mut() {
                        module.arguments = Cmdline::exact(setting.value.as_bytes());
                    }
                }
                "dtb_path" => notes.push(
                    "the next kernel gets the device tree of the running one, not the boot loader's"
                        .to_owned(),
                ),
                _ => {}
            }
        }
        if let Some(protocol) = multiboot {
            target.protocol = protocol;
        }
        target.notes = notes;
        Ok(target)
    }

    /// A file by Limine's path, `resource(argument):/path` (CONFIG.md, "Paths").
    fn file(&self, setting: &Setting, notes: &mut Vec<String>) -> Result<BootFile, (u32, String)> {
        let refused = |reason: String| (setting.line, reason);
        let text = setting.value.strip_prefix('$').unwrap_or(&setting.value);
        let (text, hash) = text
            .split_once('#')
            .map_or((text, None), |(t, h)| (t, Some(h)));
        let parsed = text.split_once('(').and_then(|(resource, rest)| {
            let (argument, path) = rest.split_once("):")?;
            path.starts_with('/').then_some((resource, argument, path))
        });
        let (resource, argument, path) = parsed.ok_or_else(|| {
            refused(format!(
                "{text} is not a Limine path, such as boot():/vmlinuz"
            ))
        })?;
        let volume = match (resource, argument) {
            ("boot", "") => self.file.volume.clone(),
            ("boot", number) => {
                let number = number.parse::<u32>().ok();
                let what = format!("the number that {text} names, on the boot drive");
                let own = self.volumes.get(&self.file.volume);
                let disks = own.map_or(&[] as &[String], |volume| &volume.disks);
                let fits = |volume: &Volume| {
                    let partition = volume.partition.as_ref().and_then(|p| p.number);
                    number.is_some()
                        && partition == number
                        && volume.disks.iter().any(|disk| disks.contains(disk))
                };
                one(self.volumes.only(&what, fits), &what).map_err(refused)?
            }
            ("guid" | "uuid", id) => {
                let what = format!("the UUID {id}");
                match self.volumes.by_partuuid(id) {
                    Lookup::None => {
                        let found = self.volumes.find(&format!("UUID={id}"));
                        one(found, &what).map_err(refused)?
                    }
                    found => one(found, &what).map_err(refused)?,
                }
            }
            ("fslabel", label) => {
                let what = format!("the label {label}");
                one(self.volumes.by_label(label), &what).map_err(refused)?
            }
            (other, _) => {
                return Err(refused(format!(
                    "{text}: what Limine finds as {other}(...) is unknown"
                )));
            }
        };
        let file = self.volumes.file(&volume, path);
        if hash.is_some() {
            notes.push(format!(
                "Limine compares {file} with the hash in its configuration, which kexec does not do"
            ));
        }
        Ok(file)
    }
}

fn one(found: Lookup<'_>, what: &str) -> Result<kexec_machine::volumes::VolumeId, String> {
    match found {
        Lookup::One(volume) => Ok(volume.id.clone()),
        Lookup::None => Err(format!("no file system of this machine has {what}")),
        Lookup::Refused(reason) => Err(reason),
    }
}
