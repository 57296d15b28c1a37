//! The menu that a configuration makes, and what an entry of it would boot.

use std::rc::Rc;

use super::ast::Block;
use super::bytes;
use super::devices::FilePath;
use super::text::{Place, Text, Why};

/// A `menuentry` or a `submenu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MenuItem {
    /// Where it stands.
    pub(super) place: Place,
    pub(super) title: Text,
    /// `--id`, or the title without one.
    pub(super) id: Text,
    /// The title and the further arguments: `$1`, `$2` ... of the body.
    pub(super) params: Vec<Text>,
    pub(super) submenu: bool,
    /// `--unrestricted`, or `--users` was not given: see [`GrubEntry::locked`].
    pub(super) unrestricted: bool,
    pub(super) body: Rc<Block>,
    /// Why it may not be there.
    pub(super) doubt: Option<Why>,
    /// Why its place among its neighbours may be another one.
    pub(super) unsure_place: Option<Why>,
    /// Why its body is not what GRUB would run.
    pub(super) broken: Option<Why>,
}

/// A file that an entry names: known, or not and why.
pub(super) type NamedFile = Result<FilePath, Why>;

/// What the commands of an entry have loaded so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LoadedByEntry {
    /// Nothing yet.
    Nothing,
    /// A kernel, of Linux or of something that has modules (`multiboot`).
    Kernel(Box<LoadedKernel>),
    /// Something that is no kernel for us, in words.
    Other { place: Place, what: String },
    /// Another configuration file, whose menu is shown.
    Menu {
        place: Place,
        file: FilePath,
        /// The file as GRUB names it.
        named: Text,
    },
    /// This depends on something that cannot be known.
    Unknown(Why),
}

/// A kernel and what is loaded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadedKernel {
    pub(super) place: Place,
    /// The version of the multiboot protocol, if it is loaded by that.
    pub(super) multiboot: Option<u8>,
    pub(super) file: NamedFile,
    pub(super) args: Vec<Text>,
    /// Initrds in their order, or modules with their arguments.
    pub(super) further: Vec<Further>,
    pub(super) devicetree: Option<NamedFile>,
    /// Whether Fedora's GRUB loads it, where that matters.
    pub(super) fedora: Option<bool>,
    /// Why the words above may be others.
    pub(super) doubt: Option<Why>,
}

/// An initrd or a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Further {
    pub(super) file: NamedFile,
    pub(super) args: Vec<Text>,
}

/// What an entry boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A Linux kernel, loaded with `linux`.
    Linux {
        /// The file of the kernel.
        kernel: FilePath,
        /// The command line, as `linux` hands it over, without `BOOT_IMAGE=`.
        cmdline: String,
        /// The initrds, in their order.
        initrds: Vec<FilePath>,
        /// The device tree.
        devicetree: Option<FilePath>,
    },
    /// A kernel of the multiboot protocol, such as Xen.
    Multiboot {
        /// The version of the protocol: 1 or 2.
        version: u8,
        /// The file of the hypervisor or kernel.
        kernel: FilePath,
        /// Its command line.
        cmdline: String,
        /// The modules with their command lines, in their order.
        modules: Vec<(FilePath, String)>,
    },
    /// The entries of a submenu.
    Submenu(Vec<GrubEntry>),
    /// The menu of another configuration file.
    Menu(FilePath),
    /// Something that is no kernel: another boot loader, the firmware's setup.
    Other(String),
}

/// Why something is not offered: what was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The line that is to blame, if one is.
    pub place: Option<Place>,
    /// What it is.
    pub why: String,
}

