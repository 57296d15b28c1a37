//! Boot entries as plain values: what a boot loader's menu holds, whichever
//! boot loader it is.

use std::fmt;

use kexec_plan::Cmdline;
use serde::{Deserialize, Serialize};

use kexec_machine::volumes::{BootFile, without_file};

/// One line of a boot menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootEntry {
    /// What the boot loader itself calls it, and what people can type: a file
    /// name of the Boot Loader Specification, GRUB's `--id`, a label.
    pub id: String,
    /// What the menu shows.
    pub title: String,
    /// Name of the source that found it, as in [`super::SOURCES`].
    pub source: String,
    /// Where it is written.
    pub origin: Origin,
    /// The kernel's version, where the entry says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The machine it belongs to (machine-id(5)), where the entry says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// What a Boot Loader Specification menu is sorted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_key: Option<String>,
    /// Boot counting, where the entry takes part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<Tries>,
    /// What is special about it.
    pub marks: Marks,
    /// GRUB's environment block, where that names it for one boot only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_in: Option<BootFile>,
    /// What it boots, or why it cannot.
    pub boots: Boots,
}

impl BootEntry {
    /// An entry without marks, versions and counters.
    pub fn new(source: &str, id: &str, title: &str, origin: Origin, boots: Boots) -> BootEntry {
        BootEntry {
            id: id.to_owned(),
            title: title.to_owned(),
            source: source.to_owned(),
            origin,
            version: None,
            machine_id: None,
            sort_key: None,
            tries: None,
            marks: Marks::default(),
            once_in: None,
            boots,
        }
    }

    /// What it boots; `None` when it is broken.
    pub fn target(&self) -> Option<&BootTarget> {
        match &self.boots {
            Boots::Target(target) => Some(target),
            Boots::Broken(_) => None,
        }
    }
}

/// Where something is written: a file, and which line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// The file or folder, as people see it.
    pub file: String,
    /// The line, counted from 1; `None` when the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Origin {
    /// The whole of a file.
    pub fn file(file: impl fmt::Display) -> Origin {
        Origin {
            file: file.to_string(),
            line: None,
        }
    }

    /// One line of a file, counted from 1.
    pub fn line(file: impl fmt::Display, line: u32) -> Origin {
        Origin {
            file: file.to_string(),
            line: Some(line),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// Boot counting of the Boot Loader Specification: `NAME+LEFT-DONE.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tries {
    /// How often it may still be tried; 0 makes the entry a bad one.
    pub left: u32,
    /// How often it was tried.
    pub done: u32,
}

/// What is special about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Marks {
    /// A reboot through the firmware would take it, as far as the boot loader
    /// that answers for this machine is concerned.
    pub default: bool,
    /// The boot loader says that it took this one (LoaderEntrySelected, which
    /// outlives a kexec).
    pub selected: bool,
    /// The running kernel was started with what it holds.
    pub running: bool,
    /// It is to be booted once, at the next boot only.
    pub one_shot: bool,
    /// Its tries are used up, or it failed before.
    pub bad: bool,
}

/// What an entry boots, or why it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Boots {
    /// Everything that a load needs.
    Target(Box<BootTarget>),
    /// It is there, but it cannot be booted from here.
    Broken(Broken),
}

/// Why an entry, or the choice among entries, cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Broken {
    /// What is wrong where.
    pub at: Origin,
    /// What was found and what was expected.
    pub reason: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.at,
            without_file(&self.at.file, &self.reason)
        )
    }
}

/// What kind of thing the kernel file is booted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A Linux kernel; also a UKI that an entry names as one.
    #[default]
    Linux,
    /// A unified kernel image that brings its own initrd and command line.
    Uki,
    /// Multiboot 1, such as Xen with its modules.
    Multiboot,
    /// Multiboot 2, the newer protocol of Xen and others.
    Multiboot2,
}

/// Everything a load needs to know of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootTarget {
    /// How it is booted.
    pub protocol: Protocol,
    /// The kernel, the UKI or the hypervisor.
    pub kernel: BootFile,
    /// Initrds, in the order in which they are joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrds: Vec<BootFile>,
    /// The command line; `None` is the one that a UKI brings.
    pub cmdline: Option<Cmdline>,
    /// Which profile of a UKI; `None` is its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<usize>,
    /// Addons and other files beside a UKI, in the order in which its stub
    /// takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<BootFile>,
    /// Modules of a multiboot kernel, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<BootModule>,
    /// The device tree that the boot loader would hand over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devicetree: Option<BootFile>,
    /// Overlays that the boot loader would apply to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<BootFile>,
    /// What is different from what the boot loader would do, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl BootTarget {
    /// A Linux kernel with its command line, and nothing else yet.
    pub fn linux(kernel: BootFile, cmdline: Cmdline) -> BootTarget {
        BootTarget {
            protocol: Protocol::Linux,
            kernel,
            initrds: Vec::new(),
            cmdline: Some(cmdline),
            profile: None,
            extras: Vec::new(),
            modules: Vec::new(),
            devicetree: None,
            overlays: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Every file that a load would read.
    pub fn files(&self) -> impl Iterator<Item = &BootFile> {
        let modules = self.modules.iter().map(|module| &module.file);
        std::iter::once(&self.kernel)
            .chain(&self.initrds)
            .chain(&self.extras)
            .chain(modules)
    }
}

/// A module of a multiboot kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootModule {
    /// The file that is loaded as a module.
    pub file: BootFile,
    /// The command line of the module.
    pub arguments: Cmdline,
}
