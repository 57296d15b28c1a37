//! What a configuration comes to: labels, and which of them is booted when
//! nobody presses a key. Values only; included files are in place already.

use super::parse::{Directive, Says, Verb, first};

/// A directive and the file that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Number of the file, in the order in which they were opened.
    pub file: usize,
    /// The directive.
    pub directive: Directive,
}

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// Number of the file.
    pub file: usize,
    /// The line, counted from 1.
    pub line: u32,
    /// What is written there.
    pub value: T,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `DEFAULT`; the last one counts.
    pub default: Option<At<String>>,
    /// `ONTIMEOUT`; the last one counts.
    pub on_timeout: Option<At<String>>,
    /// Whether somebody is asked before anything is booted: `PROMPT` or a menu.
    pub asks: bool,
    /// Whether a menu module is shown, by `UI` or by a `DEFAULT` that names one.
    pub menu: bool,
    /// `TIMEOUT`, in tenths of a second; 0 waits for ever.
    pub timeout: u32,
    /// `APPEND` outside of labels.
    pub append: Option<At<String>>,
    /// The labels, in their order.
    pub labels: Vec<Label>,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name, and where it begins.
    pub name: At<String>,
    /// `MENU LABEL`.
    pub title: Option<String>,
    /// `MENU DEFAULT`.
    pub menu_default: Option<At<()>>,
    /// What it boots.
    pub boots: Option<At<(Verb, String)>>,
    /// `INITRD`, each line.
    pub initrds: Vec<At<String>>,
    /// `APPEND`.
    pub append: Option<At<String>>,
    /// `FDT`.
    pub devicetree: Option<At<String>>,
    /// `FDTDIR`.
    pub devicetree_folder: Option<At<String>>,
    /// `FDTOVERLAYS`.
    pub overlays: Option<At<String>>,
}

/// Puts the directives together.
pub fn assemble(directives: impl IntoIterator<Item = Placed>) -> Config {
    let mut config = Config::default();
    let mut prompt = false;
    for Placed { file, directive } in directives {
        let line = directive.line;
        let at = |value: String| At { file, line, value };
        match directive.says {
            Says::Default(text) => config.default = Some(at(text)),
            Says::OnTimeout(text) => config.on_timeout = Some(at(text)),
            Says::Prompt(on) => prompt = on,
            Says::Timeout(tenths) => config.timeout = tenths,
            Says::Ui(_) => config.menu = true,
            // The one who opened the files has put their lines in its place.
            Says::Include(_) => {}
            Says::Label(name) => config.labels.push(Label::new(at(name))),
            says => match config.labels.last_mut() {
                Some(label) => label.take(file, line, says),
                None => {
                    if let Says::Append(text) = says {
                        config.append = Some(at(text));
                    }
                }
            },
        }
    }
    // DEFAULT menu.c32: the module is no default.
    if let Some(default) = &config.default
        && config.label(first(&default.value).0).is_none()
        && is_module(first(&default.value).0)
    {
        config.menu = true;
        config.default = None;
    }
    config.asks = prompt || config.menu;
    config
}

/// Whether a file is a program of syslinux.
pub fn is_module(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".c32")
}

impl Config {
    /// The label of that name; the first of several.
    pub fn label(&self, name: &str) -> Option<usize> {
        self.labels
            .iter()
            .position(|label| label.name.value == name)
    }
}

impl Label {
    fn new(name: At<String>) -> Label {
        Label {
            name,
            title: None,
            menu_default: None,
            boots: None,
            initrds: Vec::new(),
            append: None,
            devicetree: None,
            devicetree_folder: None,
            overlays: None,
        }
    }

    fn take(&mut self, file: usize, line: u32, says: Says) {
        let at = |value: String| Some(At { file, line, value });
        match says {
            Says::MenuLabel(text) => self.title = Some(text),
            Says::MenuDefault => {
                self.menu_default = Some(At {
                    file,
                    line,
                    value: (),
                });
            }
            Says::Boots(verb, name) => {
                self.boots = Some(At {
                    file,
                    line,
                    value: (verb, name),
                });
            }
            Says::Initrd(names) => self.initrds.extend(at(names)),
            Says::Append(text) => self.append = at(text),
            Says::DeviceTree(name) => self.devicetree = at(name),
            Says::DeviceTreeFolder(name) => self.devicetree_folder = at(name),
            Says::Overlays(names) => self.overlays = at(names),
            _ => {}
        }
    }
}