impl From<&Why> for Refusal {
    fn from(why: &Why) -> Refusal {
        let text = why.to_string();
        let what = match why.place() {
            Some(place) => text
                .strip_prefix(&format!("{place}: "))
                .unwrap_or(&text)
                .to_owned(),
            None => text,
        };
        Refusal {
            place: why.place().cloned(),
            why: what,
        }
    }
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Refusal {
        Refusal::from(&why)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubEntry {
    /// The line of its `menuentry` or `submenu`.
    pub place: Place,
    /// The title, as the menu shows it.
    pub title: String,
    /// Its id, which is the title when it has none of its own.
    pub id: String,
    /// Its number, with those of the submenus around it: `1>2`.
    pub number: String,
    /// Its id, with those of the submenus around it: `advanced>linux-6.1`.
    pub path: String,
    /// Whether GRUB asks for a name and a password first.
    pub locked: bool,
    /// Why it may not be in the menu.
    pub doubt: Option<Refusal>,
    /// What it boots.
    pub boot: Result<Boot, Refusal>,
}

impl LoadedByEntry {
    /// What would be booted.
    pub(super) fn boot(&self, place: &Place) -> Result<Boot, Refusal> {
        match self {
            LoadedByEntry::Nothing => {
                Err(Why::at(place, "the entry loads no kernel, so GRUB boots nothing").into())
            }
            LoadedByEntry::Kernel(kernel) => kernel.boot().map_err(Refusal::from),
            LoadedByEntry::Other { what, .. } => Ok(Boot::Other(what.clone())),
            LoadedByEntry::Menu { file, .. } => Ok(Boot::Menu(file.clone())),
            LoadedByEntry::Unknown(why) => Err(why.into()),
        }
    }
}

impl LoadedKernel {
    fn boot(&self) -> Result<Boot, Why> {
        if let Some(why) = &self.doubt {
            return Err(why.clone());
        }
        self.files_are_text()?;
        let kernel = self.file.clone()?;
        let cmdline = command_line(&self.args, self.fedora, &self.place)?;
        if let Some(version) = self.multiboot {
            let module = |further: &Further| {
                let args = command_line(&further.args, self.fedora, &self.place)?;
                Ok::<_, Why>((further.file.clone()?, args))
            };
            let modules = self.further.iter().map(module).collect::<Result<_, _>>()?;
            return Ok(Boot::Multiboot {
                version,
                kernel,
                cmdline,
                modules,
            });
        }
        let initrds = self.further.iter().map(|further| further.file.clone());
        Ok(Boot::Linux {
            kernel,
            cmdline,
            initrds: initrds.collect::<Result<_, _>>()?,
            devicetree: self.devicetree.clone().transpose()?,
        })
    }
}

impl LoadedKernel {
    fn files_are_text(&self) -> Result<(), Why> {
        let further = self.further.iter().map(|further| &further.file);
        let named = further.chain([&self.file]).chain(&self.devicetree);
        let paths = named.filter_map(|named| named.as_ref().ok());
        match paths
            .map(|file| &file.path)
            .find(|path| !bytes::is_text(path))
        {
            None => Ok(()),
            Some(path) => {
                let shown = bytes::shown(path);
                let what = format!("the name of {shown} is not UTF-8, which is not supported");
                Err(Why::at(&self.place, what))
            }
        }
    }
}

/// Whether a text begins with a backslash, `x` and two hexadecimal digits.
fn is_hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix("\\x").and_then(|rest| rest.get(..2));
    digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether `\xHH` is in a text.
pub(super) fn has_hexadecimal(text: &Text) -> bool {
    let text = text.to_string();
    text.match_indices('\\')
        .any(|(at, _)| is_hexadecimal(text.get(at..).unwrap_or_default()))
}

/// Words joined to a command line as GRUB does: a word with a blank is put into
/// double quotes, and backslashes and quotes get a backslash before them; Fedora's
/// (rhboot/grub2, `lib/cmdline.c`) leaves `\xHH` alone.
fn command_line(args: &[Text], fedora: Option<bool>, place: &Place) -> Result<String, Why> {
    let mut line = String::new();
    for arg in args {
        let arg = arg.characters(place)?;
        if !line.is_empty() {
            line.push(' ');
        }
        let quote = arg.contains(' ');
        line.push_str(if quote { "\"" } else { "" });
        for (at, c) in arg.char_indices() {
            let kept = is_hexadecimal(arg.get(at..).unwrap_or_default());
            if kept && fedora.is_none() {
                let what = format!("how {arg:?} is passed on depends on the distribution's GRUB");
                return Err(Why::at(place, what));
            }
            if matches!(c, '\\' | '\'' | '"') && !(kept && fedora == Some(true)) {
                line.push('\\');
            }
            line.push(c);
        }
        line.push_str(if quote { "\"" } else { "" });
    }
    Ok(line)
}
