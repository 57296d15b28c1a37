//! What a configuration comes to: labels and menus. Values only; included files are in
//! place already.

use super::parse::{Directive, Reader, Says, Verb, first};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who reads it.
    pub reader: Reader,
    /// `DEFAULT`; the last one counts. For U-Boot `ONTIMEOUT` is the same, and
    /// `MENU DEFAULT` where nothing was said before.
    pub default: Option<At<String>>,
    /// Whether somebody is asked before anything is booted: `PROMPT` or a menu.
    pub asks: bool,
    /// Whether a menu module is shown, by `UI` or by a `DEFAULT` that names one.
    pub menu: bool,
    /// What the menu module is given, where it reads other files than this one.
    pub other_files: Option<At<String>>,
    /// `APPEND` outside of labels.
    pub append: Option<At<String>>,
    /// The labels, in their order.
    pub labels: Vec<Label>,
    /// The menus, the main one first. U-Boot has only that.
    pub menus: Vec<Menu>,
    /// The menu that is shown first.
    pub start: usize,
    /// `MENU SAVE`.
    pub saves: Option<At<()>>,
    /// A line with which U-Boot gives up, and why.
    pub fatal: Option<At<String>>,
}

/// One menu.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Menu {
    /// The menu around it.
    parent: Option<usize>,
    /// What is in it.
    pub items: Vec<Item>,
    /// `MENU DEFAULT`: which of the items.
    pub default: Option<usize>,
    /// `TIMEOUT`, in tenths of a second; 0 waits for ever.
    pub timeout: u32,
    /// `ONTIMEOUT`; the last one counts.
    pub on_timeout: Option<At<String>>,
}

/// What can be chosen in a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A label, by its number.
    Label(usize),
    /// Another menu, and where it begins.
    Submenu(At<()>),
    /// `MENU GOTO` and its like, and where.
    Moves(At<()>),
    /// A label with `MENU DISABLE` or a separator, which cannot be chosen, and where.
    Disabled(At<()>),
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name, and where it begins.
    pub name: At<String>,
    /// `MENU LABEL`.
    pub title: Option<String>,
    /// What it boots.
    pub boots: Option<At<(Verb, String)>>,
    /// `INITRD`, each line; for U-Boot also `initrd=` of an `APPEND`.
    pub initrds: Vec<At<String>>,
    /// `APPEND`.
    pub append: Option<At<String>>,
    /// `FDT`.
    pub devicetree: Option<At<String>>,
    /// `FDTDIR`.
    pub devicetree_folder: Option<At<String>>,
    /// `FDTOVERLAYS`.
    pub overlays: Option<At<String>>,
    /// Lines of it that the reader does not take for lines of this label.
    pub lost: Option<At<String>>,
    marked: bool,
    hidden: bool,
    disabled: bool,
    moves: bool,
}

/// Puts the directives together.
pub fn assemble(directives: impl IntoIterator<Item = Placed>, reader: Reader) -> Config {
    let mut maker = Maker {
        config: Config {
            reader,
            default: None,
            asks: false,
            menu: false,
            other_files: None,
            append: None,
            labels: Vec::new(),
            menus: vec![Menu::default()],
            start: 0,
            saves: None,
            fatal: None,
        },
        current: 0,
        prompt: false,
        open: None,
        ended: None,
    };
    for placed in directives {
        match reader {
            Reader::Syslinux => maker.syslinux(placed),
            Reader::UBoot => maker.uboot(placed),
        }
    }
    maker.done()
}

/// A configuration in the making.
struct Maker {
    config: Config,
    /// The menu whose lines are read.
    current: usize,
    prompt: bool,
    /// The label whose lines are read, which is not in a menu yet.
    open: Option<usize>,
    /// The label that U-Boot left last.
    ended: Option<usize>,
}

impl Maker {
    fn label(&mut self) -> Option<&mut Label> {
        self.config.labels.get_mut(self.open?)
    }

    fn menu(&mut self) -> Option<&mut Menu> {
        self.config.menus.get_mut(self.current)
    }

