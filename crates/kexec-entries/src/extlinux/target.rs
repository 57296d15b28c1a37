//! What a label boots, as a target.

use kexec_plan::Cmdline;

use super::config::{ExtlinuxConfig, ExtlinuxLabel, Located, is_module};
use super::parse::{ConfigReader, LabelDirective, first};
use crate::entry::{BootModule, BootTarget, Boots, Broken, Origin, Protocol};
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{VolumeId, Volumes};

/// What the labels are read against.
pub(super) struct LabelTargets<'a> {
    pub(super) volumes: &'a Volumes,
    /// The file system of the configuration.
    pub(super) volume: &'a VolumeId,
    /// The folder of the configuration, to which other paths are relative.
    pub(super) folder: &'a str,
    /// The files that were read, as people see them.
    pub(super) files: &'a [BootFile],
    /// Who reads them.
    pub(super) reader: ConfigReader,
}

/// A kernel in parts, from a label or from a `DEFAULT` of its own.
struct TargetParts<'a> {
    verb: LabelDirective,
    kernel: Located<String>,
    append: Option<Located<String>>,
    label: Option<&'a ExtlinuxLabel>,
}

impl LabelTargets<'_> {
    /// Where something is written.
    pub(super) fn origin<T>(&self, at: &Located<T>) -> Origin {
        match self.files.get(at.file) {
            Some(file) => Origin::line(file, at.line),
            None => Origin::file(self.folder),
        }
    }

    fn broken<T>(&self, at: &Located<T>, reason: String) -> Broken {
        Broken {
            at: self.origin(at),
            reason,
        }
    }

    /// A path as the configuration writes it: absolute, or relative to its
    /// folder. syslinux marks its boot device with `::`.
    fn file(&self, name: &str) -> BootFile {
        let name = name.strip_prefix("::").unwrap_or(name);
        if name.starts_with('/') {
            self.volumes.file(self.volume, name)
        } else {
            self.volumes
                .file(self.volume, &format!("{}/{name}", self.folder))
        }
    }

    /// What a label boots, with options of `DEFAULT` behind its own.
    pub(super) fn label(
        &self,
        config: &ExtlinuxConfig,
        label: &ExtlinuxLabel,
        options: &str,
    ) -> Boots {
        if let Some(lost) = &label.lost {
            return Boots::Broken(self.broken(lost, lost.value.clone()));
        }
        let Some(boots) = &label.boots else {
            return Boots::Broken(self.broken(
                &label.name,
                "it names no kernel: there is no LINUX or KERNEL".to_owned(),
            ));
        };
        let (verb, kernel) = &boots.value;
        let append = match self.reader {
            ConfigReader::Syslinux => {
                let append = label.append.as_ref().or(config.append.as_ref());
                append.filter(|append| append.value != "-").cloned()
            }
            ConfigReader::UBoot => label.append.clone(),
        };
        let append = match (append, options) {
            (append, "") => append,
            (None, options) => Some(Located {
                value: options.to_owned(),
                ..boots_at(boots)
            }),
            (Some(append), options) => Some(Located {
                value: format!("{} {options}", append.value),
                ..append
            }),
        };
        self.boots(TargetParts {
            verb: *verb,
            kernel: Located {
                value: kernel.clone(),
                ..boots_at(boots)
            },
            append,
            label: Some(label),
        })
    }

    /// A kernel that `DEFAULT` names itself.
    pub(super) fn kernel_of_default(
        &self,
        config: &ExtlinuxConfig,
        command: &Located<String>,
    ) -> Boots {
        let (kernel, options) = first(&command.value);
        let at = |value: &str| Located {
            value: value.to_owned(),
            ..command.clone()
        };
        self.boots(TargetParts {
            verb: LabelDirective::Kernel,
            kernel: at(kernel),
            append: match options {
                "" => config.append.clone(),
                options => Some(at(options)),
            },
            label: None,
        })
    }

    fn boots(&self, parts: TargetParts<'_>) -> Boots {
        let name = parts.kernel.value.as_str();
        if let Err(reason) = self.understood(&parts) {
            return Boots::Broken(self.broken(&parts.kernel, reason));
        }
        let target = if self.reader == ConfigReader::Syslinux && is_mboot(name) {
            self.multiboot(&parts)
        } else {
            self.linux(&parts)
        };
        match target {
            Ok(target) => Boots::Target(Box::new(target)),
            Err(broken) => Boots::Broken(broken),
        }
    }

    /// Why what is named is no kernel.
    fn understood(&self, parts: &TargetParts<'_>) -> Result<(), String> {
        let name = parts.kernel.value.as_str();
        match parts.verb {
            LabelDirective::LocalBoot => {
                return Err("LOCALBOOT continues with another boot \
                                           device"
                    .to_owned());
            }
            LabelDirective::Config => {
                return Err("CONFIG continues with another configuration".to_owned());
            }
            LabelDirective::Program => {
                return Err(format!("{name} is a program, not a Linux kernel"));
            }
            LabelDirective::Fit => {
                return Err(format!(
                    "{name} is a FIT image, which kexec does not unpack"
                ));
            }
            LabelDirective::Linux | LabelDirective::Kernel => {}
        }
        if name.is_empty() {
            return Err("it names no kernel".to_owned());
        }
        // syslinux tells by the name what KERNEL is ("KERNEL" in its manual).
        let by_name = self.reader == ConfigReader::Syslinux && parts.verb == LabelDirective::Kernel;
        let other = [".bin", ".bs", ".bss", ".0", ".com", ".cbt", ".img", ".c32"];
        let lower = name.to_ascii_lowercase();
        if by_name && !is_mboot(name) && other.iter().any(|e| lower.ends_with(e)) {
            return Err(format!("{name} is a program, not a Linux kernel"));
        }
        if self.reader == ConfigReader::UBoot && name.contains('#') {
            return Err(format!(
                "{name} is a FIT image, which kexec does not unpack"
            ));
        }
        Ok(())
    }

    fn linux(&self, parts: &TargetParts<'_>) -> Result<BootTarget, Broken> {
        let mut named: Option<Located<String>> = None;
        let line = match &parts.append {
            None if self.reader == ConfigReader::UBoot => {
                let reason = "it has no APPEND, and U-Boot then passes its own bootargs, which \
                              are unknown";
                return Err(self.broken(&parts.kernel, reason.to_owned()));
            }
            None => Cmdline::default(),
            Some(append) => {
                self.no_variables(append)?;
                let line = Cmdline::from(append.value.as_str());
                if let Some(initrd) = line.value("initrd") {
                    named = Some(Located {
                        value: initrd,
                        ..append.clone()
                    });
                }
                line.without(&["initrd"])
            }
        };
        let mut target = BootTarget::linux(self.file(&parts.kernel.value), line);
        let own = parts
            .label
            .map_or(&[] as &[Located<String>], |label| &label.initrds);
        if let ([one, ..], Some(other)) = (own, &named)
            && one.value != other.value
        {
            let reason = format!(
                "it has two initrds, INITRD {} and initrd={}: which one counts depends on the \
                 boot loader",
                one.value, other.value
            );
            return Err(self.broken(other, reason));
        }
        let lists = if own.is_empty() {
            named.as_slice()
        } else {
            own
        };
        for list in lists {
            self.no_variables(list)?;
            if self.reader == ConfigReader::UBoot {
                target.initrds.push(self.file(&list.value));
                continue;
            }
            let names = list.value.split(',').map(str::trim);
            let names = names.filter(|name| !name.is_empty());
            target.initrds.extend(names.map(|name| self.file(name)));
        }
        if let Some(label) = parts.label {
            self.devicetree(label, &mut target);
        }
        Ok(target)
    }

    /// U-Boot puts its variables in where a line says `${name}` or `$(name)`, and they
    /// cannot be read from here; backslashes and single quotes are its own, too (the
    /// macros of its simple shell, `CONFIG_CMDLINE`).
    fn no_variables(&self, text: &Located<String>) -> Result<(), Broken> {
        if self.reader == ConfigReader::Syslinux {
            return Ok(());
        }
        let has = |words: &[&str]| words.iter().any(|word| text.value.contains(word));
        let reason = if has(&["${", "$("]) {
            "it needs variables of U-Boot, which are unknown"
        } else if has(&["\\", "'"]) {
            "U-Boot interprets backslashes and single quotes, and what it passes on is unknown"
        } else {
            return Ok(());
        };
        Err(self.broken(text, format!("{reason}: {}", text.value)))
    }

    fn devicetree(&self, label: &ExtlinuxLabel, target: &mut BootTarget) {
        target.devicetree = label.devicetree.as_ref().map(|at| self.file(&at.value));
        let overlays = label
            .overlays
            .iter()
            .flat_map(|at| at.value.split_whitespace());
        target.overlays = overlays.map(|name| self.file(name)).collect();
        let asked = label.devicetree.is_some()
            || label.devicetree_folder.is_some()
            || label.overlays.is_some();
        if asked {
            target.notes.push(
                "the next kernel gets the device tree of the running one, not the boot loader's"
                    .to_owned(),
            );
        }
    }

    /// `mboot.c32`: `APPEND kernel arguments --- module arguments --- ...`.
    fn multiboot(&self, parts: &TargetParts<'_>) -> Result<BootTarget, Broken> {
        let append = parts.append.as_ref();
        let empty = || "mboot.c32 needs an APPEND with a kernel and its modules".to_owned();
        let append = append.ok_or_else(|| self.broken(&parts.kernel, empty()))?;
        let mut pieces = append.value.split(" --- ").map(first);
        let (kernel, arguments) = pieces.next().unwrap_or_default();
        if kernel.is_empty() {
            return Err(self.broken(append, empty()));
        }
        let modules = pieces.filter(|(name, _)| !name.is_empty());
        Ok(BootTarget {
            protocol: Protocol::Multiboot,
            modules: modules
                .map(|(name, arguments)| BootModule {
                    file: self.file(name),
                    arguments: Cmdline::from(arguments),
                })
                .collect(),
            ..BootTarget::linux(self.file(kernel), Cmdline::from(arguments))
        })
    }
}

fn is_mboot(name: &str) -> bool {
    is_module(name) && name.rsplit('/').next() == Some("mboot.c32")
}

/// The place of what a label boots.
fn boots_at(boots: &Located<(LabelDirective, String)>) -> Located<String> {
    Located {
        file: boots.file,
        line: boots.line,
        value: String::new(),
    }
}