    /// The label is complete: it becomes an item of the menu.
    fn record(&mut self) {
        let Some(index) = self.open.take() else {
            return;
        };
        let Some(label) = self.config.labels.get(index) else {
            return;
        };
        let at = At {
            file: label.name.file,
            line: label.name.line,
            value: (),
        };
        let (marked, moves, disabled) = (label.marked, label.moves, label.disabled);
        if label.hidden {
            return;
        }
        if let Some(menu) = self.menu() {
            if marked && !moves && !disabled {
                menu.default = Some(menu.items.len());
            }
            menu.items.push(match (disabled, moves) {
                (true, _) => Item::Disabled(at),
                (false, true) => Item::Moves(at),
                (false, false) => Item::Label(index),
            });
        }
    }

    fn begin(&mut self, at: At<()>) {
        self.record();
        let outer = self.config.menus.get(self.current).cloned();
        let outer = outer.unwrap_or_default();
        if let Some(menu) = self.menu() {
            menu.items.push(Item::Submenu(at));
        }
        self.config.menus.push(Menu {
            parent: Some(self.current),
            timeout: outer.timeout,
            on_timeout: outer.on_timeout,
            ..Menu::default()
        });
        self.current = self.config.menus.len().saturating_sub(1);
    }

    fn end(&mut self) {
        self.record();
        let menu = self.config.menus.get(self.current);
        self.current = menu.and_then(|menu| menu.parent).unwrap_or(self.current);
    }

    fn syslinux(&mut self, Placed { file, directive }: Placed) {
        let line = directive.line;
        let at = |value: String| At { file, line, value };
        let here = At {
            file,
            line,
            value: (),
        };
        match directive.says {
            Says::Default(text) => self.config.default = Some(at(text)),
            Says::OnTimeout(text) => {
                if let Some(menu) = self.menu() {
                    menu.on_timeout = Some(at(text));
                }
            }
            Says::Prompt(on) => self.prompt = on,
            Says::Timeout(tenths) => {
                if let Some(menu) = self.menu() {
                    menu.timeout = tenths;
                }
            }
            Says::Ui(text) => {
                self.config.menu = true;
                self.config.other_files = others(&text).map(at);
            }
            Says::MenuBegin => self.begin(here),
            Says::MenuEnd => self.end(),
            Says::MenuSeparator => {
                self.record();
                if let Some(menu) = self.menu() {
                    menu.items.push(Item::Disabled(here));
                }
            }
            Says::MenuStart => self.config.start = self.current,
            Says::MenuSave => self.config.saves = Some(here),
            Says::MenuDefault if self.open.is_none() => {
                // In front of the labels of a submenu it marks the submenu.
                let menu = self.config.menus.get(self.current);
                if let Some(parent) = menu.and_then(|menu| menu.parent)
                    && let Some(parent) = self.config.menus.get_mut(parent)
                {
                    parent.default = parent.items.len().checked_sub(1);
                }
            }
            Says::Label(name) => {
                self.record();
                self.config.labels.push(Label::new(at(name)));
                self.open = self.config.labels.len().checked_sub(1);
            }
            // The one who opened the files has put their lines in its place.
            Says::Include(..) => {}
            says => match self.label() {
                Some(label) => label.take(file, line, says),
                None => {
                    if let Says::Append(text) = says {
                        self.config.append = Some(at(text));
                    }
                }
            },
        }
    }

    fn uboot(&mut self, Placed { file, directive }: Placed) {
        let line = directive.line;
        let at = |value: String| At { file, line, value };
        match directive.says {
            Says::Fatal(word) => {
                self.config
                    .fatal
                    .get_or_insert(at(match word.contains(' ') {
                        true => word,
                        false => format!("{word} has no value"),
                    }));
            }
            Says::Label(name) => {
                self.leave();
                self.config.labels.push(Label::new(at(name)));
                self.open = self.config.labels.len().checked_sub(1);
            }
            Says::Default(text) | Says::OnTimeout(text) => {
                self.leave();
                self.config.default = Some(at(text));
            }
            Says::Timeout(tenths) => {
                self.leave();
                if let Some(menu) = self.menu() {
                    menu.timeout = tenths;
                }
            }
            Says::Include(..) | Says::Ends => self.leave(),
            Says::MenuDefault => match self.label() {
                Some(label) => {
                    let name = label.name.value.clone();
                    self.config.default.get_or_insert(at(name));
                }
                None => self.prompt = true,
            },
            says @ (Says::MenuLabel(_) | Says::Menu) => match self.label() {
                Some(label) => label.take(file, line, says),
                None => self.prompt = true,
            },
            Says::Nothing => {}
            says => self.uboot_label(file, line, says),
        }
    }

    /// A line of a label.
    fn uboot_label(&mut self, file: usize, line: u32, says: Says) {
        if self.open.is_none() {
            // It is left out, although people meant it for the label above.
            let ended = self.ended.and_then(|at| self.config.labels.get_mut(at));
            if let Some(label) = ended {
                label.lost.get_or_insert(At {
                    file,
                    line,
                    value: "U-Boot has left the label before this line, which it does not read"
                        .to_owned(),
                });
            }
            return;
        }
        let Some(label) = self.label() else { return };
        if let (Says::Initrd(_), [_, ..]) = (&says, label.initrds.as_slice()) {
            // It goes on with the value as if that were a line of its own.
            self.leave();
            return;
        }
        if let Says::Append(text) = &says
            && label.initrds.is_empty()
            && let Some((_, initrd)) = text.split_once("initrd=")
        {
            let value = initrd.split(' ').next().unwrap_or_default().to_owned();
            label.initrds.push(At { file, line, value });
        }
        label.take(file, line, says);
    }

    /// U-Boot leaves the label.
    fn leave(&mut self) {
        if self.open.is_some() {
            self.ended = self.open;
        }
        self.record();
    }

    fn done(mut self) -> Config {
        self.record();
        let mut config = self.config;
        config.asks = self.prompt || config.menu;
        if config.reader == Reader::UBoot {
            return config;
        }
        // DEFAULT menu.c32: the module is no default.
        if let Some(default) = &config.default
            && config.label(first(&default.value).0).is_none()
            && is_module(first(&default.value).0)
        {
            config.menu = true;
            config.asks = true;
            config.other_files = others(&default.value).map(|value| At {
                value,
                ..default.clone()
            });
            config.default = None;
        }
        config
    }
}

/// What a menu module is given besides the configuration that it is in.
fn others(command: &str) -> Option<String> {
    let (_, files) = first(command);
    (!matches!(files, "" | "~")).then(|| files.to_owned())
}

/// Whether a file is a program of syslinux.
pub fn is_module(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".c32")
}

impl Config {
    /// The label of that name: for syslinux the first of several, for U-Boot the last.
    pub fn label(&self, name: &str) -> Option<usize> {
        let is = |label: &Label| label.name.value == name;
        match self.reader {
            Reader::Syslinux => self.labels.iter().position(is),
            Reader::UBoot => self.labels.iter().rposition(is),
        }
    }
}

impl Label {
    fn new(name: At<String>) -> Label {
        Label {
            name,
            title: None,
            boots: None,
            initrds: Vec::new(),
            append: None,
            devicetree: None,
            devicetree_folder: None,
            overlays: None,
            lost: None,
            marked: false,
            hidden: false,
            disabled: false,
            moves: false,
        }
    }

    fn take(&mut self, file: usize, line: u32, says: Says) {
        let at = |value: String| Some(At { file, line, value });
        match says {
            Says::MenuLabel(text) => self.title = Some(text),
            Says::MenuDefault => self.marked = true,
            Says::MenuHide => self.hidden = true,
            Says::MenuDisable => self.disabled = true,
            Says::MenuMoves => self.moves = true,
            Says::Boots(verb, name) => {
                self.boots = Some(At {
                    file,
                    line,
                    value: (verb, name),
                });
            }
            // One line may name several; of several lines the last counts.
            Says::Initrd(names) => self.initrds = at(names).into_iter().collect(),
            Says::Append(text) => self.append = at(text),
            Says::DeviceTree(name) => self.devicetree = at(name),
            Says::DeviceTreeFolder(name) => self.devicetree_folder = at(name),
            Says::Overlays(names) => self.overlays = at(names),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
